"""Dates and times of day: "Nov. 22, 1963", "5/11/2020", "2020-11-05", "5 November", "10:30", "5:05 p.m.", "17:00"."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import MONTHS as SHORT_MONTHS
from glowtron.text.abbreviations import ends_sentence
from glowtron.text.numbers import DIGITS, cardinal, digits, ordinal, pairs
from glowtron.text.tracing import substitute

MONTHS = ("January February March April May June July August September October November December").split()
_MONTH = "|".join(MONTHS)
_BEGINNINGS = tuple(month[:3].lower() for month in MONTHS)
_YEAR = r"[12][0-9]{3}(?![0-9]|[.,:/-][0-9])"
_EDGE = r"(?<![\w./:-])(?<![0-9],)"

_ISO = re.compile(
    rf"{_EDGE}([12][0-9]{{3}})([-/.])([01]?[0-9])\2([0-3]?[0-9])(?:T(?=[0-9]{{2}}:)|(?![\w]|[-/.:][0-9]))"
)
_NUMERIC = re.compile(rf"{_EDGE}([0-3]?[0-9])([-/.])([0-3]?[0-9])\2((?:[12][0-9])?[0-9]{{2}})(?![\w]|[-/.:][0-9])")
# "November 22nd, 1963", "November 22-24", "May 5 or 6".
_MONTH_DAY = re.compile(
    rf"\b({_MONTH})[ ]([0-3]?[0-9])(?:st|nd|rd|th)?(?:[ ]?[-–][ ]?([0-3]?[0-9])(?:st|nd|rd|th)?)?"
    rf"(?![\w:/%]|[.,][0-9]|-[0-9])(,?[ ]{_YEAR})?"
)
_DAY_MONTH = re.compile(
    rf"{_EDGE}(the[ ])?([0-3]?[0-9])(st|nd|rd|th)?(?:[ ]?[-–][ ]?([0-3]?[0-9])(?:st|nd|rd|th)?)?"
    rf"[ -](?:of[ ])?({_MONTH})\b(?:[-](?=[0-9]{{4}}))?(,?[ ]?{_YEAR})?",
)
_MONTH_YEAR = re.compile(rf"\b((?:{_MONTH}),?(?:[ ]of)?[ ])({_YEAR})")
# "on 3/5", "Tuesday 3/5"; without such a word 3/5 is a fraction.
_MONTH_DAY_ONLY = re.compile(
    r"\b([Oo]n|until|till|by|since|from|[Dd]ue|[Bb]efore|[Aa]fter|[Ss]tarting|[Ss]tarts|[Ee]nding|[Ee]nds|through|thru"
    r"|[Dd]ated?:?|[Ee]xpires|[Bb]orn|[Ee]ffective|[Uu]pdated|[Pp]osted|[Dd]eadline:?|[Dd]eparts|[Aa]rrives"
    r"|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?)[ ]"
    r"(1[0-2]|0?[1-9])/(3[01]|[12][0-9]|0?[1-9])(?:[ ]?[-–][ ]?(1[0-2]|0?[1-9])/(3[01]|[12][0-9]|0?[1-9]))?"
    r"(?![\w/]|[.,][0-9]|[ ](?:of|cups?|inch|inches|miles?|teaspoons?)\b)"
)
# "the 12/25 party", "05/27": no everyday fractions.
_BARE_MONTH_DAY = re.compile(
    r"(?<![\w./:,-])(?:(0[1-9]|1[0-2](?=/0))/([0-3][0-9])|((?<=[Tt]he )(?:1[0-2]|[1-9]))/(1[3579]|2[124-9]"
    r"|3[01]))(?![\w/%]"
    r"|[.,-][0-9])"
)

_MERIDIEM = r"(?:[ ]?([AaPp])\.?[ ]?[Mm]\b(\.)?)"
_TIME = re.compile(
    rf"(?<![\w.:,/])([01]?[0-9]|2[0-4])[:.]([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{{1,9}})?)?(?![0-9:]|\.[0-9]){_MERIDIEM}"
    r"|(?<![\w.:/])(?<![0-9],)([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{1,9})?)?"
    r"(?:[ ]?(h(?:rs|ours)?)\b\.?)?(?:Z\b)?(?![0-9:]|\.[0-9])"
)
# Minutes and seconds over a day's hours: "in 39:45".
_RUN = re.compile(r"(?<![\w.:,/-])(2[5-9]|[3-9][0-9]):([0-5][0-9])(?![\w:/-]|[.,][0-9])")
# A lap of 1:23.45.
_LAP = re.compile(r"(?<![\w.:,/])([0-9]{1,2}):([0-5][0-9])\.([0-9]{1,3})(?![\w:.]|[ ]?[AaPp]\.?[Mm]\b)")
# "10:30-11:45", "9am - 5pm".
_SPAN = re.compile(
    r"((?<=[0-9]):[0-9]{2}(?:[ ]?[AaPp]\.?[Mm]\b\.?)?|(?<=[0-9])[ ]?[AaPp]\.?[Mm]\b\.?)[ ]?[-–][ ]?"
    r"(?=[0-9]{1,2}(?::[0-9]{2}|[ ]?[AaPp]\.?[Mm]\b))"
)
_HOUR_TO_TIME = re.compile(r"(?<![\w.:,/$£€-])([1-9]|1[0-2])[ ]?[-–][ ]?(?=(?:[1-9]|1[0-2]):[0-5][0-9](?![0-9:]))")
# "10:30-11", "John 3:16-17".
_VERSES = re.compile(r"(?<![\w.:,/-])([0-9]{1,3}):([0-9]{2})[ ]?[-–][ ]?([0-9]{1,3})(?![\w:-])")
_HOUR = re.compile(rf"(?<![\w.:,/])(?:([0-9]|1[0-2])[ ]?(?:-|–|to)[ ]?)?([0-9]|1[0-2]){_MERIDIEM}")
_CLOCK = re.compile(r"(?<![\w.:,/])([0-9]|1[0-2])[ ]?o'?clock\b")


# Months as nobody's style book has them: "july 25 2012", "JAN 15", "25 july", "Jan-15-2020".
_FULL = "|".join(MONTHS)
_SHORT = "|".join(sorted(SHORT_MONTHS, key=len, reverse=True))
_ANY_MONTH = rf"{_FULL}|{_SHORT}"
_LOOSE_MONTH_DAY = re.compile(
    rf"(?<![\w.])(?:({_FULL})|({_SHORT})\.?)(?:[ ]?-[ ]?|[ ])(?=([0-3]?[0-9])(?:st|nd|rd|th)?(?![\w:/%]|[.,][0-9]))"
    rf"(?=(.{{0,12}}))",
    re.IGNORECASE,
)
_LOOSE_DAY_MONTH = re.compile(
    rf"(?<![\w./:-])(?<![0-9],)([0-3]?[0-9])((?:st|nd|rd|th)?)(?:-|[ ](?:of[ ])?)(?:({_FULL})(?![\w'])"
    rf"|({_SHORT})(?![\w'])\.?)(?=(.{{0,6}}))(?:-(?=[0-9]{{4}}))?",
    re.IGNORECASE,
)
_LOOSE_MONTH_YEAR = re.compile(
    rf"(?<![\w.])(?:({_FULL})|({_SHORT})\.?)(?=,?[ ](?:19|20)[0-9]{{2}}(?![\w]|[.,][0-9]))", re.IGNORECASE
)
_GLUED = re.compile(rf"(?<!\w)([0-3]?[0-9])({'|'.join(SHORT_MONTHS)})((?:19|20)[0-9]{{2}})(?!\w)", re.IGNORECASE)
_DASHED = re.compile(rf"(?<![\w.-])({_ANY_MONTH})-([0-3]?[0-9])-((?:19|20)[0-9]{{2}})(?![\w-])", re.IGNORECASE)
_MONTH_OF_YEAR = re.compile(r"(?<![\w./:-])(?<![0-9],)(1[0-2]|0?[1-9])/((?:19|20)[0-9]{2})(?![\w/]|[.,-][0-9])")
_QUARTER = re.compile(r"(?<!\w)([1-4])Q[ ]?'?((?:20|19)?[0-9]{2})(?!\w)")
_QUARTER_OF = re.compile(r"(?<!\w)(Q[1-4])[ ]?'([0-9]{2})(?!\w)")
_ORDINALS = ("first", "second", "third", "fourth")
_SPLIT_DECADE = re.compile(r"(?<![\w.,])((?:1[5-9]|20)[0-9]0)[ ]s\b(?!\.)")
_YEAR_NEAR = re.compile(r"(?:st|nd|rd|th)?(?:,?[ -]{1,2}|, )?(?:1[0-9]|20)[0-9]{2}(?![0-9])")


def _loose(text: str) -> str:
    """`text` with months before and after days, however cased, in full and capitalised."""
    text = substitute(_DASHED, lambda match: f"{_month(match[1])} {match[2]}, {match[3]}", text, "-")
    text = substitute(_GLUED, lambda match: f"{match[1]} {_month(match[2])} {match[3]}", text)
    text = substitute(_LOOSE_MONTH_DAY, _loose_month_day, text)
    text = substitute(_LOOSE_DAY_MONTH, _loose_day_month, text)
    return substitute(_LOOSE_MONTH_YEAR, lambda match: _month(match[1] or match[2]), text)


def _loose_month_day(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    if not 1 <= int(match[3]) <= 31:
        return match[0]
    after = match[4][len(match[3]) :]
    sure = name[0].isupper() or _YEAR_NEAR.match(after) or after.startswith(("st", "nd", "rd", "th"))
    if name.lower() in ("may", "march", "mar", "dec") and not sure:  # "they may 5"
        return match[0]
    if "-" in match[0] and not re.match("-(?:19|20)[0-9]{2}", after):
        return match[0]
    return _month(name) + " "


def _loose_day_month(match: re.Match[str]) -> str:
    name = match[3] or match[4]
    doubtful = name in ("may", "march", "mar") and not match[2] and not _YEAR_NEAR.match(match[5].lstrip("-"))
    if not 1 <= int(match[1]) <= 31 or doubtful:
        return match[0]
    joint = " of " if match[2] and (" of " in match[0] or match[4]) else " "
    return f"{match[1]}{match[2]}{joint}{_month(name)}" + (" " if match[0].endswith("-") else "")


def _month(name: str) -> str:
    return SHORT_MONTHS.get(name.capitalize(), name.capitalize())


def dates(text: str) -> str:
    """`text` with its dates in words. Of 5/11/2020 the month comes first, unless that is impossible."""
    text = substitute(_SPLIT_DECADE, r"\1s", text, "s")
    text = substitute(_QUARTER, _quarter, text, "Q")
    text = substitute(_QUARTER_OF, r"\1 20\2", text, "Q")
    if _names_month(text):
        text = _loose(text)
    text = substitute(_ISO, _iso, text, "-/.")
    text = substitute(_NUMERIC, _numeric, text, "-/.")
    text = substitute(_MONTH_DAY_ONLY, _month_day_only, text, "/")
    text = substitute(_BARE_MONTH_DAY, _bare_month_day, text, "/")
    if _names_month(text):
        text = substitute(_MONTH_DAY, _month_day, text)
        text = substitute(_DAY_MONTH, _day_month, text)
        text = substitute(_MONTH_YEAR, lambda match: f"{match[1]}{pairs(int(match[2]))}", text)
    return substitute(_MONTH_OF_YEAR, _month_of_year, text, "/")


def _names_month(text: str) -> bool:
    """True if the letters of a month stand somewhere in `text`."""
    return any(map(text.lower().__contains__, _BEGINNINGS))


def _month_of_year(match: re.Match[str]) -> str:
    return f"{MONTHS[int(match[1]) - 1]} {pairs(int(match[2]))}"


def _quarter(match: re.Match[str]) -> str:
    year = match[2] if len(match[2]) == 4 else "20" + match[2]
    return f"{_ORDINALS[int(match[1]) - 1]} quarter of {pairs(int(year))}"


def times(text: str) -> str:
    """`text` with its times of day in words. A ratio such as 3:1 is none."""
    text = substitute(_RUN, _run, text, ":")
    text = substitute(
        _LAP, lambda match: f"{_clock(match[1], match[2], None, False)} point {digits(match[3])}", text, ":"
    )
    text = substitute(_SPAN, r"\1 to ", text, "-–")
    text = substitute(_HOUR_TO_TIME, r"\1 to ", text, ":")
    text = substitute(_VERSES, r"\1:\2 to \3", text, ":")
    text = substitute(_TIME, _time, text, ":.")
    text = substitute(_HOUR, _hour, text, "mM")
    return substitute(_CLOCK, lambda match: cardinal(match[1]) + " o'clock", text, "k")


def _iso(match: re.Match[str]) -> str:
    year, month, day = int(match[1]), int(match[3]), int(match[4])
    if not _exists(month, day):
        return match[0]
    return f"{_day_of(month, day)}, {pairs(year)}" + (" at " if match[0].endswith("T") else "")


def _numeric(match: re.Match[str]) -> str:
    first, second, year = int(match[1]), int(match[3]), match[4]
    if match[2] != "/" and len(year) != 4:  # 1.2.34 is a version, 12-34-56 a number.
        return match[0]
    # With stops the day comes first (German, Russian); elsewhere the month (American), unless there is no such month.
    month, day = (second, first) if match[2] == "." or first > 12 else (first, second)
    if not _exists(month, day):
        return match[0]
    return f"{_day_of(month, day)}, {_year(year)}"


_ARTICLE = re.compile(r"\b(?:[Tt]h(?:e|is|at)|[Ee]very|[Ee]ach|his|her|my|our|a)[ ]$")


def _month_day(match: re.Match[str]) -> str:
    month, day, last, year = match.groups()
    if not 1 <= int(day) <= 31:
        return match[0]
    until = f" to {ordinal(last)}" if last else ""
    return f"{month} {ordinal(day)}{until}" + (f", {pairs(int(year[-4:]))}" if year else "")


def _day_month(match: re.Match[str]) -> str:
    the, day, suffix, last, month, year = match.groups()
    if not 1 <= int(day) <= 31:
        return match[0]
    until = f" to the {ordinal(last)}" if last else ""
    # "the 14th June" is read as it stands, a bare "5 November" with what is left out.
    joint = " " if the and suffix and " of " not in match[0] and not until else " of "
    article = the or ("" if _ARTICLE.search(match.string, max(0, match.start() - 8), match.start()) else "the ")
    return f"{article}{ordinal(day)}{until}{joint}{month}" + (f", {pairs(int(year[-4:]))}" if year else "")


def _month_day_only(match: re.Match[str]) -> str:
    until = f" to {_day_of(int(match[4]), int(match[5]))}" if match[4] else ""
    return f"{match[1]} {_day_of(int(match[2]), int(match[3]))}{until}"


def _bare_month_day(match: re.Match[str]) -> str:
    month, day = int(match[1] or match[3]), int(match[2] or match[4])
    return _day_of(month, day) if _exists(month, day) else match[0]


def _exists(month: int, day: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= 31


def _day_of(month: int, day: int) -> str:
    return f"{MONTHS[month - 1]} {ordinal(day)}"


def _year(figures: str) -> str:
    if len(figures) == 4:
        return pairs(int(figures))
    return "oh " + DIGITS[int(figures)] if figures[0] == "0" else cardinal(figures)


def _time(match: re.Match[str]) -> str:
    hour, minute, second, half, stop, hour_24, minute_24, second_24, suffix = match.groups()
    if half:
        return _clock(hour, minute, second, True) + _meridiem(match, half, stop)
    return _clock(hour_24, minute_24, second_24, False) + (" hours" if suffix and minute_24 != "00" else "")


def _clock(hour: str, minute: str, second: str | None, meridiem: bool) -> str:
    words = cardinal(hour)
    if minute != "00":
        words += " oh " + DIGITS[int(minute)] if minute[0] == "0" else " " + cardinal(minute)
    elif second is None and not meridiem:
        words += " o'clock" if 1 <= int(hour) <= 12 else " hundred"
    if second is not None:
        words += f" and {cardinal(second)} second" + ("" if int(second) == 1 else "s")
    return words


def _run(match: re.Match[str]) -> str:
    minutes, seconds = match.groups()
    before = match.string[max(0, match.start() - 16) : match.start()]
    if int(minutes) + int(seconds) == 100 or re.search(r"\b(?:ratio|odds|split|scale)(?: of| is| at| was)? $", before):
        return match[0]
    if seconds == "00":
        return f"{cardinal(minutes)} minutes"
    return f"{cardinal(minutes)} " + (f"oh {cardinal(seconds)}" if seconds[0] == "0" else cardinal(seconds))


def _hour(match: re.Match[str]) -> str:
    start, hour, half, stop = match.groups()
    return (f"{cardinal(start)} to " if start else "") + cardinal(hour) + _meridiem(match, half, stop)


def _meridiem(match: re.Match[str], half: str, stop: str | None) -> str:
    ends = stop and ends_sentence(match)
    return f" {half.upper()} M" + ("." if ends else "")
