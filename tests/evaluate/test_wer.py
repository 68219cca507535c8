from hypothesis import given
from hypothesis import strategies as st

from glowtron.evaluate.wer import WordCount, count_words, plain_words, spoken_words, total

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


def test_share_and_error_rate() -> None:
    count = count_words("the cat sat on the mat".split(), "the bat sat the big mat".split())
    assert count == (6, 1, 1, 1)
    assert count.share == 1 - 2 / 6
    assert count.error_rate == 3 / 6
    assert WordCount(0, 0, 0, 4).share == 0.0


def test_endless_babble_gains_no_share() -> None:
    babble = "the of and to in is you that it he".split() * 20
    assert count_words("printing was new".split(), babble).share == 0.0


def test_total_weighs_words_not_sentences() -> None:
    counts = [WordCount(9, 0, 0, 1), WordCount(1, 1, 0, 0)]
    assert total(counts) == (10, 1, 0, 1)
    assert total(counts).share == 0.9
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
