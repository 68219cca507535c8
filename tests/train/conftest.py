"""Fixtures of the tests of training."""

import json

import pytest

from glowtron.config import TextConfig
from glowtron.data.manifest import read_manifest
from glowtron.text.frontend import make_frontend


@pytest.fixture
def alignments(tiny_corpus, tmp_path):
    """Every symbol lasts 20 ms."""
    encode = make_frontend(TextConfig(frontend="nvidia")).ids
    path = tmp_path / "alignments.jsonl"
    with path.open("w") as file:
        for i, clip in enumerate(read_manifest(tiny_corpus)):
            ids = encode(clip.text)
            ends = [(0.2 + 0.1 * i) * (n + 1) / len(ids) for n in range(len(ids))]
            file.write(json.dumps({"id": clip.id, "symbols": ids, "ends": ends}) + "\n")
    return path
