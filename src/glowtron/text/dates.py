"""Dates and times of day: "Nov. 22, 1963", "5/11/2020", "2020-11-05", "5 November", "10:30", "5:05 p.m.", "17:00"."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import ends_sentence
from glowtron.text.numbers import DIGITS, cardinal, digits, ordinal, pairs

MONTHS = ("January February March April May June July August September October November December").split()
_MONTH = "|".join(MONTHS)
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
    r"\b([Oo]n|until|till|by|since|from|of|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day,?)[ ]"
    r"(1[0-2]|0?[1-9])/(3[01]|[12][0-9]|0?[1-9])(?![\w/]|[.,][0-9])"
)

_MERIDIEM = r"(?:[ ]?([AaPp])\.?[ ]?[Mm]\b(\.)?)"
_TIME = re.compile(
    rf"(?<![\w.:,/])([01]?[0-9]|2[0-4])[:.]([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{{1,9}})?)?(?![0-9:]|\.[0-9]){_MERIDIEM}"
    r"|(?<![\w.:/])(?<![0-9],)([01]?[0-9]|2[0-4]):([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{1,9})?)?"
    r"(?:[ ]?(h(?:rs|ours)?)\b\.?)?(?:Z\b)?(?![0-9:]|\.[0-9])"
)
# A lap of 1:23.45.
_LAP = re.compile(r"(?<![\w.:,/])([0-9]{1,2}):([0-5][0-9])\.([0-9]{1,3})(?![\w:.]|[ ]?[AaPp]\.?[Mm]\b)")
# "10:30-11:45", "9am - 5pm".
_SPAN = re.compile(
    r"((?<=[0-9]):[0-9]{2}(?:[ ]?[AaPp]\.?[Mm]\b\.?)?|(?<=[0-9])[ ]?[AaPp]\.?[Mm]\b\.?)[ ]?[-–][ ]?"
    r"(?=[0-9]{1,2}(?::[0-9]{2}|[ ]?[AaPp]\.?[Mm]\b))"
)
# "10:30-11", "John 3:16-17".
_VERSES = re.compile(r"(?<![\w.:,/-])([0-9]{1,3}):([0-9]{2})[ ]?[-–][ ]?([0-9]{1,3})(?![\w:-])")
_HOUR = re.compile(rf"(?<![\w.:,/])(?:([0-9]|1[0-2])[ ]?(?:-|–|to)[ ]?)?([0-9]|1[0-2]){_MERIDIEM}")
_CLOCK = re.compile(r"(?<![\w.:,/])([0-9]|1[0-2])[ ]?o'?clock\b")


def dates(text: str) -> str:
    """`text` with its dates in words. Of 5/11/2020 the month comes first, unless that is impossible."""
    text = _ISO.sub(_iso, text)
    text = _NUMERIC.sub(_numeric, text)
    text = _MONTH_DAY_ONLY.sub(lambda m: f"{m[1]} {_day_of(int(m[2]), int(m[3]))}", text)
    text = _MONTH_DAY.sub(_month_day, text)
    text = _DAY_MONTH.sub(_day_month, text)
    return _MONTH_YEAR.sub(lambda match: f"{match[1]}{pairs(int(match[2]))}", text)


def times(text: str) -> str:
    """`text` with its times of day in words. A ratio such as 3:1 is none."""
    text = _LAP.sub(lambda match: f"{_clock(match[1], match[2], None, False)} point {digits(match[3])}", text)
    text = _SPAN.sub(r"\1 to ", text)
    text = _VERSES.sub(r"\1:\2 to \3", text)
    text = _TIME.sub(_time, text)
    text = _HOUR.sub(_hour, text)
    return _CLOCK.sub(lambda match: cardinal(match[1]) + " o'clock", text)


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
    joint = " " if suffix and " of " not in match[0] and not until else " of "
    article = (the or "") if suffix else (the or "the ")
    return f"{article}{ordinal(day)}{until}{joint}{month}" + (f", {pairs(int(year[-4:]))}" if year else "")


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


def _hour(match: re.Match[str]) -> str:
    start, hour, half, stop = match.groups()
    return (f"{cardinal(start)} to " if start else "") + cardinal(hour) + _meridiem(match, half, stop)


def _meridiem(match: re.Match[str], half: str, stop: str | None) -> str:
    ends = stop and ends_sentence(match)
    return f" {half.upper()} M" + ("." if ends else "")
