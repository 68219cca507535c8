"""What is done about a sentence that fails, with a speaker who fails where the test says."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from glowtron.synthesis.faults import judge
from glowtron.synthesis.takes import Line, Take, perform

Faults = Callable[[Line, int], tuple[str, ...]]


class Reader:
    """Speaks lines with the faults given for a line and an attempt, and remembers what was asked of it."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.asked: list[list[tuple[str, int]]] = []

    def __call__(self, lines: Sequence[Line], attempt: int) -> list[Take]:
        self.asked.append([(line.place, attempt) for line in lines])
        nothing = torch.zeros(1, 1)
        attention = judge(np.ones((1, 1), np.float32), True, 0.1)
        return [Take(line, attempt, nothing, nothing, attention, self.faults(line, attempt)) for line in lines]


def halves(line: Line) -> list[Line]:
    words = line.text.split()
    middle = len(words) // 2
    parts = [words[:middle], words[middle:]] if middle else []
    return [Line(" ".join(part), "words", f"{line.place}.{i}") for i, part in enumerate(parts)]


def lines(*texts: str) -> list[Line]:
    return [Line(text, "sentence", str(i)) for i, text in enumerate(texts)]


def texts(spoken: list[list[Take]]) -> list[list[str]]:
    return [[take.line.text for take in takes] for takes in spoken]


def test_what_has_no_fault_is_said_once() -> None:
    reader = Reader(lambda line, attempt: ())
    assert texts(perform(lines("a b", "c d"), 3, reader, halves)) == [["a b"], ["c d"]]
    assert reader.asked == [[("0", 0), ("1", 0)]]


def test_only_what_failed_is_said_again_and_no_longer_than_needed() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if line.place == "1" and attempt < 2 else ())
    spoken = perform(lines("a b", "c d", "e f"), 5, reader, halves)
    assert texts(spoken) == [["a b"], ["c d"], ["e f"]]
    assert spoken[1][0].attempt == 2 and not spoken[1][0].faults
    assert reader.asked == [[("0", 0), ("1", 0), ("2", 0)], [("1", 1)], [("1", 2)]]


def test_what_always_fails_is_spoken_in_parts() -> None:
    reader = Reader(
        lambda line, attempt: ("skip",) if "bad" in line.text.split() and len(line.text.split()) > 1 else ()
    )
    spoken = perform(lines("all is well", "one two bad four"), 2, reader, halves)
    assert texts(spoken) == [["all is well"], ["one two", "bad", "four"]]
    assert [take.line.place for take in spoken[1]] == ["1.0", "1.1.0", "1.1.1"]
    assert not any(take.faults for take in spoken[1])


def test_where_splitting_helps_nothing_the_best_take_of_the_whole_stays_with_its_faults() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if attempt == 1 else ("skip", "tail"))
    ((take,),) = perform(lines("a b c d e f g h"), 3, reader, halves)
    assert (take.line.text, take.attempt, take.faults) == ("a b c d e f g h", 1, ("skip",))
    assert max(place.count(".") for asked in reader.asked for place, _ in asked) == 2, "it does not split for ever"


def test_a_part_that_stays_bad_is_told_and_the_others_are_good() -> None:
    reader = Reader(lambda line, attempt: ("skip",) if "bad" in line.text else ())
    (takes,) = perform(lines("one bad three four"), 2, reader, halves)
    assert [(take.line.text, take.faults) for take in takes] == [
        ("one", ()), ("bad", ("skip",)), ("three four", ())
    ]  # fmt: skip


def test_no_attempts_is_one_take_whatever_it_is_like() -> None:
    reader = Reader(lambda line, attempt: ("skip",))
    ((take,),) = perform(lines("a b c d"), 0, reader, halves)
    assert (take.line.text, take.attempt) == ("a b c d", 0)
    assert len(reader.asked) == 1


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 4), st.integers(0, 10_000))
def test_every_word_is_spoken_once_in_order_and_company_changes_nothing(
    lengths: list[int], attempts: int, seed: int
) -> None:
    def faults(line: Line, attempt: int) -> tuple[str, ...]:
        chance = random.Random(f"{seed} {line.place} {attempt}")
        return tuple(fault for fault in ("skip", "tail") if chance.random() < 0.5)

    all_lines = lines(*(" ".join(f"w{i}.{j}" for j in range(n)) for i, n in enumerate(lengths)))
    together = perform(all_lines, attempts, Reader(faults), halves)
    assert [" ".join(words) for words in texts(together)] == [line.text for line in all_lines]
    alone = [perform([line], attempts, Reader(faults), halves)[0] for line in all_lines]
    assert [[take[:2] for take in takes] for takes in together] == [[take[:2] for take in takes] for takes in alone]
