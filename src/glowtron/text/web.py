"""Web addresses, e-mail addresses, hashtags and handles, read aloud: "example dot com slash news"."""

from __future__ import annotations

import re

from glowtron.text.capitals import NAMED, spell
from glowtron.text.numbers import digits
from glowtron.text.tracing import substitute

# Endings that make a bare name an address; others need http:// or www.
_ENDINGS = "com|org|net|edu|gov|mil|int|info|io|co|ai|app|dev|uk|de|fr|eu|ca|au|jp|cn|ch|nl|se|tv|me|ly|us"
# \ue000 is HELD, which no address may swallow.
_EMAIL = re.compile(r"(?<![\w.+%-])(?:mailto:)?([\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})(?![\w@])")
_URL = re.compile(r"\b(?:https?|ftp)://([^\s<>\"\ue000]+)|(?<![\w.@/])(www\.[^\s<>\"\ue000]+)", re.IGNORECASE)
_BARE = re.compile(
    rf"(?<![\w.@/-])((?:[a-zA-Z][\w-]{{0,62}}\.){{1,4}}(?:{_ENDINGS})(?:/[^\s<>\"\ue000]*)?)(?![\w@-])(?!\.\w)"
)
# A name in small letters with a stop inside is an address whatever its ending, unless a space was left out.
_ANY_DOMAIN = re.compile(r"(?<![\w.@/-])((?:[a-z][a-z0-9-]{1,40}\.){1,4}[a-z]{2,12})(?![\w@-])(?!\.\w)")
_NO_ENDINGS = frozenset(
    """and the but or he it is in on we you they she that this was were then there so as at by for from if not of to
    when who what which with his her my our their its be are an no yes also because do did has had have""".split()
)
_EXTENSIONS = (
    "avi|bat|bmp|c|cfg|conf|cpp|css|csv|dll|doc|docx|exe|flac|gif|go|gz|h|htm|html|ini|java|jpeg|jpg|js|json|jsx|log|md|mov"
    "|mp3|mp4|odt|pdf|php|png|ppt|pptx|py|rar|rb|rs|sh|sql|svg|tar|tex|tmp|ts|tsx|txt|wav|webp|xls|xlsx|xml|yaml|yml|zip"
)
_FILE = re.compile(rf"(?<![\w@])((?:[\w-]{{1,40}}\.){{1,3}}(?:{_EXTENSIONS}))(?![\w@-]|\.\w)")
_DOT_NET = re.compile(r"(?<![\w.])\.(NET)\b")
_SAID = frozenset("avi bat doc docx gif go java jpeg json log tar tex wav yaml zip".split())
_TRAILING = ".,;:!?'\")]}"
_ABBREVIATED = frozenset("etc vs no vol fig al cf approx sq ft in pp inc ltd co dr mr mrs ms st".split())
_HASHTAG = re.compile(r"(?<![\w&])#(\w*[A-Za-z]\w*)")
_HANDLE = re.compile(r"(?<![\w.])@([A-Za-z]\w*)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])|_+")
_PARTS = re.compile(r"[A-Za-z]+|[0-9]+|%[0-9A-Fa-f]{2}|.", re.DOTALL)
_SIGNS = {
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    ":": "colon",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "~": "tilde",
    "+": "plus",
    "%": "percent",
}


def addresses(text: str) -> str:
    """`text` with its addresses, hashtags and handles in words."""
    if "@" in text:
        text = substitute(_EMAIL, lambda match: _address(match[1]), text)
        text = substitute(_HANDLE, lambda match: "at " + _CAMEL.sub(" ", match[1]), text)
    if "://" in text or "www." in text.lower():
        text = substitute(_URL, lambda match: _address(match[1] or match[2]), text)
    if "." in text:
        text = substitute(_BARE, lambda match: _address(match[1]), text)
        text = substitute(_FILE, _file, text)
        text = substitute(_ANY_DOMAIN, _any_domain, text)
        text = substitute(_DOT_NET, r"dot net", text)
    if "#" in text:
        text = substitute(_HASHTAG, lambda match: "hashtag " + _CAMEL.sub(" ", match[1]), text)
    return text


def _any_domain(match: re.Match[str]) -> str:
    *names, ending = match[1].split(".")
    if ending in _NO_ENDINGS or any(name in _ABBREVIATED for name in names):
        return match[0]
    return _address(match[1])


def _file(match: re.Match[str]) -> str:
    *names, extension = match[1].split(".")
    if len(names) == 1 and len(names[0]) == len(extension) == 1:  # s.c. and b.c., not files of C.
        return match[0]
    stem = " dot ".join(_CAMEL.sub(" ", name) for name in names)
    return f"{stem} dot {extension if extension in _SAID else spell(extension) + NAMED}"


def _address(address: str) -> str:
    bare = address.rstrip(_TRAILING)
    ending = address[len(bare) :]
    bare = bare.rstrip("/")
    return " ".join(_part(part) for part in _PARTS.findall(bare)) + ending


def _part(part: str) -> str:
    if part.isdigit():
        return digits(part)
    if part.isalpha():
        word = part.lower()
        spelt = len(word) == 1 or not re.search("[aeiouy]", word) or word in ("uk", "io", "ai")
        return spell(word) + NAMED if spelt else word
    return _SIGNS.get(part, " ")
