"""Abbreviations, read by what stands around them: St. Paul and Baker St., Dr. Smith and Sunset Dr., No. 5 and a No."""

from __future__ import annotations

import re

from glowtron.text.tracing import CAPITALS, substitute

# Always before a name or figure, so their stop never ends a sentence.
TITLES = {
    "Mr": "mister",
    "Mrs": "missus",
    "Ms": "miz",
    "Messrs": "messieurs",
    "Mme": "madame",
    "Mlle": "mademoiselle",
    "Drs": "doctors",
    "Prof": "professor",
    "Rev": "reverend",
    "Hon": "honorable",
    "Gen": "general",
    "Col": "colonel",
    "Maj": "major",
    "Capt": "captain",
    "Lt": "lieutenant",
    "Lieut": "lieutenant",
    "Sgt": "sergeant",
    "Sergt": "sergeant",
    "Cpl": "corporal",
    "Pvt": "private",
    "Cmdr": "commander",
    "Comdr": "commander",
    "Adm": "admiral",
    "Brig": "brigadier",
    "Gov": "governor",
    "Sen": "senator",
    "Rep": "representative",
    "Pres": "president",
    "Supt": "superintendent",
    "Insp": "inspector",
    "Det": "detective",
    "Mt": "mount",
    "Ft": "fort",
    "Fr": "father",
}
# May end a sentence: their stop stays where one ends.
OTHERS = {
    "Jr": "junior",
    "Sr": "senior",
    "Esq": "esquire",
    "Bros": "brothers",
    "Bldg": "building",
    "Cir": "circle",
    "Ct": "court",
    "Expy": "expressway",
    "Fwy": "freeway",
    "Tpke": "turnpike",
    "Govt": "government",
    "govt": "government",
    "Intl": "international",
    "Natl": "national",
    "incl": "including",
    "excl": "excluding",
    "avg": "average",
    "temp": "temperature",
    "Temp": "temperature",
    "acct": "account",
    "Acct": "account",
    "Inv": "invoice",
    "ea": "each",
    "Co": "company",
    "Corp": "corporation",
    "Inc": "incorporated",
    "Ltd": "limited",
    "Ave": "avenue",
    "Rd": "road",
    "Blvd": "boulevard",
    "Ln": "lane",
    "Sq": "square",
    "Hwy": "highway",
    "Pkwy": "parkway",
    "Apt": "apartment",
    "Dept": "department",
    "dept": "department",
    "Hosp": "hospital",
    "Univ": "university",
    "Assn": "association",
    "Mfg": "manufacturing",
    "approx": "approximately",
    "etc": "et cetera",
    "misc": "miscellaneous",
    "al": "al",
    "viz": "namely",
    "cf": "compare",
    "vs": "versus",
    "ca": "circa",
    "est": "established",
    "hrs": "hours",
}
# Dots, slashes or capitals inside, and yet no initialisms.
IRREGULAR = {
    "e.g.": "for example",
    "i.e.": "that is",
    "a.k.a.": "also known as",
    "Ph.D.": "P H D",
    "n.b.": "note well",
    "N.B.": "note well",
    "q.v.": "which see",
    "WWI": "World War One",
    "WWII": "World War Two",
    "PhD": "P H D",
    "PhDs": "P H D's",
    "CoV": "co V",  # Coronavirus, as in SARS-CoV-2.
    "MSc": "M S C",
    "BSc": "B S C",
    "M.Sc.": "M S C",
    "B.Sc.": "B S C",
    "B.Ed.": "B ed",
    "M.Ed.": "M ed",
    "D.Phil.": "D phil",
    "M.Phil.": "M phil",
    "LL.B.": "L L B",
    "LL.M.": "L L M",
    "LL.D.": "L L D",
    "pH": "P H",
    "TL;DR": "T L D R",
    "c/o": "care of",
    "w/o": "without",
    "w/": "with ",
    "W/o": "Without",
    "W/": "With ",
    "q/q": "quarter on quarter",
    "y/y": "year on year",
    "m/m": "month on month",
}
# Only before a figure (or Roman numeral), where nothing else could be meant.
BEFORE_FIGURES = {
    "No": "number",
    "no": "number",
    "Nos": "numbers",
    "nos": "numbers",
    "Vol": "volume",
    "vol": "volume",
    "vols": "volumes",
    "Ch": "chapter",
    "ch": "chapter",
    "Chap": "chapter",
    "chap": "chapter",
    "Fig": "figure",
    "fig": "figure",
    "Figs": "figures",
    "figs": "figures",
    "p": "page",
    "pp": "pages",
    "Sec": "section",
    "sec": "section",
    "Sect": "section",
    "sect": "section",
    "Sc": "scene",
    "sc": "scene",
    "Art": "article",
    "art": "article",
    "Pt": "part",
    "pt": "part",
    "ed": "edition",
    "Rm": "room",
    "rm": "room",
    "Tel": "telephone",
    "tel": "telephone",
    "Eq": "equation",
    "eq": "equation",
    "Ext": "extension",
    "ext": "extension",
    "cap": "chapter",
    "v": "version",
    "Ser": "series",
    "Op": "opus",
    "op": "opus",
    "Bldg": "building",
    "bldg": "building",
    "avg": "average",
    "Avg": "average",
    "temp": "temperature",
    "Temp": "temperature",
    "max": "maximum",
    "Max": "maximum",
    "approx": "approximately",
    "Approx": "approximately",
    "est": "established",
    "Est": "established",
    "Apt": "apartment",
    "apt": "apartment",
    "Ste": "suite",
    "Hwy": "highway",
    "Rte": "route",
    "Rt": "route",
    "Pg": "page",
    "pg": "page",
    "Para": "paragraph",
    "para": "paragraph",
    "Bk": "book",
    "Blk": "block",
    "blk": "block",
    "Plat": "platform",
    "plat": "platform",
    "Qty": "quantity",
    "qty": "quantity",
    "Ex": "example",
    "cf": "compare",
}
MONTHS = {
    "Jan": "January",
    "Feb": "February",
    "Mar": "March",
    "Apr": "April",
    "Jun": "June",
    "Jul": "July",
    "Aug": "August",
    "Sep": "September",
    "Sept": "September",
    "Oct": "October",
    "Nov": "November",
    "Dec": "December",
}
DAYS = {
    "Mon": "Monday",
    "Tue": "Tuesday",
    "Tues": "Tuesday",
    "Wed": "Wednesday",
    "Thu": "Thursday",
    "Thur": "Thursday",
    "Thurs": "Thursday",
    "Fri": "Friday",
    "Sat": "Saturday",
    "Sun": "Sunday",
}
# Capitalised where a sentence begins, so they say nothing of a name before "St." and mark a new sentence after a stop.
STARTERS = frozenset(
    """A An The In On At Of To By For From With Near And But Or So If As When While Then There Here He She It We You
    They I This That These Those His Her Its Our Your Their My Who What Where Why How Not No Yes After Before Since
    Until Is Was Are Were Did Do Does Every Each All Some Most Many One Two Once Later Now Today However Although
    Because Next Saint Sir Lady Lord Mount Port East West North South Old New Upper Lower Church Said Meet See Let
    Also""".split()
)


