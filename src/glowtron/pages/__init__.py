"""Parts of web pages that ship with the package: each page is one file that fetches nothing from elsewhere."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def part(name: str) -> str:
    """The text of a part, such as `player.js`."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def embedded(value: Any) -> str:
    """A JSON value to stand in a `<script type="application/json">`: no text in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def compose(template: str, parts: dict[str, str]) -> str:
    """A page from a template with marks such as `/*player*/` or `<!--title-->`; each must be there once.

    What is put in is not looked through for further marks.
    """
    places = []
    for mark, text in parts.items():
        assert template.count(mark) == 1, f"the template has {template.count(mark)} of {mark}"
        places.append((template.index(mark), mark, text))
    out, end = [], 0
    for place, mark, text in sorted(places):
        out += [template[end:place], text]
        end = place + len(mark)
    return "".join([*out, template[end:]])
