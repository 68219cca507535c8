"""Quantities: numbers with units, percent, degrees, fractions, feet and inches, dimensions, powers."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import ends_sentence
from glowtron.text.numbers import NUMBER, SCALES, SIGN, START, cardinal, fraction, mixed, ordinal, pairs, plural, spoken
from glowtron.text.tracing import FIGURES, substitute

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
    "pts": ("point", "points"),
    "c.": ("cup", "cups"),
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
    "dL": ("deciliter", "deciliters"),
    "dl": ("deciliter", "deciliters"),
    "cL": ("centiliter", "centiliters"),
    "cl": ("centiliter", "centiliters"),
    "uL": ("microliter", "microliters"),
    "nL": ("nanoliter", "nanoliters"),
    "dm": ("decimeter", "decimeters"),
    "mcg": ("microgram", "micrograms"),
    "ng": ("nanogram", "nanograms"),
    "mmHg": ("millimeter of mercury", "millimeters of mercury"),
    "mm Hg": ("millimeter of mercury", "millimeters of mercury"),
    "inHg": ("inch of mercury", "inches of mercury"),
    "cmH2O": ("centimeter of water", "centimeters of water"),
    "IU": ("international unit", "international units"),
    "mIU": ("milli-international unit", "milli-international units"),
    "mEq": ("milliequivalent", "milliequivalents"),
    "mol": ("mole", "moles"),
    "mmol": ("millimole", "millimoles"),
    "umol": ("micromole", "micromoles"),
    "nmol": ("nanomole", "nanomoles"),
    "mOsm": ("milliosmole", "milliosmoles"),
    "cc": ("cubic centimeter", "cubic centimeters"),
    "mAh": ("milliampere hour", "milliampere hours"),
    "Ah": ("ampere hour", "ampere hours"),
    "Wh": ("watt hour", "watt hours"),
    "MWh": ("megawatt hour", "megawatt hours"),
    "GWh": ("gigawatt hour", "gigawatt hours"),
    "TWh": ("terawatt hour", "terawatt hours"),
    "mW": ("milliwatt", "milliwatts"),
    "kVA": ("kilovolt ampere", "kilovolt amperes"),
    "mV": ("millivolt", "millivolts"),
    "uV": ("microvolt", "microvolts"),
    "uA": ("microampere", "microamperes"),
    "uF": ("microfarad", "microfarads"),
    "nF": ("nanofarad", "nanofarads"),
    "pF": ("picofarad", "picofarads"),
    "mH": ("millihenry", "millihenries"),
    "eV": ("electron volt", "electron volts"),
    "keV": ("kilo-electron volt", "kilo-electron volts"),
    "MeV": ("mega-electron volt", "mega-electron volts"),
    "GeV": ("giga-electron volt", "giga-electron volts"),
    "MJ": ("megajoule", "megajoules"),
    "MPa": ("megapascal", "megapascals"),
    "GPa": ("gigapascal", "gigapascals"),
    "mbar": ("millibar", "millibars"),
    "atm": ("atmosphere", "atmospheres"),
    "mSv": ("millisievert", "millisieverts"),
    "uSv": ("microsievert", "microsieverts"),
    "Sv": ("sievert", "sieverts"),
    "Bq": ("becquerel", "becquerels"),
    "kBq": ("kilobecquerel", "kilobecquerels"),
    "Gy": ("gray", "grays"),
    "mT": ("millitesla", "millitesla"),
    "lx": ("lux", "lux"),
    "lm": ("lumen", "lumens"),
    "dpi": ("dot per inch", "dots per inch"),
    "DPI": ("dot per inch", "dots per inch"),
    "ppi": ("pixel per inch", "pixels per inch"),
    "PPI": ("pixel per inch", "pixels per inch"),
    "lpi": ("line per inch", "lines per inch"),
    "wpm": ("word per minute", "words per minute"),
    "cpm": ("count per minute", "counts per minute"),
    "cfm": ("cubic foot per minute", "cubic feet per minute"),
    "gpm": ("gallon per minute", "gallons per minute"),
    "ppb": ("part per billion", "parts per billion"),
    "kn": ("knot", "knots"),
    "kt": ("knot", "knots"),
    "kts": ("knot", "knots"),
    "nmi": ("nautical mile", "nautical miles"),
    "kmph": ("kilometer per hour", "kilometers per hour"),
    "hp": ("horsepower", "horsepower"),
    "bhp": ("brake horsepower", "brake horsepower"),
    "BTU": ("B T U", "B T U's"),
    "Nm": ("newton meter", "newton meters"),
    "fl oz": ("fluid ounce", "fluid ounces"),
    "fl. oz.": ("fluid ounce", "fluid ounces"),
    "tbs": ("tablespoon", "tablespoons"),
    "doz": ("dozen", "dozen"),
    "pcs": ("piece", "pieces"),
    "mos": ("month", "months"),
    "wks": ("week", "weeks"),
    "sq km": ("square kilometer", "square kilometers"),
    "sq in": ("square inch", "square inches"),
    "sq yd": ("square yard", "square yards"),
    "cu m": ("cubic meter", "cubic meters"),
    "cu in": ("cubic inch", "cubic inches"),
    "THz": ("terahertz", "terahertz"),
    "hz": ("hertz", "hertz"),
    "khz": ("kilohertz", "kilohertz"),
    "mhz": ("megahertz", "megahertz"),
    "ghz": ("gigahertz", "gigahertz"),
    "PB": ("petabyte", "petabytes"),
    "KiB": ("kibibyte", "kibibytes"),
    "MiB": ("mebibyte", "mebibytes"),
    "GiB": ("gibibyte", "gibibytes"),
    "TiB": ("tebibyte", "tebibytes"),
    "mb": ("megabyte", "megabytes"),
    "gb": ("gigabyte", "gigabytes"),
    "tb": ("terabyte", "terabytes"),
    "kb": ("kilobyte", "kilobytes"),
    "Mb": ("megabit", "megabits"),
    "Gb": ("gigabit", "gigabits"),
    "mbps": ("megabit per second", "megabits per second"),
    "gbps": ("gigabit per second", "gigabits per second"),
    "Kbps": ("kilobit per second", "kilobits per second"),
    "bps": ("bit per second", "bits per second"),
    "MBps": ("megabyte per second", "megabytes per second"),
    "MP": ("megapixel", "megapixels"),
    "ly": ("light year", "light years"),
    "px": ("pixel", "pixels"),
}

_POWERS = {"²": "square", "³": "cubic", "2": "square", "3": "cubic", "^2": "square", "^3": "cubic"}
_UNIT = "|".join(re.escape(unit) for unit in sorted(UNITS, key=len, reverse=True))
_FRACTION = r"([0-9]{1,6}|[0-9]{1,3}\.[0-9]{1,2})/([0-9]{1,6})(?:(?:rd|th|nd|st)s?\b)?(?![0-9/]|[.,][0-9])"
_QUANTITY = re.compile(
    rf"{START}(?:(?P<from>{NUMBER})[ ]?[-–][ ]?)?(?P<number>{SIGN}{NUMBER})"
    r"(?P<scale>[ ](?:hundred|thousand|million|billion|trillion)|[ ]?(?:bn|mn|tn)(?=[ ])"
    r"|[kKmMB](?=[ ](?!in\b)[A-Za-z]{2}))?"
    rf"(?P<joint>[ -]?)(?P<unit>{_UNIT})(?P<power>[²³]|\^?[23](?![0-9]))?"
    rf"(?:(?:/|[ ]/[ ]|[ ]per[ ])(?P<per>{_UNIT})(?P<per_power>[²³]|\^?[23])?)?"
    r"(?![\w%°]|/(?![a-z]))(?P<stop>\.(?!\w))?"
)
_FRACTION_UNIT = re.compile(
    rf"{START}((?<![^\s(])-)?(?:({NUMBER})[ -])?{_FRACTION}(?:([ -]?)({_UNIT})(?![\w/])(?:\.(?=[ ][a-z&]))?)?"
)
_FEET_INCHES = re.compile(
    r"(?<![\w.])([0-9]{1,3})(?:(')|[ ]?ft\b\.?)[ ]?([0-9]{1,2}(?:\.[0-9])?)"
    r"(?:\"|''?|in\b|[ ]in(?:\.(?=[ ][a-z])|(?=[,.;:)]|$|[ ](?:and|or|tall|by|x|long|wide|high|deep)\b)))"
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
_TIMES = re.compile(
    rf"{START}({NUMBER})[xX×](?=[ ](?:the|as|an?|my|your|our|more|less|daily|weekly|monthly|yearly|faster|slower|bigger"
    r"|larger|smaller|higher|lower|better|worse|longer|shorter|stronger|cheaper)\b)"
)
_ARITHMETIC = re.compile(r"[ ]?[0-9.,]{1,12}[ ]?(?:=|equals|\^|[⁰¹²³⁴⁵⁶⁷⁸⁹⁻])")
_PER_LETTERS = re.compile(
    r"(?<=[a-z])[ ]?/[ ]?(hour|hr|h|day|week|wk|month|mo|year|yr|kg|km|mile|person|night|min|minute|second|sec|s"
    r"|m[lL]|d[lL]|liter|litre|gallon|acre|hectare|capita|game|match|lb|oz|unit|item|share|user|seat|dose|page)\b"
)
_PER = {"hr": "hour", "h": "hour", "wk": "week", "mo": "month", "yr": "year", "kg": "kilogram", "km": "kilometer"}
_PER |= {"ml": "milliliter", "mL": "milliliter", "dl": "deciliter", "dL": "deciliter", "lb": "pound", "oz": "ounce"}
_PER |= {"min": "minute", "sec": "second", "s": "second"}
_EXPONENT = re.compile(r"(?<=[0-9])(⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+)|(?<=[\w)])\^(-?[0-9]{1,3})(?![0-9])")
_SUPERSCRIPT = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹]|\^")
_PER_AREA = re.compile(rf"(per|square)[ ]({_UNIT})([²³])(?!\w)")
# mc² and kx²: consonants together are letters.
_SPELT_BASE = re.compile(
    r"(?<![\w])([b-df-hj-np-tv-xz]{2,3})(?=[²³⁴⁵⁶⁷⁸⁹])(?<!km)(?<!cm)(?<!mm)(?<!ft)(?<!yd)(?<!dm)(?<!nm)"
)
# "180°C/350°F", "250mg/5mL", "5 l/100 km".
_AT_SLASH = re.compile(rf"{START}((?:{NUMBER})[ ]?({_UNIT}))[ ]?/[ ]?(?=(?:{NUMBER})[ ]?({_UNIT})(?![\w/]))")
_DIMENSIONS = (
    frozenset("km m cm mm mi ft in. yd yds".split()),
    frozenset("kg g mg mcg ug ng lb lbs oz".split()),
    frozenset(["ml", "mL", "l", "L", "dl", "dL", "cl", "cL", "gal", "qt", "oz", "fl oz", "fl. oz."]),
    frozenset(["°C", "°F", "°"]),
    frozenset("mph kph kmh kmph kn kt kts".split()),
)
_SIZE = re.compile(rf"{START}((?:{NUMBER})[ ]?(?:mm|cm|m|km|ft|px|yd|mi))[ ]?[x×][ ]?(?=[0-9])")
_DAYS = re.compile(r"\b([Ff]or|x)[ ]([0-9]{1,3})[ ]?d(?!\w)")
_LUMBER = re.compile(r"(?<![\w.])([1-9])x([1-9][0-9]?)s\b")
_TIEBREAK = re.compile(r"(?<![\w.,-])([0-7]-[0-7])\(([0-9]{1,2})\)(?!\w)")
_UNIT_TWICE = re.compile(
    rf"(?<![\w.,$£€¥-])((?:{NUMBER})[ ]?(?:{_UNIT}|st|nd|rd|th|'|\"|[kKMxX]))[ ]?[-–][ ]?"
    rf"(?=(?:{NUMBER})[ ]?(?:{_UNIT}|st|nd|rd|th|'|\"|[kKMxX])(?!\w))"
)
_MONEY_TWICE = re.compile(r"([$£€¥][0-9][0-9,]{0,12}\.[0-9]{2})[ ]?[-–][ ]?(?=[$£€¥]?[0-9])")
_HYPHENED = re.compile(r"(?<![\w.,:/$£€-])([0-9]{1,2})-([0-9]{1,2})(?![\w:/-]|[.,][0-9])")
_SET_PAIRS = {("24", "7"), ("10", "4"), ("7", "11"), ("9", "11")}
_SHARES = re.compile(r"[ ](?:split|rule|mix|chance|share|blend|deal|partnership|ownership|odds|principle)\b")
_MEASURE = re.compile(r"[ ]?(?:%|percent|per cent|degrees|years|people|minutes|miles|hours|days)")
_OPEN_QUOTE = re.compile(r"(?<!\w)'(?=[A-Za-z])(?!(?:tis|twas|twere|twill|em|cause|til|till|bout|round|n)\b)")
_INCH_MARK = re.compile(
    rf"(?<![\w.,:°'])({NUMBER}|[0-9]{{1,3}} [0-9]/[0-9]{{1,2}})(\")(?:[ ]?([x×])[ ]?(?=[0-9])|(?!\w))"
)
_FOOT_MARK = re.compile(rf"(?<![\w.,:°])({NUMBER})'(?=[ ](?![0-9])|[,.;:)-](?![0-9])|$|[ ]?[x×][ ]?[0-9])")
_NOUN_AFTER = re.compile(r"\.?[ ]([a-z]{3,}|[48]K|HD|UHD|TV|PC|SSD|DVD|CD|RAM|USB|LCD|LED)(?![\w'])")
_ARTICLE_BEFORE = re.compile(
    r"\b(?:[Aa]n?(?:[ ][a-z]{2,12})?|[Tt]he|[Tt]his|[Tt]hat|[Ee]ach|[Ee]very|[Mm]y|[Yy]our|[Hh]is|[Hh]er|[Oo]ur"
    r"|[Tt]heir)[ ][~$£€]?$"
)
# Races over a distance, and that of each of several: "the 4x100 m relay".
_RACE = re.compile(
    r"[ ](?:relays?|medleys?|freestyle|hurdles|dash|butterfly|backstroke|breaststroke|steeplechase|sprints?)\b"
)
_NO_NOUNS = frozenset(
    """and the for with from into onto over under than that which who whom whose where when while was were are has have
    had will would can could shall should may might must per away ago apart later before after but not nor yet across
    above below along around behind beside between beyond down off through toward towards until upon within without
    east west north south each every more less because since though although they she you him her his its our their
    there here then thus also only just this these those left remaining required needed total does did said says
    made came come went took high wide tall long deep thick inclusive north northeast northwest southeast southwest
    upstream downstream inland offshore outside inside""".split()
)
_COUNTED = re.compile(
    r"[ ](?:[a-z]{3,12}[ ])?(?:people|users|followers|subscribers|views|viewers|customers|jobs|homes|households"
    r"|voters|votes|"
    r"residents|children|members|visitors|copies|downloads|players|workers|deaths|cases|refugees|patients|barrels|tons|tonnes|"
    r"dollars|pounds|euros|shares|units|cars|vehicles|passengers|tourists|inhabitants|immigrants|migrants|students|fans|hits|"
    r"clicks|years|doses|tests|trees|books|citizens|adults|women|men|employees|listeners|readers|devices|phones|accounts|"
    r"families|businesses|tweets|posts|streams|sales|items|words|lives|pupils|soldiers|animals|birds|fish|bottles|orders|times)\b"
)
_PLURAL_BEFORE = re.compile(
    r"\b(?:[Oo]ver|[Uu]nder|[Uu])-$|\b(?:[Tt]he|[Tt]wo|[Tt]hree|[Ff]our|[Ff]ive|[Ss]ix|several|some|many|few|both|these|those|all|"
    r"over|under|old|new|Boeing|Airbus|of|and|early|late|mid|high|low|his|her|my|your|our|their|more|straight|no)[ -]$"
)
_FIGURES_PLURAL = re.compile(
    r"(?<![\w.,])([0-9]{1,5})'?s\b(?<![0-9]0s)(?<![0-9]0's)|(?<![\w.,])(100{0,3})s(?=[ ]of\b)|(?<![\w.,])([2-9]00)s\b"
)
_PRESSURE = re.compile(r"\b(?:[Bb]lood pressure|BP|[Pp]ressure|systolic|hypertension)\b")
_VERSION_BEFORE = re.compile(r"\b(?:Windows|iOS|Python|Android|versions?|grades?|Grades?)[ ]$")
_ODDS = re.compile(r"\b[Oo]dds (?:of |are |were |at |is |on )?$")
_WORD_AFTER = re.compile(r"[ -][a-z]")
_TIME_SIGNATURE = re.compile(r"[ -](?:time|meter|metre|signature|beat|measure|bars?|rhythm|vision|hindsight)\b")
_PAGE_BEFORE = re.compile(
    r"\b(?:[Pp]ages?|[Ss]lide|[Pp]art|[Ss]tep|[Cc]hapter|[Ee]pisode|[Tt]hread|[Pp]hase|[Dd]ay|[Tt]rack|[Pp]hoto)[ ]$"
)
_RATED = re.compile(
    r"\b(?:[Rr]at(?:e[sd]?|ing)|[Ss]cor(?:e[sd]?|ing)|[Gg]ave|[Gg]ives?|[Gg]iven|[Gg]ot|[Gg]ets?|[Rr]eview|[Gg]rade[sd]?|"
    r"[Aa]warded|[Mm]arks?|[Ss]urvey|[Aa]nswered|[Vv]erdict:?)\b[^.!?]{0,20}$"
)
_POINTS = re.compile(r"[ -](?:stars?|points?|rating|score|marks|questions|correct|right|for|in)\b")
_ENDS_PHRASE = re.compile(
    r"[.,;:!?)\"']|[ ]*$|[ ](?:and|but|because|for|from|on|in|would|so|at|overall|this|he|she|it|was|is)\b"
)
_SQUARE = re.compile("[²³]")
_SQUARED = {"²": " squared", "³": " cubed"}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")


# Twenty-five bps of a rate of interest are no bits.
_OF_RATES = re.compile(
    r"\b(?:[Rr]ates?|[Yy]ields?|[Ss]preads?|Fed|ECB|[Hh]ike[sd]?|[Mm]argins?|[Bb]onds?|[Mm]ortgages?|[Cc]oupons?|[Ii]nterest)\b"
)


def quantities(text: str) -> str:
    """`text` with its quantities in words."""
    text = _marks(text)
    text = substitute(_SIZE, r"\1 by ", text, "x×")  # 12' x 10', now with units.
    text = substitute(_COMPASS, lambda match: _COMPASS_NAMES[match[1]], text, "NSEW")
    text = substitute(_ANGLE, _angle, text, "°")
    text = substitute(_FEET_INCHES, _feet_inches, text, ("'", "ft"))
    text = substitute(
        _HEIGHT, lambda match: f"{spoken(match[1])} feet {_counted(match[2], 'inch', 'inches')}", text, "'"
    )
    text = substitute(_DURATION, _duration, text, "h")
    text = substitute(_INCHES, _inches, text, ("in", '"'))
    text = substitute(_SCIENTIFIC, _scientific, text, "eE")
    text = substitute(_TIMES, lambda match: _counted(match[1], "time", "times"), text, "xX×")
    text = substitute(_DIMENSION, _dimension, text, "x×*")
    if "/" in text:
        text = substitute(_FRACTION_UNIT, _fraction, text)
    text = substitute(_QUANTITY, _quantity, text, FIGURES)
    text = substitute(_FIGURES_PLURAL, _plural_figures, text, "s")
    if "/" in text:
        text = substitute(_PER_LETTERS, lambda match: " per " + _PER.get(match[1], match[1]), text)
    return text


def powers(text: str) -> str:
    """`text` with its exponents in words: those of letters before signs are read, those of units with these."""
    if not _SUPERSCRIPT.search(text):
        return text
    text = substitute(_PER_AREA, lambda match: f"{match[1]} {_POWERS[match[3]]} {UNITS[match[2]][0]}", text)
    text = substitute(_SPELT_BASE, lambda match: " ".join(match[1].upper()), text)
    text = substitute(_EXPONENT, _exponent, text)
    return substitute(_SQUARE, lambda match: _SQUARED[match[0]], text)


def ranges(text: str) -> str:
    """`text` with "to" between figures that have a unit each, and without it where figures are no range."""
    text = substitute(_AT_SLASH, _at_slash, text, "/")
    text = substitute(_SIZE, r"\1 by ", text, "x×")
    text = substitute(_LUMBER, lambda match: f"{cardinal(match[1])} by {plural(cardinal(match[2]))}", text, "x")
    text = substitute(_DAYS, lambda match: f"{match[1]} {_counted(match[2], 'day', 'days')}", text, "d")
    text = substitute(_TIEBREAK, r"\1, \2", text, "(")
    text = substitute(_UNIT_TWICE, r"\1 to ", text, "-–")
    text = substitute(_MONEY_TWICE, r"\1 to ", text, "-–")
    return substitute(_HYPHENED, _hyphened, text, "-")


def _at_slash(match: re.Match[str]) -> str:
    """Two measures: the same one twice, or one of the other."""
    first, last = match[2], match[3]
    if any(first in units and last in units for units in _DIMENSIONS):
        return f"{match[1]} or "
    of = any(first in units for units in _DIMENSIONS) and any(last in units for units in _DIMENSIONS[:3])
    return f"{match[1]} per " if of else match[0]


def _hyphened(match: re.Match[str]) -> str:
    """50-50, 24-7, 80-20: said without "to"."""
    first, last = match.groups()
    if (first, last) in _SET_PAIRS:
        return f"{cardinal(first)} {cardinal(last)}"
    whole = int(first) + int(last) == 100 and (int(first) > int(last) or _SHARES.match(match.string, match.end()))
    if first == last or (whole and int(first) % 5 == 0 and not _MEASURE.match(match.string, match.end())):
        return f"{cardinal(first)}-{cardinal(last)}"
    return match[0]


def _marks(text: str) -> str:
    """`text` with the marks of feet and inches, where no quote opens before that they could close."""
    if "'" not in text and '"' not in text:
        return text
    counted = 0
    quotes = 0

    def inches(match: re.Match[str]) -> str:
        nonlocal counted, quotes
        quotes += text.count('"', counted, match.start(2))
        counted = match.start(2)
        if quotes % 2:
            return match[0]
        quotes += 1  # This mark itself is counted, and is no quote.
        return f"{match[1]} in." if match[3] is None else f"{match[1]} in. by "

    def feet(match: re.Match[str]) -> str:
        return match[0] if opened is not None and opened < match.start() else f"{match[1]} ft"

    opening = _OPEN_QUOTE.search(text)
    opened = opening.start() if opening else None
    text = substitute(_INCH_MARK, inches, text, '"')
    return substitute(_FOOT_MARK, feet, text, "'")


def is_adjective(match: re.Match[str]) -> bool:
    """True if a quantity stands before what it measures, in the singular: "a 5 km run", "the 2 GB file"."""
    if _RACE.match(match.string, match.end()):
        return True
    after = _NOUN_AFTER.match(match.string, match.end())
    if after is None or after[1] in _NO_NOUNS:
        return False
    return _ARTICLE_BEFORE.search(match.string, max(0, match.start() - 24), match.start()) is not None


def _quantity(match: re.Match[str]) -> str:
    unit, number = match["unit"], match["number"]
    if unit == "c." and number.isdigit() and len(number) > 2:  # No recipe has 1200 cups.
        return match[0]
    decade = unit == "s" and match["joint"] == "" and len(number) in (2, 4) and number.endswith("0")
    if decade and not (
        is_adjective(match) and re.search(r"\b[Aa] $", match.string[max(0, match.start() - 3) : match.start()])
    ):
        return match[0]  # The 90s and the 1990s.
    one, many = UNITS[unit]
    # "a 5-km run" and "10-mm-thick" are adjectives.
    singular = (number in ("1", "-1") and not match["scale"]) or match["joint"] == "-"
    singular = singular or bool(_ADJECTIVE.match(match.string, match.end())) or is_adjective(match)
    if unit == "s" and match["joint"] == "" and _counts_figures(match):
        return match[0]
    if (
        unit == "m"
        and match["joint"] == ""
        and not match["per"]
        and not match["power"]
        and _COUNTED.match(match.string, match.end())
    ):
        lower = f"{spoken(match['from'])} to " if match["from"] else ""
        return f"{lower}{spoken(number)} million"
    if unit == "bps" and _OF_RATES.search(match.string, max(0, match.start() - 60), match.end() + 40):
        one, many = "basis point", "basis points"
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
    scale = (match["scale"] or "").strip()
    scale = f" {SCALES.get(scale.lower(), scale)}" if scale else ""
    stop = "." if (match["stop"] or unit.endswith(".")) and ends_sentence(match) else ""
    return f"{words}{spoken(number)}{scale}{'-' if match['joint'] == '-' else ' '}{name}{stop}"


def _counts_figures(match: re.Match[str]) -> bool:
    """True if the s after figures is a plural's: "the over-65s", "three 747s", "100s of people"."""
    number = match["number"]
    if not number.isdigit():
        return False
    if number in ("10", "100", "1000", "10000") and match.string.startswith(" of ", match.end()):
        return True
    if len(number) == 3 and number[0] == "7" and number[2] == "7":
        return True
    return _PLURAL_BEFORE.search(match.string, max(0, match.start() - 16), match.start()) is not None


