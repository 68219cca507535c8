"""Which pronunciation of a word its neighbours ask for: `record` after `to` is a verb, after `the` a noun.

Simple rules on the words beside it, no parser: they settle the common cases of read prose, and where they do not the
dictionary's default is said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from glowtron.text.lexicon import Phones


class Context(NamedTuple):
    """The neighbours of a word, in lower case; empty strings where the phrase begins or ends."""

    before: str = ""
    """The word before, in the same phrase."""
    before_that: str = ""
    """The word before `before`."""
    after: str = ""
    """The word after, in the same phrase."""
    next_sound: str = ""
    """First phone of the word after, over punctuation too."""
    name: bool = False
    """True if it is written as a name: with a capital inside a sentence."""
    past: bool = False
    """True if something in the sentence says that it tells of the past."""

    @property
    def before_vowel(self) -> bool:
        """True if the next word begins with a vowel."""
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
OPENING = frozenset("the a an my your his her its our their these those".split())
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

_SPANS = frozenset(
    """week month year night summer winter spring autumn fall time monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december century""".split()
)
_GOES_LIVE = frozenset(
    """go goes went going gone broadcast broadcasts broadcasting watch watches watched watching stream streams streamed
    streaming record recorded perform performs performed performing play plays played playing air aired airs shown
    reporting coming see seen hear heard sing sang appear appeared appearing show shown shows starts start""".split()
)
_LIVE_THINGS = frozenset(
    """from updates stream streams streaming tv concert concerts coverage event events score scores performance
    performances feed chat band album recording recordings action video television demonstration demo blog rounds
    bait births wires traffic translation captions captioning stock poultry theater theatre""".split()
)
_FISHY = frozenset(
    """sea striped largemouth smallmouth caught catch catching grilled rock fried chilean fishing boat boats fish fillet
    fillets swam swim swims fisherman spawn spawning lake pond trout""".split()
)

EXTRA: Mapping[str, Mapping[str, Phones]] = {
    "lead": {"DEFAULT": ("L", "IY1", "D"), "METAL": ("L", "EH1", "D")},
    "leads": {"DEFAULT": ("L", "IY1", "D", "Z"), "METAL": ("L", "EH1", "D", "Z")},
    "august": {"DEFAULT": ("AO1", "G", "AH0", "S", "T"), "ADJ": ("AO0", "G", "AH1", "S", "T")},
    "nice": {"DEFAULT": ("N", "AY1", "S"), "NAME": ("N", "IY1", "S")},
    "reading": {"DEFAULT": ("R", "IY1", "D", "IH0", "NG"), "NAME": ("R", "EH1", "D", "IH0", "NG")},
    "job": {"DEFAULT": ("JH", "AA1", "B"), "NAME": ("JH", "OW1", "B")},
    "bows": {"DEFAULT": ("B", "OW1", "Z"), "VERB": ("B", "AW1", "Z")},
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
    "NAME": "name",
}
"""Sense that a word was taken for, by the key of its pronunciation."""

REDUCED = frozenset(("DEFAULT", "None", "DT"))
"""Keys that tell no meanings apart, but how fully a function word is said."""


def tells_of_past(words: list[str]) -> bool:
    """True if a sentence of lower-case words has a sign of the past tense."""
    if any(word in _PAST or (word.endswith("ed") and len(word) > 4) for word in words):
        return True
    return any(before == "last" and word in _SPANS for before, word in zip(words, words[1:], strict=False))


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
    if after in OPENING or after in _OBJECTS:
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
    """True if the word after may be a noun that this one belongs to."""
    return bool(context.after) and context.after not in _FUNCTION


def _read(context: Context) -> tuple[str, ...]:
    if context.before in _BEFORE_BASE or (context.before in _SUBJECTS and context.before_that in _BEFORE_BASE):
        return ()
    if context.before_that in _HAVE and context.before not in OPENING:  # "Have you read it?"
        return ("VBD",)
    if context.before in _BE or context.before in _HAVE or context.before in ("he", "she", "it"):
        return ("VBD",)
    return ("VBD",) if context.past and context.before else ()


def _live(context: Context) -> tuple[str, ...]:
    if context.before in _BEFORE_BASE or (context.before in _SUBJECTS and context.before not in ("it", "who")):
        return ("VERB",)
    stage = context.before in _DETERMINERS or context.before in _BE or context.after in _ON_STAGE
    stage = stage or context.before in _GOES_LIVE or context.after in _LIVE_THINGS
    stage = stage or (context.before_that in _GOES_LIVE and context.before in _OBJECTS | OPENING)
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
    if context.before in _BEFORE_BASE or (not context.before and context.after in OPENING):
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


def _bass(context: Context) -> tuple[str, ...]:
    fish = _FISHY & {context.before, context.before_that, context.after}
    return () if fish else ("ADJ",)


def _bow(context: Context) -> tuple[str, ...]:
    taken = frozenset("take takes took taking taken made make makes".split())
    bends = context.before in _BEFORE_BASE or context.before in taken or context.before_that in taken
    bends = bends or context.before in ("deep", "low", "polite", "final", "slight", "they", "we", "he", "she")
    return ("VERB",) if bends or context.after in ("down", "before", "out", "of", "his", "her", "their", "to") else ()


def _content(context: Context) -> tuple[str, ...]:
    feels = frozenset(
        "feel feels felt feeling seem seems seemed perfectly fairly not remain remained look looked".split()
    )
    if context.before in _BE | _DEGREES | feels or context.after in ("to", "with") or context.before in _OBJECTS:
        return ()
    return () if context.before in ("and", "") and not context.after else ("NOUN",)


def _wind(context: Context) -> tuple[str, ...]:
    if context.before in _DETERMINERS or context.before in _PREPOSITIONS:
        return ("NOUN",)
    return ("VERB",) if context.after in ("up", "down") else _single(context)


def _tear(context: Context) -> tuple[str, ...]:
    if context.after in ("up", "down", "apart", "off", "out", "away", "open") or context.before_that == "wear":
        return ("VERB",)
    return ("VERB",) if context.before in _DETERMINERS and context.after in ("in", "along") else _single(context)


def _dove(context: Context) -> tuple[str, ...]:
    dived = (
        context.after in ("into", "in", "off", "under", "down", "headfirst", "deep") and context.before not in OPENING
    )
    return ("VERB",) if dived else ()


def _august(context: Context) -> tuple[str, ...]:
    grand = context.before in ("an", "most", "so", "very", "more", "such") and _modifies(context)
    return ("ADJ",) if grand else ()


def _place(context: Context) -> tuple[str, ...]:
    # In Nice, from Reading.
    at = context.before in ("in", "to", "from", "near", "at", "of", "via", "visit", "visited")
    return ("NAME",) if context.name and at else ()


def _job(context: Context) -> tuple[str, ...]:
    return ("NAME",) if context.name and context.before_that == "book" and context.before == "of" else ()


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
    "bass": _bass,
    "bow": _bow,
    "bows": _bow,
    "content": _content,
    "wind": _wind,
    "tear": _tear,
    "dove": _dove,
    "august": _august,
    "nice": _place,
    "reading": _place,
    "job": _job,
}
