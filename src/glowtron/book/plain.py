"""Books in plain text and in Markdown."""

from __future__ import annotations

import re
from html import unescape

from glowtron.book.book import Book, Chapter, with_heading
from glowtron.errors import InputError

_NUMERAL = r"(?:[0-9]{1,3}|[ivxlcdm]{1,7}|(?:the[ ])?[a-z]+(?:[- ][a-z]+){0,2})"
_HEADING = re.compile(
    rf"(?:chapter|part|book|volume|section|canto|act|scene|letter|stave)[ ]{_NUMERAL}(?:[.:—–-].{{0,80}})?"
    r"|(?:prologue|epilogue|preface|foreword|introduction|afterword|appendix|conclusion|dedication|acknowledge?ments)\.?",
    re.IGNORECASE,
)
"""A line that stands alone and names a chapter."""
_BEGINS = re.compile(r"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE)
_ENDS = re.compile(r"^\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG.*$", re.MULTILINE)
_FIELD = re.compile(r"^(Title|Author|Language):[ \t]*(.+)$", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*\n\s*")


def read_plain(text: str, name: str) -> Book:
    """A book of a plain text: chapters begin at lines that say so and stand alone, or at form feeds.

    The header and the licence that Project Gutenberg puts around its texts are left out. `name` is the title of a text
    that does not tell its own.
    """
    begins, ends = _BEGINS.search(text), _ENDS.search(text)
    fields = dict(_FIELD.findall(text[: begins.start()])) if begins else {}
    text = text[begins.end() if begins else 0 : ends.start() if ends else len(text)]
    found: list[tuple[str, list[str]]] = [("", [])]
    for page in text.split("\f"):
        if found[-1][1]:
            found.append(("", []))
        for paragraph in _BLANK.split(page.strip()):
            lines = paragraph.strip().split("\n")
            title = " ".join(lines[0].split()).strip("_*")
            if len(lines) <= 2 and _HEADING.fullmatch(title):
                found.append((" ".join([title, *lines[1:]]).strip(), []))
            elif paragraph.strip(" *_-=\n"):
                found[-1][1].append(paragraph)
    title = fields.get("Title", "").strip() or name
    return Book(title, fields.get("Author", "").strip(), _chapters(found, title), language=fields.get("Language", ""))


def read_markdown(text: str, name: str) -> Book:
    """A book in Markdown: its highest headings begin chapters; a single one at the top is the title.

    Code, pictures, footnotes and HTML are left out.
    """
    fields, text = _front_matter(text)
    blocks = list(_blocks(text))
    levels = [level for level, _ in blocks if level]
    title = fields.get("title", "")
    highest = min(levels, default=0)
    if levels.count(highest) == 1 and len(levels) > 1 and blocks[0][0] == highest:
        title = title or blocks[0][1]
        blocks = blocks[1:]
        highest = min(level for level in levels if level > highest)
    found: list[tuple[str, list[str]]] = [("", [])]
    for level, block in blocks:
        if level and level <= highest:
            found.append((block, []))
        else:
            found[-1][1].append(block)
    title = title or name
    return Book(title, fields.get("author", ""), _chapters(found, title), language=fields.get("language", ""))


def _chapters(found: list[tuple[str, list[str]]], title: str) -> tuple[Chapter, ...]:
    """Chapters with a text; a heading without one is the end of a list of contents, or joins what follows."""
    chapters: list[Chapter] = []
    for heading, paragraphs in found:
        text = with_heading(heading, paragraphs)
        if paragraphs and any(character.isalnum() for character in text):
            chapters.append(Chapter(heading or (title if not chapters else f"Part {len(chapters) + 1}"), text))
    if not chapters:
        raise InputError(f"'{title}' has no text to speak")
    return tuple(chapters)


def _front_matter(text: str) -> tuple[dict[str, str], str]:
    """Fields between `---` at the top, and the rest."""
    match = re.match(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*\n", text, re.DOTALL)
    if match is None:
        return {}, text
    pairs = re.findall(r"^([A-Za-z]+):[ \t]*(.+)$", match[1], re.MULTILINE)
    return {key.lower(): value.strip().strip("\"'") for key, value in pairs}, text[match.end() :]


_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[^\n]*\n.*?(?:^ {0,3}\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_NOTE = re.compile(r"^\[\^[^\]\n]+\]:.*(?:\n[ \t]+.*)*", re.MULTILINE)
_LINK_TARGET = re.compile(r"^ {0,3}\[[^\]\n]+\]:[ \t]*\S+.*$", re.MULTILINE)
_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*")
_SETEXT = re.compile(r"(.+)\n {0,3}(=+|-+)[ \t]*", re.DOTALL)
_RULE = re.compile(r" {0,3}(?:[-*_][ \t]*){3,}")
_MARKER = re.compile(r"^[ \t]*(?:>[ \t]?)*[ \t]*(?:[-*+][ \t]+(?:\[[ xX]\][ \t]+)?)?")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*)*$")
_INLINE = (
    (re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])"), ""),
    (re.compile(r"\[\^[^\]]+\]"), ""),
    (re.compile(r"\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])"), r"\1"),
    (re.compile(r"<(https?://[^>\s]+)>"), r"\1"),
    (re.compile(r"</?[A-Za-z][^>]*>"), ""),
    (re.compile(r"(`+)(.+?)\1", re.DOTALL), r"\2"),
    (re.compile(r"(\*\*\*|___|\*\*|__|~~)(?=\S)(.+?)(?<=\S)\1", re.DOTALL), r"\2"),
    (re.compile(r"(?<!\w)([*_])(?=\S)(.+?)(?<=\S)\1(?!\w)", re.DOTALL), r"\2"),
    (re.compile(r"\\([!-/:-@\[-`{-~])"), r"\1"),
)


def _blocks(text: str) -> list[tuple[int, str]]:
    """(level of the heading, or 0; text) of each block."""
    for pattern in (_COMMENT, _FENCE, _NOTE, _LINK_TARGET):
        text = pattern.sub("", text)
    text = re.sub(r"^( {0,3}#{1,6}[ \t].*)$", r"\n\1\n", text, flags=re.MULTILINE)
    found: list[tuple[int, str]] = []
    for block in _BLANK.split(text.strip("\n")):
        if (atx := _ATX.fullmatch(block.strip("\n"))) is not None:
            found.append((len(atx[1]), _inline(atx[2])))
        elif (setext := _SETEXT.fullmatch(block.strip("\n"))) is not None and "|" not in setext[1]:
            found.append((1 if setext[2][0] == "=" else 2, _inline(setext[1])))
        elif not _RULE.fullmatch(block):
            found += [(0, _inline(paragraph)) for paragraph in _paragraphs(block)]
    return [(level, block) for level, block in found if block.strip()]


def _paragraphs(block: str) -> list[str]:
    """Entries of a list and rows of a table are paragraphs of their own."""
    found: list[str] = []
    for line in block.split("\n"):
        if _TABLE_RULE.match(line) and "-" in line and ("|" in line or len(line.strip()) > 2):
            continue
        marker = _MARKER.match(line)
        rest = line[marker.end() :] if marker else line
        if rest.lstrip().startswith("|"):
            found.append(", ".join(cell.strip() for cell in rest.strip().strip("|").split("|") if cell.strip()) + ".")
        elif found and not (marker and re.search(r"[-*+]", marker[0])) and not re.match(r"[ \t]*[0-9]{1,3}[.)] ", line):
            found[-1] += f" {rest}"
        else:
            found.append(rest)
    return found


def _inline(text: str) -> str:
    for pattern, replacement in _INLINE:
        text = pattern.sub(replacement, text)
    return " ".join(unescape(text).split())
