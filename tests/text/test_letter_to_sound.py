"""Unknown words are read plausibly, each as a word."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.text.letter_to_sound import WEIGHTS, LetterToSound
from glowtron.text.lexicon import LETTER_NAMES, PHONES, Lexicon

READER = LetterToSound()


@given(st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz"), min_size=1, max_size=40))
def test_a_word_has_one_primary_stress_or_is_spelt(word: str) -> None:
    phones = READER.read(word)
    assert PHONES.issuperset(phones)
    spelt = tuple(phone for letter in word for phone in LETTER_NAMES[letter])
    assert phones == spelt or sum(phone.endswith("1") for phone in phones) == 1


def test_words_without_vowels_are_spelt() -> None:
    assert " ".join(READER.read("fbx")) == "EH1 F B IY1 EH1 K S"
    assert " ".join(READER.read("a")) == "EY1"


def test_regular_words_are_read_as_anyone_would() -> None:
    for word, phones in {"blick": "B L IH1 K", "stame": "S T EY1 M", "pheet": "F IY1 T"}.items():
        assert " ".join(READER.read(word)) == phones


def test_most_dictionary_words_are_read_right() -> None:
    words = sorted(Lexicon().words().items())[::400]
    right = sum(READER.read(word) == phones for word, phones in words)
    assert right / len(words) > 0.6  # Words it was trained on; what it does on others is in its training report.


def test_weights_are_small_and_hold_no_objects() -> None:
    assert WEIGHTS.stat().st_size < 1_500_000
    with np.load(WEIGHTS, allow_pickle=False) as file:
        assert all(file[name].dtype.kind in "fU" for name in file.files)


def test_training_aligns_letters_with_what_they_say() -> None:
    pytest.importorskip("torch")
    script = Path(__file__).resolve().parents[2] / "scripts" / "train_letter_to_sound.py"
    spec = importlib.util.spec_from_file_location("train_letter_to_sound", script)
    assert spec is not None and spec.loader is not None
    training = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(training)
    align = training.align
    words = sorted(Lexicon().words().items())[::200]
    bare = [(word, tuple(phone.rstrip("012") for phone in phones)) for word, phones in words]
    aligned = align(bare, rounds=2)
    assert len(aligned) > 0.98 * len(bare)
    for word, phones in bare:
        if word in aligned:
            assert len(aligned[word]) == len(word)
            assert " ".join(chunk for chunk in aligned[word] if chunk) == " ".join(phones)


def test_weights_come_back_as_they_were_saved(tmp_path: Path) -> None:
    from glowtron.text.letter_to_sound import save

    with np.load(WEIGHTS, allow_pickle=False) as file:
        arrays = {name: file[name].astype(np.float32) for name in file.files if name != "chunks"}
        save(tmp_path / "copy.npz", arrays, file["chunks"].tolist())
    assert [path.name for path in tmp_path.iterdir()] == ["copy.npz"]
    assert LetterToSound(tmp_path / "copy.npz").read("glowtron") == READER.read("glowtron")
