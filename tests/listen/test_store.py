from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from postgresql import postgresql

from glowtron.errors import InputError
from glowtron.listen.store import Store, sqlite_url

ANSWER = {"values": [3.0], "plays": [1], "seconds": 2.5, "away": 0}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def url(request, tmp_path_factory):
    """Of a database: a file, and a real server."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path_factory.mktemp("store") / "answers.sqlite")
    else:
        with postgresql() as url:
            yield url


@pytest.fixture
def store(url, request):
    opened = Store(url, request.node.name[:32])
    yield opened
    opened.close()


def test_answers_stay_as_they_were_first_given(store, url):
    rater = store.begin(4, {"device": "headphones"})
    assert store.save(rater.id, "trial", 0, ANSWER)
    assert not store.save(rater.id, "trial", 0, {**ANSWER, "values": [5.0]})
    assert store.save(rater.id, "headphones", 0, ANSWER)
    # Another process sees them.
    other = Store(url, store.test)
    assert [(one.part, one.trial, one.answer) for one in other.answers(rater.id)] == [
        ("headphones", 0, ANSWER),
        ("trial", 0, ANSWER),
    ]
    found = other.rater(rater.id)
    assert (found.id, found.session, found.about, found.finished) == (rater.id, 0, {"device": "headphones"}, False)
    other.finish(rater.id)
    assert store.rater(rater.id).finished
    other.close()


def test_the_least_used_session_is_next(store):
    raters = [store.begin(3, {}) for _ in range(7)]
    assert [rater.session for rater in raters] == [0, 1, 2, 0, 1, 2, 0]
    store.forget(raters[1].id)
    store.forget(raters[4].id)
    assert store.begin(3, {}).session == 1


def test_who_left_long_ago_makes_room(store, monkeypatch):
    import glowtron.listen.store as module

    store.begin(2, {})
    finished = store.begin(2, {})
    store.finish(finished.id)
    later = module.time.time() + 2 * 3600
    monkeypatch.setattr(module.time, "time", lambda: later)
    assert [store.begin(2, {}).session for _ in range(3)] == [0, 0, 1]


def test_many_begin_and_answer_at_once(store):
    def take(k):
        rater = store.begin(8, {})
        return rater.session, [store.save(rater.id, "trial", n % 5, ANSWER) for n in range(10)]

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(24)))
    counts = Counter(session for session, _ in taken)
    assert sum(counts.values()) == 24
    assert max(counts.values()) - min(counts[k] for k in range(8)) <= 4
    assert all(saved == [True] * 5 + [False] * 5 for _, saved in taken)
    assert len(store.answers()) == 24 * 5


def test_forgetting_leaves_nothing(store, url):
    rater, other = store.begin(2, {}), store.begin(2, {})
    store.save(rater.id, "trial", 0, ANSWER)
    store.save(other.id, "trial", 0, ANSWER)
    assert store.forget(rater.id)
    assert not store.forget(rater.id)
    assert store.rater(rater.id) is None
    assert [one.rater for one in store.answers()] == [other.id]
    assert not store.save(rater.id, "trial", 1, ANSWER)  # Nobody to keep it for.


def test_tests_share_a_database(store, url):
    other = Store(url, "another")
    rater = store.begin(2, {})
    assert other.rater(rater.id) is None
    assert not other.forget(rater.id)
    other.close()


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://here/x", "postgresql://tester@127.0.0.1:1/none", "sqlite:////nowhere/at/all.sqlite"]
)
def test_a_database_that_cannot_be_opened_is_named(url):
    with pytest.raises(InputError):
        Store(url, "test")


def test_no_password_is_told():
    with pytest.raises(InputError) as told:
        Store("postgresql://me:secret@127.0.0.1:1/none", "test")
    assert "secret" not in str(told.value)
