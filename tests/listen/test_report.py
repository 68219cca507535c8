import json

import numpy as np
import pytest
from listen_material import say
from simulated_raters import Opinion

from glowtron.cli import _status
from glowtron.errors import InputError
from glowtron.listen.answers import TRIAL, check_answer, read_answer_file
from glowtron.listen.make import Settings, make_test
from glowtron.listen.ratings import Rating, read_ratings, write_ratings
from glowtron.listen.report import Source, report_ratings
from glowtron.listen.store import Store, sqlite_url

ORDER = ["clean", "hiss", "noisy", "awful"]


def answer_all(test, n_raters, careless=()):
    """Answers of raters as the page would send them, into the test's database."""
    store = Store(sqlite_url(test.folder / "answers.sqlite"), test.file.id)
    for number in range(n_raters):
        rater = store.begin(len(test.file.sessions), {"device": "headphones", "native": number % 2 == 0})
        judge = Opinion(test, number)
        rng = np.random.default_rng(number)
        for k, trial in enumerate(test.session(rater.session)):
            values = judge(trial.clips)
            if number in careless:
                values = [float(rng.choice([label for label, _ in test.method.labels])) for _ in values]
            answer = {"values": values, "plays": [1] * len(trial.clips), "seconds": 9.0, "away": 0}
            assert store.save(rater.id, TRIAL, k, check_answer(test, rater.session, TRIAL, k, answer))
        store.finish(rater.id)
    raters, answers = store.raters(), store.answers()
    store.close()
    return raters, answers


def made(systems, tmp_path, method, **more):
    if method == "mushra":
        # These raters have no open reference in their ears, and find few clips perfect.
        more |= {"reference": "clean", "screening": {"reference_misses": None}}
    return make_test(systems, tmp_path / "test", Settings(method=method, headphones=False, **more), say)


@pytest.mark.parametrize("method", ["mos", "cmos", "ab", "mushra", "mushra-no-reference"])
def test_every_method_finds_the_true_order(systems, tmp_path, method):
    test = made(systems, tmp_path, method)
    source = Source.of_test(test, *answer_all(test, 16))
    report = report_ratings(source, tmp_path / "report")
    found = report["everyone"]
    if test.method.kind == "pair":
        assert found["systems"] == {}
    else:
        assert [name for name in found["systems"] if name in ORDER] == ORDER
    for one in found["differences"]:
        if one.better in ORDER and one.worse in ORDER:
            apart = ORDER.index(one.worse) - ORDER.index(one.better)
            assert apart > 0
            # Sixteen raters are few for neighbours where only preferences are asked.
            assert one.decided or (apart == 1 and test.method.kind == "pair")
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "## For a paper" in text and "seed 0" in text and "Holm" in text
    pictures = {path.name for path in (tmp_path / "report").glob("*.png")}
    assert pictures == {"differences.png"} | (set() if test.method.kind == "pair" else {"means.png", "raters.png"})
    # The table that it writes gives the same report.
    again = Source.of_table(read_ratings(tmp_path / "report" / "ratings.csv"), method, source.special.reference)
    same = report_ratings(again, tmp_path / "again")
    assert same["everyone"]["differences"] == found["differences"]
    json.loads((tmp_path / "report" / "report.json").read_text())


def test_careless_raters_are_left_out_and_both_results_shown(systems, tmp_path):
    test = made(systems, tmp_path, "mos", attention=5)
    raters, answers = answer_all(test, 12, careless=(3, 7))
    report = report_ratings(Source.of_test(test, raters, answers), tmp_path / "report")
    inattentive = {rater for rater, why in report["left_out"].items() if "attention" in why[0]}
    assert inattentive == {raters[3].id, raters[7].id}
    assert report["everyone"]["n_raters"] == 12
    assert report["screened"]["n_raters"] == 12 - len(report["left_out"]) >= 8
    text = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "With everyone:" in text


def test_the_plain_interval_is_beside_the_clustered_one(systems, tmp_path):
    test = made(systems, tmp_path, "mos")
    report = report_ratings(Source.of_test(test, *answer_all(test, 12)), tmp_path / "report")
    for own in report["everyone"]["systems"].values():
        assert own["clustered"].mean == own["plain"].mean
    wider = [own["clustered"].half_width > own["plain"].half_width for own in report["everyone"]["systems"].values()]
    assert all(wider)
    assert "plain interval, as in papers" in (tmp_path / "report" / "report.md").read_text()


