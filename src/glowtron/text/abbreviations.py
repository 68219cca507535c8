"""Abbreviations, read by what stands around them: St. Paul and Baker St., Dr. Smith and Sunset Dr., No. 5 and a No."""

from __future__ import annotations

import re

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
    "MSc": "M S C",
    "BSc": "B S C",
    "pH": "P H",
    "TL;DR": "T L D R",
    "c/o": "care of",
    "w/o": "without",
    "w/": "with ",
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
    rf"(?<![\w.])(?:({_either(TITLES)})(?:\.(?=[ ]?[A-Z0-9\ue000])|(?=[ ][A-Z][a-z]))|(Mrs?|Messrs|Mme|Mlle)\.)[ -]?"
)
_WORDLIKE_TITLES = frozenset("Gen Col Rep Pres Fr Det Hon Sen Ms".split())
_OTHER = re.compile(rf"(?<![\w.])({_either(OTHERS)})\.(?!\w)")
_IRREGULAR = re.compile(rf"(?<![\w.])({_either(IRREGULAR)})(?:(?<=[./])(?!\.|[A-Z]\.)|(?<![./])(?!\w|\.\w))")
_BEFORE_FIGURES = re.compile(rf"(?<![\w.])({_either(BEFORE_FIGURES)})\.[ ]?(?=#?[0-9]|[IVXL]+\b|[A-Z]{{1,3}}-?[0-9])")
_CIRCA = re.compile(r"(?<![\w.])c\.[ ]?(?=[1-9][0-9]{3}\b)")
_MONTH = re.compile(rf"(?<![\w.])({_either(MONTHS)})(?:\.(?=[ ]?[0-9,])|(?=[ ][0-9]))")
_MONTH_ALONE = re.compile(r"(?<![\w.])(Jan|Feb|Aug|Sept|Oct|Nov|Dec)\.(?=[ ][a-z]|[,;:)])")
_MONTH_AFTER_DAY = re.compile(rf"(?<=[0-9][ -])({_either(MONTHS)})\b\.?(?![a-z])")
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
    text = _IRREGULAR.sub(lambda match: IRREGULAR[match[1]], text)
    text = _STREET_OR_SAINT.sub(_street_or_saint, text)
    text = _DRIVE_OR_DOCTOR.sub(_drive_or_doctor, text)
    text = _TITLE.sub(_title, text)
    text = _CIRCA.sub("circa ", text)
    text = _BEFORE_FIGURES.sub(lambda match: BEFORE_FIGURES[match[1]] + " ", text)
    text = _SPAN.sub(lambda match: f"{_NAMED[match[1]]} to {_NAMED[match[2]]}", text)
    text = _DAY_LIST.sub(lambda days: _DAY_NAME.sub(lambda day: DAYS[day[1]], days[0]), text)
    text = _MONTH.sub(lambda match: MONTHS[match[1]], text)
    text = _MONTH_AFTER_DAY.sub(lambda match: MONTHS[match[1]], text)
    text = _MONTH_ALONE.sub(lambda match: MONTHS[match[1]], text)
    text = _DAY.sub(lambda match: DAYS[match[1]], text)
    return _OTHER.sub(lambda match: OTHERS[match[1]] + ending_stop(match), text)


def ending_stop(match: re.Match[str]) -> str:
    """A stop when what ends with this match also ends a sentence: nothing follows, or a capital does."""
    return "." if ends_sentence(match) else ""


def ends_sentence(match: re.Match[str]) -> bool:
    """Whether nothing follows a match, or a word with one capital, as a sentence begins: not NW after "Ave."."""
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
    """Whether a house number and a name stand before: "12 Sunset Dr. Los Angeles"."""
    return _HOUSE_BEFORE.search(match.string, max(0, match.start() - WINDOW), match.start()) is not None
