"""Capitals: what is spelt (FBI), what is said as a word (NASA), what is only shouted, and Roman numerals.

A letter that is named stays a capital ("F B I", "vitamin A"), which tells it from the article; all else is lower case.
"""

from __future__ import annotations

import re
from collections.abc import Container

from glowtron.text.abbreviations import STARTERS, WINDOW, ending_stop, word_before
from glowtron.text.lexicon import is_common, is_word
from glowtron.text.numbers import cardinal, ordinal, pairs
from glowtron.text.tracing import CAPITALS, substitute

# Words of two to three letters that are not letters' names when in capitals.
_WORDS = frozenset(
    """AM AN AS AT BE BY DO GO HE IF IN IS IT ME MY NO OF OH ON OR OX SO TO UP WE ACT ADD AGE AGO AID AIM AIR ALL
    AND ANY ARE ARM ART ASK ATE BAD BAG BAR BAT BED BET BIG BIT BOX BOY BUS BUT BUY CAN CAP CAR CAT COW CRY CUP
    CUT DAD DAY DID DIE DOG DRY DUE EAR EAT EGG END EYE FAN FAR FAT FEW FIT FIX FLY FOG FOR FOX FUN GAS GET GOD
    GOT GUN GUY HAD HAS HAT HER HEY HIM HIS HIT HOT HOW ICE ILL ITS JOB JOY KEY KID LAW LAY LEG LET LIE LOT LOW
    MAN MAP MAY MEN MET MIX MOM NEW NOR NOT NOW NUT ODD OFF OIL OLD ONE OUR OUT OWN PAY PEN PER PET PIN PUT RAM
    RAN RAW RED RID ROW RUN SAD SAT SAW SAY SEA SEE SET SEX SHE SIR SIT SIX SKY SON SUN TAX TEA TEN THE TIE TIP
    TOO TOP TOY TRY TWO USE VAN WAR WAS WAY WEB WET WHO WHY WIN WON YES YET YOU ZIP ZOO MR MRS DR ST JR SIM ROM
    VAT SUM GIF DOS
    ACE AHA ALE APE APP ARK ASH ASS AWE AXE BAH BAN BAY BEE BEG BEN BIB BIN BOB BOG BOO BOW BRA BRO BUD BUG BUM BUN
    BYE CAB COP COY CUB CUE DAM DEN DEW DIM DIN DIP DOC DOE DOT DUB DUG DUO DYE EEL EGO ELF ELK ELM ERA EVE EWE FAD FED
    FEE FIG FIN FIR FOE FRY FUR GAB GAG GAL GAP GAY GEL GEM GIN GUM GUT GYM HAM HAY HEM HEN HID HIP HOE HOG HOP HUB
    HUE HUG HUM HUT ICY INK INN ION IRE IVY JAB JAM JAR JAW JAY JET JIG JOG JUG KEG KEN KIN KIT LAB LAD LAG LAP LID LIP
    LIT LOG MAD MAT MIC MID MOB MOP MUD MUG MUM NAG NAP NET NIL NIP NOD NUN OAF OAK OAR OAT ODE OPT ORE OWE OWL PAD PAL
    PAN PAT PAW PEA PEE PEG PEW PIE PIG PIT PLY POD POP POT PRO PUB PUN PUP RAG RAP RAT RAY RIB RIG RIM RIP ROB ROD ROT
    RUB RUG RUM RUT RYE SAG SAM SAP SHY SIN SIP SKI SKY SLY SOB SOD SOW SOY SPA SPY SUB SUE TAB TAG TAN TAP TAR TIN TOE
    TOM TON TOW TUB TUG UGH URN VET VIA VOW WAG WAX WED WEE WIG WIT WOE WOW YAK YAM YEA ZAP ZEN ZOO HA HI HMM SHH
    JIM TIM JOE LEE DAN RON DON ANN AMY EVA IAN IDA KIM LEO MAX MIA NED PAM RAY REX ROY SAL SUE TED ZOE JEN JAN JON MEG
    """.split()
)
# Spelt although they look like words.
_SPELT = frozenset(
    """ACLU LED LEDS
    AFAIK ASAP AWS BIOS CEO CIA CTO DIY EPA ETA EU FAQ FBI FDA FIA GOP GUI HIV IBM IDE IMF IOU IRS ISO MBA
    NBA NAACP NCAA NGO NIH NSA OECD OEM PA PIA RCA RIAA SUV TUC UAE UAW UCLA UFO UK UN URL USA USAF USB USDA
    USSR VIP YMCA YWCA""".split()
)
_MONARCHS = frozenset(
    """Henry Charles George Edward William James Richard John Louis Philip Francis Frederick Alexander Nicholas
    Paul Pius Leo Gregory Benedict Innocent Clement Urban Boniface Peter Catherine Elizabeth Mary Ivan Otto
    Napoleon Ferdinand Alfonso Albert Christian Gustav Gustavus Haakon Harald Olaf Leopold Maximilian Joseph
    Rudolf Ramses Rameses Ptolemy Xerxes Darius Cyrus Artaxerxes Umberto Emmanuel Robert David Stephen Anne
    Julius Sixtus Eugene Adrian Martin Nicolas Wilhelm Friedrich Karl Juan Carlos Pedro Felipe Baldwin
    Theodosius Constantine Justinian Michael Basil Nebuchadnezzar Sargon Thutmose Amenhotep Seti Antiochus
    Seleucus Philippe Casimir Sigismund Stanislaus""".split()
)
_HEADINGS = frozenset(
    """chapter volume part book act scene section article title canto psalm phase type stage class grade level
    appendix figure table plate number war bowl apollo gemini mark session amendment verse corps case rule page
    lesson unit exhibit vol chap no fig division group form schedule category episode module phases tier zone plan
    annex option line track team room item sonnet""".split()
)
_ROMAN = re.compile(r"(?<![\w'.-])(?:([IVXLCDM]+)(?:(?![\w'])|(?='s))(\.(?!\w))?|([IVXL]+)(?:th|st|nd|rd)\b)")
_SMALL_ROMAN = re.compile(r"(?<=[a-z] )([ivxl]{2,6}|[vx])(?:[-–]([ivxl]{1,6}))?(?![\w'])")
_LISTED_ROMAN = re.compile(r"(?<!\w)\((i{2,3}|iv|vi{1,3}|ix|xi{0,3}|xiv|xv)\)")
# At the beginning of a text.
_HEADING_ROMAN = re.compile(r"^([IVX]{1,5})\.[ ]([A-Z][a-z]+)(?![\w.'])")
_AMBIGUOUS = frozenset({"IV", "VI", "XX", "XXX"})  # A drip, an editor, kisses.
_DRIP = re.compile(
    r"[ -](?:fluids?|drips?|lines?|bags?|antibiotics|access|poles?|therapy|treatment|medications?|drugs?|editor)\b"
)
_SEQUELS = frozenset("Rocky Fantasy GTA Saw Jaws Halloween Civilization Alien Superman Fallout Elder Scrolls".split())
_CENTURY = re.compile(r"[ ](?:[Cc]entur|[Dd]ynast|Olympiad|Olympic|(?:[A-Z][a-z]+[ ]){0,2}Corps\b|Legion\b)")
# WrestleMania XL, Symposium XLII: what is held again and again. Elsewhere XL is a size.
_EVENTS = frozenset(
    """bowl olympiad congress symposium festival conference convention championship championships games cup summit fight
    night edition expo council regatta""".split()
)
_EVENT = re.compile(r"(?:mania|fest|con|slam|palooza|bowl)$", re.IGNORECASE)
_LISTED = re.compile(rf"\b(?:{'|'.join(_HEADINGS)})s [IVXLCDM]+,? (?:and|or|to) $", re.IGNORECASE)
_FULL_NAME = re.compile(r"\b[A-Z][a-z]+(?: [A-Z]\.?)? [A-Z][a-z]+,? $")
_WELL_FORMED = re.compile(r"M{0,3}(?:CM|CD|D?C{0,3})(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
NAMED = "\ue001"
"""Follows an A that is a letter's name where its surroundings would not tell: "A4" and not "a four"."""

_DOTTED = re.compile(r"(?<![\w.])((?:[A-Za-z]\.){2,8}|(?:[A-Za-z]\.){1,8}[A-Za-z](?![\w]))(?:'s\b)?")
_INITIAL = re.compile(r"(?<![\w.'])([A-Z])\.(?=[ ]?[A-Z])[ ]?")
_SPECIES = re.compile(r"(?<![\w.'])([A-Z])\.(?=[ ][a-z]{3})")  # E. coli: no sentence begins in small letters.
_NAMED = re.compile(NAMED)
_CAPITALISED = re.compile(r"[A-Z][a-z]*")
_WORD = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
# All other words stay as they are.
_WORD_WITH_CAPITAL = re.compile(rf"(?<![A-Za-z])(?<![A-Za-z]')(?=[a-z]*(?:'[a-z]+)*'?[A-Z]){_WORD.pattern}")
_SHOUTED_RUN = re.compile(r"(?<![\w'])[A-Z][A-Z']*(?:[ ,;:.!?\"()0-9-]+[A-Z][A-Z']*)+(?![a-z])")
_BEFORE_PRONOUN = frozenset(
    """TO FOR WITH OF LET TELL GIVE JOIN CONTACT CALL VISIT HELP FOLLOW ABOUT ASK TEACH SEND SHOW LEAVE SAVE MAKE MAKES
    BETWEEN AMONG LIKE EMAIL WRITE TRUST FIND SEE KEEP BEHIND AROUND ALL NEAR BEAT""".split()
)
_BEFORE_PRONOUN_LOWER = frozenset(word.lower() for word in _BEFORE_PRONOUN) | frozenset(
    "told gave lets asked want wants wanted made left sent showed joined called helped saved taught than".split()
)
_AFTER_PRONOUN = frozenset(
    """to and all not alone in as out about that what how who when where if or but on at for with from is are was were
    by now up down the a an they we so""".split()
)
_SHOUTED_BEFORE = re.compile(r"(?<![A-Z'])([A-Z]+) $")
_BESIDE_BEFORE = re.compile(r"(?<![\w'])([A-Za-z]+)[ ]$")
_BESIDE_AFTER = re.compile(r"[ /&-]{1,3}([A-Za-z]+)")
# In capitals, letters after some of these words or before some of those; the word elsewhere.
_INITIALISM_BESIDE = {
    "IT": (
        frozenset("in the an our their your my his her its of for and corporate enterprise with into his".split()),
        frozenset(
            """department team support manager managers staff security system systems infrastructure industry
            professional professionals specialist specialists services service company companies sector skills project
            projects budget consultant consultants director policy person guy people equipment job jobs help expert
            experts administrator solutions issues crowd band desk helpdesk technician technicians training
            operations outsourcing career careers""".split()
        ),
    ),
    "WHO": (
        frozenset(["the"]),
        frozenset(
            """recommends guidelines guideline officials official data report reports estimates declares declared
            director chief headquarters experts spokesman spokeswoman figures""".split()
        ),
    ),
    "AM": (
        frozenset(["fm", "the", "an"]),
        frozenset("fm radio station stations band dial broadcast broadcasts".split()),
    ),
    "SAT": (
        frozenset("the an my his her their your our retake take took taking for".split()),
        frozenset("score scores test tests exam exams prep".split()),
    ),
    "ACT": (frozenset(["the", "an"]), frozenset("score scores test tests prep".split())),
    "OR": (frozenset(["the", "an"]), frozenset("nurse nurses table suite".split())),
    "ME": (frozenset(["the"]), frozenset()),
    "ICE": (frozenset(), frozenset("agents agent officers officer detention raids raid".split())),
}
_MIXED = re.compile(r"(?<![\w'.@#-])(?=[A-Za-z]*[a-z][A-Z]|[A-Z]+[a-z])[A-Za-z]{3,24}(?![\w'])")
_PIECES = re.compile(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?=[A-Z][a-z])|[A-Z]")
_SCOTTISH = re.compile(r"(?:Mc|Mac|Fitz|De|Di|Da|La|Le|Du|Van|Von|St)[A-Z][a-z]+$")
_WHOLE = frozenset("mig migs youtube paypal ebay iphone ipad ipod wifi javascript facebook linkedin latex".split())
_TICKER = re.compile(r"\b((?:NYSE|NASDAQ|Nasdaq|LSE|TSX|AMEX|ASX|FTSE|XETRA|OTC):[ ]?)([A-Z]{1,5})(?![\w])")
_CUT = re.compile(r"(?<![\w-])([A-Za-z]{2,})-[ \t]*\n[ \t]*([a-z]{2,})")
_ONSETS = frozenset(
    """B BL BR C CH CHR CL CR D DR DW F FL FR G GL GR H J K KL KN KR L M N P PH PL PR QU R RH S SC SCH SCR SH SHR
    SK SL SM SN SP SPL SPR SQU ST STR SW T TH THR TR TW V W WH WR X Y Z""".split()
) | {""}
_CODAS = frozenset(
    """B BS C CH CK CKS CT CTS D DS F FF FT FTS G GH GHT GHTS GS H K KS L LB LD LDS LF LK LL LLS LM LP LS LT LTS M
    MP MPS MS N ND NDS NG NGS NK NKS NS NT NTS P PS PT PTS R RB RC RCH RD RDS RF RG RK RKS RL RM RMS RN RNS RP
    RS RST RT RTS S SH SK SM SP SS ST STS T TCH TH THS TS TT V W WN WNS X Z ZZ""".split()
) | {""}
_SYLLABLES = re.compile(r"([^AEIOUY]*)([AEIOUY]+)(?:.*[AEIOUY])?([^AEIOUY]*)")


def spell(letters: str) -> str:
    """`"fbi"` as "F B I"."""
    return " ".join(letters.upper())


def spells(word: str) -> bool:
    """True if a word in capitals is read letter by letter: it is short and no common word, or nobody could say it."""
    if word in _WORDS:
        return False
    if word in _SPELT or len(word) <= 3:
        return True
    return not is_word(word) and not _sayable(word)


def _sayable(word: str) -> bool:
    if len(word) > 6:  # Longer than what anybody spells, if it has a vowel.
        return re.search("[AEIOUY]", word) is not None
    match = _SYLLABLES.fullmatch(word)
    if not match or match[1] not in _ONSETS or match[3] not in _CODAS:
        return False
    # AA, II and UU begin no English word; four consonants in a row are letters.
    return not re.search(r"^(?:AA|II|UU)|[^AEIOUY]{5}", word)


def calm(text: str) -> str:
    """`text` with shouting ("DO NOT ENTER THE FBI BUILDING") in title case, so that all rules read it as usual.

    A run of three and more words in capitals is shouted when most of them are words and not letters' names.
    """
    return substitute(_SHOUTED_RUN, _calmed, text, CAPITALS)


def _calmed(run: re.Match[str]) -> str:
    words = [word for word in _WORD.findall(run[0]) if len(word) > 1]
    said = [word for word in words if not spells(word.replace("'", "")) or _shouted(word)]
    if len(words) < 2 or len(_WORD.findall(run[0])) < 3 or 2 * len(said) <= len(words):
        return run[0]
    return _WORD.sub(lambda word: word[0] if _stays(word) else word[0].capitalize(), run[0])


def _shouted(word: str) -> bool:
    """True if letters that are mostly spelt are a word where all is in capitals."""
    return len(word) > 2 and word not in _SPELT and is_common(word) and re.search("[AEIOUY]", word) is not None


def _stays(match: re.Match[str]) -> bool:
    """True if a word in capitals is no word even where all is in capitals."""
    word = match[0]
    if word == "US":
        # BREAKING: US AND UK SIGN; but TELL US NOW.
        before = _SHOUTED_BEFORE.search(match.string, max(0, match.start() - 16), match.start())
        return before is None or before[1] not in _BEFORE_PRONOUN
    if word in _INITIALISM_BESIDE:
        return _is_initialism(match)
    numeral = set(word) <= set("IVX") and _WELL_FORMED.fullmatch(word) is not None
    return word in _SPELT or numeral or (not re.search("[AEIOUY]", word) and word not in _WORDS)


def parted(text: str) -> str:
    """`text` with words that have capitals inside apart at these ("ChatGPT" as "Chat GPT"), but for names.

    A ticker after its stock exchange is spelt.
    """
    text = substitute(_TICKER, lambda match: match[1] + spell(match[2]), text, ":")
    return substitute(_MIXED, _mixed, text, CAPITALS)


def _mixed(match: re.Match[str]) -> str:
    word = match[0]
    if word.lower() in _WHOLE:
        return word.capitalize()
    if _SCOTTISH.match(word) or is_word(word) or re.fullmatch("[A-Z]{2,}s", word):
        return word
    pieces = _PIECES.findall(word)
    if len(pieces) < 2 or len(pieces[0]) == 1 or sum(map(len, pieces)) != len(word):
        return word
    if all(len(piece) < 3 for piece in pieces):  # MiG, DoD: spelt as a whole, or known above.
        return word
    return " ".join(spell(piece) if piece.isupper() and spells(piece) else piece for piece in pieces)


def joined_lines(text: str) -> str:
    """`text` with the words whole that are cut at the end of a line."""
    return substitute(_CUT, _joined, text) if "-" in text and "\n" in text else text


def _joined(match: re.Match[str]) -> str:
    first, second = match[1], match[2]
    whole = is_word(first + second) or not (is_word(first) and is_word(second))
    return first + ("" if whole else "-") + second


def roman(text: str) -> str:
    """`text` with Roman numerals in words, where a name or a heading says that they are some."""
    text = substitute(_LISTED_ROMAN, _listed_roman, text, "(")
    text = substitute(_HEADING_ROMAN, _heading_roman, text, ".")
    text = substitute(_SMALL_ROMAN, _small_roman, text)
    return substitute(_ROMAN, _roman, text, "IVXLCDM")


def _roman(match: re.Match[str]) -> str:
    numeral = match[1] or match[3]
    if not _WELL_FORMED.fullmatch(numeral):
        return match[0]
    before = word_before(match)
    number = roman_value(numeral)
    if match[3] or (len(numeral) > 1 and _CENTURY.match(match.string, match.end())):
        return ordinal(number)
    # "Henry VIII. a new penalty": older print sets a stop after each numeral.
    stop = ending_stop(match) if match[2] else ""
    if len(numeral) == 1 and numeral in "CDLM" and _is_heading(before):  # Appendix C.
        return match[0]
    if _is_heading(before) or (before in ("and", "or", "to") and _LISTED.search(*_back(match))):
        return cardinal(number) + stop
    if before in _MONARCHS and number < 40 and (numeral != "I" or _is_first(match)):
        return "the " + ordinal(number) + stop
    if len(numeral) >= 4 and 1000 < number < 2100:
        return pairs(number) + (match[2] or "")
    if numeral == "V" and before in _SEQUELS:
        return cardinal(number) + stop
    if "L" in numeral and set(numeral) <= set("IVXL") and len(numeral) >= 2 and _is_event(before, numeral):
        return cardinal(number) + stop
    if len(numeral) >= 2 and set(numeral) <= set("IVX") and (match[2] or _is_numeral(numeral, before, match)):
        if before.istitle() and before not in STARTERS and number < 6 and _full_name(match):
            return "the " + ordinal(number) + stop
        return cardinal(number) + stop
    return match[0]


def _is_event(before: str, numeral: str) -> bool:
    """True if what stands before is numbered: an event, or any name before what is too long for a size."""
    if before.lower() in _EVENTS or (before[:1].isupper() and _EVENT.search(before)):
        return True
    return len(numeral) >= 4 and before.istitle() and len(before) > 1 and before not in STARTERS


def _is_numeral(numeral: str, before: str, match: re.Match[str]) -> bool:
    """True if letters that may mean something else are a numeral: "Rocky IV", but "an IV" and "Start IV fluids"."""
    if numeral not in _AMBIGUOUS:
        return True
    return (
        before.istitle() and len(before) > 1 and before not in STARTERS and not _DRIP.match(match.string, match.end())
    )


def _heading_roman(match: re.Match[str]) -> str:
    """V. Results: but V. Putin is an initial."""
    well = _WELL_FORMED.fullmatch(match[1]) and is_common(match[2])
    return f"{cardinal(roman_value(match[1]))}. {match[2]}" if well else match[0]


def _listed_roman(match: re.Match[str]) -> str:
    """(iii): entries of a list."""
    return f"({cardinal(roman_value(match[1].upper()))})" if _WELL_FORMED.fullmatch(match[1].upper()) else match[0]


def _small_roman(match: re.Match[str]) -> str:
    """Small numerals are sure only after a heading: "scene ii"."""
    numeral = match[1].upper()
    last = (match[2] or "").upper()
    known = _is_heading(word_before(match)) and _WELL_FORMED.fullmatch(numeral) and _WELL_FORMED.fullmatch(last)
    if not known:
        return match[0]
    return cardinal(roman_value(numeral)) + (f" to {cardinal(roman_value(last))}" if last else "")


def _is_heading(word: str) -> bool:
    known = word.lower() in _HEADINGS or word.lower().removesuffix("s") in _HEADINGS
    return known and word != "mark"  # Which is what a sign or a spot is, too.


def _back(match: re.Match[str]) -> tuple[str, int, int]:
    return match.string, max(0, match.start() - WINDOW), match.start()


def _is_first(match: re.Match[str]) -> bool:
    """True if the I after a monarch's name is a numeral and not the speaker: "James I of England"."""
    after = match.string[match.end() : match.end() + 12]
    return (
        bool(match[2]) or re.match(r"'s|[,;:)?!]|[ ](?:of|was|and|in|to|to|by|died|had|is)\b|[ ]*$", after) is not None
    )


def _full_name(match: re.Match[str]) -> bool:
    """True if two capitalised words stand before: "John Smith III"."""
    return _FULL_NAME.search(*_back(match)) is not None


def roman_value(numeral: str) -> int:
    """`"XIV"` as 14."""
    values = [_ROMAN_VALUES[letter] for letter in numeral]
    return sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))


