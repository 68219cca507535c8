"""Frontends: from text to ids."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.text import english as english_text
from glowtron.text import nvidia
from glowtron.text.frontend import Frontend, make_frontend
from glowtron.text.symbols import SYMBOL_IDS, SYMBOLS, text_ids


@pytest.fixture(scope="module")
def english() -> Frontend:
    return make_frontend(TextConfig(frontend="english"))


@pytest.fixture(scope="module")
def published() -> Frontend:
    return make_frontend(TextConfig(frontend="nvidia"))


@pytest.fixture(scope="module")
def phones() -> Frontend:
    return make_frontend(TextConfig(frontend="english", phonemes=True))


def texts_of(frontend: Frontend, text: str) -> list[str]:
    return [sentence.text for sentence in frontend.split(text)]


def test_ids_are_those_of_the_clean_text(english: Frontend, published: Frontend) -> None:
    text = "Dr. Who paid £20 for {HH AH0 L OW1}."
    assert english.ids(text) == text_ids("doctor who paid twenty pounds for {HH AH0 L OW1}.")
    assert published.ids(text) == nvidia.ids(text) != english.ids(text)


def test_words_become_phones(phones: Frontend) -> None:
    ids = phones.ids("Hello, {W ER1 L D}!")
    assert [SYMBOLS[index] for index in ids] == [
        *(" ", "{HH}", "{AH0}", "{L}", "{OW1}", ",", " ", "{W}", "{ER1}", "{L}", "{D}", "!"),
    ]
    assert phones.normalize("5 men") == "five men"
    assert not any(
        SYMBOLS[index].isalpha() for index in phones.ids("The FBI met Dr. Zhqkl of NASA in plan A, vitamin A.")
    )


def test_empty_text(english: Frontend, published: Frontend) -> None:
    assert published.ids("") == []  # As the published program.
    for frontend in (english, published):
        for text in ("", " \n ", "!!!", "😀 --"):
            with pytest.raises(InputError, match=r"nothing speakable|is empty"):
                texts_of(frontend, text)


def test_sentences_leave_out_what_is_not_speakable(english: Frontend, published: Frontend) -> None:
    for frontend in (english, published):
        assert texts_of(frontend, "Hello.\n\n* * *\n\nBye.") == ["Hello.", "Bye."]


def test_where_a_text_begins_does_not_wait_for_its_end(
    english: Frontend, published: Frontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    for module, name in ((english_text, "normalize"), (nvidia, "clean")):
        whole = getattr(module, name)
        monkeypatch.setattr(module, name, lambda text, *more, whole=whole: read.append(text) or whole(text, *more))
    for frontend in (english, published):
        read.clear()
        pieces = frontend.split("A sentence.\n\n* * *\n\n" * 300)
        first = next(pieces)
        assert (first.text, first.ending) == ("A sentence.", "paragraph")
        assert 0 < len(read) < 5
        assert len(list(pieces)) == 299


def test_what_is_read_for_a_piece_is_short_too(english: Frontend) -> None:
    text = " ".join(["1234567890"] * 60)
    pieces = texts_of(english, text)
    assert " ".join(pieces) == text
    assert all(len(english.normalize(piece)) <= 400 for piece in pieces)


@settings(max_examples=2 * settings.default.max_examples)
@given(st.text(max_size=600))
def test_every_sentence_can_be_spoken(text: str) -> None:
    for name in ("english", "nvidia"):
        frontend = make_frontend(TextConfig(frontend=name))
        try:
            pieces = texts_of(frontend, text)
        except InputError:
            continue
        assert pieces
        for piece in pieces:
            ids = frontend.ids(piece)
            assert ids
            assert all(0 <= index < len(SYMBOLS) for index in ids)
            assert name == "nvidia" or SYMBOL_IDS["_"] not in ids


def test_a_lexicon_needs_a_voice_that_reads_phones(tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("glowtron G L OW1 T R AA0 N\n")
    with pytest.raises(InputError, match=r"lexicon\.txt: this voice reads letters"):
        make_frontend(TextConfig(), lexicon)
