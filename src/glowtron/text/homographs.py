"""Which pronunciation of a word its neighbours ask for: `record` after `to` is a verb, after `the` a noun.

Simple rules on the words beside it, no parser: they settle the common cases of read prose, and where they do not the
dictionary's default is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from glowtron.text.lexicon import Phones


class Context(NamedTuple):
    """What stands around a word, in lower case; empty strings where the phrase begins or ends."""

    before: str = ""
    """The word before, in the same phrase."""
    before_that: str = ""
    """The word before `before`."""
    after: str = ""
    """The word after, in the same phrase."""
    next_sound: str = ""
    """First phone of the word after, over punctuation too."""
    past: bool = False
    """Whether something in the sentence says that it tells of the past."""

    @property
    def before_vowel(self) -> bool:
        """Whether the next word begins with a vowel."""
        return self.next_sound[-1:].isdigit()


_BE = frozenset("is are was were be been being am isn't aren't wasn't weren't i'm he's she's it's that's".split())
_HAVE = frozenset("have has had having i've we've you've they've he'd she'd haven't hasn't hadn't".split())
_DETERMINERS = frozenset(
    "the a an this that these those my your his her its our their whose some any no each every either another such "
    "what which one two three four five six first second third last next all both many few several much more".split()
)
_PREPOSITIONS = frozenset(
    "of in on at by for from with into without under over between through after before during against about upon "
    "within as among amongst like per via".split()
)
_BEFORE_BASE = frozenset(
    "to will would can could shall should may might must do does did don't doesn't didn't won't can't cannot couldn't "
    "wouldn't shouldn't let's let not please i'll you'll he'll she'll it'll we'll they'll i'd you'd we'd they'd".split()
)
_ADVERBS = frozenset("never always often also".split())
_SUBJECTS = frozenset("i you we they he she it who".split())
_OPENING = frozenset("the a an my your his her its our their these those".split())
_OBJECTS = frozenset("me him them us it you himself herself itself themselves".split())
_DEGREES = frozenset("very so too quite rather most more less extremely as how".split())
_JOINING = frozenset("and or but if than then because when while where why nor yet".split())
_FUNCTION = (
    _BE | _HAVE | _DETERMINERS | _PREPOSITIONS | _BEFORE_BASE | _ADVERBS | _SUBJECTS | _OBJECTS | _DEGREES | _JOINING
)
_PLURALS = frozenset("people men women children who they we".split())
_METALLIC = frozenset(
    "pipe pipes poisoning pencil pencils bullet bullets paint roof mine mines shot ore weights".split()
)
_TINY = frozenset(
    "detail details quantity quantities amount amounts particles examination inspection scale description".split()
)
_ON_STAGE = frozenset("music show shows broadcast audience coals ammunition wire wires animals fish cattle".split())

_PAST = frozenset("was were had did didn't wasn't weren't hadn't yesterday ago said went came took saw thought".split())

EXTRA: Mapping[str, Mapping[str, Phones]] = {
    "lead": {"DEFAULT": ("L", "IY1", "D"), "METAL": ("L", "EH1", "D")},
    "leads": {"DEFAULT": ("L", "IY1", "D", "Z"), "METAL": ("L", "EH1", "D", "Z")},
}
"""Homographs that the dictionary does not tell apart."""

NAMES: Mapping[str, str] = {
    "DEFAULT": "usual",
    "NOUN": "noun",
    "VERB": "verb",
    "ADJ": "adjective",
    "ADV": "adverb",
    "VBD": "past tense",
    "VBN": "participle",
    "METAL": "metal",
}
"""What a word was taken for, by the key of its pronunciation."""

REDUCED = frozenset(("DEFAULT", "None", "DT"))
"""Keys that tell no meanings apart, but how fully a function word is said."""


def tells_of_past(words: list[str]) -> bool:
    """Whether a sentence of lower-case words has a sign of the past tense."""
    return any(word in _PAST or (word.endswith("ed") and len(word) > 4) for word in words)


def choose(word: str, parts: Mapping[str, Phones], context: Context) -> str:
    """The key among `parts` (as from `Lexicon.find`) of the pronunciation that the context asks for."""
    if len(parts) == 1:
        return "DEFAULT"
    rule = _RULES.get(word, _plural if word.endswith("s") else _single)
    return next(part for part in (*rule(context), "DEFAULT") if part in parts)


def _single(context: Context) -> tuple[str, ...]:
    """Parts of speech, likeliest first, for a word that may be a verb's base form, a noun in the singular or both."""
    before, after = context.before, context.after
    if not after and not before:
        return ()
    last = () if after else ("None",)
    if before in _BEFORE_BASE or before in _ADVERBS:
        return ("VERB", *last)
    if before in _DEGREES or before in _BE:
        return ("ADJ", *last)
    if before in _DETERMINERS or before in _PREPOSITIONS or before.endswith(("'s", "s'")):
        return ("ADJ", "NOUN", *last) if _modifies(context) else ("NOUN", "ADJ", *last)
    if before in _SUBJECTS or before in _PLURALS:
        return ("VERB", *last)
    if after == "of":
        return ("NOUN",)
    if after in _OPENING or after in _OBJECTS:
        return ("VERB",)
    if not before and _modifies(context):
        return ("ADJ",)
    if before and before not in _FUNCTION and not before.endswith(("s", "ly")):
        return ("NOUN", *last)  # A verb after a noun in the singular would end in s.
    return last


