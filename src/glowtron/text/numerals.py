"""All other figures: years and decades, ordinals, telephone numbers, versions, codes, ranges, plain quantities."""

from __future__ import annotations

import re

from glowtron.text.capitals import NAMED
from glowtron.text.numbers import NUMBER, SCALES, SIGN, START, cardinal, decade, digits, ordinal, pairs, spoken

# With these before it, a number of four figures is a year: "in 1895", "summer of 1914".
_YEAR_BEFORE = frozenset(
    """in since until till during year years circa spring summer autumn fall winter early late mid christmas easter
    anno copyright born died""".split()
)
# With these, it is not: "about" may stand before either and is not here.
_QUANTITY_BEFORE = frozenset(
    """over under nearly almost exactly only than another these those all total least most some approximately
    roughly number numbers page pages exceed exceeding exceeded costs cost weighs weighing population contains
    containing""".split()
)
_QUANTITY_AFTER = frozenset(
    """men women people children persons feet foot miles mile yards yard meters metres inches pounds pound dollars
    dollar cents shillings tons ton horses sheep cattle fish soldiers prisoners troops copies words pages acres
    degrees hours minutes seconds days weeks months years times rounds volts watts calories grams kilograms
    kilometers bushels barrels gallons head percent per million thousand hundred francs marks euros members
    students workers employees votes guns ships volumes books square cubic block""".split()
)
_NO_PLURALS = frozenset(
    """was is has as his this its thus us yes across unless perhaps always towards besides does less plus series
    news afterwards alas james charles louis nicholas francis thomas congress messieurs""".split()
)
# What follows is a name made of figures, read in pairs or one by one.
_CODE_BEFORE = frozenset(
    """box number no flight route room zip extension serial exhibit apartment suite code pin interstate highway
    hotline channel model""".split()
)
_CALIBERS = frozenset(
    "caliber calibre special rifle pistol revolver cartridge ammunition gun bullet automatic magnum".split()
)
_DECADE = re.compile(r"(?<![\w.,])'?([12][0-9]{2}0|[1-9]0)'?s\b")
_YEAR_RANGE = re.compile(r"(?<![\w.,:/-])(1[0-9]{3}|20[0-9]{2})[ ]?[-–/][ ]?([0-9]{4}|[0-9]{1,2})(?![\w/]|[.,-][0-9])")
_SHORT_YEAR = re.compile(r"(?<!\w)'([0-9]{2})(?![\w'])")
_ERA = re.compile(
    r"(?<![\w.,])([0-9]{1,4})(?=[ ](?:B\.?C\.?|A\.?D\.?|B\.?C\.?E\.?|C\.?E\.?)(?![\w]))|(?<=A\.D\. )([0-9]{1,4})\b"
)
# "the year 562"; "In 606, Nineveh fell."
_YEAR_NAMED = re.compile(
    r"\b([Yy]ears?[ ])([0-9]{3})(?![\w]|[.,][0-9])|(?:(?<=, )|(?<=[.;:] )|^)([Ii]n[ ])([0-9]{3})(?=,(?:[ ]|$))"
)
# "411 Elm Street", "1026 North Beckley": houses are read in pairs.
_HOUSE = re.compile(
    r"(?<![\w.,])[0-9]{3,5}(?=[ ](?:"
    r"(?:[NSEW]\.?|North|South|East|West)[ ][A-Z0-9]|(?:[A-Z][a-z]{1,20}[ ]|[0-9]{1,3}(?:st|nd|rd|th)[ ]){1,3}"
    r"(?:[Ss]treet|[Aa]venue|[Rr]oad|[Bb]oulevard|[Ll]ane|[Dd]rive|Place|Court|Way|[Hh]ighway|[Ss]quare)\b))"
)
_ORDINAL = re.compile(rf"{START}([0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+)(?:st|nd|rd|th|ST|ND|RD|TH)\b")
_STATES = (
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR PA"
)
_STATES += " RI SC SD TN TX UT VT VA WA WV WI WY DC D.C."
_ZIP = re.compile(rf"\b({'|'.join(map(re.escape, _STATES.split()))}) ([0-9]{{5}}(?:-[0-9]{{4}})?)(?![\w-]|[.,][0-9])")
_PHONE = re.compile(
    r"(?<![\w.,/-])(\+?[0-9]{1,3}[ .-])?(\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])([0-9]{3})[ .-]([0-9]{4})(?![\w]|[.,-][0-9])"
    r"|(?<![\w.,/-])(\+[0-9]{1,3}(?:[ -][0-9]{1,5}){1,6})(?![\w])"
    r"|(?<![\w.,/-])([0-9]{3}-[0-9]{4})(?![\w]|[.,-][0-9])"
)
# "020 7946 0958" in Britain; the sixteen figures of a card.
_SPACED = re.compile(r"(?<![\w.,/-])(0[0-9]{2,4}(?: [0-9]{3,4}){1,3}|[0-9]{4}(?: [0-9]{4}){3})(?![\w]|[.,-][0-9])")
_LONG = re.compile(r"(?<![\w.,/$£€-])([1-9][0-9]{9,14})(?<!000)(?![\w%]|[.,:/-][0-9])")
_GROUPS = re.compile(r"(?<![\w.,/-])([0-9]+(?:-[0-9]+){2,12})(?![\w-])")
_VERSION = re.compile(r"(?:(?<![\w.])[vV]\.?|(?<![\w.,]))([0-9]{1,5}(?:\.[0-9]{1,5}){2,6})(?![\w]|\.[0-9])")
_GLUED_VERSION = re.compile(r"(?<![\w.])([A-Za-z]{2,20})([0-9]{1,3}(?:\.[0-9]{1,4}){1,4})(?![\w]|\.[0-9])")
_LINES = re.compile(r"(?<![\w.])([1-9][0-9]{2,3})([pi])(?![\w])")
_SCALED = re.compile(rf"{START}({NUMBER})[ ]?(bn|mn|tn)\b|{START}([0-9]{{1,6}}\.[0-9]{{1,3}})([KMB])(?![\w/])")
_NAMED_VERSION = re.compile(
    r"(?:(?<![\w.])[vV]|\b([Vv]ersion|[Pp]ython)[ ])([0-9]{1,4})(?:\.([0-9]{1,4}))?(?![\w]|\.[0-9])"
)
_RANGE = re.compile(rf"{START}({NUMBER})[ ]?[-–][ ]?({NUMBER})(?![\w-]|[.,][0-9])")
_MINUS = re.compile(rf"{START}({NUMBER})[ ]?-[ ]?({NUMBER})(?=[ ]equals\b)")
_RATIO = re.compile(r"(?<![\w.:])([0-9]{1,4}):([0-9]{1,4})(?![\w:])")
_CODE = re.compile(
    r"(?<![\w.'])(?=[A-Za-z]{0,8}[0-9])(?=[0-9]{0,12}[A-Za-z]|[A-Za-z])([A-Za-z0-9]{2,20})(?:-([A-Za-z]|[0-9]{1,4}))?(?![\w'])"
)
_LETTER_DASH_FIGURES = re.compile(r"(?<![\w.-])([A-Z]{1,5})-([0-9]{1,4})(?![\w-])")
_FIGURES_DASH_LETTER = re.compile(r"(?<![\w.,-])([0-9]{1,4})-([A-Z])(?![\w-])")
_PIECES = re.compile(r"[A-Za-z]+|[0-9]+")
_ANY = re.compile(rf"{SIGN}{NUMBER}")
_WORD_BEFORE = re.compile(r"([A-Za-z]+)[ ,]*$")
_WORD_AFTER = re.compile(r"[ -]([A-Za-z]+)")
_WINDOW = 24


