"""Vocoders as they are evaluated, told who speaks where they can tell speakers apart."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glowtron import Audio, Voice
from glowtron.checkpoint import StoredVoice, load_voice
from glowtron.evaluate.vocoders import likelihood, vocoders_of
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


@pytest.mark.parametrize(("speakers", "told"), [((), None), (("bob",), None), (("ann", "bob"), "bob")])
def test_only_a_vocoder_of_several_is_told(tiny_voice: Path, speakers: tuple[str, ...], told: str | None) -> None:
    options = vocoders_of(voice_of(tiny_voice, speakers), "bob", seed=3, sigma=0.5)
    assert (options["waveglow"].speaker, options["griffin-lim"].speaker) == (told, None)
    assert (options["waveglow"].sigma, options["waveglow"].seed) == (0.5, 3)
