"""Our tensors in the published layouts: what is read and written again is the same, in the same order."""

import pytest
import torch

from glowtron.config import MelConfig
from glowtron.importers.published import read_published
from glowtron.models import published_tacotron2, published_waveglow


@pytest.mark.parametrize("name", ["tacotron2.pt", "tacotron2_dle.pt"])
def test_a_tacotron2_is_written_as_it_was_read(parity, name) -> None:
    theirs = read_published(parity(name)).state
    config = published_tacotron2.config_from_published(theirs)
    n_mels = published_tacotron2.n_mels_from_published(theirs)
    again = published_tacotron2.to_published(published_tacotron2.from_published(theirs), config, n_mels)
    assert list(again) == list(theirs)
    assert all(torch.equal(again[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", ["waveglow_2020_09_02.pt", "waveglow_dle.pt"])
def test_a_waveglow_is_written_as_it_was_read(parity, name) -> None:
    theirs = read_published(parity(name)).state
    config = published_waveglow.config_from_published(theirs, hop_length=MelConfig().hop_length)
    ours = published_waveglow.from_published(theirs)
    again = published_waveglow.to_published(ours, config, condition_by_layer=name == "waveglow_dle.pt")
    assert list(again) == list(theirs)
    assert all(torch.equal(again[key], theirs[key]) for key in theirs)
