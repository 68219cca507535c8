"""One file fetched over HTTP, taken up again where it stopped and checked by its MD5."""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from glowtron.errors import InputError, reason
from glowtron.files import unwritable

Progress = Callable[[int, int], None]
"""Told how much is done of how much (0: not known)."""

_BLOCK = 1 << 20
"""Bytes read at a time."""
_TRIES = 5
"""Connections in a row that bring nothing before it is given up."""


def download(
    url: str,
    target: Path,
    *,
    md5: str,
    progress: Progress | None = None,
    timeout_s: float = 30.0,
    pause_s: float = 1.0,
) -> None:
    """Fetch `url` into `target`, whole or not at all.

    What has come so far stays beside it as `NAME.part`; the next call asks for the rest only, if the server can do so.
    A connection that breaks is made again, after `pause_s` times the number of failures in a row. Raises InputError for
    an address that cannot be fetched from, and for a file with another MD5, which is deleted.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise InputError(f"{url}: give an address that begins with https:// or http://")
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(target, error) from error
    failures = 0
    while True:
        before = _size(part)
        try:
            whole = _fetch_rest(url, part, progress, timeout_s)
            trouble = "the connection was closed early"
        except HTTPError as error:
            if error.code < 500:
                raise InputError(f"{url}: cannot be fetched: {error.code} {error.reason}; check the address") from error
            whole, trouble = False, f"{error.code} {error.reason}"
        except URLError as error:
            if isinstance(error.reason, socket.gaierror | ConnectionRefusedError):  # Nobody is there to try again.
                raise InputError(
                    f"{url}: cannot be fetched: {reason(error.reason)}; check address and network"
                ) from error
            whole, trouble = False, str(error.reason)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if isinstance(error, InputError):
                raise
            whole, trouble = False, reason(error) or type(error).__name__
        if whole:
            break
        failures = 1 if _size(part) > before else failures + 1
        if failures == _TRIES:
            raise InputError(f"{url}: cannot be fetched: {trouble}; the same command goes on after {_size(part)} bytes")
        time.sleep(pause_s * failures)
    if (found := md5_of(part)) != md5:
        part.unlink()
        raise InputError(f"{url}: damaged on the way: its MD5 is {found}, not {md5}; deleted, so fetch it again")
    part.replace(target)


def md5_of(path: Path, progress: Progress | None = None) -> str:
    """The MD5 of a file, in hexadecimal. Raises InputError if it cannot be read."""
    digest = hashlib.md5(usedforsecurity=False)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                if progress is not None:
                    progress(file.tell(), size)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _fetch_rest(url: str, part: Path, progress: Progress | None, timeout_s: float) -> bool:
    """Append to `part` what it lacks; whether it is whole then. Raises what urllib and sockets raise."""
    begun = _size(part)
    headers = {"User-Agent": "glowtron"} | ({"Range": f"bytes={begun}-"} if begun else {})
    try:
        reply = urlopen(Request(url, headers=headers), timeout=timeout_s)
    except HTTPError as error:
        if error.code != 416:  # The server has nothing after what is there: it is all, or of another file.
            raise
        if begun == _total(error.headers.get("Content-Range")):
            return True
        part.unlink()
        return False
    with reply:
        if reply.status == 206:
            total = _total(reply.headers.get("Content-Range"))
        else:  # A server that cannot send parts sends all.
            begun, total = 0, int(reply.headers.get("Content-Length") or 0)
        return _save(reply, part, begun, total, progress)


def _save(reply: http.client.HTTPResponse, part: Path, begun: int, total: int, progress: Progress | None) -> bool:
    try:
        file = part.open("ab" if begun else "wb")
    except OSError as error:
        raise unwritable(part, error) from error
    with file:
        # Without buffer on our side, so that what came before a break is kept.
        while block := reply.read1(_BLOCK):
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise unwritable(part, error) from error
            begun += len(block)
            if progress is not None:
                progress(begun, total)
    return begun >= total  # Where the length is not known, the end of the connection is the end of the file.


def _total(content_range: str | None) -> int:
    """Length of the whole file, of a header such as `bytes 5-9/10`; 0 if it does not say."""
    match = re.fullmatch(r"bytes (?:\d+-\d+|\*)/(\d+)", content_range or "")
    return int(match[1]) if match else 0