def initials(text: str, words: Container[str] = ()) -> str:
    """`text` with dotted letters spelt ("U.S." as "U S", "J. Smith" as "J Smith") and words lowered or spelt.

    `words`, in lower case, are never spelt.
    """
    if "." in text:
        text = substitute(_DOTTED, _dotted, text)
        text = substitute(_INITIAL, _initial, text)
        text = substitute(_SPECIES, r"\1", text)
    text = substitute(_WORD_WITH_CAPITAL, lambda match: _word(match, words), text, CAPITALS)
    return substitute(_NAMED, "", text, NAMED)


def _dotted(match: re.Match[str]) -> str:
    letters = match[1].replace(".", "")
    possessive = match[0][len(match[1]) :]
    return spell(letters) + possessive + (ending_stop(match) if match[0].endswith(".") else "")


def _initial(match: re.Match[str]) -> str:
    following = _CAPITALISED.match(match.string, match.end())
    before = word_before(match)
    if (
        following
        and following[0] in ("A", "I")
        and match[0].endswith(" ")
        and match.string.startswith(" ", following.end())
    ):
        return match[0]  # "Vitamin B. A deficiency": no initial follows.
    if following and following[0] in STARTERS and len(following[0]) > 1 and not (before.istitle() and len(before) > 1):
        return match[0]
    return match[1] + " "


