"""From four systems to a report: raters of known opinions, a real server, the true order."""

import http_rater
import pytest
from browser_rater import served
from listen_material import say, write_systems
from simulated_raters import Opinion, stored, take_all

from chromium import needs_browser
from glowtron.listen.make import Settings, make_test
from glowtron.listen.report import Source, report_ratings

N_RATERS, N_ITEMS = 8, 4


@pytest.fixture
def test(tmp_path):
    systems = write_systems(tmp_path / "systems", n_items=N_ITEMS, seconds=0.15)
    how = {"headphones": False, "volume": False, "training": 0, "attention": 0, "repeats": 0, "raters": N_RATERS}
    return make_test(systems, tmp_path / "test", Settings(method="mushra-no-reference", **how), say)


def assert_the_true_order_is_found(test, folder):
    raters, answers = stored(test)
    # Every session of the design was given out once.
    assert sorted(rater.session for rater in raters) == list(range(N_RATERS))
    report = report_ratings(Source.of_test(test, raters, answers), folder)
    assert report["everyone"]["n_ratings"] == N_RATERS * N_ITEMS * 4
    assert list(report["screened"]["systems"]) == ["clean", "hiss", "noisy", "awful"]
    assert all(one.decided for one in report["screened"]["differences"])


def test_the_report_finds_the_true_order_of_four_systems(test, tmp_path):
    with served(test.folder) as url:
        codes = [http_rater.take(url, test, Opinion(test, number)) for number in range(N_RATERS)]
    assert codes == [test.file.completion_code] * N_RATERS
    assert_the_true_order_is_found(test, tmp_path / "report")


@pytest.mark.slow
@needs_browser
def test_raters_at_real_browsers_give_the_same(test, tmp_path):
    assert take_all(test.folder, N_RATERS) == [test.file.completion_code] * N_RATERS
    assert_the_true_order_is_found(test, tmp_path / "report")