def telephones(text: str) -> str:
    """`text` with its telephone numbers in words, figure by figure."""
    text = _PHONE.sub(_phone, text)
    text = _SPACED.sub(lambda match: ", ".join(digits(group) for group in match[1].split()), text)
    return _LONG.sub(lambda match: digits(match[1]), text)  # Ten figures without commas count nothing.


def figures(text: str) -> str:
    """`text` with every figure in words."""
    text = _VERSION.sub(_version, text)
    text = _NAMED_VERSION.sub(_named_version, text)
    text = _GLUED_VERSION.sub(lambda match: f"{match[1]} {' point '.join(map(spoken, match[2].split('.')))}", text)
    text = _LINES.sub(lambda match: f"{pairs(int(match[1]))} {match[2].upper()}", text)
    text = _SCALED.sub(_scaled, text)
    text = _YEAR_RANGE.sub(_year_range, text)
    text = _GROUPS.sub(lambda match: ", ".join(digits(group) for group in match[1].split("-")), text)
    text = _DECADE.sub(lambda match: decade(match[1]), text)
    text = _SHORT_YEAR.sub(lambda match: _two_figures(match[1]), text)
    text = _ERA.sub(lambda match: pairs(int(match[1] or match[2])), text)
    text = _YEAR_NAMED.sub(lambda match: (match[1] or match[3]) + pairs(int(match[2] or match[4])), text)
    text = _ZIP.sub(lambda match: f"{match[1]} {digits(match[2])}", text)
    text = _HOUSE.sub(lambda match: _house(match[0]), text)
    text = _ORDINAL.sub(lambda match: _ordinal(match[1].replace(",", "")), text)
    text = _LETTER_DASH_FIGURES.sub(lambda match: f"{match[1]} {_code_figures(match[2])}", text)
    text = _FIGURES_DASH_LETTER.sub(lambda match: f"{_code_figures(match[1])} {match[2]}", text)
    text = _CODE.sub(_code, text)
    text = _RATIO.sub(lambda match: f"{cardinal(match[1])} to {cardinal(match[2])}", text)
    text = _MINUS.sub(r"\1 minus \2", text)
    text = _RANGE.sub(lambda match: f"{spoken(match[1])} to {spoken(match[2])}", text)
    text = _ANY.sub(_number, text)
    return re.sub("[0-9]+", lambda match: f" {digits(match[0])} ", text)


