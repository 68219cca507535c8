"""English text as it is read aloud: the project's own frontend.

Rules run from the most particular (an address, a date) to the most general (any figure left); each turns what it knows
into words, so a later rule never sees it. The result has only letters, punctuation of the symbol table, spaces, and
`{ARPAbet}`; no digit is ever left outside braces. A single capital is a letter's name, all else is lower case.
"""

from __future__ import annotations

import re
from collections.abc import Container

from glowtron.errors import InputError
from glowtron.text.abbreviations import expand
from glowtron.text.capitals import calm, initials, roman, spell
from glowtron.text.characters import HELD, plain
from glowtron.text.dates import dates, times
from glowtron.text.money import sums
from glowtron.text.numerals import figures, telephones
from glowtron.text.symbols import MARKUP, parse_markup
from glowtron.text.units import quantities
from glowtron.text.web import addresses

_SIGN_WORDS = (
    (
        re.compile(r"(?<!\w)([A-Z]{1,4})&([A-Z]{1,4})(s?)(?!\w)"),  # AT&T, M&Ms
        lambda match: f"{spell(match[1])} and {spell(match[2])}" + ("'s" if match[3] else ""),
    ),
    (re.compile(r"(?<=[\w)])[ ]?!=[ ]?(?=[\w(-])"), " is not equal to "),
    (re.compile(r"(?<=[\w)])[ ]?==[ ]?(?=[\w(-])"), " equals "),
    (re.compile(r"(?<=[\w)])[ ]?<=[ ]?(?=[\w(-])"), " is at most "),
    (re.compile(r"(?<=[\w)])[ ]?>=[ ]?(?=[\w(-])"), " is at least "),
    (re.compile(r"\b(UTC|GMT)-(?=[0-9])"), r"\1 minus "),
    (re.compile(r"(?<=[0-9)])[ ]/[ ](?=[0-9(])"), " divided by "),
    (re.compile(r"(?<=[\w.)])[ ]?&[ ]?(?=[\w(])|&"), " and "),
    (re.compile(r"(?<=\w)\+\+"), " plus plus "),
    (re.compile(r"(?<![0-9][eE])(?<=[\w)])[ ]?\+[ ]?(?=[\w(])|(?<!\S)\+(?=\w)"), " plus "),
    (re.compile(r"(?<=\w)\+(?!\w)"), " plus "),
    (re.compile(r"(?<=[\w)])[ ]?=[ ]?(?=[\w(-])"), " equals "),
    (re.compile(r"(?<=[\w)])[ ]?<[ ]?(?=\w)|(?<!\S)<(?=[0-9$])"), " less than "),
    (re.compile(r"(?<=[\w)])[ ]>[ ]?(?=\w)|(?<!\S)>(?=[0-9$])"), " greater than "),
    (re.compile(r"(?<=\b[A-G])#(?!\w)"), " sharp "),
    (re.compile(r"#(?=[ ]?[0-9])"), " number "),
    (re.compile(r"(?<![\w~])~[ ]?(?=[$£€]?[0-9])"), " about "),
    (re.compile(r"(?<=[0-9a-z)])[ ]?\*[ ]?(?=[0-9])"), " times "),
    (re.compile(r"@"), " at "),
)
_LEFT_OVER = (
    (re.compile("%"), " percent "),
    (re.compile(r"(?<=[\w)])[ ]?°|°(?=[CFK]\b)"), " degrees "),
    (re.compile("°"), " "),
    (re.compile("×"), " by "),
)

# Thousands and decimals on the Continent: 1.234,56.
_CONTINENTAL = re.compile(r"(?<![\w.,])([0-9]{1,3}(?:\.[0-9]{3}){1,8}),([0-9]{2})(?![\w,]|\.[0-9])")
# Thousands in India, Germany and France: 12,34,567 and 1.234.567 and 1 234 567.
_GROUPED = re.compile(
    r"(?<![\w.,])(?<![0-9] )(?:[0-9]{1,2}(?:,[0-9]{2}){1,6},[0-9]{3}"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,9}|[0-9]{1,3}(?: [0-9]{3}){2,9})"
    r"(?!\w|[ .,][0-9])"
)

