"""A server that tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def server(reader: Path) -> Iterator[object]:
    """A real one in a process of its own, of the voice `reader`; see `running.RunningServer`."""
    pytest.importorskip("uvicorn", reason="the extra 'serve' is not installed")
    from running import running_server

    with running_server(reader, "--device", "cpu", "--max-requests", "64") as server:
        yield server