def _plural(context: Context) -> tuple[str, ...]:
    """As `_single`, for a word that ends in s: a plural unless one who does it stands before."""
    verb = context.before in ("he", "she", "it", "who") or context.before in _ADVERBS
    return ("VERB",) if verb else ("NOUN",)


def _modifies(context: Context) -> bool:
    """Whether the word after may be a noun that this one belongs to."""
    return bool(context.after) and context.after not in _FUNCTION


def _read(context: Context) -> tuple[str, ...]:
    if context.before in _BEFORE_BASE:
        return ()
    if context.before in _BE or context.before in _HAVE or context.before in ("he", "she", "it"):
        return ("VBD",)
    return ("VBD",) if context.past and context.before else ()


def _live(context: Context) -> tuple[str, ...]:
    stage = context.before in _DETERMINERS or context.before in _BE or context.after in _ON_STAGE
    return () if stage else ("VERB",)


def _lives(context: Context) -> tuple[str, ...]:
    if context.before in _DETERMINERS or context.before in _PREPOSITIONS:
        return ()
    alone = context.before in ("he", "she", "it", "who") or context.after in ("in", "at", "near", "with", "on", "by")
    return ("VERB",) if alone else ()


def _used(context: Context) -> tuple[str, ...]:
    # "he used to go", but "the money used to buy it".
    doer = context.before in _SUBJECTS or context.before in _PLURALS or context.before in ("which", "that", "there")
    return ("VBD",) if context.after == "to" and doer else ()


def _close(context: Context) -> tuple[str, ...]:
    if context.before in _BEFORE_BASE or (not context.before and context.after in _OPENING):
        return ("VERB",)
    end = (context.before in _DETERMINERS or context.before in _PREPOSITIONS) and context.after in ("", "of")
    return ("NOUN",) if end else ()


def _wound(context: Context) -> tuple[str, ...]:
    turns = context.after in ("up", "around", "round", "through", "down", "its", "his", "their")
    return ("VBD",) if turns or context.before in _SUBJECTS else ()


def _minute(context: Context) -> tuple[str, ...]:
    return ("ADJ",) if context.after in _TINY or context.before in _DEGREES else ()


def _learned(context: Context) -> tuple[str, ...]:
    return ("ADJ",) if _modifies(context) and context.before in _DETERMINERS | _DEGREES | {""} else ()


def _lead(context: Context) -> tuple[str, ...]:
    metal = context.after in _METALLIC or context.before in ("of", "red", "white", "molten", "melted", "sheet")
    return ("METAL",) if metal else ()


def _default(context: Context) -> tuple[str, ...]:
    return ()


_RULES: Mapping[str, Callable[[Context], tuple[str, ...]]] = {
    "read": _read,
    "live": _live,
    "lives": _lives,
    "used": _used,
    "close": _close,
    "closer": _default,
    "ragged": _default,
    "jagged": _default,
    "crooked": _default,
    "learned": _learned,
    "wound": _wound,
    "minute": _minute,
    "lead": _lead,
    "leads": _lead,
}