def _house(number: str) -> str:
    return digits(number) if len(number) > 4 else pairs(int(number))


def _ordinal(figures: str) -> str:
    return ordinal(figures) if len(figures) <= 36 else digits(figures)


def _phone(match: re.Match[str]) -> str:
    country, area, first, last, abroad, local = match.groups()
    if local:
        start, end = local.split("-")
        if start.endswith("0") and end.endswith("0"):  # 100-1000 is a range.
            return match[0]
        return f"{digits(start)}, {digits(end)}"
    groups = re.findall("[0-9]+", abroad or f"{country or ''} {area} {first} {last}")
    return ("plus " if match[0].startswith("+") else "") + ", ".join(_phone_group(group) for group in groups)


def _phone_group(group: str) -> str:
    return "eight hundred" if group == "800" else digits(group)


def _version(match: re.Match[str]) -> str:
    version = "version " if match[0][0] in "vV" else ""
    parts = match[1].split(".")
    joint = " dot " if len(parts) == 4 and not version else " point "  # Four parts are an internet address.
    return version + joint.join(spoken(part) for part in parts)


def _named_version(match: re.Match[str]) -> str:
    minor = f" point {spoken(match[3])}" if match[3] else ""
    return f"{match[1] or 'version'} {spoken(match[2])}{minor}"


def _scaled(match: re.Match[str]) -> str:
    return f"{spoken(match[1] or match[3])} {SCALES[(match[2] or match[4]).lower()]}"


def _year_range(match: re.Match[str]) -> str:
    first, last = match.groups()
    if len(last) == 4 and not first <= last:
        return match[0]
    return f"{pairs(int(first))} to {pairs(int(last)) if len(last) == 4 else _two_figures(last)}"


def _two_figures(figures: str) -> str:
    return "oh " + digits(figures[1:]) if len(figures) == 2 and figures[0] == "0" else cardinal(figures)


def _code(match: re.Match[str]) -> str:
    """Letters and figures in one: "C2766", "H2O", "MP3", "221B", "5x"."""
    words = []
    for piece in _PIECES.findall(match[1]):
        if piece.isdigit():
            words.append(_code_figures(piece))
        else:
            words.append(" ".join(piece.upper()) if len(piece) <= 2 or piece.isupper() else piece)
            words[-1] += NAMED if words[-1] == "A" else ""
    if match[2]:
        words.append(_code_figures(match[2]) if match[2].isdigit() else match[2].upper())
    return " ".join(words)


def _code_figures(figures: str) -> str:
    """Up to three figures in pairs ("one thirty-three"), more one by one."""
    if len(figures) > 3 or figures.startswith("0"):
        return digits(figures)
    return pairs(int(figures))


def _number(match: re.Match[str]) -> str:
    number = match[0]
    before = _WORD_BEFORE.search(match.string, max(0, match.start() - _WINDOW), match.start())
    after = _WORD_AFTER.match(match.string, match.end())
    word_before = before[1].lower() if before else ""
    word_after = after[1] if after else ""
    if number.isdigit() and word_before in _CODE_BEFORE and len(number) >= 3 and not _is_plural(word_after):
        words = _code_figures(number)
    elif number in ("911", "999", "112") and word_before.startswith(("call", "dial")):
        words = digits(number)
    elif len(number) == 4 and number.isdigit() and _is_year(int(number), word_before, word_after):
        words = pairs(int(number))
    elif number.startswith(".") and len(number) == 3 and word_after.lower() in _CALIBERS:
        words = cardinal(number[1:])
    else:
        words = spoken(number)
    # Figures glued to letters that no rule knew: "5x".
    left = " " if match.start() and match.string[match.start() - 1].isalnum() else ""
    right = " " if match.string[match.end() : match.end() + 1].isalnum() else ""
    return left + words + right


def _is_year(number: int, before: str, after: str) -> bool:
    """Whether a number of four figures is read as a year where it stands: "in 1895" but "1895 men"."""
    if not 1000 < number < 2100:
        return False
    if before in _YEAR_BEFORE:
        return not (number % 100 == 0 and after in _QUANTITY_AFTER)
    if number < 1100 or before in _QUANTITY_BEFORE or after in _QUANTITY_AFTER:
        return False
    return not _is_plural(after) or before == "the"


def _is_plural(word: str) -> bool:
    """Whether a word looks like what is counted; a name ("the 1936 Olympics") does not."""
    return (
        word.islower() and word.endswith("s") and not word.endswith("ss") and len(word) > 3 and word not in _NO_PLURALS
    )