def _either(words: dict[str, str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


# "Mr." is one wherever it stands, "Col" only with a stop or before a name.
_TITLE = re.compile(
    rf"(?<![\w.])(?:({_either(TITLES)})(?:\.(?=[ ]?[A-Z0-9\ue000])|(?=[ ][A-Z][a-z]))|(Mrs?|Ms|Messrs|Mme|Mlle)\.)[ -]?"
)
_WORDLIKE_TITLES = frozenset("Gen Col Rep Pres Fr Det Hon Sen".split())
_OTHER = re.compile(rf"(?<![\w.])({_either(OTHERS)})\.(?!\w)")
_IRREGULAR = re.compile(rf"(?<![\w.])({_either(IRREGULAR)})(?:(?<=[./])(?!\.|[A-Z]\.)|(?<![./])(?!\w|\.\w))")
_BEFORE_FIGURES = re.compile(
    rf"(?<![\w.])({_either(BEFORE_FIGURES)})\.[ ]?(?=#?[0-9]|[IVXL]+\b|[ivxl]+\b|[A-Z]{{1,3}}-?[0-9])"
)
# Words too: a figure after their stop begins a sentence where something before shows a word: "I love art. 5 are mine".
_ALSO_WORDS = frozenset("no art fig cap sec ed temp max est op apt para ex v p".split())
_BEFORE_WORDS = frozenset(
    """a an his her its my our your their this that was is were be been are am say says said saying answer answered
    answers reply replied replies vote voted voting love loves loved like likes liked hate hates enjoy enjoys enjoyed
    study studies studied teach teaches taught make makes made buy buys bought sell sells sold ate eat eats dried ripe
    fresh firm big simple definite resounding flat clear definitely absolutely modern fine baseball wore oh mean means
    meant for with about of shouted whispered cried""".split()
)
_BEFORE_NO = _BEFORE_WORDS - frozenset("for with about of his her its my our your their this that".split())
# In an address the short forms have no stop: "123 E Main St", "5 Elm Ct".
_WAYS = {
    "Ave": "Avenue",
    "Av": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Ln": "Lane",
    "Hwy": "Highway",
    "Pkwy": "Parkway",
    "Expy": "Expressway",
    "Fwy": "Freeway",
    "Ct": "Court",
    "Cir": "Circle",
    "Pl": "Place",
    "Ter": "Terrace",
    "Sq": "Square",
    "Trl": "Trail",
    "Tpke": "Turnpike",
    "St": "Street",
    "Dr": "Drive",
}
_SIDES = {"N": "North", "S": "South", "E": "East", "W": "West"}
_SIDES |= {"NE": "Northeast", "NW": "Northwest", "SE": "Southeast", "SW": "Southwest"}
# Points of the compass: what may be anything else is one beside a distance, a speed, a street or the wind.
_POINTS = _SIDES | {
    "NNE": "north-northeast",
    "ENE": "east-northeast",
    "ESE": "east-southeast",
    "SSE": "south-southeast",
    "SSW": "south-southwest",
    "WSW": "west-southwest",
    "WNW": "west-northwest",
    "NNW": "north-northwest",
}
_HALF = "NE|NW|SE|SW"
_THIRD = "NNE|ENE|ESE|SSE|SSW|WSW|WNW|NNW"
_SPEED = r"[0-9][ ]?(?:km/h|kph|kmh|mph|MPH|kn|kts?|knots|m/s)"
_DISTANCE = r"[0-9][ ]?(?:km|mi|m|ft|miles?|met(?:er|re)s?|kilomet(?:er|re)s?|feet|blocks?|°)"
_HEADING = (
    r"\b(?:[Hh]ead(?:ing|ed|s)?|[Ff]ac(?:ing|es|ed)|[Tt]urn(?:ing|ed|s)?|[Gg]o(?:ing|es)?|[Mm]ov(?:ing|ed|es?)"
    r"|[Ss]ail(?:ing|ed|s)?|[Tt]ravel(?:l?ing|l?ed|s)?|[Dd]rifting|[Tt]racking|[Dd]ue)"
)
_COMPASS = (
    re.compile(rf"({_SPEED}[ ])(N|S|E|W|{_HALF}|{_THIRD})(?![\w'-]|\.\w)"),
    re.compile(rf"({_DISTANCE}[ ](?:to[ ]the[ ])?)({_HALF}|{_THIRD})(?![\w'-]|\.\w)"),
    re.compile(
        rf"(\b[Ww]inds?[ ](?:(?:is|are|was|were|from|the|now|light|blowing|gusting|turning|backing|veering)[ ]){{0,3}}"
        rf"(?:(?:{_HALF}|{_THIRD})[ ](?:to|or|and)[ ])?)({_HALF}|{_THIRD})(?![\w'-])"
    ),
    re.compile(rf"({_HEADING}[ ](?:to[ ]the[ ])?)({_HALF}|{_THIRD})(?![\w'-])"),
    re.compile(rf"()(?<![\w.-])({_HALF}|{_THIRD})(?=[ ]of[ ]|[ ](?:at|by)[ ][0-9]|[ ][0-9]{{1,3}}(?:st|nd|rd|th)\b)"),
    re.compile(
        r"(\b(?:Ave|St|Rd|Blvd|Dr|Ln|Ct|Pl|Avenue|Street|Road|Boulevard|Drive|Lane|Court|Place)\b\.?,?[ ])"
        rf"({_HALF})(?![\w'-])"
    ),
)
_THIRDS = re.compile(rf"(?<![\w.-])({_THIRD})(?![\w'-])")
_WIND = re.compile(r"\b[Ww]inds?\b")
_ANY_POINT = re.compile(rf"(?<![A-Za-z])(?:[NS]?(?:{_HALF})|[EW](?:{_HALF})|[NSEW])(?![A-Za-z])")
_HOUSE = r"(?<![\w.,])[0-9]{1,5}[A-Za-z]?[ ]"
_SIDE = re.compile(
    rf"({_HOUSE})({'|'.join(sorted(_SIDES, key=len, reverse=True))})\b\.?"
    r"(?=[ ](?:[A-Z][a-z]{2,}|[0-9]{1,3}(?:st|nd|rd|th)))"
)
_WAY = re.compile(
    rf"({_HOUSE}(?:(?:[A-Z][a-z]+|[0-9]{{1,3}}(?:st|nd|rd|th))[ ]){{1,4}})({'|'.join(_WAYS)})\b(?!\.)(?=[ ,;)]|$)"
    rf"|((?<=[a-z][ ])|(?<=th[ ])|(?<=st[ ])|(?<=rd[ ])|(?<=nd[ ]))(Ave|Blvd|Rd|Pkwy|Hwy|Fwy|Expy)\b(?!\.)(?=[ ,;)]|$)"
)
_FIGURE = re.compile("[0-9]")
_HIGHWAY = re.compile(r"(?<![\w.])Hwy\b\.?(?=[ ][0-9])")
STATES = dict(
    pair.split(":")
    for pair in (
        "AL:Alabama AK:Alaska AZ:Arizona AR:Arkansas CA:California CO:Colorado CT:Connecticut DE:Delaware FL:Florida "
        "GA:Georgia HI:Hawaii ID:Idaho IL:Illinois IN:Indiana IA:Iowa KS:Kansas KY:Kentucky LA:Louisiana ME:Maine "
        "MD:Maryland MA:Massachusetts MI:Michigan MN:Minnesota MS:Mississippi MO:Missouri MT:Montana NE:Nebraska "
        "NV:Nevada NH:New_Hampshire NJ:New_Jersey NM:New_Mexico NY:New_York NC:North_Carolina ND:North_Dakota OH:Ohio "
        "OK:Oklahoma OR:Oregon PA:Pennsylvania RI:Rhode_Island SC:South_Carolina SD:South_Dakota TN:Tennessee TX:Texas "
        "UT:Utah VT:Vermont VA:Virginia WA:Washington WV:West_Virginia WI:Wisconsin WY:Wyoming"
    ).split()
)
STATES = {short: name.replace("_", " ") for short, name in STATES.items()}
_STATE = re.compile(rf"(?<=[a-z],[ ])({'|'.join(STATES)})(?=[ ][0-9]{{5}}\b|[.,;:)!?]|[ ][a-z]|$)(?!\.[A-Z]|[ ]?[A-Z])")
_VERSUS = re.compile(r"(?<![\w.])(?:vs|VS|Vs)\b\.?(?!\w)|(?<=[A-Za-z.][ ])v\.?(?=[ ][A-Z])")
# Before any figure; but after a small one it is a cup ("1 c. 2 tbsp"), after a king's number the chapter of a statute.
_CIRCA = re.compile(r"(?<![\w.])(?<![IVX] )(?<![IVX][.,] )(?:(?<![0-9] )|(?<=[0-9]{3} ))c\.[ ]?(?=[$£€]?[1-9])")
_DATE_OF_LIFE = (
    r"(?:c\.[ ])?(?:(?:[0-9]{1,2}[ ])?[A-Z][a-z]{2,8}\.?[ ](?:[0-9]{1,2},[ ])?)?"
    r"(?:1[0-9]{3}|20[0-9]{2}|[1-9][0-9]{2}(?=[),;]))"
)
LIFE_YEARS = re.compile(rf"(?:(?<=\()|(?<=[0-9][,;] ))(b|d|m|r|fl)\.[ ](?={_DATE_OF_LIFE}(?![0-9]))")
"""Before a date of somebody's life: "(b. 12 May 1920; d. 1999)"."""
RULES_OF_COURT = re.compile(r"\bFed\.[ ]R\.[ ](?:(Civ|Crim|App|Bankr)\.[ ]P\.|(Evid)\.)")
_CENTURY = re.compile(r"(?<=[0-9](?:th|st|nd|rd)[ ])c\.(?!\w)")
_MONTH = re.compile(rf"(?<![\w.])({_either(MONTHS)})(?:\.(?=[ ]?[0-9,])|(?=[ ][0-9]))")
_MONTH_ALONE = re.compile(r"(?<![\w.])(Jan|Feb|Aug|Sept|Oct|Nov|Dec)\.(?=[ ][a-z]|[,;:)])")
_POSITION = re.compile(r"(?<![\w.])([Ll]at|[Ll]ong?)\.(?=[ ]-?[0-9]{1,3}(?:\.[0-9]{1,8})?[ ]?°)")
_POSITIONS = {"lat": "latitude", "lon": "longitude", "long": "longitude"}
_TELEPHONE = re.compile(r"\b[Tt]el(?=:[ ]?[+(0-9])")
# In recipes: "3 lg. eggs".
_SIZE = re.compile(r"(?<=[0-9][ ])(lg|sm|med|pkgs?|pkt)\.(?=[ ][a-z(])")
_SIZES = {"lg": "large", "sm": "small", "med": "medium", "pkg": "package", "pkgs": "packages", "pkt": "packet"}
_MONTH_AFTER_DAY = re.compile(rf"(?:(?<=[0-9][ -])|(?<=[0-9](?:st|nd|rd|th)[ ]))({_either(MONTHS)})\b\.?(?![a-z])")
_NAMED = DAYS | MONTHS
_A_DAY = rf"(?:{_either(DAYS)})\b"
_DAY_LIST = re.compile(
    rf"(?<![\w.])(?:{_A_DAY}\.?(?:,[ ](?:and[ ]|or[ ])?|[ ](?:and|or)[ ])){{1,6}}"
    rf"{_A_DAY}(?![\w-])(?:\.(?=[ ][a-z0-9]))?"
)
_DAY_NAME = re.compile(rf"\b({_either(DAYS)})\b\.?")
_SPAN = re.compile(rf"(?<![\w.])({_either(_NAMED)})\.?[ ]?[-–][ ]?({_either(_NAMED)})\b\.?(?!\w)")
_DAY = re.compile(rf"(?<![\w.])({_either(DAYS)})(?:\.(?=,|[ ][0-9JFMASOND])|(?=,?[ ](?:[0-9]|{_either(MONTHS)})))")
_STREET_OR_SAINT = re.compile(r"(?<![\w.])(St|Ste)\b\.?(?![\w.])")
_DRIVE_OR_DOCTOR = re.compile(r"(?<![\w.])Dr\b\.?(?![\w.])")
_ENDS = re.compile(r"[\"')\]]*(?:\s*$|\s+[\"']*[A-Z](?![A-Z]))")
_NEXT_WORD = re.compile(r"[ \n]+([A-Z][a-z']*)")
_LAST_WORD = re.compile(r"([A-Za-z0-9']+)[ ]+$")
_HOUSE_BEFORE = re.compile(r"[0-9]+[A-Za-z]?[ ][A-Z][a-z]+[ ]$")
WINDOW = 40
"""Characters that are looked back for the word before; a bound keeps long texts linear."""


def expand(text: str) -> str:
    """`text` with abbreviations written out; a stop that also ends a sentence stays."""
    text = substitute(_IRREGULAR, lambda match: IRREGULAR[match[1]], text, "./WDVSH")
    text = substitute(_TITLE, _title, text, CAPITALS)
    if _FIGURE.search(text):
        text = substitute(_HIGHWAY, "Highway", text, "H")
        text = substitute(_SIDE, lambda match: match[1] + _SIDES[match[2]], text, "NSEW")
        text = substitute(_WAY, lambda match: (match[1] or "") + _WAYS[match[2] or match[4]], text, CAPITALS)
    if _ANY_POINT.search(text):
        for pattern in _COMPASS:
            text = substitute(pattern, lambda match: match[1] + _POINTS[match[2]].lower(), text)
        if _WIND.search(text):
            text = substitute(_THIRDS, lambda match: _POINTS[match[1]], text)
    text = substitute(_STATE, lambda match: STATES[match[1]], text, ",")
    text = substitute(_VERSUS, _versus, text, "vV")
    text = substitute(_BEFORE_FIGURES, _before_figures, text, ".")
    text = substitute(_STREET_OR_SAINT, _street_or_saint, text, "S")
    text = substitute(_DRIVE_OR_DOCTOR, _drive_or_doctor, text, "D")
    text = substitute(_POSITION, lambda match: _POSITIONS[match[1].lower()], text, "°")
    text = substitute(_TELEPHONE, "telephone", text, ":")
    text = substitute(_SIZE, lambda match: _SIZES[match[1]], text, ".")
    text = substitute(_CIRCA, "circa ", text, ".")
    text = substitute(_CENTURY, lambda match: "century" + ending_stop(match), text, ".")
    text = substitute(_SPAN, lambda match: f"{_NAMED[match[1]]} to {_NAMED[match[2]]}", text, "-–")
    text = substitute(_DAY_LIST, lambda days: _DAY_NAME.sub(lambda day: DAYS[day[1]], days[0]), text, CAPITALS)
    text = substitute(_MONTH, lambda match: MONTHS[match[1]], text, "JFMASOND")
    text = substitute(_MONTH_AFTER_DAY, _month_after_day, text, "JFMASOND")
    text = substitute(_MONTH_ALONE, lambda match: MONTHS[match[1]], text, ".")
    text = substitute(_DAY, lambda match: DAYS[match[1]], text, "MTWFS")
    return substitute(_OTHER, _other, text, ".")


def ends_before_figure(word: str, before: str) -> bool:
    """True if the stop of `no.`, `art.`, ... before a figure ends a sentence, by the word before it."""
    if word not in _ALSO_WORDS:
        return False
    return before.lower() in (_BEFORE_NO if word == "no" else _BEFORE_WORDS)


def _before_figures(match: re.Match[str]) -> str:
    if ends_before_figure(match[1], word_before(match)):
        return match[0]
    return BEFORE_FIGURES[match[1]] + " "


def _month_after_day(match: re.Match[str]) -> str:
    # "25th Dec" is read with what is left out.
    return ("of " if match.string[match.start() - 2].isalpha() else "") + MONTHS[match[1]]


def _versus(match: re.Match[str]) -> str:
    if match[0].startswith("v") and len(match[0].rstrip(".")) == 1 and word_before(match) in STARTERS:
        return match[0]
    before = word_before(match)
    if match[0] == "VS" and not (before[:1].isupper() or before[:1].isdigit()):  # VS Code.
        return match[0]
    return "versus" + ("." if match[0].endswith(".") and not match.string[match.end() :].strip(" \"')") else "")


# What ends with their stop is seldom a sentence, even before a capital: "Warner Bros. Pictures".
_PARTS_OF_NAMES = frozenset(
    """Jr Sr Bros Co Corp Inc Ltd Ave Rd Blvd Ln Sq Hwy Pkwy Apt Dept Hosp Univ Assn Mfg Bldg Cir Ct Expy Fwy Tpke Govt
    Intl Natl cf vs viz approx ca est avg temp Acct acct Inv""".split()
)


_AMOUNT_BEFORE = re.compile(r"[0-9][%kKmMbB]?[ ]$")


def _other(match: re.Match[str]) -> str:
    following = _NEXT_WORD.match(match.string, match.end())
    goes_on = match[1] in _PARTS_OF_NAMES and following and following[1] not in STARTERS
    if match[1] == "est" and _AMOUNT_BEFORE.search(match.string, max(0, match.start() - 8), match.start()):
        return "estimated" + ending_stop(match)
    return OTHERS[match[1]] + ("" if goes_on else ending_stop(match))


def ending_stop(match: re.Match[str]) -> str:
    """A stop when what ends with this match also ends a sentence: nothing follows, or a capital does."""
    return "." if ends_sentence(match) else ""


def ends_sentence(match: re.Match[str]) -> bool:
    """True if nothing follows a match, or a word with one capital, as a sentence begins: not NW after "Ave."."""
    return _ENDS.match(match.string, match.end()) is not None


def word_before(match: re.Match[str]) -> str:
    """The word right before a match, "" when there is none or punctuation stands between."""
    found = _LAST_WORD.search(match.string, max(0, match.start() - WINDOW), match.start())
    return found[1] if found else ""


def _title(match: re.Match[str]) -> str:
    if "." not in match[0] and match[1] in _WORDLIKE_TITLES:  # A name itself: "Col Needham", "Gen Z".
        return match[0]
    return TITLES[match[1] or match[2]] + " "


def _street_or_saint(match: re.Match[str]) -> str:
    before = word_before(match)
    named = _NEXT_WORD.match(match.string, match.end())
    if named and before.isdigit() and named[1] not in STARTERS:  # A house number: "12 St. James Square".
        return "saint"
    # A street has its name before it: "Baker St.", "42nd St.". So has a saint only where a sentence begins.
    has_name = bool(before) and (before[0].isupper() or before[0].isdigit()) and before not in STARTERS
    names_street = has_name and (before[0].isdigit() or "." not in match[0] or _in_address(match))
    if named and not names_street and not (has_name and named[1] in STARTERS):
        return "saint"
    if not has_name and "." not in match[0]:
        return match[0]
    return "street" + (ending_stop(match) if match[0].endswith(".") else "")


def _drive_or_doctor(match: re.Match[str]) -> str:
    before = word_before(match)
    named = _NEXT_WORD.match(match.string, match.end())
    has_name = bool(before) and before[0].isupper() and before not in STARTERS
    if has_name and (_in_address(match) or not named):
        return "drive" + (ending_stop(match) if match[0].endswith(".") else "")
    return "doctor"


def _in_address(match: re.Match[str]) -> bool:
    """True if a house number and a name stand before: "12 Sunset Dr. Los Angeles"."""
    return _HOUSE_BEFORE.search(match.string, max(0, match.start() - WINDOW), match.start()) is not None
