"""A voice whose acoustic model is FastSpeech 2: all that other voices do, and its prosody under control."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Voice
from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import (
    AcousticConfig,
    DecodingOptions,
    FastSpeech2Config,
    LappedConfig,
    ProsodyOptions,
    TextConfig,
    VocodingConfig,
    VoiceFile,
    WaveGlowConfig,
    WNConfig,
)
from glowtron.data.pitch import track_pitch
from glowtron.errors import InputError
from glowtron.models.fastspeech2 import FastSpeech2
from glowtron.models.waveglow import WaveGlow

TEXT = "One two three, four five. Six seven?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights; each symbol lasts about five frames."""
    model = FastSpeech2Config(
        n_speakers=2, channels=16, pitch_channels=12, decoder_channels=14, decoder_dilations=(1, 2)
    )
    acoustic = AcousticConfig(model=model, text=TextConfig(phonemes=True), speakers=("ann", "bob"))
    wavenet = WNConfig(n_layers=2, n_channels=8)
    vocoder = WaveGlowConfig(analysis=LappedConfig(scale_channels=8), wavenet=wavenet, n_flows=2, early_size=0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        fastspeech2, waveglow = FastSpeech2(model), WaveGlow(vocoder)
        fastspeech2.duration.out.bias.data.fill_(math.log(6))
        fastspeech2.mel_out.bias.data.fill_(1.0)
    config = VoiceFile(
        name="parallel",
        acoustic=acoustic,
        vocoder=vocoder,
        attempts=0,
        decoding=DecodingOptions(monotonic=True),
        vocoding=VocodingConfig(correction=2),
    )
    folder = tmp_path_factory.mktemp("voices") / "parallel"
    save_voice(StoredVoice(config, fastspeech2, waveglow), folder)
    return folder


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    return Voice.load(folder, device="cpu", precision="fp32")


def test_a_stream_is_what_is_said(voice: Voice) -> None:
    whole = voice.say(TEXT)
    pieces = [piece.samples for piece in voice.stream(TEXT)]
    assert len(pieces) > 2
    np.testing.assert_allclose(np.concatenate(pieces), whole.samples, atol=1e-4)


def test_texts_side_by_side_sound_as_alone(voice: Voice) -> None:
    together = list(voice.say_many([TEXT, "Eight."], workers=1))
    for text, audio in zip([TEXT, "Eight."], together, strict=True):
        np.testing.assert_allclose(audio.samples, voice.say(text).samples, atol=1e-4)


def test_a_saved_voice_sounds_the_same(voice: Voice, tmp_path: Path) -> None:
    voice.save(tmp_path / "again")
    again = Voice.load(tmp_path / "again", device="cpu", precision="fp32")
    np.testing.assert_array_equal(again.say("One two.").samples, voice.say("One two.").samples)


def test_int8_keeps_the_statistics(folder: Path, tmp_path: Path) -> None:
    stored = load_voice(folder)
    assert isinstance(stored.acoustic, FastSpeech2)
    stored.acoustic.pitch_std.fill_(0.2)
    save_voice(stored, tmp_path / "int8", dtype=torch.int8)
    again = load_voice(tmp_path / "int8").acoustic
    assert isinstance(again, FastSpeech2)
    assert torch.equal(again.pitch_std, stored.acoustic.pitch_std)


@pytest.mark.parametrize("rate", [0.7, 1.4])
def test_rate_changes_the_durations_and_not_the_sound_afterwards(voice: Voice, rate: float) -> None:
    (plain,), (other,) = voice.utterances("One two three four."), voice.utterances("One two three four.", rate=rate)
    assert other.mel.shape[1] == pytest.approx(plain.mel.shape[1] / rate, rel=0.1)
    assert other.audio is not None
    assert len(other.audio.samples) == pytest.approx(other.mel.shape[1] * 256, abs=256)


def test_word_times_are_the_durations(voice: Voice) -> None:
    (plain,), (fast,) = voice.utterances("One two three."), voice.utterances("One two three.", rate=1.4)
    for utterance in (plain, fast):
        assert [word.text.lower() for word in utterance.words] == ["one", "two", "three"]
        assert utterance.audio is not None
        assert utterance.words[-1].end_s <= utterance.audio.duration_s + 0.05
        for before, after in zip(utterance.words, utterance.words[1:], strict=False):
            assert before.start_s < before.end_s <= after.start_s
    assert fast.words[2].start_s < plain.words[2].start_s


@pytest.mark.parametrize("change", [{"pitch": 4.0}, {"pitch_range": 2.0}, {"energy": 6.0}])
def test_pitch_and_energy_change_the_sound_and_not_its_length(voice: Voice, change: dict[str, float]) -> None:
    plain, other = voice.say("One two.", pause_s=0.0), voice.say("One two.", **change)
    assert len(plain.samples) == pytest.approx(len(other.samples), rel=0.3)  # The edges are trimmed by loudness.
    n = min(len(plain.samples), len(other.samples))
    assert not np.allclose(plain.samples[:n], other.samples[:n])


def test_the_folder_may_say_how_to_speak(voice: Voice, folder: Path, tmp_path: Path) -> None:
    stored = load_voice(folder)
    decoding = replace(stored.config.decoding, prosody=ProsodyOptions(rate=0.8))
    save_voice(replace(stored, config=replace(stored.config, decoding=decoding)), tmp_path / "slow")
    slow = Voice.load(tmp_path / "slow", device="cpu", precision="fp32")
    np.testing.assert_array_equal(slow.say("One two.").samples, voice.say("One two.", rate=0.8).samples)


def test_voices_that_predict_no_prosody_refuse_to_change_it(tiny_voice: Path) -> None:
    voice = Voice.load(tiny_voice, device="cpu")
    with pytest.raises(InputError, match="predicts no pitch"):
        voice.say("One.", pitch=1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"pitch": 13}, "pitch must be"), ({"pitch_range": -1}, "pitch_range"), ({"energy": 20}, "energy")],
)
def test_options_out_of_range_are_refused(voice: Voice, change: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        voice.say("One.", **change)


def test_semitones_are_semitones() -> None:
    """On a trained voice: the median pitch moves by what was asked for."""
    from glowtron.voices import shipped

    for name in shipped():
        voice = Voice.load(name, device="cpu")
        if isinstance(voice.acoustic, FastSpeech2):
            break
    else:
        pytest.fail("no FastSpeech 2 ships")

    def median(pitch: float) -> float:
        track = track_pitch(voice.say("There is nothing new under the sun, they say.", pitch=pitch))
        return float(np.median(track[track > 0]))

    for pitch in (-3.0, 3.0):
        assert 12 * np.log2(median(pitch) / median(0.0)) == pytest.approx(pitch, abs=1.0)
