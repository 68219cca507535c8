import numpy as np
import pytest

from glowtron.audio import Audio
from glowtron.evaluate import asr_mos
from glowtron.evaluate.asr_mos import Instruments, Score, interval, summary
from glowtron.evaluate.mos import DnsMos
from glowtron.evaluate.optional import is_installed
from glowtron.evaluate.wer import WordCount

SCORES = [
    Score(["a"], WordCount(4, 1, 1, 0), 4.0, DnsMos(3.0, 3.5, 4.0, 3.2)),
    Score(["b"], WordCount(1, 0, 0, 1), 2.0, DnsMos(2.0, 2.5, 3.0, 2.2)),
]


def test_rates_weigh_words_and_means_weigh_recordings() -> None:
    values = summary(SCORES, seed=0)
    assert values["word_error_rate"] == 3 / 5 and values["words_correct"] == 3 / 5
    assert values["mos_distill"] == 3.0 and values["mos_overall"] == pytest.approx(2.7)
    for name in ("word_error_rate", "words_correct", "mos_distill", "mos_p808", "mos_signal"):
        low, high = values[f"{name}_interval"]
        assert low <= values[name] <= high and low < high


def test_recordings_without_a_rating_are_left_out() -> None:
    unrated = Score(["c"], WordCount(2, 0, 0, 0))
    values = summary([*SCORES, unrated], seed=0)
    assert values["mos_distill"] == 3.0 and values["word_error_rate"] == 3 / 7
    assert "mos_distill" not in summary([unrated], seed=0)
    assert "mos_overall" not in summary([SCORES[0]._replace(dnsmos=DnsMos(3.0))], seed=0)


def test_an_interval_narrows_with_more_recordings() -> None:
    draw = np.random.default_rng(0).normal(3.0, 1.0, 400).tolist()
    few, many = (interval(items, lambda some: sum(some) / len(some), 0) for items in (draw[:25], draw))
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_only_as_many_as_asked_for_are_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra 'eval'")
    monkeypatch.setattr(asr_mos, "recognise_all", lambda audios, *_: (["colour"] for _ in audios))
    monkeypatch.setattr(asr_mos, "check_recogniser", lambda _: None)
    steps: list[int] = []
    noise = Audio(0.1 * np.random.default_rng(0).standard_normal(8000).astype(np.float32), 16_000)
    scores = Instruments().measure(["color", "two words"], [noise, noise], n_rated=1, progress=steps.append)
    assert [score.errors for score in scores] == [(1, 0, 0, 0), (2, 1, 1, 0)] and steps == [1, 1]
    assert scores[0].dnsmos is not None and scores[0].dnsmos.overall is None and scores[1].dnsmos is None
    assert (scores[0].distill_mos is not None) == is_installed("distillmos")