def _plural_figures(match: re.Match[str]) -> str:
    number = match[1] or match[2] or match[3]
    if number in ("10", "100", "1000", "10000"):
        return {"10": "tens", "100": "hundreds", "1000": "thousands", "10000": "tens of thousands"}[number]
    if len(number) == 3 and number[1:] != "00":
        return plural(pairs(int(number)))
    return plural(spoken(number))


def _slashed(match: re.Match[str], top: str, bottom: str) -> str | None:
    """Reading of two numbers at a slash that are no fraction: a pressure, a rating, a score, a page."""
    before = match.string[max(0, match.start() - 40) : match.start()]
    worded = before.lower() != before.upper()  # Looked for first: most rules ask for a word before or after.
    goes_on = _WORD_AFTER.match(match.string, match.end()) is not None
    first, last = int(top.partition(".")[0]), int(bottom)
    measured = match.string.startswith((" mmHg", "mmHg", " mm Hg"), match.end())
    if first < last < 10 and not (worded or goes_on or measured or "." in top or before == "("):
        return None  # What follows asks for words beside, or for larger figures.
    if worded and _ODDS.search(before):
        return f"{spoken(top)} to {spoken(bottom)}"
    if (top, bottom) in (("24", "7"), ("9", "11"), ("7", "11")) and not before.endswith(("=", "+ ", "- ")):
        return f"{spoken(top)} {spoken(bottom)}"
    if (goes_on and _TIME_SIGNATURE.match(match.string, match.end())) or (
        top == bottom and bottom in ("2", "3", "4", "20", "50")
    ):
        return f"{spoken(top)} {spoken(bottom)}"
    if first + last == 100 and _SHARES.match(match.string, match.end()):
        return f"{spoken(top)} {spoken(bottom)}"
    if "." in top:
        return f"{spoken(top)} out of {spoken(bottom)}"
    if worded and last == first + 1 and _VERSION_BEFORE.search(before):
        return f"{spoken(top)} {spoken(bottom)}"
    if top == bottom != "1":
        return f"{spoken(top)} out of {spoken(bottom)}"
    if worded and _PRESSURE.search(before):
        return f"{pairs(first)} over {pairs(last)}"
    if measured or (60 <= first <= 260 and 30 <= last <= 160 and first > last + 9 and last % 10 != 0):
        return f"{spoken(top)} over {spoken(bottom)}"
    if first > last:
        return f"{spoken(top)} over {spoken(bottom)}" if first > 30 and last > 9 else None
    if before == "(" or (worded and _PAGE_BEFORE.search(before)):
        return f"{spoken(top)} of {spoken(bottom)}"
    rated = (worded and _RATED.search(before)) or (goes_on and _POINTS.match(match.string, match.end()))
    if rated or (bottom in ("10", "100") and _ENDS_PHRASE.match(match.string, match.end())):
        of = match.string.startswith((" of", "ths", "th"), match.end()) or match[0][-1].isalpha()
        return None if of else f"{spoken(top)} out of {spoken(bottom)}"
    return None


