import math

from glowtron.evaluate.completeness import RateRange, is_complete, rate_range
from glowtron.evaluate.speaking_rate import Timing
from glowtron.evaluate.wer import WordCount

READER = RateRange(slowest=10.0, fastest=20.0)
RIGHT = WordCount(10, 1, 0, 0)


def test_the_range_is_that_of_recordings_long_enough() -> None:
    timings = [Timing(2.0, ()), Timing(2.0, (0.5,)), Timing(0.1, ())]
    assert rate_range([24, 30, 5], timings) == (12.0, 15.0)
    assert rate_range([], []) == (0.0, math.inf)


def test_half_of_the_words_and_the_reader_s_length_make_it_whole() -> None:
    assert is_complete(RIGHT, 50, Timing(3.0, ()), READER)
    assert not is_complete(WordCount(10, 5, 0, 0), 50, Timing(3.0, ()), READER), "half is wrong"
    assert not is_complete(RIGHT, 50, Timing(2.0, ()), READER), "too short: something is missing"
    assert not is_complete(RIGHT, 50, Timing(5.5, ()), READER), "too long: something is repeated"


def test_words_that_stand_alone_may_be_slow() -> None:
    one = WordCount(1, 0, 0, 0)
    assert is_complete(one, 2, Timing(0.45, ()), READER)
    assert not is_complete(one, 2, Timing(1.0, ()), READER)
    assert is_complete(WordCount(4, 0, 0, 0), 8, Timing(1.7, (0.3, 0.3, 0.3)), READER)


def test_without_recordings_any_length_does() -> None:
    assert is_complete(RIGHT, 50, Timing(100.0, ()), rate_range([], []))
