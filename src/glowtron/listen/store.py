"""Raters and their answers in a database: SQLite in the test's folder, or any that SQLAlchemy knows by its URL.

No address, browser or name of a rater is kept. The id, drawn at random, is all that leads back to the answers; who has
it can go on with the test, and have everything deleted.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sql
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from glowtron.errors import InputError

_ACTIVE_S = 3600.0
"""Seconds since the last answer after which an unfinished rater's session is given to another."""
_TRIES = 50

_metadata = sql.MetaData()
_raters = sql.Table(
    "listen_raters",
    _metadata,
    sql.Column("id", sql.String(32), primary_key=True),
    sql.Column("test", sql.String(32), nullable=False),
    sql.Column("session", sql.Integer, nullable=False),
    sql.Column("turn", sql.Integer, nullable=False),
    sql.Column("about", sql.JSON, nullable=False),
    sql.Column("started_at", sql.Float, nullable=False),
    sql.Column("seen_at", sql.Float, nullable=False),
    sql.Column("finished", sql.Boolean, nullable=False),
    # Two who come at the same moment cannot both be the n-th of a session.
    sql.UniqueConstraint("test", "session", "turn"),
)
_answers = sql.Table(
    "listen_answers",
    _metadata,
    sql.Column("rater", sql.String(32), sql.ForeignKey("listen_raters.id", ondelete="CASCADE"), primary_key=True),
    sql.Column("part", sql.String(16), primary_key=True),
    sql.Column("trial", sql.Integer, primary_key=True),
    sql.Column("answer", sql.JSON, nullable=False),
)


class Rater(NamedTuple):
    """Somebody who takes a test."""

    id: str
    session: int
    about: dict[str, Any]
    """Raters' answers about themselves and their equipment."""
    started_at: float
    """Seconds since 1970."""
    finished: bool


class Stored(NamedTuple):
    """An answer."""

    rater: str
    part: str
    """`headphones` or `trial`."""
    trial: int
    """Place in its part, from 0."""
    answer: dict[str, Any]


def sqlite_url(path: Path) -> str:
    """The URL of a database in a file."""
    return f"sqlite:///{path.resolve()}"


class Store:
    """The raters and answers of one test."""

    def __init__(self, url: str, test: str) -> None:
        """url: as SQLAlchemy reads it; `postgresql://` means the driver of the extra `listen`.

        Raises InputError where the database cannot be opened.
        """
        self.test = test
        scheme, colon, rest = url.partition("://")
        if scheme in ("postgres", "postgresql"):
            url = f"postgresql+pg8000{colon}{rest}"
        try:
            self._engine = sql.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise InputError(f"`database` {_without_password(url)}: {error}; give a URL such as {_EXAMPLE}") from error
        if self._engine.dialect.name == "sqlite":
            sql.event.listen(self._engine, "connect", _prepare_sqlite)
        try:
            _metadata.create_all(self._engine)
        except Exception as error:  # A driver's own errors pass through SQLAlchemy unchanged while it connects.
            if not _is_database_error(error):
                raise
            raise InputError(f"{_without_password(url)}: cannot be opened: {_first_line(error)}") from error

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def begin(self, n_sessions: int, about: dict[str, Any]) -> Rater:
        """A new rater, with the session that fewest others have: those who finished, or are at work just now."""
        for _ in range(_TRIES):
            now = time.time()
            rater = Rater(secrets.token_urlsafe(12), 0, about, now, False)
            try:
                with self._engine.begin() as connection:
                    session, turn = self._next_session(connection, n_sessions, now)
                    rater = rater._replace(session=session)
                    row = {**rater._asdict(), "test": self.test, "turn": turn, "seen_at": now}
                    connection.execute(sql.insert(_raters), row)
            except IntegrityError:
                continue  # Somebody else began at the same moment.
            return rater
        raise RuntimeError("no session could be given out")

    def _next_session(self, connection: sql.Connection, n_sessions: int, now: float) -> tuple[int, int]:
        counts = [0] * n_sessions
        turns = [0] * n_sessions
        columns = (_raters.c.session, _raters.c.turn, _raters.c.finished, _raters.c.seen_at)
        for session, turn, finished, seen_at in connection.execute(sql.select(*columns).where(self._mine)):
            if session < n_sessions:
                counts[session] += bool(finished) or now - seen_at < _ACTIVE_S
                turns[session] = max(turns[session], turn + 1)
        session = min(range(n_sessions), key=lambda number: (counts[number], number))
        return session, turns[session]

    @property
    def _mine(self) -> sql.ColumnElement[bool]:
        return _raters.c.test == self.test

    def rater(self, id: str) -> Rater | None:
        """A rater of this test by id."""
        with self._reading() as connection:
            row = connection.execute(sql.select(_raters).where(self._mine, _raters.c.id == id)).first()
        return None if row is None else _rater(row)

    def raters(self) -> list[Rater]:
        """All, in the order in which they came."""
        with self._reading() as connection:
            rows = connection.execute(sql.select(_raters).where(self._mine).order_by(_raters.c.started_at))
            return [_rater(row) for row in rows]

    def save(self, rater: str, part: str, trial: int, answer: dict[str, Any]) -> bool:
        """Keep an answer, on the disk when this returns. False: there is one already, which stays, or no such rater."""
        try:
            with self._engine.begin() as connection:
                seen = sql.update(_raters).where(self._mine, _raters.c.id == rater).values(seen_at=time.time())
                # This holds the rater's row, so that nobody deletes it before the answer is in.
                if connection.execute(seen).rowcount == 0:
                    return False
                row = {"rater": rater, "part": part, "trial": trial, "answer": answer}
                connection.execute(sql.insert(_answers), row)
        except IntegrityError:
            return False
        return True

    def answers(self, rater: str | None = None) -> list[Stored]:
        """Answers of one rater, or of all, in the order of trials."""
        query = sql.select(_answers).join(_raters, _answers.c.rater == _raters.c.id).where(self._mine)
        if rater is not None:
            query = query.where(_answers.c.rater == rater)
        query = query.order_by(_raters.c.started_at, _answers.c.rater, _answers.c.part, _answers.c.trial)
        with self._reading() as connection:
            return [Stored(*row) for row in connection.execute(query)]

    def finish(self, rater: str) -> None:
        """Note that a rater has answered everything."""
        with self._engine.begin() as connection:
            connection.execute(sql.update(_raters).where(self._mine, _raters.c.id == rater).values(finished=True))

    def forget(self, rater: str) -> bool:
        """Delete a rater and every answer. False: there is none of this id."""
        with self._engine.begin() as connection:
            found = connection.execute(sql.select(_raters.c.id).where(self._mine, _raters.c.id == rater)).first()
            if found is None:
                return False
            connection.execute(sql.delete(_answers).where(_answers.c.rater == rater))
            connection.execute(sql.delete(_raters).where(_raters.c.id == rater))
        return True

    @contextmanager
    def _reading(self) -> Iterator[sql.Connection]:
        with self._engine.connect() as connection:
            yield connection


_EXAMPLE = "postgresql://user:password@host/database"


def _rater(row: Any) -> Rater:
    return Rater(row.id, row.session, dict(row.about), row.started_at, bool(row.finished))


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # Readers do not wait for writers, and an answer is on the disk when its listener is told so.
    for setting in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {setting}")


def _is_database_error(error: Exception) -> bool:
    return isinstance(error, (SQLAlchemyError, OSError)) or type(error).__module__.startswith("pg8000")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _without_password(url: str) -> str:
    try:
        return sql.engine.make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return "URL"
