import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.evaluate.wer import Pronunciations, WordCount, count_words, plain_words, spoken_words, total

SOUND = Pronunciations()
sentences = st.lists(st.sampled_from("a b c d".split()), max_size=7)


def edits_by_brute_force(left: list[str], right: list[str]) -> int:
    if not left or not right:
        return len(left) + len(right)
    return min(
        edits_by_brute_force(left[1:], right[1:]) + (left[0] != right[0]),
        edits_by_brute_force(left[1:], right) + 1,
        edits_by_brute_force(left, right[1:]) + 1,
    )


@given(sentences, sentences)
def test_counts_are_a_shortest_alignment(text: list[str], heard: list[str]) -> None:
    count = count_words(text, heard)
    matched = count.words - count.substituted - count.deleted
    assert min(count) >= 0 and matched >= 0
    assert count.words == len(text)
    assert matched + count.substituted + count.inserted == len(heard)
    assert count.substituted + count.deleted + count.inserted == edits_by_brute_force(text, heard)


@given(sentences)
def test_everything_heard_and_nothing_heard(text: list[str]) -> None:
    assert count_words(text, text) == (len(text), 0, 0, 0)
    assert count_words(text, []) == (len(text), 0, len(text), 0)
    assert count_words([], text) == (0, 0, 0, len(text))


def test_correct_and_error_rate() -> None:
    count = count_words("the cat sat on the mat".split(), "the bat sat the big mat".split())
    assert count == (6, 1, 1, 1)
    assert count.correct == 1 - 2 / 6
    assert count.error_rate == 3 / 6
    assert WordCount(0, 0, 0, 4).correct == 0.0


def test_endless_babble_gains_nothing() -> None:
    babble = "the of and to in is you that it he".split() * 20
    assert count_words("printing was new".split(), babble).correct == 0.0


def test_total_weighs_words_not_sentences() -> None:
    counts = [WordCount(9, 0, 0, 1), WordCount(1, 1, 0, 0)]
    assert total(counts) == (10, 1, 0, 1)
    assert total(counts).correct == 0.9
    assert total([]) == (0, 0, 0, 0)


def test_both_sides_are_written_alike() -> None:
    text = "Mr. Neild paid £20 in 1811, \u2018didn\u2019t\u2019 he?"
    count = count_words(spoken_words(text), plain_words("mr neild paid twenty pounds in"))
    assert spoken_words("Mr. Neild")[0] == "mister"
    assert count.substituted == 0
    assert count.deleted == len("eighteen eleven didn't he".split())


def test_no_punctuation_or_digit_is_left() -> None:
    words = spoken_words("\"Well-known,\" she said -- 'no' (3 of them).")
    assert words == "well known she said no three of them".split()


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("the colour of their newcomer", "The color of there new comer."),
        ("in the Marshalsea in eighteen eleven", "in the Marshall Sea in 1811"),
        ("it cost one hundred and twenty pounds", "It cost £120."),
        ("it cost a hundred pounds", "It cost 100 pounds."),
        ("on the twenty-first of May", "On the 21st of May."),
        ("nineteen hundred and five", "1905"),
        ("at half past nine, at nine thirty", "At half past 9, at 9:30"),
        ("the reign of George the Third", "the reign of George III"),
        ("ten per cent", "10%"),
        ("to-day he cannot plough", "today he can not plow"),
        ("the gaol in Newgate", "The jail in new gate."),
        ("Mr. Neild and Dr. Smith", "mister Neald and Doctor Smith"),
    ],
)
def test_another_spelling_of_the_same_sound_is_right(text: str, heard: str) -> None:
    words = spoken_words(text)
    assert count_words(words, spoken_words(heard), SOUND.of) == (len(words), 0, 0, 0)


@pytest.mark.parametrize(
    ("text", "heard", "wanted"),
    [
        ("the bed was red", "the bad was red", (4, 1, 0, 0)),
        ("he came and went", "he came he went", (4, 1, 0, 0)),
        ("thirteen men", "thirty men", (2, 1, 0, 0)),
        ("nineteen eleven", "1912", (2, 1, 0, 0)),
        ("a new gate", "a gate", (3, 0, 1, 0)),
        ("the gate", "the new gate", (2, 0, 0, 1)),
    ],
)
def test_another_sound_is_wrong(text: str, heard: str, wanted: tuple[int, ...]) -> None:
    assert count_words(spoken_words(text), spoken_words(heard), SOUND.of) == wanted


def test_joined_words_count_as_all_of_them() -> None:
    assert count_words(["to", "day"], ["today"]) == (2, 0, 0, 0)
    assert count_words(["today"], ["to", "day"]) == (1, 0, 0, 0)
    assert count_words(["never", "the", "less", "x"], ["nevertheless"]) == (4, 0, 1, 0)


def test_nothing_speakable_has_no_words() -> None:
    assert spoken_words("") == spoken_words(" . ") == []
