from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.errors import InputError
from glowtron.listen.imports import import_ratings
from glowtron.listen.ratings import Rating, mark_repeats, read_ratings, write_ratings

names = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=8).filter(
    lambda name: name[0] not in "=@'"
)
ratings = st.builds(
    Rating,
    names,
    names,
    names,
    st.integers(-100, 100).map(float),
    st.just("") | names,
    st.none() | st.integers(1, 99),
    st.none() | st.integers(0, 9000).map(lambda ms: ms / 1000),
    st.none() | st.integers(1, 9),
    st.none(),
    st.booleans(),
)


@given(st.lists(ratings, max_size=5))
def test_a_table_comes_back_as_it_was(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "ratings.csv"
    write_ratings(path, rows)
    assert read_ratings(path) == rows


def test_no_cell_is_a_formula(tmp_path):
    write_ratings(tmp_path / "ratings.csv", [Rating("r", "=1+1", "@x", 1.0)])
    assert "'=1+1,'@x" in (tmp_path / "ratings.csv").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("rater,item\nr,i\n", "no column system and rating"),
        ("rater,item,system,rating\nr,i,s,good\n", "row 2: rating 'good' is no number"),
        ("rater,item,system,rating\nr,i,s,nan\n", "row 2: rating 'nan'"),
        ("rater,item,system,rating\nr,i,s\n", "row 2 has not as many cells"),
        ("rater,item,system,rating\nr,i,,3\n", "must not be empty"),
    ],
)
def test_faulty_tables_are_named_by_row(tmp_path, text, message):
    path = tmp_path / "ratings.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_ratings(path)


def test_the_second_word_on_the_same_is_a_repeat():
    first = Rating("r", "i", "a", 1.0, against="b")
    marked = mark_repeats([first, first._replace(rater="q"), first._replace(system="b", against="a")])
    assert [rating.repeat for rating in marked] == [False, False, True]


MUSHRA = """\
session_test_id,name,email,trial_id,rating_stimulus,rating_score,rating_time,rating_comment
t,Ann,ann@example.org,page1,reference,98,21000,
t,Ann,ann@example.org,page1,C1,40,21000,"hissy, a bit"
t,Ann,ann@example.org,page2,reference,100,9000,
t,Bob,bob@example.org,page1,reference,91,30000,
t,Bob,bob@example.org,page1,C1,55,30000,
t,Bob,bob@example.org,page1,reference,95,30000,
"""


def test_webmushra_without_its_participants_names(tmp_path):
    path = tmp_path / "mushra.csv"
    path.write_text(MUSHRA)
    found = import_ratings([path])
    assert [(r.rater, r.item, r.system, r.value) for r in found] == [
        ("r001", "page1", "reference", 98),
        ("r001", "page1", "C1", 40),
        ("r001", "page2", "reference", 100),
        ("r002", "page1", "reference", 91),
        ("r002", "page1", "C1", 55),
        ("r003", "page1", "reference", 95),  # The same page again: somebody new who left the same name.
    ]
    assert found[0].seconds == 21
    assert "Ann" not in str(found) and "example" not in str(found)


def test_webmushra_by_session(tmp_path):
    path = tmp_path / "mushra.csv"
    path.write_text(
        "session_test_id;session_uuid;trial_id;rating_stimulus;rating_score;rating_time;rating_comment\n"
        "t;u1;p;a;10;1;\nt;u2;p;a;20;1;\nt;u1;p;b;30;1;\n"
    )
    assert [r.rater for r in import_ratings([path])] == ["r001", "r002", "r001"]


def test_webmushra_pairs_and_likert(tmp_path):
    pairs, likert = tmp_path / "paired_comparison.csv", tmp_path / "lss.csv"
    pairs.write_text(
        "session_test_id,trial_id,choice_reference,choice_non_reference,choice_answer,choice_time,choice_comment\n"
        "t,p1,real,tts,reference,1200,\nt,p2,real,tts,non-reference,800,\n"
    )
    likert.write_text('session_test_id,trial_id,stimuli_rating,stimuli,rating_time\nt,p1," 4 ",tts,1200\n')
    found = import_ratings([pairs])
    assert [(r.system, r.against, r.value) for r in found] == [("tts", "real", -1), ("tts", "real", 1)]
    assert import_ratings([likert])[0].value == 4


def test_p808(tmp_path):
    votes, batch = tmp_path / "b_votes_per_worker.csv", tmp_path / "batch.csv"
    votes.write_text("HITId,workerid,file,vote,condition\nh,W1,c01_s1.wav,4,c01\nh,W2,c02_s1.wav,2,c02\n")
    found = import_ratings([votes])
    assert [(r.rater, r.item, r.system, r.value) for r in found] == [
        ("r001", "s1", "c01", 4),
        ("r002", "s1", "c02", 2),
    ]
    batch.write_text(
        "HITId,WorkerId,Answer.q1,Answer.q1_url,Answer.q2,Answer.q2_url\n"
        "h,W1,5,https://example.org/waveglow/s1.wav,1,https://example.org/griffin/s2.wav\n"
    )
    found = import_ratings([batch])
    assert [(r.item, r.system, r.value) for r in found] == [("s1", "waveglow", 5), ("s2", "griffin", 1)]
    (one, _) = import_ratings([votes], "p808", r"(?P<system>c\d+)_(?P<item>s\d)")
    assert (one.system, one.item) == ("c01", "s1")


@pytest.mark.parametrize("pattern", ["(", "(?P<system>x)"])
def test_patterns_are_checked(tmp_path, pattern):
    path = tmp_path / "mushra.csv"
    path.write_text(MUSHRA)
    with pytest.raises(InputError, match="`pattern`"):
        import_ratings([path], None, pattern)


def test_other_files_are_refused(tmp_path):
    path = Path(tmp_path / "x.csv")
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns of no file"):
        import_ratings([path])
    path.write_text(MUSHRA)
    with pytest.raises(InputError, match="columns of no file"):
        import_ratings([path], "p808")