def test_measures_are_correlated_with_listeners(systems, tmp_path):
    test = made(systems, tmp_path, "mos")
    quality = dict(zip(ORDER, (4.5, 3.5, 2.5, 1.5), strict=True))
    compared = {
        "columns": [
            {"name": name, "clips": [{"id": item, "measures": {"mos": mos, "odd": None}} for item in test.key.items]}
            for name, mos in quality.items()
        ]
    }
    path = tmp_path / "compare.json"
    path.write_text(json.dumps(compared))
    source = Source.of_test(test, *answer_all(test, 12))
    report = report_ratings(source, tmp_path / "report", measures=path)
    assert report["measures"].keys() == {"mos"}
    assert report["measures"]["mos"]["n"] == 16 and report["measures"]["mos"]["pearson"] > 0.9
    path.write_text(json.dumps({"columns": []}))
    with pytest.raises(InputError, match="no clips of this test"):
        report_ratings(source, tmp_path / "report", measures=path)


def test_where_everyone_fails_the_report_says_so(systems, tmp_path):
    test = made(systems, tmp_path, "mos", screening={"too_fast_share": -1.0})
    report = report_ratings(Source.of_test(test, *answer_all(test, 4)), tmp_path / "report")
    assert report["screened"] is None
    assert "leave nobody" in (tmp_path / "report" / "report.md").read_text()


def test_tables_are_held_to_their_scale():
    with pytest.raises(InputError, match="row 2: 60 is not on the scale"):
        Source.of_table([Rating("r", "i", "s", 60.0)], "mos", None)
    with pytest.raises(InputError, match="methods of pairs"):
        Source.of_table([Rating("r", "i", "s", 1.0)], "cmos", None)


def test_files_of_answers_are_checked(systems, tmp_path):
    test = made(systems, tmp_path, "mos")
    answer = {"values": [3], "plays": [1], "seconds": 1.0, "away": 0}
    good = {
        "test": test.file.id,
        "rater": "r",
        "session": 0,
        "about": {},
        "answers": [{"part": "trial", "trial": 0, "answer": answer}],
    }
    path = tmp_path / "answers.json"
    for change, message in (
        ({}, None),
        ({"test": "other"}, "of another test"),
        ({"session": -1}, "no rater or session"),
        ({"rater": ""}, "no rater or session"),
        ({"about": {"email": "x"}}, "about"),
        ({"answers": [{}]}, "not a listener's answers"),
        ({"answers": [{"part": "trial", "trial": 99, "answer": answer}]}, "no trial 99"),
    ):
        path.write_text(json.dumps(good | change))
        if message is None:
            assert read_answer_file(test, path)[0].id == "r"
        else:
            with pytest.raises(InputError, match=message):
                read_answer_file(test, path)


def test_the_command_line_from_folders_to_a_report(systems, tmp_path, capsys):
    folders = [str(folder) for folder in systems.values()]
    test, report = str(tmp_path / "test"), str(tmp_path / "report")
    assert _status(["listen", "make", *folders, "-o", test, "--attention", "0", "--no-headphone-check", "-q"]) == 0
    assert _status(["listen", "report", test, "-o", report]) == 2
    assert "nobody has answered yet" in capsys.readouterr().err
    from glowtron.listen.listening_test import ListeningTest

    raters, _ = answer_all(ListeningTest(tmp_path / "test"), 3)
    assert _status(["listen", "report", test, "-o", report]) == 0
    assert (tmp_path / "report" / "report.md").is_file()
    assert _status(["listen", "forget", test, raters[0].id]) == 0
    assert _status(["listen", "forget", test, raters[0].id]) == 2
    assert _status(["listen", "page", test, "-o", str(tmp_path / "test.html")]) == 0
    assert _status(["listen", "page", test, "-o", str(tmp_path / "test.txt")]) == 2
    assert _status(["listen", "make", *folders, "-o", test, "--screening", "constant"]) == 2
    assert "give RULE=VALUE" in capsys.readouterr().err


def test_imported_tables_are_reported(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        Rating(f"r{r}", f"i{i}", s, float(np.clip(round(v + 8 * rng.standard_normal()), 0, 100)))
        for r in range(8)
        for i in range(4)
        for s, v in (("reference", 96), ("C1", 60), ("C2", 40))
    ]
    write_ratings(tmp_path / "ratings.csv", rows)
    command = ["listen", "report", str(tmp_path / "ratings.csv"), "--method", "mushra", "-o", str(tmp_path / "out")]
    assert _status([*command, "-q"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["everyone"]["systems"]) == ["reference", "C1", "C2"]
