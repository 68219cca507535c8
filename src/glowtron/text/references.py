"""Places in a text: chapter and verse, numbered headings, moves of chess, marks of notes."""

from __future__ import annotations

import re

from glowtron.text.abbreviations import ending_stop
from glowtron.text.numbers import cardinal, pairs
from glowtron.text.tracing import CAPITALS, substitute

_BOOKS = """Genesis Exodus Leviticus Numbers Deuteronomy Joshua Judges Ruth Samuel Kings Chronicles Ezra Nehemiah Esther
    Job Psalm Psalms Proverbs Ecclesiastes Isaiah Jeremiah Lamentations Ezekiel Daniel Hosea Joel Amos Obadiah Jonah
    Micah Nahum Habakkuk Zephaniah Haggai Zechariah Malachi Matthew Mark Luke John Acts Romans Corinthians Galatians
    Ephesians Philippians Colossians Thessalonians Timothy Titus Philemon Hebrews James Peter Jude Revelation
    Revelations Tobit Judith Maccabees Sirach Baruch Quran Koran Qur'an Surah Sura Gita Mormon Nephi Alma""".split()
BOOKS = {
    "Gen": "Genesis",
    "Ex": "Exodus",
    "Exod": "Exodus",
    "Lev": "Leviticus",
    "Num": "Numbers",
    "Deut": "Deuteronomy",
    "Josh": "Joshua",
    "Judg": "Judges",
    "Sam": "Samuel",
    "Kgs": "Kings",
    "Chr": "Chronicles",
    "Chron": "Chronicles",
    "Neh": "Nehemiah",
    "Esth": "Esther",
    "Ps": "Psalm",
    "Pss": "Psalms",
    "Prov": "Proverbs",
    "Eccl": "Ecclesiastes",
    "Eccles": "Ecclesiastes",
    "Isa": "Isaiah",
    "Is": "Isaiah",
    "Jer": "Jeremiah",
    "Lam": "Lamentations",
    "Ezek": "Ezekiel",
    "Dan": "Daniel",
    "Hos": "Hosea",
    "Obad": "Obadiah",
    "Mic": "Micah",
    "Nah": "Nahum",
    "Hab": "Habakkuk",
    "Zeph": "Zephaniah",
    "Hag": "Haggai",
    "Zech": "Zechariah",
    "Mal": "Malachi",
    "Matt": "Matthew",
    "Mt": "Matthew",
    "Mk": "Mark",
    "Lk": "Luke",
    "Jn": "John",
    "Jno": "John",
    "Rom": "Romans",
    "Cor": "Corinthians",
    "Gal": "Galatians",
    "Eph": "Ephesians",
    "Phil": "Philippians",
    "Col": "Colossians",
    "Thess": "Thessalonians",
    "Tim": "Timothy",
    "Tit": "Titus",
    "Philem": "Philemon",
    "Heb": "Hebrews",
    "Jas": "James",
    "Pet": "Peter",
    "Rev": "Revelation",
    "Macc": "Maccabees",
    "Tob": "Tobit",
    "Sir": "Sirach",
}
"""Books by the abbreviations that stand before chapter and verse."""
_FIRST = {"1": "first", "2": "second", "3": "third", "I": "first", "II": "second", "III": "third"}
_VERSE = re.compile(
    rf"(?<![\w.])(?:(1|2|3|I|II|III)[ ])?({'|'.join(sorted((*_BOOKS, *BOOKS), key=len, reverse=True))})\b\.?[ ]?"
    r"([0-9]{1,3})[:.]([0-9]{1,3})([a-c]\b)?(?:[ ]?[-–][ ]?(?:([0-9]{1,3}):)?([0-9]{1,3})\b)?(?![0-9:])"
    r"((?:[,;][ ]?(?:[0-9]{1,3}:)?[0-9]{1,3}(?:[ ]?[-–][ ]?[0-9]{1,3})?(?![\w:,.]?[0-9])(?![ ][a-z]))*)"
)
# "Ps. 23": a chapter alone, of what is no name or title as well.
_CHAPTER = re.compile(
    r"(?<![\w.])(?:(1|2|3)[ ])?(Gen|Exod|Lev|Deut|Josh|Judg|Kgs|Chron|Neh|Esth|Pss?|Prov|Eccles|Eccl|Isa|Jer|Ezek|Hos|"
    r"Obad|Zeph|Zech|Matt|Cor|Eph|Thess|Philem|Heb|Macc)\.[ ]([0-9]{1,3})(?![\w:]|[.,][0-9]|[ ]?[-–][0-9])"
)
# "pp. 33ff.", "John 3:16f."
_FOLLOWING = re.compile(r"(?:(?<=[0-9])[ ]?ff|(?<=:[0-9])f|(?<=:[0-9][0-9])f)\.(?=[ ,;:)]|$)")
_NUMBERS_OF_VERSES = re.compile(r"[0-9]+")
_MOVE = (
    r"(?:(?:[KQRBN][a-h]?[1-8]?x?[a-h][1-8]|[a-h](?:x[a-h])?[1-8](?:=[QRBN])?|[O0]-[O0](?:-[O0])?)[+#]?[!?]{0,2})(?!\w)"
)
MOVE = re.compile(rf"[ ]?{_MOVE}")
"""A move of chess after its number: `1. e4`."""
_GAME = re.compile(rf"(?<![\w.])[0-9]{{1,3}}\.(?:\.\.)?[ ]?{_MOVE}(?:[ ,;]+(?:[0-9]{{1,3}}\.(?:\.\.)?[ ]?)?{_MOVE})*")
_MOVES = re.compile(rf"([0-9]{{1,3}})\.|({_MOVE})")
_SQUARE = re.compile(r"[A-Za-z]|[1-8]|[+#=]")
_SIGNS_OF_MOVES = {"x": "takes", "+": "check", "#": "mate", "=": "becomes"}
_HEADING_ZERO = re.compile(
    r"\b((?:[Cc]hapter|[Ll]esson|[Uu]nit|[Pp]art|[Ee]pisode|[Ss]eason|[Vv]olume|[Tt]rack|[Mm]odule|[Ss]tep|[Ss]ection|"
    r"[Ll]evel|[Pp]age|[Ff]igure|[Tt]able|[Ee]xercise|[Qq]uestion|[Dd]ay|[Ww]eek|[Ss]cene|[Bb]ook|[Ss]tage|[Rr]ound|"
    r"[Aa]ppendix|[Ii]tem|[Tt]ask|[Pp]hase|[Ll]ecture|[Ss]lide|[Vv]erse|[Ii]ssue|[Tt]opic|[Tt]est|[Ss]ession|[Pp]roblem|"
    r"[Ll]ine|[Nn]umber|CHAPTER|LESSON|UNIT|PART|EPISODE|VOLUME)[ ])0+(?=[1-9][0-9]?(?![\w]|[.,:/-][0-9]))"
)
_EPISODE = re.compile(r"(?<!\w)[Ss]([0-9]{1,2})[ ]?[Ee]([0-9]{1,3})(?!\w)")
_LETTER_POINT = re.compile(r"(?<![\w.])([A-Z])\.([0-9]{1,3}(?:\.[0-9]{1,3})*)(?![\w]|\.[0-9])")
# A mark of a note after a stop, a bracket or a word of three letters: no power. [3] after a word is one too.
_NOTE = re.compile(
    r"(?:(?<=[.,;:!?\"')\]])|(?<=[a-z]{3})(?<!\bsin)(?<!\bcos)(?<!\btan)(?<!\blog))[⁰¹²³⁴⁵⁶⁷⁸⁹]+(?:,[⁰¹²³⁴⁵⁶⁷⁸⁹]+)*(?![\w(])"
)
_BRACKET_NOTE = re.compile(r"(?<=[a-z.,;:!?\"')\]])\[(?:[0-9]{1,3}|[a-z]|note [0-9]{1,2}|citation needed)\](?![\w(])")


