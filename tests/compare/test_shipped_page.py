"""The page of the voice that ships, on recordings that its training kept out: what `make compare` builds."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from glowtron.audio import read_audio
from glowtron.checkpoint import StoredVoice, load_voice
from glowtron.compare.making import Settings, compare
from glowtron.models.wavenet import WaveNet
from glowtron.train.recipe import recipe
from glowtron.voice import Voice
from glowtron.voices import find_voice

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SPEAKERS = (("lj", DATA / "ljspeech"), ("kathleen", DATA / "kathleen"))


def with_wavenet() -> Voice:
    """`duet` with the WaveNet of the folder GLOWTRON_WAVENET, or one of the same size that has learnt nothing yet."""
    stored = load_voice(find_voice("duet"))
    given = os.environ.get("GLOWTRON_WAVENET")
    if given:
        other = load_voice(Path(given))
        config, wavenet = other.config.wavenet, other.wavenet
    else:
        config = recipe("vocoder", "compact-wavenet", []).wavenet
        torch.manual_seed(0)
        wavenet = WaveNet(config).eval()
    return Voice(StoredVoice(replace(stored.config, wavenet=config), stored.acoustic, stored.vocoder, wavenet))


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the recordings beside the project are missing")
def test_the_shipped_voices_page_has_four_columns_on_ten_unseen_clips(tmp_path):
    voice = with_wavenet()
    told = compare(voice, SPEAKERS, {}, tmp_path / "page", Settings(measures=False, n_turns=1))
    assert [column["title"] for column in told["columns"]] == ["Griffin-Lim", "WaveNet", "WaveGlow", "Recording"]
    labels = [f"{item['speaker']}/{item['id']}" for item in told["items"]]
    assert len(set(labels)) == 10 and set(labels) <= set(voice.config.held_out)
    for item in told["items"]:
        lengths = {
            read_audio(tmp_path / "page" / "clips" / column["name"] / f"{item['id']}.flac").duration_s
            for column in told["columns"]
        }
        assert max(lengths) - min(lengths) < 0.1
    page = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert all(json.dumps(item["id"]) in page for item in told["items"])
