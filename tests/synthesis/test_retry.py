"""Sentences that fail are retried and split; the test says which attempts fail."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from glowtron.synthesis.alignment_checks import check_alignment
from glowtron.synthesis.retry import synthesize_with_retry
from glowtron.synthesis.types import Sentence, Utterance
from glowtron.text.frontend import NormalizedSentence, NvidiaFrontend
from glowtron.text.sentences import Ending

Failures = Callable[[Sentence, int], tuple[str, ...]]


class Reader:
    """Speaks lines with the faults given for a line and an attempt, and remembers what was asked of it."""

    def __init__(self, failures: Failures) -> None:
        self.failures = failures
        self.asked: list[list[tuple[str, int]]] = []

    def __call__(self, sentences: Sequence[Sentence], attempt: int) -> list[Utterance]:
        self.asked.append([(line.place, attempt) for line in sentences])
        nothing = np.zeros((1, 1), np.float32)
        stats = check_alignment(np.ones((1, 1), np.float32), True, 0.1)
        return [
            Utterance(sentence, attempt + 1, nothing, nothing, stats, self.failures(sentence, attempt))
            for sentence in sentences
        ]


def sentence_of(text: str, ending: Ending | None, place: str) -> Sentence:
    return Sentence(NvidiaFrontend(), NormalizedSentence(text, text, ending or "sentence"), ending, place)


def halves(line: Sentence) -> list[Sentence]:
    words = line.text.split()
    middle = len(words) // 2
    parts = [words[:middle], words[middle:]] if middle else []
    return [sentence_of(" ".join(part), "words", f"{line.place}.{i}") for i, part in enumerate(parts)]


def lines(*texts: str) -> list[Sentence]:
    return [sentence_of(text, "sentence", str(i)) for i, text in enumerate(texts)]


def texts(spoken: list[list[Utterance]]) -> list[list[str]]:
    return [[take.text for take in takes] for takes in spoken]


def test_what_has_no_fault_is_said_once() -> None:
    reader = Reader(lambda line, attempt: ())
    assert texts(synthesize_with_retry(lines("a b", "c d"), 3, reader, halves)) == [["a b"], ["c d"]]
    assert reader.asked == [[("0", 0), ("1", 0)]]


def test_only_what_failed_is_said_again_and_no_longer_than_needed() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if line.place == "1" and attempt < 2 else ())
    spoken = synthesize_with_retry(lines("a b", "c d", "e f"), 5, reader, halves)
    assert texts(spoken) == [["a b"], ["c d"], ["e f"]]
    assert spoken[1][0].attempts == 3 and not spoken[1][0].failures
    assert reader.asked == [[("0", 0), ("1", 0), ("2", 0)], [("1", 1)], [("1", 2)]]


def test_what_always_fails_is_spoken_in_parts() -> None:
    reader = Reader(
        lambda line, attempt: ("skip",) if "bad" in line.text.split() and len(line.text.split()) > 1 else ()
    )
    spoken = synthesize_with_retry(lines("all is well", "one two bad four"), 2, reader, halves)
    assert texts(spoken) == [["all is well"], ["one two", "bad", "four"]]
    assert [take.sentence.place for take in spoken[1]] == ["1.0", "1.1.0", "1.1.1"]
    assert not any(take.failures for take in spoken[1])


def test_where_splitting_helps_nothing_the_best_take_of_the_whole_stays_with_its_faults() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if attempt == 1 else ("skip", "tail"))
    ((take,),) = synthesize_with_retry(lines("a b c d e f g h"), 3, reader, halves)
    assert (take.text, take.attempts - 1, take.failures) == ("a b c d e f g h", 1, ("skip",))
    assert max(place.count(".") for asked in reader.asked for place, _ in asked) == 2, "it does not split for ever"


def test_a_part_that_stays_bad_is_told_and_the_others_are_good() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if "bad" in line.text else ())
    (takes,) = synthesize_with_retry(lines("one bad three four"), 2, reader, halves)
    assert [(take.text, take.failures) for take in takes] == [
        ("one", ()), ("bad", ("skip",)), ("three four", ())
    ]  # fmt: skip


def test_no_attempts_is_one_take_whatever_it_is_like() -> None:
    reader = Reader(lambda line, attempt: ("skip",))
    ((take,),) = synthesize_with_retry(lines("a b c d"), 0, reader, halves)
    assert (take.text, take.attempts - 1) == ("a b c d", 0)
    assert len(reader.asked) == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 4), st.integers(0, 10_000))
def test_every_word_is_spoken_once_in_order_and_company_changes_nothing(
    lengths: list[int], attempts: int, seed: int
) -> None:
    def failures(line: Sentence, attempt: int) -> tuple[str, ...]:
        chance = random.Random(f"{seed} {line.place} {attempt}")
        return tuple(failure for failure in ("skip", "tail") if chance.random() < 0.5)

    def told(utterances: list[Utterance]) -> list[tuple[str, int]]:
        return [(utterance.sentence.place, utterance.attempts) for utterance in utterances]

    all_lines = lines(*(" ".join(f"w{i}.{j}" for j in range(n)) for i, n in enumerate(lengths)))
    together = synthesize_with_retry(all_lines, attempts, Reader(failures), halves)
    assert [" ".join(words) for words in texts(together)] == [line.text for line in all_lines]
    alone = [synthesize_with_retry([line], attempts, Reader(failures), halves)[0] for line in all_lines]
    assert [[(take.sentence.place, take.attempts) for take in takes] for takes in together] == [
        [(take.sentence.place, take.attempts) for take in takes] for takes in alone
    ]
