"""Quantities: numbers with units, percent, degrees, fractions, feet and inches, dimensions, powers."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import ends_sentence
from glowtron.text.numbers import NUMBER, SIGN, START, fraction, mixed, spoken

# Symbol: one, many. What is also a word or a letter (in, a, N) is not read as a unit.
UNITS = {
    "%": ("percent", "percent"),
    "°C": ("degree celsius", "degrees celsius"),
    "°F": ("degree fahrenheit", "degrees fahrenheit"),
    "°": ("degree", "degrees"),
    "KM": ("kilometer", "kilometers"),
    "km": ("kilometer", "kilometers"),
    "m": ("meter", "meters"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "um": ("micrometer", "micrometers"),
    "nm": ("nanometer", "nanometers"),
    "KG": ("kilogram", "kilograms"),
    "kg": ("kilogram", "kilograms"),
    "g": ("gram", "grams"),
    "mg": ("milligram", "milligrams"),
    "ug": ("microgram", "micrograms"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "in.": ("inch", "inches"),
    "yd": ("yard", "yards"),
    "yds": ("yard", "yards"),
    "mi": ("mile", "miles"),
    "MPH": ("mile per hour", "miles per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "mpg": ("mile per gallon", "miles per gallon"),
    "fps": ("frame per second", "frames per second"),
    "bpm": ("beat per minute", "beats per minute"),
    "ppm": ("part per million", "parts per million"),
    "sq ft": ("square foot", "square feet"),
    "sq. ft.": ("square foot", "square feet"),
    "sq. ft": ("square foot", "square feet"),
    "sq mi": ("square mile", "square miles"),
    "sq. mi.": ("square mile", "square miles"),
    "sq m": ("square meter", "square meters"),
    "sq. m": ("square meter", "square meters"),
    "cu ft": ("cubic foot", "cubic feet"),
    "cu. ft.": ("cubic foot", "cubic feet"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"),
    "rpm": ("revolution per minute", "revolutions per minute"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"),
    "gal": ("gallon", "gallons"),
    "qt": ("quart", "quarts"),
    "tsp": ("teaspoon", "teaspoons"),
    "tbsp": ("tablespoon", "tablespoons"),
    "ha": ("hectare", "hectares"),
    "s": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "secs": ("second", "seconds"),
    "ms": ("millisecond", "milliseconds"),
    "us": ("microsecond", "microseconds"),
    "ns": ("nanosecond", "nanoseconds"),
    "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"),
    "h": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "yr": ("year", "years"),
    "yrs": ("year", "years"),
    "Hz": ("hertz", "hertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "GHz": ("gigahertz", "gigahertz"),
    "kB": ("kilobyte", "kilobytes"),
    "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"),
    "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"),
    "kbit": ("kilobit", "kilobits"),
    "Mbit": ("megabit", "megabits"),
    "Gbit": ("gigabit", "gigabits"),
    "Gbps": ("gigabit per second", "gigabits per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "W": ("watt", "watts"),
    "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"),
    "GW": ("gigawatt", "gigawatts"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "V": ("volt", "volts"),
    "kV": ("kilovolt", "kilovolts"),
    "mA": ("milliampere", "milliamperes"),
    "kN": ("kilonewton", "kilonewtons"),
    "J": ("joule", "joules"),
    "kJ": ("kilojoule", "kilojoules"),
    "cal": ("calorie", "calories"),
    "kcal": ("kilocalorie", "kilocalories"),
    "Pa": ("pascal", "pascals"),
    "hPa": ("hectopascal", "hectopascals"),
    "kPa": ("kilopascal", "kilopascals"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "dB": ("decibel", "decibels"),
    "px": ("pixel", "pixels"),
}
_POWERS = {"²": "square", "³": "cubic", "2": "square", "3": "cubic", "^2": "square", "^3": "cubic"}
_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_FRACTION = r"([0-9]{1,3})/([0-9]{1,3})(?![0-9/]|[.,][0-9])"
_QUANTITY = re.compile(
    rf"{START}(?:(?P<from>{NUMBER})[ ]?[-–][ ]?)?(?P<number>{SIGN}{NUMBER})"
    r"(?P<scale>[ ](?:hundred|thousand|million|billion|trillion))?"
    rf"(?P<joint>[ -]?)(?P<unit>{_UNIT})(?P<power>[²³]|\^?[23](?![0-9]))?"
    rf"(?:/(?P<per>{_UNIT})(?P<per_power>[²³]|\^?[23])?)?"
    r"(?![\w/%°])(?P<stop>\.(?!\w))?"
)
_FRACTION_UNIT = re.compile(rf"{START}(?:({NUMBER})[ -])?{_FRACTION}(?:([ -]?)({_UNIT})(?![\w/]))?")
_FEET_INCHES = re.compile(
    r"(?<![\w.])([0-9]{1,3})(?:(')|[ ]?ft\b\.?)[ ]?([0-9]{1,2}(?:\.[0-9])?)"
    r"(?:\"|''?|in\b|[ ]in(?:\.(?=[ ][a-z])|(?=[,.;:)]|$)))"
)
# A person of 5'11.
_HEIGHT = re.compile(r"(?<![\w.'])([3-8])'(1[01]|[0-9])(?![\w'\"/]|[.,:-][0-9])")
_ANGLE = re.compile(r"(?<![\w.])([0-9]{1,3})°[ ]?([0-9]{1,2})'[ ]?(?:([0-9]{1,2}(?:\.[0-9]{1,3})?)(?:\"|''))?")
_COMPASS = re.compile(r"(?<=[0-9][°'\"])[ ]?([NSEW])(?![\w'])")
_COMPASS_NAMES = {"N": " north", "S": " south", "E": " east", "W": " west"}
_DURATION = re.compile(r"(?<![\w.,])([0-9]{1,3})[ ]?h[ ]?([0-9]{1,2})[ ]?m(?:in)?(?![\w/])")
_INCHES = re.compile(
    rf"{START}({NUMBER})(?:in\b(?!\.[a-z])"
    r"|\"(?=[ ](?:wide|tall|long|deep|high|thick|across|screen|monitor|pipe|x|by)\b|[ ]?x[ ]?[0-9]))"
)
_SCIENTIFIC = re.compile(r"(?<![\w.])([0-9]{1,12}(?:\.[0-9]{1,12})?)[eE]([+-]?[0-9]{1,3})(?![\w.])")
_ADJECTIVE = re.compile(r"-[a-z]")
_DIMENSION = re.compile(rf"{START}(?!0x[0-9A-Fa-f]+\b)({NUMBER})(\s?)([x×*])\2(?=[0-9])")
_ARITHMETIC = re.compile(r"[ ]?[0-9.,]{1,12}[ ]?(?:=|equals|\^|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
_PER_LETTERS = re.compile(
    r"(?<=[a-z])[ ]?/[ ]?(hour|hr|h|day|week|wk|month|mo|year|yr|kg|km|mile|person|night|min|minute|second|sec|s)\b"
)
_PER = {"hr": "hour", "h": "hour", "wk": "week", "mo": "month", "yr": "year", "kg": "kilogram", "km": "kilometer"}
_PER |= {"min": "minute", "sec": "second", "s": "second"}
_EXPONENT = re.compile(r"(?<=[0-9])(⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(?<=[\w)])\^(-?[0-9]{1,3})(?![0-9])")
_SQUARED = {"²": " squared", "³": " cubed"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


def quantities(text: str) -> str:
    """`text` with its quantities in words."""
    text = _COMPASS.sub(lambda match: _COMPASS_NAMES[match[1]], text)
    text = _ANGLE.sub(_angle, text)
    text = _FEET_INCHES.sub(_feet_inches, text)
    text = _HEIGHT.sub(lambda match: f"{spoken(match[1])} feet {_counted(match[2], 'inch', 'inches')}", text)
    text = _DURATION.sub(_duration, text)
    text = _INCHES.sub(lambda match: spoken(match[1]) + (" inch" if match[1] == "1" else " inches"), text)
    text = _SCIENTIFIC.sub(lambda m: f"{spoken(m[1])} times ten to the power of {spoken(m[2].lstrip('+'))}", text)
    text = _DIMENSION.sub(_dimension, text)
    if "/" in text:
        text = _FRACTION_UNIT.sub(_fraction, text)
    text = _QUANTITY.sub(_quantity, text)
    if "/" in text:
        text = _PER_LETTERS.sub(lambda match: " per " + _PER.get(match[1], match[1]), text)
    text = _EXPONENT.sub(_exponent, text)
    return re.sub("[²³]", lambda match: _SQUARED[match[0]], text) if "²" in text or "³" in text else text


def _quantity(match: re.Match[str]) -> str:
    unit, number = match["unit"], match["number"]
    if unit == "s" and match["joint"] == "" and len(number) in (2, 4) and number.endswith("0"):
        return match[0]  # The 90s and the 1990s.
    one, many = UNITS[unit]
    # "a 5-km run" and "10-mm-thick" are adjectives.
    singular = (number in ("1", "-1") and not match["scale"]) or match["joint"] == "-"
    singular = singular or bool(_ADJECTIVE.match(match.string, match.end()))
    name = one if singular else many
    if match["power"]:
        name = f"{_POWERS[match['power']]} {name}"
    if match["per"]:
        per = UNITS[match["per"]][0]
        # "per second squared", but "per square meter".
        timed = match["per"] in ("s", "sec", "min", "h", "hr")
        power = _POWERS[match["per_power"]] if match["per_power"] else ""
        name += f" per {per} {power}d" if power and timed else f" per {power} {per}".replace("  ", " ")
    words = f"{spoken(match['from'])} to " if match["from"] else ""
    stop = "." if (match["stop"] or unit.endswith(".")) and ends_sentence(match) else ""
    return f"{words}{spoken(number)}{match['scale'] or ''}{'-' if match['joint'] == '-' else ' '}{name}{stop}"


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom, _, unit = match.groups()
    if whole is None and not unit and (top, bottom) in (("24", "7"), ("9", "11")):
        return f"{spoken(top)} {spoken(bottom)}"
    if whole is None and top == bottom != "1":
        return f"{spoken(top)} {spoken(bottom)}" if top == "50" else f"{spoken(top)} out of {spoken(bottom)}"
    if whole and (int(bottom) == 0 or int(top) >= int(bottom)):
        return match[0]
    words = mixed(whole, top, bottom) if whole else fraction(top, bottom)
    if not unit:
        return words
    one, many = UNITS[unit]
    if whole:
        return f"{words} {many}"
    article = "an" if one[0] in "aeiou" or one == "hour" else "a"
    return f"{words} percent" if unit == "%" else f"{words} of {article} {one}"


def _feet_inches(match: re.Match[str]) -> str:
    feet, mark, inches = match.groups()
    if mark and float(inches) >= 12:  # 1'30"
        return f"{_counted(feet, 'minute', 'minutes')} {_counted(inches, 'second', 'seconds')}"
    return f"{_counted(feet, 'foot', 'feet')} {_counted(inches, 'inch', 'inches')}"


def _angle(match: re.Match[str]) -> str:
    words = f"{_counted(match[1], 'degree', 'degrees')} {_counted(match[2], 'minute', 'minutes')}"
    return words + (f" {_counted(match[3], 'second', 'seconds')}" if match[3] else "")


def _duration(match: re.Match[str]) -> str:
    return f"{_counted(match[1], 'hour', 'hours')} {_counted(match[2], 'minute', 'minutes')}"


def _counted(number: str, one: str, many: str) -> str:
    return f"{spoken(number)} {one if number == '1' else many}"


def _dimension(match: re.Match[str]) -> str:
    # "3 x 4 = 12" and "6 x 10^23" are arithmetic, "3x4 meters" a size.
    times = match[3] == "*" or _ARITHMETIC.match(match.string, match.end())
    return f"{spoken(match[1])} {'times' if times else 'by'} "


def _exponent(match: re.Match[str]) -> str:
    exponent = (match[1] or match[2]).translate(_SUPERSCRIPTS)
    if exponent in ("2", "3"):
        return " squared" if exponent == "2" else " cubed"
    return f" to the power of {spoken(exponent)}"
