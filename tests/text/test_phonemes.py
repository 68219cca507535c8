"""Every word gets phones, and the right ones where the context decides."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.text.lexicon import PHONES, Lexicon, arpabet, read_pronunciations
from glowtron.text.phonemes import Phonemizer
from glowtron.text.symbols import MARKUP, parse_markup, text_ids

PHONEMIZER = Phonemizer()


def say(text: str) -> str:
    """Phones of a text, words in bars, other marks as they are."""
    return PHONEMIZER.transcribe(text).replace("{", "|").replace("}", "|")


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("həlˈO", "HH AH0 L OW1"),
        ("wˈɔɾəɹ", "W AO1 T ER0"),
        ("bˈʌʔn", "B AH1 T AH0 N"),
        ("kˈɜɹnᵊl", "K ER1 N AH0 L"),
        ("ˌɪntəɹnˈæʃᵊnəl", "IH2 N T ER0 N AE1 SH AH0 N AH0 L"),
        ("ɹˈOzᵻz", "R OW1 Z IH0 Z"),
        ("jˈʊɹəp", "Y UH1 R AH0 P"),
        ("hmm", "HH AH0 M"),
    ],
)
def test_ipa_becomes_arpabet(ipa: str, phones: str) -> None:
    assert " ".join(arpabet(ipa)) == phones


def test_every_dictionary_word_has_phones_of_the_table() -> None:
    words = Lexicon().words()
    assert len(words) > 170_000
    assert all(phones and PHONES.issuperset(phones) for phones in words.values())


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("the egg", "|DH IY0| |EH1 G|"),
        ("the book", "|DH AH0| |B UH1 K|"),
        ("the {AE1 P AH0 L}", "|DH IY0| |AE1 P AH0 L|"),
        ("to walk", "|T AH0| |W AO1 K|"),
        ("to eat", "|T UW0| |IY1 T|"),
        ("close to.", "|K L OW1 S| |T UW1|."),
        ("a b c", "|EY1| |B IY1| |S IY1|"),
        ("a dog", "|AH0| |D AO1 G|"),
        ("the U S A", "|DH AH0| |Y UW1| |EH1 S| |EY1|"),
        ("x-ray", "|EH1 K S R EY2|"),
    ],
)
def test_function_words_and_letters(text: str, spoken: str) -> None:
    assert say(text) == spoken


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("they record it", "R AH0 K AO1 R D"),
        ("the record was old", "R EH1 K ER0 D"),
        ("to read it", "R IY1 D"),
        ("she had read it", "R EH1 D"),
        ("we live here", "L IH1 V"),
        ("a live show", "L AY1 V"),
        ("their lives", "L AY1 V Z"),
        ("he lives in it", "L IH1 V Z"),
        ("the use of it", "Y UW1 S"),
        ("to use it", "Y UW1 Z"),
        ("he used to go", "Y UW1 S T"),
        ("it was used to print", "Y UW1 Z D"),
        ("close the door", "K L OW1 Z"),
        ("a close friend", "K L OW1 S"),
        ("a lead pipe", "L EH1 D"),
        ("to lead them", "L IY1 D"),
        ("they wind it", "W AY1 N D"),
        ("the wind blew", "W IH1 N D"),
        ("they object to it", "AH0 B JH EH1 K T"),
        ("an object of art", "AA1 B JH EH0 K T"),
        ("attentions to convicts who", "K AA1 N V IH2 K T S"),
        ("his undesirable discharge affected", "D IH1 S CH AA2 R JH"),
        ("they must discharge him", "D IH0 S CH AA1 R JH"),
        ("an elaborate and long", "AH0 L AE1 B ER0 AH0 T"),
        ("set much closer together", "K L OW1 S ER0"),
        ("the money used to buy it", "Y UW1 Z D"),
        ("a minute later", "M IH1 N AH0 T"),
        ("in minute detail", "M AY0 N UW1 T"),
        ("it was present there", "P R EH1 Z AH0 N T"),
        ("to present it", "P R IY0 Z EH1 N T"),
        ("he wound up the clock", "W AW1 N D"),
        ("the wound was deep", "W UW1 N D"),
    ],
)
def test_homographs_follow_their_neighbours(text: str, phones: str) -> None:
    # "object" has AH0 or EH0 in its second syllable by dictionary; the stress is what is tested.
    pattern = phones.replace("EH0", "(?:EH0|AH0|IH0)")
    assert re.search(rf"\|{pattern}\|", say(text)), say(text)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("john's", "JH AA1 N Z"),
        ("church's", "CH ER1 CH IH0 Z"),
        ("cats'", "K AE1 T S"),
        ("goin'", "G OW1 IH0 N"),
        ("john'll", "JH AA1 N AH0 L"),
        ("waggoned", "W AE1 G AH0 N D"),
        ("unlaughable", "AH0 N L AE1 F AH0 B AH0 L"),
        ("towards", "T AO1 R D Z"),
        ("moorfields", "M UH1 R F IY2 L D Z"),
        ("ill-treated", "IH1 L T R IY1 T IH0 D"),
        ("re-entered", "R IY0 EH1 N T ER0 D"),
        ("up-to-date", "AH2 P T AH0 D EY1 T"),
        ("oswald's", "AA1 Z W AO2 L D Z"),
    ],
)
def test_words_are_derived_from_dictionary_words(word: str, phones: str) -> None:
    assert " ".join(PHONEMIZER.pronounce(word)) == phones


def test_quotes_around_words_stay_and_apostrophes_inside_do_not() -> None:
    assert say("'hello' it's 'tis dogs' tea") == "'|HH AH0 L OW1|' |IH0 T S| |T IH1 Z| |D AO1 G Z| |T IY1|"


def test_white_space_becomes_one_space_and_marks_stay() -> None:
    assert say("yes,\n\n  no!  ") == "|Y EH1 S|, |N OW1|! "


@settings(max_examples=4 * settings.default.max_examples)
@given(st.text(st.sampled_from("abcdeiouyhlnrstw' -,.;!?{}ABZ\n\té3"), max_size=40))
def test_whatever_the_text_its_words_become_phones(text: str) -> None:
    transcribed = PHONEMIZER.transcribe(text)
    outside = MARKUP.sub("", transcribed)
    assert not re.search("[A-Za-z]", outside), transcribed
    assert "  " not in transcribed.replace("\xa0", " ") or "{" in text or "}" in text
    for match in MARKUP.finditer(transcribed):
        assert text_ids(match[0]) and parse_markup(match[0])
    assert bool(re.search("[a-z]", text, re.IGNORECASE)) == bool(MARKUP.search(transcribed))


@settings(max_examples=4 * settings.default.max_examples)
@given(st.from_regex(r"[a-z]{1,12}(['-][a-z]{1,6}){0,2}", fullmatch=True))
def test_any_word_has_phones_with_a_vowel_or_is_a_hiss(word: str) -> None:
    phones = PHONEMIZER.pronounce(word)
    assert phones and PHONES.issuperset(phones)


def test_inline_phones_are_left_alone() -> None:
    assert say("{HH AH0 L OW1}, {T IY} a") == "|HH AH0 L OW1|, |T IY| |AH0|"


def test_every_training_text_is_words_in_braces(shared) -> None:  # type: ignore[no-untyped-def]
    lines = shared("data/kathleen/metadata.csv").read_text(encoding="utf-8").splitlines()
    for line in lines[::10]:
        text = line.split("|")[2].lower()
        transcribed = PHONEMIZER.transcribe(text)
        assert len(MARKUP.findall(transcribed)) == len(re.findall(r"[a-z][a-z'-]*", text))


def test_users_words_come_first(tmp_path: Path) -> None:
    lexicon = tmp_path / "mine.txt"
    lexicon.write_text("# mine\n\nThe DH AH2\nglowtron  g l ow1 t r aa2 n\nrecord R EY1\n", encoding="utf-8")
    phonemizer = Phonemizer(lexicon)
    expected = "{DH AH2} {G L OW1 T R AA2 N} {R EY1} {G L OW1 T R AA2 N Z}"
    assert phonemizer.transcribe("the glowtron record glowtron's") == expected


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("hello HH AH0 L OW1\nword\n", "line 2: 'word' has no phones"),
        ("word W ER D\n", "line 1: 'word': vowel ER lacks its stress"),
        ("\nword W ER1 XX\n", "line 2: 'word': unknown phone XX"),
        ("a AH0\nA EY1\n", "line 2: 'a' is given twice"),
    ],
)
def test_faults_of_a_lexicon_name_their_line(tmp_path: Path, content: str, complaint: str) -> None:
    lexicon = tmp_path / "mine.txt"
    lexicon.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(f"{lexicon}, {complaint}")):
        Phonemizer(lexicon)


def test_a_lexicon_that_is_no_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (binary, tmp_path / "missing"):
        with pytest.raises(InputError, match="cannot be read as a lexicon"):
            read_pronunciations(path)
