"""Which words there are, in the dictionary's spelling: tells a word in capitals from letters, and joins cut words."""

from __future__ import annotations

import functools
import json
from importlib.resources import files

_ENDINGS = ("s", "es", "ed", "ing", "d", "er", "ly", "'s")


@functools.lru_cache(maxsize=1)
def _words() -> frozenset[str]:
    """Checked words of the dictionary; read when a text first asks (0.1 s)."""
    entries = json.loads(files("misaki.data").joinpath("us_gold.json").read_text(encoding="utf-8"))
    return frozenset(word.lower() for word in entries if not word.isupper())


@functools.lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    entries = json.loads(files("misaki.data").joinpath("us_gold.json").read_text(encoding="utf-8"))
    return frozenset(word for word in entries if word.islower())


@functools.lru_cache(maxsize=4096)
def is_word(word: str) -> bool:
    """Whether the dictionary has a word, or what it is inflected of; names are words."""
    word = word.lower()
    if word in _words():
        return True
    return any(len(word) > len(end) + 2 and word.endswith(end) and word[: -len(end)] in _words() for end in _ENDINGS)


def is_common(word: str) -> bool:
    """Whether a word is one without a capital too."""
    word = word.lower()
    return word in _common() or (word.endswith("s") and word[:-1] in _common())
