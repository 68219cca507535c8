"""The text of a page of a book: its paragraphs, and where its anchors are."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt figcaption figure footer form h1 h2"
    " h3 h4 h5 h6 header hr html li main ol p pre section summary table tbody td tfoot th thead tr ul".split()
)
_UNSPOKEN = frozenset("head script style svg math nav noscript audio video object rt rp template iframe".split())
_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_UNSPOKEN_TYPES = frozenset(
    "pagebreak noteref footnote footnotes endnote endnotes rearnote rearnotes toc landmarks page-list index".split()
)
_UNSPOKEN_ROLES = frozenset("doc-noteref doc-footnote doc-endnotes doc-pagebreak doc-toc doc-index".split())
_HEADINGS = frozenset(("h1", "h2", "h3"))
_REFERENCE = re.compile(r"[\s0-9*†‡§\[\]()]*")
"""A raised sign at a word, if it is a footnote's."""


class Block(NamedTuple):
    """A paragraph."""

    text: str
    anchors: frozenset[str]
    """Ids of elements that begin in it, or between it and the one before."""
    is_heading: bool


def read_blocks(page: str) -> list[Block]:
    """Paragraphs of an XHTML or HTML page, in order, without what is not read aloud. No page is an error."""
    parser = _Page()
    parser.feed(page)
    parser.close()
    parser.end_block()
    return parser.blocks


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[Block] = []
        self._text: list[str] = []
        self._anchors: set[str] = set()
        self._heading = False
        self._skipped = ""
        """The element that is not spoken."""
        self._depth = 0
        """Elements of that name that are open in it."""
        self._raised: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        anchors = {value for name in ("id", "name") if (value := attributes.get(name))}
        if self._skipped:
            self._anchors |= anchors
            self._depth += tag == self._skipped
            return
        if tag in _BLOCKS:
            self.end_block()
            self._heading = tag in _HEADINGS
        self._anchors |= anchors
        if tag not in _VOID and _is_unspoken(tag, attributes):
            self._skipped, self._depth = tag, 1
            return
        if tag == "br":
            self._text.append("\n")
        if tag == "sup":
            self._raised = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            self._depth -= tag == self._skipped
            if not self._depth:
                self._skipped = ""
            return
        if tag == "sup" and self._raised is not None:
            raised, self._raised = "".join(self._raised), None
            if not _REFERENCE.fullmatch(raised):
                self._text.append(raised)
        if tag in _BLOCKS:
            self.end_block()
            self._heading = False

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            (self._text if self._raised is None else self._raised).append(data)

    def end_block(self) -> None:
        """Close the paragraph. Anchors without a text are of the next one."""
        text = " ".join("".join(self._text).split())
        self._text = []
        if text:
            self.blocks.append(Block(text, frozenset(self._anchors), self._heading))
            self._anchors = set()


def _is_unspoken(tag: str, attributes: dict[str, str | None]) -> bool:
    types = (attributes.get("epub:type") or "").split()
    return (
        tag in _UNSPOKEN
        or "hidden" in attributes
        or bool(_UNSPOKEN_TYPES.intersection(types))
        or attributes.get("role") in _UNSPOKEN_ROLES
    )
