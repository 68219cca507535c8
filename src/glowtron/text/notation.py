"""Notation of trades: formulas, chemistry, code, citations, timetables, scorers' minutes, chats."""

from __future__ import annotations

import re
from collections.abc import Iterable

from glowtron.text.abbreviations import DAYS, LIFE_YEARS, RULES_OF_COURT
from glowtron.text.lexicon import is_word
from glowtron.text.money import CODES
from glowtron.text.numbers import cardinal
from glowtron.text.tracing import FIGURES, Replacement, substitute

_FUNCTIONS = {"sin": "sine", "cos": "cosine", "tan": "tangent", "log": "log", "ln": "natural log"}
# foo[3], arr[i+1]: what no word of a text is called, or what is used as code; after words, [3] is the mark of a note.
_INDEX = re.compile(
    r"(?<![\w\])}.])([a-z_]\w{0,30})((?:\[(?:-?[0-9]{1,4}|[a-z]|[a-z][ ]?[+-][ ]?[0-9]{1,3})\]){1,4})(?!\w)"
)
_SURE_INDEX = re.compile(r"\[(?:-|0\]|[a-z][ ]?[+-])")
_NAMES_IN_CODE = frozenset(
    "foo bar baz qux arr args argv buf nums idx lst vec ptr tmp str vals dict obj matrix".split()
)
_CODE_AFTER = re.compile(r"[ ]?(?:[-+*/]?=|;|\+\+|--)|\.[a-z_]\w*\(")
_CODE_BEFORE = re.compile(r"(?:[=<>+*/(]|\breturn)[ ]?$")
_IN_INDEX = re.compile(r"\[([^\]]*)\]")
_FORMULAS = """NaOH NaCl NaF NaBr NaCN NaH KOH KCl KBr KCN HCl HBr HCN LiOH LiCl AgCl AgBr CaO MgO ZnO ZnS CuO FeO FeS
    PbO PbS BaO TiN SiC GaN GaAs KMnO HgS CsCl""".split()
_FORMULA = re.compile(rf"(?<![A-Za-z])({'|'.join(_FORMULAS)})(?![A-Za-z0-9])")
_CHARGE = re.compile(r"(?<=[\w\])])\^([1-9]?)([+-])(?![\w(.])")
_POWER_OF_TEN = re.compile(r"(?<=[0-9])(?:[ ]x|x[ ]|[ ]x[ ])10\^(-?[0-9]{1,3})(?:/(mL|L|l))?(?!\w)")
_PER_VOLUME = {"L": " per liter", "l": " per liter", "mL": " per milliliter"}
_ABSOLUTE = re.compile(
    r"(?<![\w|])\|(-?[a-z0-9]{1,3}(?:[ ]?[-+][ ]?[a-z0-9]{1,3})?)\|(?=[ ]?[<>=+*/]|[ ]-[ ]|[ ]at[ ](?:most|least)\b)"
)
_POWER = re.compile(r"(?:(?<=\b[a-z])|(?<=[0-9)]))\*\*(?=-?[0-9])")
_FUNCTION = re.compile(r"(?<![\w.])(sin|cos|tan|log|ln)\(([^()\n]{1,24})\)")
_CURRENCIES = re.compile(rf"(?<![\w/])({'|'.join(CODES)})/({'|'.join(CODES)})(?![\w/])")
# 123 F.3d 456; the 9th Cir.; Fed. R. Civ. P. 12.
_REPORTER = re.compile(r"(?<=[0-9][ ])F\.[ ]?(2d|3d|4th)(?=[ ,]|$)")
_SUPPLEMENT = re.compile(r"(?<=[0-9][ ])F\.[ ]?Supp\.(?:[ ](2d|3d))?(?=[ ,]|$)")
_SUPREME = re.compile(r"(?<=[0-9][ ])S\.[ ]?Ct\.(?=[ ][0-9])")
_SERIES = {"2d": "second", "3d": "third", "4th": "fourth"}
_CIRCUIT = re.compile(r"(?<!\w)(?:([0-9]{1,2})(d|st|nd|rd|th)|(D\.[ ]?C\.|Fed\.))[ ]Cir\.(?=[ ][0-9]|\))")
_RULES = {
    "Civ": "of Civil Procedure",
    "Crim": "of Criminal Procedure",
    "App": "of Appellate Procedure",
    "Bankr": "of Bankruptcy Procedure",
    "Evid": "of Evidence",
}
_LIVED = {"b": "born", "d": "died", "m": "married", "r": "reigned", "fl": "flourished"}
_DEPARTS = re.compile(r"(?<![\w.])([Aa]rr|[Dd]ep)(?:\.:?|:)?[ ](?=[0-9]{1,2}[:.][0-9]{2}(?!\w))")
_MONDAY_TO_FRIDAY = re.compile(r"(?<![\w.-])M-F(?![\w-])(?=,?[ ][0-9]|[.;)]|$)|(?<![\w.-])M-F(?=:[ ][0-9])")
_DAYS_AND = re.compile(rf"(?<![\w.])({'|'.join(DAYS)})[ ]?(&|/)[ ]?({'|'.join(DAYS)})(?![\w])")
_BEDROOMS = re.compile(r"(?<![\w.])([1-9])[ ]?(?:BR|BD|bd|bed)/([1-9](?:\.5)?)[ ]?(?:BA|ba|bath)(?!\w)")
# (Kane 12', Saka 45+2'): the minute of a goal. A measure stands after its own name.
_MINUTE = re.compile(
    r"(?<![\w.'])([1-9][0-9]{0,2})(?:\+([1-9][0-9]?))?'(?=[,;)]|[ ](?:pen|og|o\.g|\((?:pen|p|og))\b|[ ]?$)"
)
_SCORERS = re.compile(
    r"(?:\((?!(?:Lake|Mount|Mt|River|Peak|Height|Depth|Length|Width|Max|Min|Elev|Elevation|Total|Range|Distance|Beam"
    r"|Draft|Draught|Clearance)\b)|\b(?:[Gg]oals?|[Ss]corers?|[Bb]ooked|[Cc]ards?|[Ss]ubs?):[ ])"
    r"(?:(?:[A-Z][A-Za-z'-]{1,15}[ ]){1,3}(?:[0-9+', ]|pen\.?|og|\(p\)|\(pen\)|\(og\)){0,30}[,;]?[ ]?){0,8}$"
)
_CHAT = {
    "gr8": "great",
    "l8r": "later",
    "m8": "mate",
    "w8": "wait",
    "h8": "hate",
    "l8": "late",
    "str8": "straight",
    "2day": "today",
    "2nite": "tonight",
    "2moro": "tomorrow",
    "2morrow": "tomorrow",
    "4ever": "forever",
    "any1": "anyone",
    "some1": "someone",
    "every1": "everyone",
}
_CHATTED = re.compile(rf"(?<![\w.])({'|'.join(_CHAT)}|(?i:gr8|l8r))(?![\w-]|\.\w)")
_SEE_YOU = re.compile(r"(?<![\w.,'])(?:(2)[ ])?c[ ]u(?!\w)")


