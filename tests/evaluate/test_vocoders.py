"""Vocoders as they are evaluated, told who speaks where they can tell speakers apart."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Audio, SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice, load_voice
from glowtron.evaluate.vocoders import corrected_noise, likelihood, vocoders_of
from glowtron.mel import log_mel
from glowtron.models.waveglow import WaveGlow

CLIPS = [
    Audio(0.1 * np.random.default_rng(i).standard_normal(n).astype(np.float32), 22_050)
    for i, n in ((0, 3000), (1, 5000))
]


def voice_of(tiny_voice: Path, speakers: tuple[str, ...]) -> Voice:
    """The tiny voice's vocoder alone, of these speakers."""
    stored = load_voice(tiny_voice)
    assert stored.vocoder is not None
    config = replace(stored.vocoder.config, speakers=speakers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        vocoder = WaveGlow(config)
        vocoder.load_state_dict({**vocoder.state_dict(), **stored.vocoder.state_dict()})
        if len(speakers) > 1:
            torch.nn.init.normal_(vocoder.speaker.weight)
            torch.nn.init.zeros_(vocoder.speaker.weight[0])
    return Voice(StoredVoice(replace(stored.config, acoustic=None, vocoder=config), None, vocoder), device="cpu")


def test_the_likelihood_is_that_of_who_speaks(tiny_voice: Path) -> None:
    alone, several = voice_of(tiny_voice, ()), voice_of(tiny_voice, ("ann", "bob"))
    wanted = likelihood(alone, None, CLIPS, seed=0)
    assert math.isfinite(wanted)
    # Ann's row is zero, and she is the first.
    assert likelihood(several, "ann", CLIPS, seed=0) == pytest.approx(wanted, abs=1e-5)
    assert likelihood(several, None, CLIPS, seed=0) == pytest.approx(wanted, abs=1e-5)
    assert likelihood(several, "bob", CLIPS, seed=0) != pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(("speakers", "known"), [((), None), (("bob",), None), (("ann", "bob"), "bob")])
def test_only_a_vocoder_of_several_is_given_the_speaker(
    monkeypatch: pytest.MonkeyPatch, tiny_voice: Path, speakers: tuple[str, ...], known: str | None
) -> None:
    voice, asked = voice_of(tiny_voice, speakers), []
    monkeypatch.setattr(voice, "vocode_many", lambda audios, options: asked.append(options) or audios)
    vocoders = vocoders_of(voice, "bob", seed=3, sigma=0.5)
    list(vocoders["waveglow"](CLIPS[:1]))
    list(vocoders["griffin-lim"](CLIPS[:1]))
    assert [options.speaker for options in asked] == [known, None]
    assert (asked[0].sigma, asked[0].seed) == (0.5, 3)


def test_the_flow_stands_beside_itself_without_correction_and_noise_with_it(tiny_voice: Path) -> None:
    voice = voice_of(tiny_voice, ())
    voice.runtime.config = replace(voice.config, vocoding=replace(voice.config.vocoding, correction=0))
    assert set(vocoders_of(voice, None, 0, None)) == {"waveglow", "mel-inversion", "griffin-lim"}
    voice.runtime.config = replace(voice.config, vocoding=replace(voice.config.vocoding, correction=4))
    vocoders = vocoders_of(voice, None, 0, None)
    assert list(vocoders) == ["waveglow", "waveglow-uncorrected", "noise-corrected", "mel-inversion", "griffin-lim"]
    plain = voice.vocode(CLIPS[1], SynthesisOptions(vocoder="waveglow", correction=0))
    (uncorrected,) = vocoders["waveglow-uncorrected"](CLIPS[1:2])
    assert np.array_equal(uncorrected.samples, plain.samples)


def test_corrected_noise_has_the_mel_of_the_recording(tiny_voice: Path) -> None:
    config, clip = voice_of(tiny_voice, ()).mel, CLIPS[1]

    def distance(rounds: int) -> float:
        (noise,) = corrected_noise(config, rounds, seed=0)([clip])
        assert noise.sample_rate == clip.sample_rate and len(noise.samples) == len(clip.samples)
        mels = [log_mel(torch.from_numpy(audio.samples)[None], config) for audio in (noise, clip)]
        return float((mels[0] - mels[1]).abs().mean())

    assert distance(60) < 0.5 * distance(4) < 0.5 * distance(0)
