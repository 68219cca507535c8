"""Text that nobody foresaw: whatever is given, a frontend makes known symbols of it or says what is wrong."""

import datetime
import re

import pytest
from growing import growth
from hypothesis import example, given, settings
from hypothesis import strategies as st

from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.text import english
from glowtron.text.frontend import Frontend, make_frontend
from glowtron.text.numbers import cardinal, ordinal, pairs
from glowtron.text.symbols import MARKUP, PAD, SYMBOL_IDS, SYMBOLS, text_ids

FRONTENDS = {
    "published": make_frontend(TextConfig(frontend="nvidia")),
    "letters": make_frontend(TextConfig(frontend="english")),
    "phones": make_frontend(TextConfig(frontend="english", phonemes=True)),
}
WORDS = """a an the to of and I me dog houses Glowtron read record live St. Dr. Mr. FBI NASA IV VIII A B x 1 22 1895 3rd
    $5 £1m 50% 5km 5'11 10:30 p.m. 1/2 2020-11-05 555-1234 a@b.co www.x.org #tag C++ {AY1} {XX} { } don't 'tis dogs'
    O'Neil well-known -- ... … ?! " “ ” ' ( ) [ ] * é ñ ß 北京 привет עברית 😀 ½ ² π Ω""".split()
WORDS += ["", "\n", "\x00", "\u200b", "\u202e", "\ud800"]
ANY_TEXT = st.text() | st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join)
CHARACTERS = st.text(st.characters(min_codepoint=0x80), max_size=60)


@pytest.mark.parametrize("name", FRONTENDS)
@settings(max_examples=3 * settings.default.max_examples)
@given(ANY_TEXT | CHARACTERS)
@example("$" + "9" * 5000)
@example("1/" + "9" * 5000)
@example("{" * 100 + "AA1" + "}" * 100)
@example("\u00e9\u00e9")
@example("A\u03a2")  # Unicode has left this place among the Greek letters empty.
def test_any_text_has_known_symbols_or_a_clear_error(name: str, text: str) -> None:
    frontend = FRONTENDS[name]
    try:
        reading = frontend.encode(text)
        ids = frontend.ids(text)
    except InputError as error:
        assert str(error) and "\n" not in str(error)
        return
    assert all(0 <= index < len(SYMBOLS) for index in ids)
    assert name == "published" or ids == text_ids(reading.symbols)
    assert name == "published" or (any(index >= SYMBOL_IDS["A"] for index in ids) and SYMBOL_IDS[PAD] not in ids)


@settings(max_examples=4 * settings.default.max_examples)
@given(ANY_TEXT)
def test_every_word_that_is_read_is_said(text: str) -> None:
    try:
        reading = FRONTENDS["phones"].encode(text)
    except InputError:
        return
    written = [
        re.sub("[^a-z]", "", word.lower())
        for word in re.findall(r"[A-Za-z'-]*[A-Za-z][A-Za-z'-]*", MARKUP.sub(" ", reading.normalized))
    ]
    words = [word.pronunciation for word in reading.words if word.pronunciation is not None]
    said = [re.sub("[^a-z]", "", word.text.lower()) for word in words if word.source != "inline"]
    assert said == written
    assert all(word.phones for word in words)
    assert len(reading.words) == len(words) == len(MARKUP.findall(reading.symbols))
    assert not re.search("[a-z]|[A-Z]", MARKUP.sub("", reading.symbols))


@given(st.lists(st.from_regex("[a-z]{1,9}", fullmatch=True).filter(lambda word: not word.endswith("s")), min_size=1))
def test_quotes_around_a_sentence_change_no_sound(words: list[str]) -> None:
    def read(text: str) -> list[tuple[str, ...] | None]:
        return [word.pronunciation and word.pronunciation.phones for word in FRONTENDS["phones"].encode(text).words]

    sentence = " ".join([*words, "today"])  # A last word of "etc." would want its stop.
    plain = read(sentence + ".")
    for quoted in (f'"{sentence}."', f"“{sentence}.”", f"«{sentence}».", f'"‘{sentence}.’"', f"({sentence}.)"):
        assert read(quoted) == plain


@given(st.lists(st.from_regex("[a-z]{4,9}", fullmatch=True), min_size=3, max_size=8))
def test_shouting_changes_no_word_that_can_be_said(words: list[str]) -> None:
    sentence = " ".join(words)
    shouted, said = (english.normalize(text).lower().replace(" ", "") for text in (sentence.upper(), sentence))
    assert shouted == said


@given(st.integers(0, 10**12 - 1))
def test_quantities_are_cardinals(number: int) -> None:
    words = cardinal(number)
    assert english.normalize(f"some {number:,} horses") == f"some {words} horses"
    assert english.normalize(f"{number:,}%") == f"{words} percent"
    one = number == 1
    assert english.normalize(f"${number:,}") == f"{words} dollar{'' if one else 's'}"
    assert english.normalize(f"{number:,} km") == f"{words} kilometer{'' if one else 's'}"


@given(st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31)))
def test_dates_are_read_alike_however_written(date: datetime.date) -> None:
    month, day, year = f"{date:%B}".lower(), ordinal(date.day), pairs(date.year)
    said = f"{month} {day}, {year}"
    for written in (
        date.isoformat(),
        f"{date:%B} {date.day}, {date.year}",
        f"{date:%b}. {date.day}, {date.year}" if date.month != 5 else f"May {date.day}, {date.year}",
        f"{date.month}/{date.day}/{date.year}",
    ):
        assert english.normalize(written) == said, written
    assert english.normalize(f"{date.day} {date:%B} {date.year}") == f"the {day} of {month}, {year}"


@given(st.integers(1, 12), st.integers(1, 59), st.sampled_from(["am", "pm", " a.m.", " p.m.", "AM", " PM"]))
def test_times_of_day(hour: int, minute: int, half: str) -> None:
    said = f"{cardinal(hour)} {'oh ' if minute < 10 else ''}{cardinal(minute)} {half.strip()[0].upper()} M"
    assert english.normalize(f"at {hour}:{minute:02}{half} today") == f"at {said} today"


@given(st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=2, max_size=3).filter(lambda letters: letters != "NB"))
def test_initials_with_stops_are_letters(letters: str) -> None:
    assert english.normalize(f"the {'.'.join(letters)}.") == f"the {' '.join(letters)}."


@pytest.mark.parametrize(
    "piece", ["a ", "A", "A ", "a'", "a-", "'", "{AA1}", "the ", "read ", "1 ", "un", "sss", "Mon, ", "x.py ", "1:11."]
)
@pytest.mark.parametrize("name", ["letters", "phones"])
def test_time_is_linear(name: str, piece: str) -> None:
    frontend: Frontend = FRONTENDS[name]
    assert growth(lambda n: frontend.ids("a " + (piece * n)[:n]), 2_000) < 9, "sixteen is quadratic"