def notation(text: str) -> str:
    """`text` with the notation of trades as it is spoken; its figures stay."""
    for pattern, replacement, needs in _RULES_OF_TRADES:
        text = substitute(pattern, replacement, text, needs)
    return text


def _index(match: re.Match[str]) -> str:
    name, places = match.groups()
    code = (
        name in _NAMES_IN_CODE
        or "_" in name
        or (len(name) == 1 and name != "a")
        or _SURE_INDEX.search(places)
        or (not is_word(name) and any(figure.isdigit() for figure in name))
        or _CODE_AFTER.match(match.string, match.end())
        or _CODE_BEFORE.search(match.string, max(0, match.start() - 8), match.start())
    )
    return name.replace("_", " ") + _IN_INDEX.sub(r" sub \1", places) if code else match[0]


def _charge(match: re.Match[str]) -> str:
    return f" {match[1]} {'plus' if match[2] == '+' else 'minus'}"


def _circuit(match: re.Match[str]) -> str:
    if match[1]:
        return f"{match[1]}{'nd' if match[2] == 'd' and match[1][-1] == '2' else match[2].replace('d', 'rd')} Circuit"
    return ("Federal" if match[3] == "Fed." else "D C") + " Circuit"


def _minute(match: re.Match[str]) -> str:
    if int(match[1]) > 120 or (
        match[2] is None and not _SCORERS.search(match.string, max(0, match.start() - 120), match.start())
    ):
        return match[0]
    more = f" plus {cardinal(match[2])}" if match[2] else ""
    return f"{cardinal(match[1])}{more} minute{'' if match[1] == '1' and not more else 's'}"


_RULES_OF_TRADES: tuple[tuple[re.Pattern[str], Replacement, Iterable[str]], ...] = (
    (_INDEX, _index, "["),
    (_FUNCTION, lambda match: f"{_FUNCTIONS[match[1]]} of {match[2]}", ("sin(", "cos(", "tan(", "log(", "ln(")),
    (_ABSOLUTE, r"absolute value of \1", "|"),
    (_POWER, "^", ("**",)),
    (_POWER_OF_TEN, lambda match: f" times ten to the power of {match[1]}{_PER_VOLUME.get(match[2], '')}", "^"),
    (_CHARGE, _charge, "^"),
    (_FORMULA, lambda match: " ".join(match[1].upper()), _FORMULAS),
    (_CURRENCIES, lambda match: f"{CODES[match[1]].one} to {CODES[match[2]].one}", "/"),
    (RULES_OF_COURT, lambda match: f"Federal Rule {_RULES[match[1] or match[2]]}", ("Fed.",)),
    (_REPORTER, lambda match: f"F {_SERIES[match[1]]}", ("F.",)),
    (_SUPPLEMENT, lambda match: f"F supplement {_SERIES.get(match[1], '')}".rstrip(), ("F.",)),
    (_SUPREME, "Supreme Court", ("S.",)),
    (_CIRCUIT, _circuit, ("Cir.",)),
    (
        LIFE_YEARS,
        lambda match: f"{_LIVED[match[1]]} ",
        ("(b.", "(d.", "(m.", "(r.", "(fl.", " b.", " d.", " m.", " r.", " fl."),
    ),
    (_DEPARTS, lambda match: "arrives " if match[1] in ("arr", "Arr") else "departs ", ("arr", "Arr", "dep", "Dep")),
    (_MONDAY_TO_FRIDAY, "Monday to Friday", ("M-F",)),
    (_DAYS_AND, lambda match: f"{DAYS[match[1]]} {'and' if match[2] == '&' else 'or'} {DAYS[match[3]]}", "&/"),
    (
        _BEDROOMS,
        lambda match: (
            f"{match[1]} bedroom{'' if match[1] == '1' else 's'}, {match[2]} bath{'' if match[2] == '1' else 's'}"
        ),
        "/",
    ),
    (_MINUTE, _minute, [f"{figure}'" for figure in FIGURES]),
    (
        _CHATTED,
        lambda match: _CHAT.get(match[1], "") or _CHAT[match[1].lower()],
        ("8", "2d", "2n", "2m", "4e", "y1", "e1"),
    ),
    (_SEE_YOU, lambda match: "to see you" if match[1] else "see you", ("c u",)),
)
