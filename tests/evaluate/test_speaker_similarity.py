from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from glowtron.audio import Audio, read_audio
from glowtron.errors import InputError
from glowtron.evaluate.levels import RATE
from glowtron.evaluate.optional import is_installed
from glowtron.evaluate.speaker_similarity import SpeakerEncoder, centroid, embed_all, own_similarities, similarities

needs_weights = pytest.mark.skipif(
    not is_installed("resemblyzer"), reason="needs the package Resemblyzer (pip install --no-deps Resemblyzer)"
)


def buzz(hertz: float, seconds: float = 2.0) -> Audio:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 15))
    return Audio((0.1 * wave).astype(np.float32), RATE)


def test_similarity_is_a_cosine() -> None:
    x, y = np.array([1.0, 0.0], np.float32), np.array([0.0, 1.0], np.float32)
    assert centroid([x, y]) == pytest.approx([0.5**0.5] * 2)
    assert similarities([x, y], x) == [1.0, 0.0]
    assert own_similarities([x, x, y]) == pytest.approx([0.5**0.5, 0.5**0.5, 0.0])
    assert own_similarities([x]) == own_similarities([]) == []


@needs_weights
def test_loudness_and_silence_around_change_little() -> None:
    encoder, sound = SpeakerEncoder(), buzz(150)
    embedding = encoder.embed(sound)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5) and embedding.shape == (256,)
    quiet = Audio(sound.samples * np.float32(0.02), RATE)
    silence = np.zeros(2 * RATE, np.float32)
    padded = Audio(np.concatenate([silence, sound.samples, silence]), RATE)
    assert similarities([encoder.embed(quiet)], embedding)[0] > 0.999
    assert similarities([encoder.embed(padded)], embedding)[0] > 0.85
    assert similarities([encoder.embed(buzz(300))], embedding)[0] < 0.7


@needs_weights
def test_silence_has_no_speaker() -> None:
    encoder = SpeakerEncoder()
    for n_samples in (0, 1, 1000, RATE):
        silence = Audio(np.zeros(n_samples, np.float32), RATE)
        assert embed_all(encoder, [silence]) == []
        with pytest.raises(InputError, match="without speech"):
            encoder.embed(silence)


@needs_weights
def test_a_reader_is_nearer_to_herself_than_to_another(shared: Callable[[str], Path]) -> None:
    encoder = SpeakerEncoder()
    lj, kathleen = (
        embed_all(
            encoder, [read_audio(path) for path in islice(sorted((shared(f"data/{name}") / "wavs").iterdir()), 6)]
        )
        for name in ("ljspeech", "kathleen")
    )
    assert min(own_similarities(lj)) > max(similarities(kathleen, centroid(lj)))
    assert fmean(own_similarities(kathleen)) > fmean(similarities(lj, centroid(kathleen))) + 0.1
