"""A voice on onnxruntime says what it says on torch, in every way in which it can be asked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Audio, FaultWarning, InputError, Voice, parse_ssml
from glowtron.checkpoint import StoredVoice, VoiceFile, load_voice, save_voice
from glowtron.config import GriffinLimConfig

NEAR = 1e-4
"""Of samples, beside the largest one or 1: what is added up in another order."""
TEXT = "One two three, four five. Six seven?"


@pytest.fixture(params=["tiny_voice", "reader", "parallel", "published"])
def both(request: pytest.FixtureRequest) -> tuple[Voice, Voice]:
    """A voice on torch, and on onnxruntime."""
    folder = request.getfixturevalue(request.param)
    return Voice.load(folder, runtime="torch", device="cpu", precision="fp32"), Voice.load(folder, runtime="onnx")


def quietly(speak):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FaultWarning)
        return speak()


def assert_near(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape and found.dtype == np.float32
    assert np.abs(wanted).max() > 1e-4
    assert np.abs(found - wanted).max() <= NEAR * max(np.abs(wanted).max(), 1.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"speaker": "bob", "seed": 5},
        {"rate": 1.3, "pause_s": 0.1},
        {"sigma": 0.3, "correction": 2},
        {"denoise": 0.1},
    ],
    ids=str,
)
def test_the_same_seed_is_the_same_sound(both: tuple[Voice, Voice], options: dict[str, object]) -> None:
    on_torch, on_onnx = both
    wanted, found = (quietly(lambda voice=voice: voice.say(TEXT, **options)).samples for voice in both)
    assert_near(found, wanted)
    assert on_onnx.speakers == on_torch.speakers and on_onnx.mel == on_torch.mel


def test_what_is_streamed_is_what_is_said(both: tuple[Voice, Voice]) -> None:
    voice = both[1]
    text = TEXT + " And once more, for it is a longer sentence than the others, as far as that goes."
    said = quietly(lambda: voice.say(text)).samples
    pieces = quietly(lambda: list(voice.stream(text)))
    assert len(pieces) > 3
    assert_near(np.concatenate([piece.samples for piece in pieces]), said)


def test_words_and_mels_are_the_same(both: tuple[Voice, Voice]) -> None:
    wanted, found = (quietly(lambda voice=voice: list(voice.utterances(TEXT))) for voice in both)
    for one, other in zip(wanted, found, strict=True):
        assert other.words == one.words and other.failures == one.failures
        assert np.abs(other.mel - one.mel).max() < NEAR
        assert np.abs(other.alignment - one.alignment).max() < NEAR


def test_many_texts_on_several_processes(parallel: Path) -> None:
    voice = Voice.load(parallel, runtime="onnx")
    texts = [TEXT, "Eight.", "Nine ten."]
    alone = list(voice.say_many(texts, workers=1))
    for one, other in zip(alone, voice.say_many(texts, workers=2), strict=True):
        assert np.array_equal(one.samples, other.samples)


def test_markup_changes_words(parallel: Path) -> None:
    text = parse_ssml('<speak>One <prosody pitch="+3st" rate="80%">two three</prosody> four.</speak>')
    wanted, found = (
        Voice.load(parallel, runtime=name, device="cpu", precision=precision).say(text).samples
        for name, precision in (("torch", "fp32"), ("onnx", "auto"))
    )
    assert_near(found, wanted)


def test_griffin_lim_needs_no_weights(parallel: Path) -> None:
    """Many rounds seek phases, and make much of rounding: the spectra are compared."""
    wanted, found = (
        Voice.load(parallel, runtime=name, device="cpu").say("One two.", vocoder="griffin-lim").samples
        for name in ("torch", "onnx")
    )
    assert found.shape == wanted.shape
    spectra = [np.abs(np.fft.rfft(samples)) for samples in (wanted, found)]
    assert np.linalg.norm(spectra[0] - spectra[1]) < 0.05 * np.linalg.norm(spectra[0])


def test_recordings_go_through(both: tuple[Voice, Voice]) -> None:
    recording = Audio(0.3 * np.sin(np.arange(48_000) / 9).astype(np.float32), 48_000)
    wanted, found = (voice.vocode(recording).samples for voice in both)
    assert_near(found, wanted)


def test_half_a_voice(parallel: Path, tmp_path: Path) -> None:
    stored = load_voice(parallel)
    vocoder_only = VoiceFile(name="vocoder", vocoder=stored.config.vocoder)
    save_voice(StoredVoice(vocoder_only, None, stored.vocoder), tmp_path / "vocoder")
    voice = Voice.load(tmp_path / "vocoder", runtime="onnx")
    assert len(voice.vocode(Audio(np.zeros(3000, np.float32), 22_050)).samples) == 3000
    with pytest.raises(InputError, match="has no acoustic model"):
        voice.say("No.")
    acoustic_only = VoiceFile(name="acoustic", acoustic=stored.config.acoustic, decoding=stored.config.decoding)
    save_voice(StoredVoice(acoustic_only, stored.acoustic, None), tmp_path / "acoustic")
    voice = Voice.load(tmp_path / "acoustic", runtime="onnx")
    with pytest.raises(InputError, match="has no WaveGlow"):
        voice.say("No.")
    assert voice.say("One.", vocoder="griffin-lim").duration_s > 0.1
    silent = VoiceFile(name="both", acoustic=stored.config.acoustic, vocoder=GriffinLimConfig())
    save_voice(StoredVoice(silent, stored.acoustic, None), tmp_path / "both")
    assert Voice.load(tmp_path / "both", runtime="onnx").say("One.").duration_s > 0.1


def test_what_is_saved_is_the_voice(tmp_path: Path) -> None:
    """With the vocoder of another, which its folder only names."""
    voice = Voice.load("duet-tacotron2", runtime="onnx")
    voice.save(tmp_path / "copy")
    again = load_voice(tmp_path / "copy")
    assert again.config.vocoder_of == "" and set(again.config.sha256) == {"acoustic.safetensors", "vocoder.safetensors"}
    assert again.vocoder is not None and again.acoustic is not None


def test_a_voice_can_be_sent_once_it_has_spoken(parallel: Path) -> None:
    voice = Voice.load(parallel, runtime="onnx")
    said = voice.say("One.").samples
    assert np.array_equal(pickle.loads(pickle.dumps(voice)).say("One.").samples, said)


def test_threads_may_share_a_voice(parallel: Path) -> None:
    voice = Voice.load(parallel, runtime="onnx")
    texts = ["One two.", "Three four five.", "Six."]
    wanted, found = [voice.say(text).samples for text in texts], dict[int, np.ndarray]()
    threads = [
        threading.Thread(target=lambda i=i, text=text: found.update({i: voice.say(text).samples}))
        for i, text in enumerate(texts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[i], samples) for i, samples in enumerate(wanted))


def test_faults_are_told(parallel: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not on cuda"):
        Voice.load(parallel, runtime="onnx", device="cuda")
    with pytest.raises(InputError, match="not in bf16"):
        Voice.load(parallel, runtime="onnx", precision="bf16")
    with pytest.raises(InputError, match=r"unknown runtime 'onyx'.*did you mean 'onnx'"):
        Voice.load(parallel, runtime="onyx")
    with pytest.raises(InputError, match="has no speaker 'eve'"):
        Voice.load(parallel, runtime="onnx").say("No.", speaker="eve")
    with pytest.raises(InputError, match="loaded without torch"):
        _ = Voice.load(parallel, runtime="onnx").acoustic
    broken = tmp_path / "broken"
    Voice.load(parallel, runtime="onnx").save(broken)
    (broken / "vocoder.safetensors").write_bytes(b"nothing")
    with pytest.raises(InputError, match="sha256 differs"):
        Voice.load(broken, runtime="onnx")


def test_the_folder_may_hold_bytes_and_bfloat16(parallel: Path, tmp_path: Path) -> None:
    stored = load_voice(parallel)
    for dtype in (torch.int8, torch.bfloat16):
        save_voice(stored, tmp_path / "voice", dtype=dtype)
        wanted, found = (
            Voice.load(tmp_path / "voice", runtime=name, device="cpu", precision=precision).say("One two.").samples
            for name, precision in (("torch", "fp32"), ("onnx", "auto"))
        )
        assert_near(found, wanted)


_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # Importing it fails.
import numpy as np
from glowtron import Voice
from glowtron.cli import main
voice = Voice.load(sys.argv[1], runtime="onnx")
np.save(sys.argv[2], voice.say(sys.argv[3]).samples)
main(["say", "--runtime", "onnx", "--voice", sys.argv[1], sys.argv[3], "-o", sys.argv[4], "-q"])
"""


def test_nothing_of_torch_is_needed(parallel: Path, tmp_path: Path) -> None:
    wanted = Voice.load(parallel, runtime="torch", device="cpu", precision="fp32").say(TEXT).samples
    samples, wav = tmp_path / "said.npy", tmp_path / "said.wav"
    subprocess.run([sys.executable, "-c", _WITHOUT_TORCH, parallel, samples, TEXT, wav], check=True)
    assert_near(np.load(samples), wanted)
    assert wav.stat().st_size == 44 + 2 * len(wanted)


def test_no_runtime_at_all_is_one_line(tmp_path: Path) -> None:
    """Where neither torch nor onnxruntime can be found, what to install is named."""
    code = (
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name in ('torch', 'onnxruntime') else find(name, *rest)\n"
        "from glowtron.cli import main; main(['say', 'Hello.', '-o', 'x.wav'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=os.environ)
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr.count("\n") == 1 and "pip install 'glowtron[torch]'" in done.stderr