def notes(text: str) -> str:
    """`text` without the marks of footnotes."""
    if "[" in text:
        text = substitute(_BRACKET_NOTE, "", text)
    return text if text.isascii() else substitute(_NOTE, "", text)


def places(text: str) -> str:
    """`text` with chapter and verse, the numbers of headings, and moves of chess in words."""
    text = substitute(_FOLLOWING, lambda match: " and following" + ending_stop(match), text, ("f.",))
    text = substitute(_VERSE, _verse, text, ":.")
    text = substitute(_CHAPTER, lambda match: f"{_book(match[1], match[2])} {pairs(int(match[3]))}", text, ".")
    text = substitute(_GAME, _game, text, ".")
    text = substitute(_HEADING_ZERO, r"\1", text, "0")
    text = substitute(_EPISODE, lambda match: f"season {cardinal(match[1])} episode {cardinal(match[2])}", text, "Ee")
    return substitute(_LETTER_POINT, _letter_point, text, CAPITALS) if "." in text else text


def _book(number: str | None, name: str) -> str:
    return (f"{_FIRST[number]} " if number else "") + BOOKS.get(name, name)


def _verse(match: re.Match[str]) -> str:
    number, name, chapter, verse, letter, last_chapter, last, more = match.groups()
    if name in ("Is", "Ex", "Sam", "Dan", "Tim", "Phil") and "." not in match[0][: match.start(3) - match.start()]:
        return match[0]
    words = pairs(int(chapter))
    parted = (last and int(verse) < 10) or int(chapter) > 100
    words += (", " if parted else " ") + pairs(int(verse)) + (f" {letter.upper()}" if letter else "")
    if last:
        words += " to " + (f"{pairs(int(last_chapter))} " if last_chapter else "") + pairs(int(last))
    more = _NUMBERS_OF_VERSES.sub(lambda found: pairs(int(found[0])), more.replace(":", " "))
    more = more.replace("-", " to ").replace("–", " to ")
    return f"{_book(number, name)} {words}{more}"


def _letter_point(match: re.Match[str]) -> str:
    return f"{_letter(match[1])} point " + " point ".join(map(cardinal, match[2].split(".")))


def _game(match: re.Match[str]) -> str:
    turns: list[str] = []
    for number, move in _MOVES.findall(match[0]):
        if number:
            turns.append(cardinal(number))
        else:
            turns[-1] += ", " + _move(move)
    return "; ".join(turns)


def _move(move: str) -> str:
    move = move.rstrip("!?")
    check = " " + _SIGNS_OF_MOVES[move[-1]] if move[-1] in "+#" else ""
    move = move.rstrip("+#")
    if "-" in move:
        return "castles" + (" queenside" if len(move) > 3 else "") + check
    said = [
        _SIGNS_OF_MOVES.get(sign) or (cardinal(sign) if sign.isdigit() else _letter(sign))
        for sign in _SQUARE.findall(move)
    ]
    return " ".join(said) + check


def _letter(letter: str) -> str:
    return letter.upper() + ("\ue001" if letter in "aA" else "")
