"""Weights as a voice folder stores them, read without the library that wrote them."""

from __future__ import annotations

import json
import mmap
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from glowtron import InputError
from glowtron.config import MelConfig
from glowtron.onnx.correction_stream import Correction
from glowtron.onnx.weights import StoredWeights

PATH = Path("some.safetensors")
TENSORS = {
    "whole": torch.arange(-6, 6, dtype=torch.float32).reshape(3, 4) / 7,
    "half": torch.linspace(-2, 2, 5).to(torch.float16),
    "brain": torch.linspace(-2, 2, 6).to(torch.bfloat16).reshape(2, 3),
    "double": torch.tensor([0.1], dtype=torch.float64),
    "rows": torch.tensor([[-127, 3], [5, 127]], dtype=torch.int8),
    "rows.scale": torch.tensor([[0.5], [2.0]]),
    "none": torch.zeros(0, 3),
}


def test_it_reads_what_the_library_writes(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(save(TENSORS, {"by": "a test"}))
    with path.open("rb") as file:
        weights = StoredWeights(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), path)
    assert set(weights) == TENSORS.keys() - {"rows.scale"}
    assert weights.n_weights == 12 + 5 + 6 + 1 + 4
    weights.let_go()
    for known in (weights, pickle.loads(pickle.dumps(weights))):
        for name in weights:
            wanted = TENSORS[name].float() * (TENSORS["rows.scale"] if name == "rows" else 1)
            assert known[name].dtype == np.float32 and known[name].shape == tuple(wanted.shape)
            assert np.array_equal(known[name], wanted.numpy())
    with pytest.raises(KeyError):
        weights["missing"]


@given(st.binary(max_size=40) | st.integers(0, len(save(TENSORS)) - 1).map(lambda n: save(TENSORS)[:n]))
def test_what_is_cut_or_no_such_file_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"some\.safetensors: is no safetensors file"):
        StoredWeights(data, PATH)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
        {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4]},
        [],
    ],
    ids=str,
)
def test_a_tensor_that_cannot_be_there_is_refused(tensor: object) -> None:
    header = json.dumps({"w": tensor}).encode()
    with pytest.raises(InputError, match="is no safetensors file"):
        StoredWeights(len(header).to_bytes(8, "little") + header + bytes(16), PATH)


def test_a_type_that_is_not_known_is_named() -> None:
    header = json.dumps({"w": {"dtype": "F4", "shape": [4], "data_offsets": [0, 2]}}).encode()
    weights = StoredWeights(len(header).to_bytes(8, "little") + header + bytes(2), PATH)
    with pytest.raises(InputError, match="tensor w is of type F4"):
        weights["w"]


def test_the_correction_forgets_what_it_has_done() -> None:
    """After a long sound no round keeps more than the few frames that overlap what comes next."""
    config = MelConfig()
    stream, n_frames = Correction(config).stream(3), 800
    noise = np.random.default_rng(0).standard_normal(n_frames * config.hop_length).astype(np.float32)
    stream.push(noise, np.zeros((config.n_mels, n_frames), np.float32))
    kept = [value for each in stream._rounds for value in vars(each).values() if isinstance(value, np.ndarray)]
    bases = [value if value.base is None else value.base for value in kept]
    assert len(bases) > 10 and max(base.nbytes for base in bases) < 64 * config.n_fft
