"""English text as it is read aloud: the project's own frontend, a table of named passes.

Passes run from the most particular (an address, a date) to the most general (any figure left); each turns what it
knows into words, so a later one never sees it. The result has only letters, punctuation of the symbol table, spaces,
and `{ARPAbet}`; no digit is ever left outside braces. A single capital is a letter's name, all else is lower case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from typing import NamedTuple, TypeAlias

from glowtron.errors import InputError
from glowtron.text import abbreviations, capitals, characters, dates, money, notation, numerals, references, units, web
from glowtron.text.characters import HELD
from glowtron.text.symbols import MARKUP, is_phones, parse_markup
from glowtron.text.tracing import Edit, Replacement, Span, TracedText, begin, stripped, substitute

Examples = tuple[tuple[str, str], ...]


class Pass(NamedTuple):
    """A named group of rules, and what it alone makes of some texts."""

    name: str
    function: Callable[[str], str]
    examples: Examples
    figures: bool = False
    """True if only texts with figures need it."""


class NothingToSayError(InputError):
    """A text without a letter or a number."""


class Normalized(NamedTuple):
    """A text in words."""

    source: str
    text: str
    """In words: as it is spoken."""
    words: tuple[str, ...]
    """Spoken words, with the punctuation that hugs them."""
    spans: tuple[Span, ...]
    """Of each word the characters of `source` that it is the reading of."""
    edits: tuple[Edit, ...]
    """Which pass wrote which words in place of which characters, in the order in which it was done."""


_Rule: TypeAlias = tuple[re.Pattern[str], Replacement, Iterable[str]]
"""Replacements of the pass, and what each needs (`substitute`)."""

# There is no other white space once `characters.plain` has run.
_ONE_SPACE: _Rule = (re.compile(r"[ \n]{2,}|\n"), " ", ("  ", "\n"))
_SIGN_WORDS: tuple[_Rule, ...] = (
    (
        re.compile(r"(?<!\w)([A-Z]{1,4})&([A-Z]{1,4})(s?)(?!\w)"),  # AT&T, M&Ms
        lambda match: f"{capitals.spell(match[1])} and {capitals.spell(match[2])}" + ("'s" if match[3] else ""),
        "&",
    ),
    (re.compile(r"(?<=[\w)])[ ]?!=[ ]?(?=[\w(-])"), " is not equal to ", "="),
    (re.compile(r"(?<=[\w)])[ ]?==[ ]?(?=[\w(-])"), " equals ", "="),
    (re.compile(r"(?<=[\w)])[ ]?<=[ ]?(?=[\w(-])"), " is at most ", "="),
    (re.compile(r"(?<=[\w)])[ ]?>=[ ]?(?=[\w(-])"), " is at least ", "="),
    (re.compile(r"(?<=\w)[ ]?\+=[ ]?(?=\w)"), " plus equals ", "="),
    (re.compile(r"(?<=\w)[ ]?-=[ ]?(?=\w)"), " minus equals ", "="),
    (re.compile(r"(?<=[0-9n])!(?=[ ]?[=/*+])"), " factorial", "!"),
    (re.compile(r"(?<=[\w)])[ ]?\|\|[ ]?(?=[\w(!-])"), " or ", "|"),
    (re.compile(r"\b(UTC|GMT)-(?=[0-9])"), r"\1 minus ", ("UTC", "GMT")),
    (re.compile(r"(?<=[0-9)])[ ]/[ ](?=[0-9(])"), " divided by ", ("/ ",)),
    (re.compile(r"(?<=[0-9])/(?=[0-9.]{1,9}[ ]?=)"), " divided by ", "="),
    (re.compile(r"(?<=[\w.)])[ ]?&&?[ ]?(?=[\w(])|&&?"), " and ", "&"),
    (re.compile(r"(?<![\w'.])A\+(?![\w+])"), "A\ue001 plus ", "+"),
    (re.compile(r"(?<=\w)\+\+"), " plus plus ", "+"),
    (re.compile(r"(?<![0-9][eE])(?<=[\w)])[ ]?\+[ ]?(?=[\w($£€])|(?<![^\s(])\+(?=[\w$£€])"), " plus ", "+"),
    (re.compile(r"(?<=\w)\+(?!\w)"), " plus ", "+"),
    (re.compile(r"(?<=[\w)\].%°²³])[ ]?=[ ]?(?=[\w($£€¥₹-]|\.[0-9])"), " equals ", "="),
    (re.compile(r"(?<=[\w)])[ ]?<[ ]?(?=\w)|(?<!\S)<(?=[0-9$])"), " less than ", "<"),
    (re.compile(r"(?<=[\w)])[ ]>[ ]?(?=\w)|(?<!\S)>(?=[0-9$])"), " greater than ", ">"),
    (re.compile(r"(?<=\b[A-G])#(?!\w)"), " sharp ", "#"),
    (re.compile(r"#(?=[ ]?[0-9])"), " number ", "#"),
    (re.compile(r"(?<![\w~])~[ ]?(?=[$£€]?[0-9])"), " about ", "~"),
    (re.compile(r"(?<=[0-9a-z)])[ ]?\*[ ]?(?=[0-9])"), " times ", "*"),
    (re.compile(r"@"), " at ", "@"),
)
_MINUS = re.compile(r"(?:(?<=[0-9)²³])|(?<=\b[a-z])|(?<=[0-9][a-z]))[ ]-[ ](?=[0-9(]|[a-z]\b)")
_GRADE = re.compile(r"(?<![\w'.-])([A-DF])-(?=[ ,.;:)]|$)")
_GRADED = re.compile(r"\b[Gg]rade[ds]?\b|\b[A-DF]\+(?!\w)|\bGPA\b|\b(?:an? )[A-DF]-(?=[ ,.;:)]|$)")
_LEFT_OVER: tuple[_Rule, ...] = (
    (re.compile("%"), " percent ", "%"),
    (re.compile(r"(?<=[\w)])[ ]?°|°(?=[CFK]\b)"), " degrees ", "°"),
    (re.compile("°"), " ", "°"),
    (re.compile("×"), " by ", "×"),
)

# What punctuation the symbol table lacks, and what a voice has never seen, becomes what it knows. \ue000 is HELD.
_PUNCTUATION: tuple[_Rule, ...] = (
    (re.compile(r"[\[{]"), " (", "[{"),
    (re.compile(r"[\]}]"), ") ", "]}"),
    (re.compile(r"[\"|<>\\^~`_*#=+/$%&@⁰¹²³⁴⁵⁶⁷⁸⁹⁻]"), " ", ()),
    (re.compile(r"[–]|--+"), " - ", "–-"),
    (re.compile(r"(?<![a-zA-Z\ue000])'(?!(?:tis|twas|twere|twill|em|cause|til|till|bout|round|n)\b)"), "", "'"),
    (re.compile(r"(?<=[^s\W])'(?![a-zA-Z])(?<!in')(?<!\bo')(?<!'n')"), "", "'"),
    (re.compile(r"(?<![\w\ue000])-(?=[\w\ue000])|(?<=[\w\ue000])-(?![\w\ue000])"), " ", "-"),
    (re.compile(r"\([\s,.;:!?-]*\)"), " ", "("),
    (re.compile(r"\.{3,}(?:[ ]?\.)*"), "...", "."),
    (re.compile(r"(?<!\.)\.\.(?!\.)"), ".", "."),
    (re.compile(r"([,;:!?])(?:[ ]?\1)+"), r"\1", ",;:!?"),
    _ONE_SPACE,
    (re.compile(r"[ ](?=[,.;:!?)])|(?<=\()[ ]"), "", ",.;:!?)("),
    (re.compile(r"[,;:](?=[.!?])"), "", ",;:"),
    (re.compile(r"(?<=[,;:])[,;:]+"), "", ",;:"),
    (re.compile(r"(?:(?<=\s)|^)-(?:\s+-)+(?=\s|$)"), "-", "-"),
    (re.compile(r"(?<=[.!?,;:])(?=[A-Za-z\ue000])(?<!\.\.\.)"), " ", ".!?,;:"),
    (re.compile(r"[^A-Za-z!'(),.:;? \ue000-]+"), " ", ()),
    _ONE_SPACE,
)
_SPEAKABLE = re.compile(r"[A-Za-z\ue000]|\{[^{}]*[A-Z]")
_PRIVATE = re.compile("[\ue000\ue001]")
_HELD = re.compile(HELD)
_SPOKEN = re.compile(r"(?:[^\s{]+|\{[^{}]*\}|\{)+")
_HAS_LETTER = re.compile(r"[A-Za-z]")
_HAS_FIGURE = re.compile("[0-9⁰¹²³⁴⁵⁶⁷⁸⁹]")


def _applied(rules: Iterable[_Rule], text: str) -> str:
    for pattern, replacement, needs in rules:
        text = substitute(pattern, replacement, text, needs)
    return text


def _signs(text: str) -> str:
    if "=" in text:
        text = substitute(_MINUS, _minus, text, "-")
    if _GRADED.search(text):
        text = substitute(_GRADE, lambda match: match[1] + ("\ue001 minus" if match[1] == "A" else " minus"), text, "-")
    return _applied(_SIGN_WORDS, text)


def _minus(match: re.Match[str]) -> str:
    """A minus between numbers or letters with an equals sign beside them."""
    near = match.string[max(0, match.start() - 30) : match.end() + 30]
    return " minus " if "=" in near else match[0]


def _left_over(text: str) -> str:
    return _applied(_LEFT_OVER, text)


def _punctuation(text: str) -> str:
    return stripped(_applied(_PUNCTUATION, text), " ,.;:!?)-", " (-")


def _lines(text: str) -> str:
    return stripped(_applied([_ONE_SPACE], capitals.joined_lines(text)))


PASSES: tuple[Pass, ...] = (
    Pass("characters", characters.plain, (("caf\u00e9 \u2026 “so”", 'cafe ... "so"'), ("<b>bold</b>", " bold "))),
    Pass("lines", _lines, (("a hyphen-\nated word", "a hyphenated word"), (" one\n two", "one two"))),
    Pass(
        "notation", notation.notation, (("sum = foo[3]", "sum = foo sub 3"), ("gr8, c u 2day", "great, see you today"))
    ),
    Pass("notes", references.notes, (("It ended.³ Then", "It ended. Then"), ("so he said[12] and", "so he said and"))),
    Pass("addresses", web.addresses, (("see x.org", "see X\ue001 dot org"), ("#BigNews", "hashtag Big News"))),
    Pass("shouting", capitals.calm, (("DO NOT ENTER", "Do Not Enter"), ("the FBI", "the FBI"))),
    Pass("mixed capitals", capitals.parted, (("OpenAI", "Open A I"), ("McDonald", "McDonald"))),
    Pass("places", references.places, (("Genesis 1:1", "Genesis one one"), ("Chapter 01", "Chapter 1")), figures=True),
    Pass("abbreviations", abbreviations.expand, (("Dr. Who, etc.", "doctor Who, et cetera."),)),
    Pass("thousands", numerals.thousands, (("10 000 men", "10,000 men"), ("1.234.567", "1234567")), figures=True),
    Pass("telephones", numerals.telephones, (("555-1234", "five five five, one two three four"),), figures=True),
    Pass("dates", dates.dates, (("5/11/2020", "May eleventh, twenty twenty"),), figures=True),
    Pass("times", dates.times, (("10:30", "ten thirty"), ("5 pm", "five P M")), figures=True),
    Pass(
        "names",
        numerals.names,
        (("a Boeing 747", "a Boeing seven forty-seven"), ("401(k)", "four oh one K")),
        figures=True,
    ),
    Pass("ranges", units.ranges, (("5%-10%", "5% to 10%"), ("50-50", "fifty-fifty")), figures=True),
    Pass("signs", _signs, (("R&D", "R and D"), ("1+1=2", "1 plus 1 equals 2"))),
    Pass("money", money.sums, (("$3.50", "three dollars and fifty cents"),)),
    Pass("quantities", units.quantities, (("5 km", "five kilometers"), ("2/3rds", "two thirds")), figures=True),
    Pass("powers", units.powers, (("x² + y²", "x squared + y squared"),), figures=True),
    Pass("numbers", numerals.figures, (("in 1895", "in eighteen ninety-five"), ("B52", "B fifty-two")), figures=True),
    Pass("signs left", _left_over, (("100 %", "100  percent "),)),
    Pass("roman numerals", capitals.roman, (("Henry VIII", "Henry the eighth"), ("Rocky IV", "Rocky four"))),
    Pass("capitals", capitals.initials, (("the U.S. FBI", "the U S F B I"), ("She works in IT", "she works in I T"))),
    Pass("punctuation", _punctuation, (("well -- so!!", "well - so!"),)),
)
"""Every pass, in order."""


def clean(text: str, words: Container[str] = ()) -> str:
    """`text` as it is read aloud; `words`, in lower case, are never spelt, whatever their case in `text`.

    Raises InputError when nothing in it is speakable, or something in braces looks like ARPAbet but is not.
    """
    said = normalize(text, words)
    if not says_something(said):
        raise unspeakable(text)
    return said


def normalize(text: str, words: Container[str] = ()) -> str:
    """As `clean`, but what is not speakable gives a text without letters. A `TracedText` stays one."""
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        if not is_phones(match[0]):
            return f"({match[0][1:-1]})"
        held.append("{" + " ".join(parse_markup(match[0])) + "}")
        return HELD

    begin("phones", text)
    text = substitute(_PRIVATE, "", text, "\ue000\ue001")
    text = substitute(MARKUP, hold, text, "{")
    for step in PASSES:
        if step.figures and not _HAS_FIGURE.search(text):
            continue
        begin(step.name, text)
        text = step.function(text) if step.name != "capitals" else capitals.initials(text, words)
    assert text.count(HELD) == len(held), f"a rule lost or made markup: {text!r}"
    begin("phones", text)
    phones = iter(held)
    return substitute(_HELD, lambda match: next(phones), text, HELD)


def trace(text: str, words: Container[str] = ()) -> TracedText:
    """As `normalize`, with where every character is from, and what each pass did."""
    said = normalize(TracedText.source(text), words)
    assert isinstance(said, TracedText), "a pass lost the trace"
    return said


def explain(text: str) -> Normalized:
    """A text as the words that are spoken, with the place of each word in it.

    Args:
        text: English, of any length.

    Raises:
        InputError: It holds nothing to speak.
    """
    said = trace(text)
    if not says_something(said):
        raise unspeakable(text)
    words: list[str] = []
    starts: list[int] = []
    for match in _SPOKEN.finditer(said):
        word = match[0]
        if word[0].isalpha() or _HAS_LETTER.search(word):
            words.append(word)
            starts.append(match.start())
    spans = said.spans(starts, [start + len(word) for start, word in zip(starts, words, strict=True)])
    return Normalized(text, str(said), tuple(words), tuple(spans), tuple(said.edits))


def says_something(words: str) -> bool:
    """True if cleaned `words` have a letter or a phone."""
    return _SPEAKABLE.search(words) is not None


def unspeakable(text: str) -> NothingToSayError:
    """The error for a text that leaves nothing to say."""
    shown = " ".join(text.split())
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return NothingToSayError(
        f"nothing speakable in '{shown}'; it needs a letter or a number" if shown else "the text is empty"
    )
