from collections.abc import Callable
from pathlib import Path

import pytest

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.evaluate.sentences import hard_sentences, unseen_sentences
from glowtron.text.frontend import make_frontend


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    path = tmp_path / "metadata.csv"
    lines = [f"A-{i}|Raw {i} text here|sentence number {i} of many" for i in range(50)]
    path.write_text("\n".join([*lines, "B-1|too short", "B-2|the same words twice", "B-3|the same words twice", ""]))
    return path


def test_seen_clips_and_texts_are_left_out(metadata: Path) -> None:
    seen = {f"A-{i}" for i in range(45)} | {"the same words twice"}
    found = unseen_sentences(metadata, seen, 100, seed=1)
    assert sorted(sentence.id for sentence in found) == [f"A-{i}" for i in range(45, 50)]
    assert all(sentence.text.startswith("sentence number") for sentence in found)


def test_the_seed_decides_and_more_only_adds(metadata: Path) -> None:
    few, many = (unseen_sentences(metadata, set(), n, seed=7) for n in (5, 20))
    assert many[:5] == few and len(set(many)) == 20
    assert unseen_sentences(metadata, set(), 5, seed=8) != few


def test_faults_are_told(metadata: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no sentence that is not"):
        unseen_sentences(metadata, {f"A-{i}" for i in range(50)} | {"the same words twice"}, 5, seed=1)
    with pytest.raises(InputError, match="cannot be read"):
        unseen_sentences(tmp_path / "nothing.csv", set(), 5, seed=1)


def test_sentences_of_the_corpus(shared: Callable[[str], Path]) -> None:
    metadata = shared("data/ljspeech/metadata_all.csv")
    clips = (metadata.parent / "metadata.csv").read_text(encoding="utf-8").splitlines()
    seen = {line.split("|")[0] for line in clips}
    found = unseen_sentences(metadata, seen, 500, seed=1234)
    assert len(found) == 500 and not seen & {sentence.id for sentence in found}


def test_hard_sentences_can_all_be_spoken() -> None:
    frontend = make_frontend(TextConfig(frontend="english"))
    sentences = hard_sentences()
    assert len({sentence.id for sentence in sentences}) == len(sentences) > 25
    assert max(len(sentence.text.split()) for sentence in sentences) == 200
    assert min(len(sentence.text) for sentence in sentences) == 1
    for sentence in sentences:
        assert list(frontend.split(sentence.text)), sentence
