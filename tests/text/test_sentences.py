"""Cutting text into pieces to speak."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.text.sentences import Piece, split_pieces, split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Hello there.", "How are you?", "Fine!"],
        ["Mr. and Mrs. Smith met Dr. Jones at 5 p.m. on Baker St. near No. 10.", "They left."],
        ["J. R. R. Tolkien met C. S. Lewis.", "He wrote."],
        ["It costs $3.50 or 3.14159, i.e. not much, e.g. less.", "Version 1.2.3 is out."],
        ["We met at 5 p.m.", "He was late."],
        ["He lives in the U.S. Army barracks.", "The U.S.", "The end."],
        ['"Stop!" he said.', '"Why?" she asked.', '"Because."', "He left."],
        ["He paused... and went on.", "Then...", "Well..."],
        ["(It was late.)", "[He slept.]", "“Good night.”", "‘Bye.’"],
        ["Choose plan B.", "Then go.", "It was I.", "You know."],
        ["See Fig. 3 and pp. 5-7, vol. 2.", "Done."],
        ["St. Paul lived on Main St.", "The house stands."],
        ["On Jan. 5, 1895, it rained.", "In Feb. it snowed, etc.", "But not in May."],
        ["It was built c. 1200 by c. 40 men.", "Smith (b. 12 May 1920; d. May 3, 1999) came.", "He left."],
        ["See Fed. R. Civ. P. 12(b) and (9th Cir. 1997).", "It dep. 08:15 from plat. 4.", "5! = 120."],
        ["We told the Fed.", "R. Smith knows.", "He left."],
        ["No.", "Yes."],
        ["He asked No. 5 to wait.", "The answer was no.", "Five men came."],
        ["1. First do this.", "2. Then do that."],
        ["Really?!", "Yes!!!", "No..."],
        ["你好。", "再见！", "好吗？"],
        ["Привет, мир.", "Как дела?"],
    ],
)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


def test_lines() -> None:
    text = "A Title\n\nA line that\ngoes on.\n- milk\n- eggs and\n  bread\n1. one\n2. two"
    assert split_sentences(text) == [
        "A Title",
        "A line that\ngoes on.",
        "- milk",
        "- eggs and\n  bread",
        "1. one",
        "2. two",
    ]


def test_pieces_say_what_ends_with_them() -> None:
    text = "A Title\n\nOne.  Two!\n \n- milk\n- eggs\n\n\nThe end of it all; it was late, and they slept and dreamt."
    assert list(split_pieces(text, 24)) == [
        Piece("A Title", "paragraph"),
        Piece("One.", "sentence"),
        Piece("Two!", "paragraph"),
        Piece("- milk", "sentence"),
        Piece("- eggs", "paragraph"),
        Piece("The end of it all;", "clause"),
        Piece("it was late,", "clause"),
        Piece("and they slept", "words"),
        Piece("and dreamt.", "sentence"),
    ]


@pytest.mark.parametrize("text", ["", " ", "\n\n \n"])
def test_nothing_gives_nothing(text: str) -> None:
    assert split_sentences(text) == []


def test_long_sentences_are_cut_where_one_breathes() -> None:
    text = "He came to the old house by the river, which was empty; she had gone to the town and did not come back."
    assert split_sentences(text, 80) == [
        "He came to the old house by the river, which was empty;",
        "she had gone to the town and did not come back.",
    ]
    assert split_sentences("He came to the old house by the river and she left for the town.", 50) == [
        "He came to the old house by the river",
        "and she left for the town.",
    ]


def test_ten_thousand_words_without_a_stop() -> None:
    words = ["word", "and", "then,", "another"] * 2500
    started = time.process_time()
    pieces = split_sentences(" ".join(words), 200)
    assert time.process_time() - started < 2
    assert all(len(piece) <= 200 for piece in pieces)
    assert " ".join(pieces).split() == words
    assert min(map(len, pieces)) > 60


def test_words_and_markup_longer_than_a_piece() -> None:
    assert split_sentences("x" * 50, 20) == ["x" * 20, "x" * 20, "x" * 10]
    pieces = split_sentences("say {HH AH0 L OW1 W ER1 L D HH AH0 L OW1} now", 20)
    assert all(len(piece) <= 20 and piece.count("{") == piece.count("}") for piece in pieces)
    assert "".join(pieces).replace("{", "").replace("}", "").replace(" ", "") == "sayHHAH0LOW1WER1LDHHAH0LOW1now"


def test_markup_is_not_cut() -> None:
    pieces = split_sentences("one two three {HH AH0 L OW1} four five six {W ER1 L D} seven eight", 30)
    assert all(piece.count("{") == piece.count("}") for piece in pieces)


_WORDS = st.lists(
    st.sampled_from('a Mr. Dr. 3.14 end. (so) "Oh!" well, U.S. J. ... no? {AA1 B} - x; 1. 北京。'.split(" "))
)


@given(_WORDS, st.integers(16, 60), st.sampled_from([" ", "\n", "  ", "\n\n"]))
def test_pieces_keep_every_word_in_order(words: list[str], max_chars: int, space: str) -> None:
    text = space.join(words)
    pieces = split_sentences(text, max_chars)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert " ".join(pieces).split() == text.replace("。", "。 ").split()
    assert all(0 < len(piece) <= max_chars and piece == piece.strip() for piece in pieces)


@given(st.text(), st.integers(16, 300))
def test_any_text(text: str, max_chars: int) -> None:
    pieces = split_sentences(text, max_chars)
    assert all(0 < len(piece) <= max_chars for piece in pieces)
    if "{" not in text:
        assert "".join("".join(pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "piece", [".", ". ", ".)", "a. ", "a", "a ", "A. ", "{", "{ ", "{a ", '."', "\n", "\n\t", "1. ", "..a", "(", " ("]
)
def test_time_is_linear(piece: str) -> None:
    started = time.process_time()
    split_sentences(piece * (60_000 // len(piece)))
    assert time.process_time() - started < 4
