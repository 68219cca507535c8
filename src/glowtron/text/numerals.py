"""All other figures: years and decades, ordinals, telephone numbers, versions, codes, ranges, plain quantities."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import STATES
from glowtron.text.capitals import NAMED
from glowtron.text.numbers import NUMBER, SCALES, SIGN, START, cardinal, decade, digits, ordinal, pairs, plural, spoken
from glowtron.text.tracing import CAPITALS, FIGURES, substitute
from glowtron.text.units import UNITS

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
    """box number no flight error http status route room zip extension serial exhibit apartment suite code pin
    interstate highway hotline channel model""".split()
)
_CALIBERS = frozenset(
    "caliber calibre special rifle pistol revolver cartridge ammunition gun bullet automatic magnum".split()
)
_TEAM = re.compile(r"(?<!\w)'?([1-9][0-9])ers\b")  # The '49ers.
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
_OF_STREETS = (*"NSEWPC", "treet", "venue", "oad", "oulevard", "ane", "rive", "ighway", "quare")
_ORDINAL = re.compile(rf"{START}([0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+)(?:st|nd|rd|th|ST|ND|RD|TH)\b")
_ZIP_AFTER = "|".join(re.escape(state) for state in (*STATES, *STATES.values(), "DC", "D.C."))
_ZIP = re.compile(rf"\b({_ZIP_AFTER}),? ([0-9]{{5}}(?:-[0-9]{{4}})?)(?![\w-]|[.,][0-9])")
_PHONE = re.compile(
    r"(?<![\w.,/-])(\+?[0-9]{1,3}[ .-])?(\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])([0-9]{3})[ .-]([0-9]{4})(?![\w]|[.,-][0-9])"
    r"|(?<![\w.,/-])(\+[0-9]{1,3}(?:[ -][0-9]{1,8}){1,6})(?![\w])"
    r"|(?<![\w.,/-])([0-9]{3}-[0-9]{4})(?![\w]|[.,-][0-9])"
)
# "020 7946 0958" in Britain; the sixteen figures of a card.
_SPACED = re.compile(r"(?<![\w.,/-])(0[0-9]{2,4}(?: [0-9]{3,4}){1,3}|[0-9]{4}(?: [0-9]{4}){3})(?![\w]|[.,-][0-9])")
_LONG = re.compile(r"(?<![\w.,/$£€-])([1-9][0-9]{9,14})(?<!000)(?![\w%]|[.,:/-][0-9])")
_GROUPS = re.compile(r"(?<![\w.,/-])([0-9]+(?:-[0-9]+){2,12})(?![\w-])")
_VERSION = re.compile(r"(?:(?<![\w.])[vV]\.?|(?<![\w.,]))([0-9]{1,5}(?:\.[0-9]{1,5}){2,6})(?![\w]|\.[0-9])")
_GLUED_VERSION = re.compile(r"(?<![\w.])([A-Za-z]{2,20})([0-9]{1,3}(?:\.[0-9]{1,4}){1,4})(?![\w]|\.[0-9])")
_LINES = re.compile(r"(?<![\w.])([1-9][0-9]{2,3})([pi])(?![\w])")
_SCALED = re.compile(
    rf"{START}({NUMBER})[ ]?(bn|mn|tn)\b|{START}([0-9]{{1,6}}\.[0-9]{{1,3}})([KMB])(?!\w)"
    rf"|{START}([0-9]{{1,6}})([MB])(?=/[a-z])"
)
_NAMED_VERSION = re.compile(
    r"(?:(?<![\w.])[vV]|\b([Vv]ersion|[Pp]ython)[ ])([0-9]{1,4})(?:\.([0-9]{1,4}))?(?![\w]|\.[0-9])"
)
_RANGE = re.compile(rf"{START}({NUMBER})[ ]?[-–][ ]?({NUMBER})(?![\w-]|[.,][0-9])")
_MINUS = re.compile(rf"{START}({NUMBER})[ ]?-[ ]?({NUMBER})(?=[ ]equals\b)")
_RATIO = re.compile(rf"(?<![\w.:,])({NUMBER}):({NUMBER})(?![\w:]|,[0-9])")
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
_LEFT = re.compile("[0-9]+")


_SPACED_THOUSANDS = re.compile(
    r"(?<![\w.,:/-])(?<![0-9] )([1-9][0-9]{0,2}) ([0-9]{3})(?:,([0-9]{1,2}))?(?![\w:/-]|[ .,][0-9]|[ ][x×][ ])"
)
_NO_THOUSANDS_BEFORE = re.compile(
    r"(?:\b(?:[Pp]age|[Rr]oute|[Nn]umber|[Nn]o|[Cc]hapter|[Ff]light|[Rr]oom|[Ss]ection|[Hh]ighway|[Ii]nterstate|[Cc]all|[Dd]ial|"
    r"[Aa]rea|[Cc]ode|[Bb]ox|[Pp]art|[Ll]evel|[Ss]tep|[Mm]odel|[Vv]ersion|I|[Jj]anuary|[Ff]ebruary|[Mm]arch|[Aa]pril|[Mm]ay|[Jj]une|"
    r"[Jj]uly|[Aa]ugust|[Ss]eptember|[Oo]ctober|[Nn]ovember|[Dd]ecember)\.?[ ]|[0-9][,;]?[ ])$"
)
_APOSTROPHES = re.compile(r"(?<![\w.,'])([1-9][0-9]{0,2}(?:'[0-9]{3})+)(?![\w'])")
_UNDERSCORES = re.compile(r"(?<![\w.,])([1-9][0-9]{0,2}(?:_[0-9]{3})+)(?!\w)")
# Thousands and decimals on the Continent: 1.234,56.
_CONTINENTAL = re.compile(r"(?<![\w.,])([0-9]{1,3}(?:\.[0-9]{3}){1,8}),([0-9]{2})(?![\w,]|\.[0-9])")
# Thousands in India, Germany and France: 12,34,567 and 1.234.567 and 1 234 567.
_GROUPED = re.compile(
    r"(?<![\w.,])(?<![0-9] )(?:[0-9]{1,2}(?:,[0-9]{2}){1,6},[0-9]{3}"
    r"|[0-9]{1,3}(?:\.[0-9]{3}){2,9}|[0-9]{1,3}(?: [0-9]{3}){2,9})"
    r"(?!\w|[ .,][0-9])"
)


_COMMA_MEASURE = re.compile(
    r"(?<![\w.,])([0-9]{1,3}),([0-9]{1,2})(?=[ ]?(?:kg|g|km|m|cm|mm|l|ml|°C|%|kW|kWh|GB|MB|mg|ha)(?!\w))"
)


def thousands(text: str) -> str:
    """`text` with the thousands of its numbers as in English, or not set apart."""
    text = substitute(_COMMA_MEASURE, r"\1.\2", text, ",")
    text = substitute(_CONTINENTAL, lambda match: f"{match[1].replace('.', '')}.{match[2]}", text, ",")
    text = substitute(_GROUPED, _ungrouped, text, ",. ")
    text = substitute(_APOSTROPHES, lambda match: match[1].replace("'", ","), text, "'")
    text = substitute(_UNDERSCORES, lambda match: match[1].replace("_", ","), text, "_")
    return substitute(_SPACED_THOUSANDS, _spaced_thousands, text, " ")


def _spaced_thousands(match: re.Match[str]) -> str:
    """10 000 people: but "page 10 200" are two numbers."""
    if _NO_THOUSANDS_BEFORE.search(match.string, max(0, match.start() - _WINDOW), match.start()):
        return match[0]
    if (
        len(match[1]) == 3
        and match[2] != "000"
        and not re.match("[ ]?[a-z$£€%]", match.string[match.end() : match.end() + 2])
    ):
        return match[0]
    return f"{match[1]},{match[2]}" + (f".{match[3]}" if match[3] else "")


def _ungrouped(match: re.Match[str]) -> str:
    parts = match[0].split(".")
    if len(parts) == 4 and all(part == str(int(part)) and int(part) < 256 for part in parts):  # An internet address.
        return match[0]
    return re.sub("[., ]", "", match[0])


# Abroad: 07911 123456, (02) 9876 5432, 030/12345678, +44 (0)20 7946 0958, 1300 123 456.
_ABROAD = re.compile(
    r"(?<![\w.,/-])(?:\+[0-9]{1,3}[ ]?)?\(?(?:\(0\)[ ]?[0-9]{1,5}"
    r"|0[0-9]{1,5})\)?(?:[ /-]{1,2}[0-9]{2,8}){1,5}(?![\w/]|[.,-][0-9])"
    r"|(?<![\w.,/-])1[38]00(?: [0-9]{3}){2}(?![\w/]|[.,-][0-9])"
)
_CALLED = re.compile(
    r"(\b(?:[Cc]all|[Dd]ial|[Tt]el|[Tt]elephone|[Pp]hone|[Ff]ax|[Mm]obile|[Cc]ell|[Tt]ext|WhatsApp"
    r"|[Hh]otline)(?:ed|ing| us| me)?(?: at| on| number)?[.:]?[ ])"
    r"([0-9]{3,5}(?:[ -][0-9]{3,5}){0,3})(?:([ ]or[ ])([0-9]{3}))?(?![\w/%]|[.,:-][0-9]"
    r"|[ ](?:times|people|men|women|of|minutes|days|years|witnesses|voters)\b)"
)
_VANITY = re.compile(r"(?<![\w-])(1-)?(800|888|877|866|855|900)-(?=[A-Z0-9-]*[A-Z])([A-Z0-9]+(?:-[A-Z0-9]+)?)(?!\w)")
_ENDING_IN = re.compile(
    r"(\b(?:ending|ends|ended)[ ](?:in|with)|[Ll]ast (?:four|4)(?: digits)?(?: are| is|:)?|PIN(?: code)?(?: is"
    r"|:)?|[Aa]ccount(?: number)?|"
    r"[Pp]asscode(?: is|:)?|OTP(?: is|:)?|[Cc]ode is)([ ]#?)([0-9]{3,12})(?![\w%]|[.,:/-][0-9])"
)

_OF_CALLS = ("all", "ial", "el", "hone", "ax", "obile", "ext", "App", "otline")


def telephones(text: str) -> str:
    """`text` with its telephone numbers in words, figure by figure."""
    text = substitute(_VANITY, _vanity, text, "-")
    text = substitute(
        _ENDING_IN,
        lambda match: f"{match[1]} {digits(match[3])}",
        text,
        ("end", "ast ", "PIN", "ccount", "asscode", "OTP", "ode is"),
    )
    text = substitute(_ABROAD, _abroad, text, "0")
    text = substitute(_CALLED, _called, text, _OF_CALLS)
    text = substitute(_PHONE, _phone, text, " .-")
    text = substitute(_SPACED, lambda match: ", ".join(digits(group) for group in match[1].split()), text, " ")
    return substitute(_LONG, lambda match: digits(match[1]), text)  # Ten figures without commas count nothing.


# Figures that are names: Boeing 747, Office 365, 401(k), I-280, the Porsche 911.
_BRANDS = """Boeing Airbus Porsche Office Xbox Peugeot Mazda Levi's Levis Nokia
    Intel Ferrari BMW Mercedes Fiat Volvo Saab Form
    Formula Route Highway Interstate Cessna Windows Microsoft Renault Citroen Audi
    Lamborghini McLaren Lotus Chrysler Dodge
    GeForce Radeon Galaxy Pentium Core Heinz Commodore Amiga Atari Yamaha Honda Kawasaki Ducati Leica Canon Nikon Dell
    Thinkpad ThinkPad Samsung Huawei Airport Terminal Learjet Gulfstream Embraer Bombardier DC MD SR CA Hwy US I Rt
    Title Section Rule Studio Room Flight Agent Ordinance Ryzen Snapdragon""".split()
_NAMED_FIGURES = re.compile(
    rf"(?<![\w.])((?:{'|'.join(_BRANDS)})(?:[ -](?:RTX|GTX|RX|Model"
    rf"|Series))?[ -])([1-9][0-9]{{2,3}})(-[0-9]{{2,3}})?(s\b)?"
    r"(?![\w%]|[.,:/-][0-9])"
)
_THE_NAMED = re.compile(
    r"\b((?:[Tt]he|[Aa]n?|[Hh]is|[Hh]er|[Mm]y|[Oo]ur|[Yy]our|[Tt]heir"
    r"|[Nn]ew)[ ](?:[A-Z][A-Za-z'-]{1,15}[ ]){1,2})([1-9][0-9]{2})(s\b)?"
    r"(?![\w%]|[.,:/-][0-9]|-[A-Za-z])"
)
_PLAN = re.compile(r"(?<![\w.,])([1-9][0-9]{2,3})[ ]?\(([a-z])\)(?:\(([0-9])\))?")
# "12(b)(6)", "IV(b)(2)", "5(1)(a)".
_SUBSECTIONS = re.compile(r"(?<=[0-9IVX])(?:(?:\((?:[0-9]{1,3}|[A-Za-z])\)){2,6}|(?<=[0-9])\([a-z]\))(?!\w)")
_IN_BRACKETS = re.compile(r"\((\w+)\)")
_ANY_MINOR = re.compile(r"(?<![\w.])([0-9]{1,3}(?:\.[0-9]{1,3})?)\.x(?!\w)")
_JET = re.compile(
    r"(?<![\w.,$£€])(7[0-8]7)(?=[ ](?:MAX|Max|Dreamliner|jet|plane|airliner|jetliner|freighter|flight|pilot|crash"
    r"|landed|took|flew)\b)"
)
# Doses: every eight hours.
_EVERY = re.compile(r"(?<!\w)q([0-9]{1,2})h(?:rs?)?(?!\w)")
_MODEL = re.compile(r"(?<![\w.,-])(7[0-9]7|A3[0-9]0)-([0-9]{2,3})(?![\w-])")
_EMERGENCY = re.compile(r"(?<![\w.,])(911|999)(?=[ ](?:calls?|operators?|dispatch\w*|center|emergency|tapes?)\b)")
_CODES_PLURAL = re.compile(r"(?<![\w.])([A-Z]{1,3})-?([0-9]{1,3})s\b")
_WORD_DASH_FIGURES = re.compile(r"(?<![\w.-])([A-Z][a-z]{1,12})-([0-9]{1,4})(?![\w-]|[.,][0-9])")
_YEAR_IN_BRACKETS = re.compile(
    r"(?<=\()(?:(b\.|d\.|c\.|r\.|born|died)[ ])?(1[0-9]{3}|20[0-9]{2})(?=[),;])|(?<=[a-z],[ ])(10[0-9]{2})(?=[,.;)]|$)"
)
_IN_YEAR = re.compile(r"(?<=[ ]in[ ])([1-9][0-9]{2})(?=[,;)]|\.(?![0-9]))")
_SPOKEN_OF = {"b.": "born ", "d.": "died ", "c.": "circa ", "r.": "reigned "}
_EARLY_YEAR = re.compile(
    r"\b((?:by|from|before|after|between|around|the|of|AD|to)[ ])(10[0-9]{2})(?![\w%/:-]|[.,][0-9])(?=([ ][A-Za-z]+)?)"
)
# INV-2024-0091, CVE-2021-44228.
_PARTED_CODE = re.compile(r"(?<![\w.-])([A-Z]{2,5})((?:-[0-9]{2,6}){2,4})(?![\w-]|[.,][0-9])")
_IP = re.compile(r"(?<![\w.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(?:/([0-9]{1,2}))?(?::([0-9]{2,5}))?(?![\w]|\.[0-9])")
_KILO = re.compile(
    rf"{START}([0-9]{{1,4}}(?:\.[0-9])?)[kK](?=[ ](?:people|users|followers|subscribers|views|viewers|customers"
    rf"|jobs|members|visitors|copies|downloads|players|fans|likes|votes|dollars|euros|pounds|steps|words|times|miles)\b)"
)


def names(text: str) -> str:
    """`text` with the figures of models, roads and forms, of early years, and of internet addresses in words."""
    text = substitute(_IP, _ip, text, ".")
    text = substitute(_PARTED_CODE, _parted_code, text, "-")
    text = substitute(_KILO, lambda match: f"{spoken(match[1])} thousand", text, "kK")
    text = substitute(_PLAN, _plan, text, "(")
    text = substitute(_SUBSECTIONS, _subsections, text, "(")
    text = substitute(_ANY_MINOR, r"\1 point X", text, (".x",))
    text = substitute(_JET, lambda match: pairs(int(match[1])), text, "7")
    text = substitute(_EVERY, lambda match: f"every {cardinal(match[1])} hours", text, "q")
    text = substitute(_MODEL, lambda match: f"{_code_name(match[1])} {pairs(int(match[2]))}", text, "-")
    text = substitute(_EMERGENCY, lambda match: digits(match[1]), text, ("911", "999"))
    text = substitute(_CODES_PLURAL, lambda match: f"{match[1]} {plural(_code_figures(match[2]))}", text, "s")
    text = substitute(_WORD_DASH_FIGURES, lambda match: f"{match[1]} {_code_figures(match[2])}", text, "-")
    text = substitute(_NAMED_FIGURES, _named_figures, text, CAPITALS)
    text = substitute(_THE_NAMED, _the_named, text, CAPITALS)
    text = substitute(_YEAR_IN_BRACKETS, _year_in_brackets, text, "(,")
    text = substitute(_IN_YEAR, _in_year, text, (" in ",))
    return substitute(_EARLY_YEAR, _early_year, text, ("10",))


def _code_name(code: str) -> str:
    return f"A{NAMED} {_code_figures(code[1:])}" if code[0] == "A" else pairs(int(code))


def _parted_code(match: re.Match[str]) -> str:
    groups = [group for group in match[2].split("-") if group]
    said = [pairs(int(group)) if re.fullmatch("(?:19|20)[0-9]{2}", group) else digits(group) for group in groups]
    return f"{' '.join(match[1])} {', '.join(said)}"


def _ip(match: re.Match[str]) -> str:
    parts = match[1].split(".")
    if not all(int(part) < 256 and (part == "0" or part[0] != "0") for part in parts):
        return match[0]
    words = " dot ".join(cardinal(part) for part in parts)
    words += f" slash {cardinal(match[2])}" if match[2] else ""
    return words + (f" port {digits(match[3])}" if match[3] else "")


def _plan(match: re.Match[str]) -> str:
    return (
        f"{pairs(int(match[1]))} {match[2].upper()}"
        + (NAMED if match[2] == "a" else "")
        + (f" {cardinal(match[3])}" if match[3] else "")
    )


def _subsections(match: re.Match[str]) -> str:
    said = ""
    for part in _IN_BRACKETS.findall(match[0]):
        said += f" {cardinal(part)}" if part.isdigit() else f" {part.upper()}" + (NAMED if part in "aA" else "")
    return said


def _named_figures(match: re.Match[str]) -> str:
    after = _WORD_AFTER.match(match.string, match.end())
    if (
        after
        and (_is_plural(after[1]) or after[1].lower() in _QUANTITY_AFTER)
        and match[1].strip(" -") in ("Windows", "I", "US", "Form")
    ):
        return match[0]
    if len(match[2]) == 4 and match[1].split()[0] in ("Windows", "Office", "Title", "Rule"):
        return match[0]
    if match[1] == "I " and not _ROAD_BEFORE.search(match.string, max(0, match.start() - _WINDOW), match.start()):
        return match[0]
    words = pairs(int(match[2]))
    more = f" {pairs(int(match[3][1:]))}" if match[3] else ""
    return f"{match[1].replace('-', ' ')}{plural(words) if match[4] else words}{more}"


def _the_named(match: re.Match[str]) -> str:
    after = _WORD_AFTER.match(match.string, match.end())
    measured = after and (_is_plural(after[1]) or after[1].lower() in _QUANTITY_AFTER or after[1] in UNITS)
    if measured and not match[3]:
        return match[0]
    words = pairs(int(match[2]))
    return match[1] + (plural(words) if match[3] else words)


def _year_in_brackets(match: re.Match[str]) -> str:
    spoken_of = _SPOKEN_OF.get(match[1], f"{match[1]} ") if match[1] else ""
    return spoken_of + pairs(int(match[2] or match[3]))


def _in_year(match: re.Match[str]) -> str:
    before = match.string[max(0, match.start() - 12) : match.start() - 4]
    return (
        match[0]
        if re.search(r"(?:\b(?:one|two|three|four|five|ten|times|chance|odds|ranked|person)|[0-9])$", before)
        else pairs(int(match[1]))
    )


def _early_year(match: re.Match[str]) -> str:
    after = (match[3] or "").strip()
    if _is_plural(after) or after.lower() in _QUANTITY_AFTER or (match[1] in ("of ", "to ") and after):
        return match[0]
    return match[1] + pairs(int(match[2]))


_ROAD_BEFORE = re.compile(r"\b(?:[Tt]ake|[Oo]n|[Oo]ff|[Vv]ia|along|from|to|[Ee]xit|near|and|of|onto)[ ]$")


def figures(text: str) -> str:
    """`text` with every figure in words."""
    text = substitute(_VERSION, _version, text, ".")
    text = substitute(_NAMED_VERSION, _named_version, text, ("v", "V", "ython"))
    text = substitute(_GLUED_VERSION, _glued_version, text, ".")
    text = substitute(_LINES, lambda match: f"{pairs(int(match[1]))} {match[2].upper()}", text, "pi")
    text = substitute(_SCALED, _scaled, text, "nKMB")
    text = substitute(_YEAR_RANGE, _year_range, text, "-–/")
    text = substitute(_GROUPS, lambda match: ", ".join(digits(group) for group in match[1].split("-")), text, "-")
    text = substitute(_TEAM, _team, text, ("ers",))
    text = substitute(_DECADE, lambda match: decade(match[1]), text, "s")
    text = substitute(_SHORT_YEAR, lambda match: _two_figures(match[1]), text, "'")
    text = substitute(_ERA, lambda match: pairs(int(match[1] or match[2])), text, "BAC")
    text = substitute(
        _YEAR_NAMED,
        lambda match: (match[1] or match[3]) + pairs(int(match[2] or match[4])),
        text,
        ("ear", "In ", "in "),
    )
    text = substitute(_ZIP, lambda match: f"{match[1]} {digits(match[2])}", text, CAPITALS)
    text = substitute(_HOUSE, lambda match: _house(match[0]), text, _OF_STREETS)
    text = substitute(_ORDINAL, lambda match: _ordinal(match[1].replace(",", "")), text, "tdTD")
    text = substitute(_LETTER_DASH_FIGURES, lambda match: f"{match[1]} {_code_figures(match[2])}", text, "-")
    text = substitute(_FIGURES_DASH_LETTER, lambda match: f"{_code_figures(match[1])} {match[2]}", text, "-")
    text = substitute(_CODE, _code, text)
    text = substitute(_RATIO, lambda match: f"{spoken(match[1])} to {spoken(match[2])}", text, ":")
    text = substitute(_MINUS, r"\1 minus \2", text, ("equals",))
    text = substitute(_RANGE, _range, text, "-–")
    text = substitute(_ANY, _number, text, FIGURES)
    return substitute(_LEFT, lambda match: f" {digits(match[0])} ", text)


def _called(match: re.Match[str]) -> str:
    other = f"{match[3]}{digits(match[4])}" if match[4] else ""
    return match[1] + ", ".join(map(digits, re.split("[ -]", match[2]))) + other


def _vanity(match: re.Match[str]) -> str:
    country = "one, " if match[1] else ""
    area = "eight hundred" if match[2] == "800" else digits(match[2])
    return f"{country}{area}, {' '.join(match[3].split('-'))}"


def _abroad(match: re.Match[str]) -> str:
    groups = re.findall("[0-9]+", match[0])
    if not 8 <= sum(map(len, groups)) <= 15 or re.fullmatch(r"0?[0-9]/[0-9]{2}", match[0]):
        return match[0]
    return ("plus " if match[0].startswith("+") else "") + ", ".join(map(digits, groups))


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


def _glued_version(match: re.Match[str]) -> str:
    return f"{match[1]} {' point '.join(map(spoken, match[2].split('.')))}"


def _scaled(match: re.Match[str]) -> str:
    return f"{spoken(match[1] or match[3] or match[5])} {SCALES[(match[2] or match[4] or match[6]).lower()]}"


def _year_range(match: re.Match[str]) -> str:
    first, last = match.groups()
    if len(last) == 4 and not first <= last:
        return match[0]
    return f"{pairs(int(first))} to {pairs(int(last)) if len(last) == 4 else _two_figures(last)}"


def _team(match: re.Match[str]) -> str:
    words = cardinal(match[1])
    return words + ("rs" if words.endswith("e") else "ers")


def _range(match: re.Match[str]) -> str:
    first, last = match.groups()
    if first.isdigit() and len(first) > 2 and first.startswith("0"):  # A number that counts nothing: 00123-45.
        return f"{digits(first)}, {digits(last)}"
    return f"{spoken(first)} to {spoken(last)}"


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
    """True if a number of four figures is read as a year where it stands: "in 1895" but "1895 men"."""
    if before == "year" and number < 3000:
        return True
    if not 1000 < number < 2100:
        return False
    if before in _YEAR_BEFORE:
        return not (number % 100 == 0 and after in _QUANTITY_AFTER)
    if number < 1100 or before in _QUANTITY_BEFORE or after in _QUANTITY_AFTER:
        return False
    return not _is_plural(after) or before == "the"


def _is_plural(word: str) -> bool:
    """True if a word looks like what is counted; a name ("the 1936 Olympics") does not."""
    return (
        word.islower() and word.endswith("s") and not word.endswith("ss") and len(word) > 3 and word not in _NO_PLURALS
    )