def _is_initialism(match: re.Match[str]) -> bool:
    """True if IT, WHO, AM ... in capitals are letters, by the words beside them."""
    word = match[0]
    befores, afters = _INITIALISM_BESIDE[word]
    before = _BESIDE_BEFORE.search(match.string, max(0, match.start() - WINDOW), match.start())
    after = _BESIDE_AFTER.match(match.string, match.end())
    if before and before[1].lower() in befores:
        return True
    return after is not None and after[1].lower() in afters


def _is_pronoun(match: re.Match[str]) -> bool:
    """True if US in capitals is the word: "They told US about it", but "about US troops"."""
    before, after = word_before(match), _BESIDE_AFTER.match(match.string, match.end())
    if before.lower() not in _BEFORE_PRONOUN_LOWER:
        return False
    return after is None or after[1].lower() in _AFTER_PRONOUN


def _word(match: re.Match[str], words: Container[str]) -> str:
    word = match[0]
    if word in _INITIALISM_BESIDE and _is_initialism(match):
        return spell(word)
    if word == "WHO's" and word_before(match) == "the":
        return "W H O's"
    if word == "US" and _is_pronoun(match):
        return "us"
    if len(word) == 1:
        return _letter(match)
    stem, apostrophe, ending = word.partition("'")
    if stem.isupper() and len(stem) == 1 and (ending.lower() not in ("s", "") or stem == "I"):  # I'm, O'Brien
        return word.lower()
    plural = stem[:-1]
    if word.lower() in words or stem.lower() in words or (stem.endswith("s") and plural.lower() in words):
        return word.lower()
    if stem.isupper() and ending in ("", "s") and spells(stem):
        return spell(stem) + apostrophe + ending
    if len(plural) > 1 and stem.endswith("s") and plural.isupper() and spells(plural):  # TVs
        return spell(plural) + "'s"
    if not re.search("[a-z]{2}|'", word) and len(re.findall("[A-Z]", word)) > 1 and spells(word.upper()):  # mRNA, iOS
        return spell(word)
    return word.lower()


def _letter(match: re.Match[str]) -> str:
    """A capital alone names a letter, but for the pronoun I and the article A."""
    letter, text = match[0], match.string
    if letter.islower() or text.startswith(NAMED, match.end()):
        return letter
    before, after = text[max(0, match.start() - 3) : match.start()], text[match.end() : match.end() + 3]
    beside_letter = re.search(r"(?<![A-Za-z'])[A-Z][ /]$", before) or re.match(r"[ /][A-Z](?![A-Za-z'])", after)
    if letter == "I":
        return "I" if beside_letter else "i"
    if letter != "A" or beside_letter or (before.endswith(("'", '"')) and after.startswith(before[-1])):
        return letter
    if re.match(r" ?[A-Za-z]", after):
        # "A man", "he said: A man", "Once Upon A Time" are articles; "vitamin A is" names the letter.
        return "A" if re.search(r"[a-z0-9] $", before) and re.match(r" [a-z]", after) else "a"
    return "A" if re.match(r"[ ]?[,.;:!?)-]|[ ]*$", after) else "a"
