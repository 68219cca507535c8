"""From four systems to a report, by raters at real browsers."""

import pytest
from listen_material import say, write_systems
from simulated_raters import stored, take_all

from chromium import needs_browser
from glowtron.listen.make import Settings, make_test
from glowtron.listen.report import Source, report_ratings

pytestmark = needs_browser


@pytest.mark.parametrize(("n_raters", "n_items"), [(8, 4), pytest.param(32, 3, marks=pytest.mark.slow)])
def test_the_report_finds_the_true_order_of_four_systems(tmp_path, n_raters, n_items):
    systems = write_systems(tmp_path / "systems", n_items=n_items, seconds=0.15)
    how = {"headphones": False, "volume": False, "training": 0, "attention": 0, "repeats": 0, "raters": n_raters}
    test = make_test(systems, tmp_path / "test", Settings(method="mushra-no-reference", **how), say)
    assert take_all(test.folder, n_raters) == [test.file.completion_code] * n_raters
    raters, answers = stored(test)
    # Every session of the design was given out once.
    assert sorted(rater.session for rater in raters) == list(range(n_raters))
    report = report_ratings(Source.of_test(test, raters, answers), tmp_path / "report")
    assert report["everyone"]["n_ratings"] == n_raters * n_items * 4
    assert list(report["screened"]["systems"]) == ["clean", "hiss", "noisy", "awful"]
    assert all(one.decided for one in report["screened"]["differences"])