def _fraction(match: re.Match[str]) -> str:
    minus, whole, top, bottom, _, unit = match.groups()
    sign = "minus " if minus else ""
    if whole is None and not unit and not minus:
        slashed = _slashed(match, top, bottom)
        if slashed is not None:
            return slashed
    if "." in top:
        first = f"{spoken(whole)} " if whole else ""
        return f"{sign}{first}{spoken(top)} over {spoken(bottom)}" + (f" {unit}" if unit else "")
    if whole and (int(bottom) == 0 or int(top) == int(bottom)):
        return match[0]
    if unit in ("mmHg", "mm Hg") and not whole:  # A pressure of blood.
        return f"{sign}{pairs(int(top))} over {pairs(int(bottom))} {UNITS[unit][1]}"
    words = sign + (mixed(whole, top, bottom) if whole else fraction(top, bottom))
    if unit and not whole and top == "1" and 100 < int(bottom) <= 10_000:  # Shutters: 1/250 s.
        words = f"{sign}one {ordinal(bottom)}"
    if not unit:
        # "a 1/2 marathon"
        counted_once = match.string[max(0, match.start() - 3) : match.start()].lstrip() == "a "
        return "half" if counted_once and words == "one half" else words
    one, many = UNITS[unit]
    if whole:
        return f"{words} {many}"
    article = "an" if one[0] in "aeiou" or one == "hour" else "a"
    return f"{words} percent" if unit == "%" else f"{words} of {article} {one}"


def _inches(match: re.Match[str]) -> str:
    return spoken(match[1]) + (" inch" if match[1] == "1" or is_adjective(match) else " inches")


def _scientific(match: re.Match[str]) -> str:
    return f"{spoken(match[1])} times ten to the power of {spoken(match[2].lstrip('+'))}"


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