# What punctuation the symbol table lacks, and what a voice has never seen, becomes what it knows. \ue000 is HELD.
_PUNCTUATION = (
    (re.compile(r"[\[{]"), " ("),
    (re.compile(r"[\]}]"), ") "),
    (re.compile(r"[\"|<>\\^~`_*#=+/$%&@⁰¹²³⁴⁵⁶⁷⁸⁹⁻]"), " "),
    (re.compile(r"[–]|--+"), " - "),
    (re.compile(r"(?<![a-zA-Z\ue000])'(?!(?:tis|twas|twere|twill|em|cause|til|till|bout|round|n)\b)"), ""),
    (re.compile(r"(?<=[^s\W])'(?![a-zA-Z])(?<!in')(?<!\bo')(?<!'n')"), ""),
    (re.compile(r"(?<![\w\ue000])-(?=[\w\ue000])|(?<=[\w\ue000])-(?![\w\ue000])"), " "),
    (re.compile(r"\([\s,.;:!?-]*\)"), " "),
    (re.compile(r"\.{3,}(?:[ ]?\.)*"), "..."),
    (re.compile(r"(?<!\.)\.\.(?!\.)"), "."),
    (re.compile(r"([,;:!?])(?:[ ]?\1)+"), r"\1"),
    (re.compile(r"\s+"), " "),
    (re.compile(r"[ ](?=[,.;:!?)])|(?<=\()[ ]"), ""),
    (re.compile(r"[,;:](?=[.!?])"), ""),
    (re.compile(r"(?<=[,;:])[,;:]+"), ""),
    (re.compile(r"(?:(?<=\s)|^)-(?:\s+-)+(?=\s|$)"), "-"),
    (re.compile(r"(?<=[.!?,;:])(?=[A-Za-z\ue000])(?<!\.\.\.)"), " "),
)
_SPEAKABLE = re.compile(r"[A-Za-z\ue000]|\{[^{}]*[A-Z]")
_UNKNOWN = re.compile(r"[^A-Za-z!'(),.:;? \ue000-]+")


def clean(text: str, words: Container[str] = ()) -> str:
    """`text` as it is read aloud; `words`, in lower case, are never spelt, whatever their case in `text`.

    Raises InputError when nothing in it is speakable, or something in braces looks like ARPAbet but is not.
    """
    said = normalize(text, words)
    if not says_something(said):
        raise unspeakable(text)
    return said


def normalize(text: str, words: Container[str] = ()) -> str:
    """As `clean`, but what is not speakable gives a text without letters."""
    held: list[str] = []
    parts: list[str] = []
    position = 0
    for match in MARKUP.finditer(text):
        parts += [plain(text[position : match.start()]), HELD]
        held.append("{" + " ".join(parse_markup(match[0])) + "}")
        position = match.end()
    said = _read("".join([*parts, plain(text[position:])]), words)
    pieces = said.split(HELD)
    assert len(pieces) == len(held) + 1, f"a rule lost or made markup: {said!r}"
    return "".join([pieces[0], *(markup + piece for markup, piece in zip(held, pieces[1:], strict=True))])


def says_something(words: str) -> bool:
    """Whether cleaned `words` have a letter or a phone."""
    return _SPEAKABLE.search(words) is not None


def unspeakable(text: str) -> InputError:
    """The error for a text that leaves nothing to say."""
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return InputError(
        f"nothing speakable in '{shown}'; it needs a letter or a number" if shown else "the text is empty"
    )


def _read(text: str, words: Container[str]) -> str:
    """Plain text with its markup held, in words."""
    text = " ".join(text.split())
    text = addresses(text)
    text = calm(text)
    text = expand(text)
    if any(figure in text for figure in "0123456789"):
        text = _CONTINENTAL.sub(lambda match: f"{match[1].replace('.', '')}.{match[2]}", text)
        text = _GROUPED.sub(_ungrouped, text)
        text = telephones(text)
        text = dates(text)
        text = times(text)
        text = _signs(text)
        text = sums(text)
        text = quantities(text)
        text = figures(text)
    else:
        text = _signs(text)
        text = sums(text)
    for sign, name in _LEFT_OVER:
        text = sign.sub(name, text)
    text = roman(text)
    text = initials(text, words)
    for pattern, replacement in _PUNCTUATION:
        text = pattern.sub(replacement, text)
    text = " ".join(_UNKNOWN.sub(" ", text).split())
    return text.lstrip(" ,.;:!?)-").rstrip(" (-")


def _ungrouped(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    if len(parts) == 4 and all(part == str(int(part)) and int(part) < 256 for part in parts):  # An internet address.
        return match[0]
    return re.sub("[., ]", "", match[0])


def _signs(text: str) -> str:
    for pattern, name in _SIGN_WORDS:
        text = pattern.sub(name, text)
    return text
