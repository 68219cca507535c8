"""A PostgreSQL server in a temporary folder, for tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _programs() -> Path | None:
    """The folder of `initdb` and `postgres`, which Debian keeps off the path."""
    found = [Path(path).resolve().parent for path in [shutil.which("initdb")] if path]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _other_user() -> str | None:
    """Whom to run it as, since it refuses root; None: as who we are."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _accepts(port: int) -> bool:
    import pg8000.native

    try:
        pg8000.native.Connection("tester", host="127.0.0.1", port=port, database="postgres").close()
    except (pg8000.native.InterfaceError, pg8000.native.DatabaseError, OSError):
        return False  # It is starting.
    return True


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database. Skips the test where PostgreSQL is not installed."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed here (Debian: apt install postgresql)")
    user = _other_user()
    how = {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
    folder = Path(tempfile.mkdtemp(prefix="glowtron-postgresql-", dir="/tmp"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        initdb = [programs / "initdb", "-D", folder / "data", "-U", "tester", "--auth=trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **how)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ["-p", str(port), "-k", folder, "-c", "listen_addresses=127.0.0.1"]
        log = (folder / "log").open("w")
        server = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", *options], stderr=log, cwd=folder, **how
        )
        try:
            for _ in range(120):
                if _accepts(port):
                    break
                assert server.poll() is None, (folder / "log").read_text()
                time.sleep(0.25)
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(timeout=30)
            log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
