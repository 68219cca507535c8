"""Who speaks, in voices whose vocoder tells speakers apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Audio, SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import DecodingOptions, GriffinLimConfig
from glowtron.errors import InputError
from glowtron.models.waveglow import WaveGlow

NOISE = Audio(0.1 * np.random.default_rng(0).standard_normal(6000).astype(np.float32), 22_050)


@pytest.fixture(scope="module")
def folder(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny voice of ann and bob with a vocoder that knows carl, bob and ann."""
    stored = load_voice(tiny_voice)
    assert stored.vocoder is not None
    config = replace(stored.vocoder.config, speakers=("carl", "bob", "ann"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        vocoder = WaveGlow(config)
        vocoder.load_state_dict({**vocoder.state_dict(), **stored.vocoder.state_dict()})
        torch.nn.init.normal_(vocoder.speaker.weight)
    told = replace(stored.config, vocoder=config, decoding=DecodingOptions(monotonic=True))
    folder = tmp_path_factory.mktemp("voices") / "several"
    save_voice(StoredVoice(told, stored.acoustic, vocoder), folder)
    return folder


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    return Voice.load(folder, device="cpu", precision="fp32")


def only_vocoder(voice: Voice) -> Voice:
    return Voice(StoredVoice(replace(voice.config, acoustic=None), None, voice.vocoder), device="cpu", precision="fp32")


def vocoded(voice: Voice, speaker: str | None, **options: object) -> np.ndarray:
    return voice.vocode(NOISE, SynthesisOptions(speaker=speaker, **options)).samples


def test_each_speaker_has_the_row_of_that_name(voice: Voice) -> None:
    sounds = {name: vocoded(voice, name) for name in (None, "ann", "bob", "carl")}
    # The first speaker of the acoustic model, not of the vocoder.
    assert np.array_equal(sounds[None], sounds["ann"])
    assert not np.allclose(sounds["ann"], sounds["bob"], atol=1e-2)
    assert voice.speakers == ("ann", "bob")
    alone = only_vocoder(voice)
    assert alone.speakers == ("carl", "bob", "ann")
    assert np.array_equal(vocoded(alone, None), sounds["carl"])
    assert np.array_equal(vocoded(alone, "bob"), sounds["bob"])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_what_is_stored_in_half_precision_speaks_alike(voice: Voice, tmp_path: Path, precision: str) -> None:
    save_voice(StoredVoice(voice.config, voice.acoustic, voice.vocoder), tmp_path / "half", dtype=torch.float16)
    again = Voice.load(tmp_path / "half", device="cpu", precision=precision)
    bob, ann = (vocoded(again, name, correction=0, sigma=0.5) for name in ("bob", "ann"))
    wanted = vocoded(voice, "bob", correction=0, sigma=0.5)
    assert np.abs(bob - wanted).mean() < 0.05 * np.abs(bob - ann).mean()


@pytest.mark.parametrize("speaker", ["ann", "bob"])
def test_the_vocoder_hears_who_says_it_streamed_too(voice: Voice, speaker: str) -> None:
    assert voice.vocoder is not None
    options = SynthesisOptions(speaker=speaker)
    said = voice.say("Hello there. And more.", options).samples
    streamed = np.concatenate([audio.samples for audio in voice.stream("Hello there. And more.", options)])
    assert np.abs(said - streamed).max() < 1e-4
    rest = Voice(StoredVoice(voice.config, voice.acoustic, voice.vocoder), device="cpu", precision="fp32")
    table = voice.vocoder.speaker.weight.data.clone()
    try:
        rest.vocoder.speaker.weight.data[:] = table[{"ann": 2, "bob": 1}[speaker]]  # As if all were this one.
        assert np.abs(rest.say("Hello there. And more.", options).samples - said).max() < 1e-5
        rest = Voice(StoredVoice(voice.config, voice.acoustic, voice.vocoder), device="cpu", precision="fp32")
        rest.vocoder.speaker.weight.data[:] = table[0]
        assert np.abs(rest.say("Hello there. And more.", options).samples - said).max() > 1e-3
    finally:
        voice.vocoder.speaker.weight.data[:] = table


def test_each_speaker_has_a_hum_of_their_own(voice: Voice) -> None:
    taken = [vocoded(voice, name) - vocoded(voice, name, denoise=0.5) for name in ("ann", "bob")]
    assert all(np.abs(one).max() > 1e-4 for one in taken)
    assert not np.allclose(*taken, atol=1e-4)


def test_names_that_mean_nothing_are_refused(voice: Voice, tiny_voice: Path) -> None:
    with pytest.raises(InputError, match=r"voice 'tiny' has no speaker 'bobb'.*did you mean 'bob'"):
        vocoded(voice, "bobb")
    with pytest.raises(InputError, match="has no speaker 'carl'"):  # Only the vocoder knows him.
        voice.say("Hello.", SynthesisOptions(speaker="carl"))
    with pytest.raises(InputError, match="all speakers are alike to its vocoder; leave the speaker out"):
        vocoded(Voice.load(tiny_voice, device="cpu"), "ann")
    griffin_lim = replace(voice.config, vocoder=GriffinLimConfig())
    with pytest.raises(InputError, match="all speakers are alike"):
        vocoded(Voice(StoredVoice(griffin_lim, voice.acoustic), device="cpu"), "ann")


def test_a_vocoder_that_does_not_know_all_who_speak_is_refused(voice: Voice, tmp_path: Path) -> None:
    assert voice.vocoder is not None
    with torch.random.fork_rng(devices=[]):
        vocoder = WaveGlow(replace(voice.vocoder.config, speakers=("carl", "ann")))
    config = replace(voice.config, vocoder=vocoder.config)
    with pytest.raises(InputError, match="knows the speakers carl, ann, and not bob of the acoustic model; train it"):
        save_voice(StoredVoice(config, voice.acoustic, vocoder), tmp_path / "new")
    assert not (tmp_path / "new").exists()
