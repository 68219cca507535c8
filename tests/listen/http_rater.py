"""A rater without a browser: sends the requests that the page sends."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from glowtron.listen.listening_test import ListeningTest


def call(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any, Any]:
    """Status, headers and body; JSON where it is."""
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, headers, content = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        status, headers, content = error.code, error.headers, error.read()
    return status, headers, json.loads(content) if "json" in headers.get("content-type", "") else content


def begin(url: str) -> Any:
    """Become a rater; returns the session."""
    status, _, told = call(url + "api/raters", "POST", {"device": "headphones", "native": True})
    assert status == 200
    return told


def take(url: str, test: ListeningTest, judge: Callable[[list[str]], list[float]]) -> str:
    """Answer every trial of a session; returns the completion code. judge: gives the values of a trial's clips."""
    told = begin(url)
    code = ""
    for number, trial in enumerate(test.session(told["session"])):
        answer = {"values": judge(trial.clips), "plays": [1] * len(trial.clips), "seconds": 20.0, "away": 0}
        path = f"{url}api/raters/{told['rater']}/answers"
        status, _, given = call(path, "POST", {"part": "trial", "trial": number, "answer": answer})
        assert (status, given.get("saved")) == (200, True), given
        code = given["code"]
    return code
