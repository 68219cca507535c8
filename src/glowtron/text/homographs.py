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
_BEFORE_VERB = frozenset(
    "to will would can could shall should may might must do does did don't doesn't didn't won't can't cannot couldn't "
    "wouldn't shouldn't let's let not never always often also please i'll you'll he'll she'll it'll we'll they'll "
    "i'd you'd we'd they'd".split()
)
_SUBJECTS = frozenset("i you we they he she it who".split())
_OBJECTS = frozenset("me him them us it you himself herself itself themselves".split())
_DEGREES = frozenset("very so too quite rather most more less extremely as how".split())
_JOINING = frozenset("and or but if than then because when while where why nor yet".split())
_FUNCTION = _BE | _HAVE | _DETERMINERS | _PREPOSITIONS | _BEFORE_VERB | _SUBJECTS | _OBJECTS | _DEGREES | _JOINING
_PLURALS = frozenset("people men women children who they we".split())
_METALLIC = frozenset(
    "pipe pipes poisoning pencil pencils bullet bullets paint roof mine mines shot ore weights".split()
)
_TINY = frozenset("detail details quantity quantities amount amounts particles examination inspection scale".split())
_ON_STAGE = frozenset("music show shows broadcast audience coals ammunition wire wires animals fish cattle".split())

_PAST = frozenset("was were had did didn't wasn't weren't hadn't yesterday ago said went came took saw thought".split())

EXTRA: Mapping[str, Mapping[str, Phones]] = {
    "lead": {"DEFAULT": ("L", "IY1", "D"), "METAL": ("L", "EH1", "D")},
    "leads": {"DEFAULT": ("L", "IY1", "D", "Z"), "METAL": ("L", "EH1", "D", "Z")},
}
"""Homographs that the dictionary does not tell apart."""


def tells_of_past(words: list[str]) -> bool:
    """Whether a sentence of lower-case words has a sign of the past tense."""
    return any(word in _PAST or (word.endswith("ed") and len(word) > 4) for word in words)


def choose(word: str, parts: Mapping[str, Phones], context: Context) -> Phones:
    """The pronunciation among `parts` (as from `Lexicon.find`) that the context asks for."""
    if len(parts) == 1:
        return parts["DEFAULT"]
    rule = _RULES.get(word, _usual)
    return next(parts[part] for part in (*rule(context), "DEFAULT") if part in parts)


def _usual(context: Context) -> tuple[str, ...]:
    """Parts of speech for a word in this place, likeliest first."""
    before, after = context.before, context.after
    if not after and not before:
        return ()
    modifies = bool(after) and after not in _FUNCTION
    last = () if after else ("None",)
    if before in _BEFORE_VERB:
        return ("VERB", *last)
    if before in _DEGREES or before in _BE:
        return ("ADJ", *last)
    if before in _DETERMINERS or before in _PREPOSITIONS or before.endswith(("'s", "s'")):
        return ("ADJ", "NOUN", *last) if modifies else ("NOUN", *last)
    if before in _SUBJECTS or before in _PLURALS:
        return ("VERB", *last)
    if after == "of":
        return ("NOUN",)
    if after in _DETERMINERS or after in _OBJECTS:
        return ("VERB",)
    if context.before_that in _DETERMINERS and before not in _FUNCTION and not before.endswith("s"):
        return ("NOUN", *last)  # "a great increase"
    return last


def _read(context: Context) -> tuple[str, ...]:
    if context.before in _BEFORE_VERB:
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
    return ("VBD",) if context.after == "to" and context.before not in _BE else ()


def _close(context: Context) -> tuple[str, ...]:
    modifies = bool(context.after) and context.after not in _FUNCTION
    return () if modifies and context.before not in _BEFORE_VERB else _usual(context)


def _wound(context: Context) -> tuple[str, ...]:
    turns = context.after in ("up", "around", "round", "through", "down", "its", "his", "their")
    return ("VBD",) if turns or context.before in _SUBJECTS else ()


def _minute(context: Context) -> tuple[str, ...]:
    return ("ADJ",) if context.after in _TINY or context.before in _DEGREES else ()


def _lead(context: Context) -> tuple[str, ...]:
    metal = context.after in _METALLIC or context.before in ("of", "red", "white", "molten", "melted", "sheet")
    return ("METAL",) if metal else ()


_RULES: Mapping[str, Callable[[Context], tuple[str, ...]]] = {
    "read": _read,
    "live": _live,
    "lives": _lives,
    "used": _used,
    "close": _close,
    "wound": _wound,
    "minute": _minute,
    "lead": _lead,
    "leads": _lead,
}
