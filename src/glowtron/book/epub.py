"""EPUB, versions 2 and 3 (W3C, "EPUB 3.3"): a zip archive of XHTML pages, their order and a table of contents.

Nothing is unpacked onto the disk, and no more is read than a book may hold, whatever the archive says of itself.
"""

from __future__ import annotations

import lzma
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag
from xml.etree.ElementTree import Element

from glowtron.book.book import Book, Chapter, with_heading
from glowtron.book.xhtml import Block, read_blocks
from glowtron.book.xml import parse_xml
from glowtron.errors import InputError, reason

MOST_FILES = 20_000
MOST_FILE_BYTES = 32 << 20
MOST_BYTES = 256 << 20
"""Of all that is read of a book."""
DEEPEST = 2
"""Levels of the table of contents that begin chapters: parts and chapters, not the sections of these."""

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_XHTML = "{http://www.w3.org/1999/xhtml}"
_TYPE = "{http://www.idpf.org/2007/ops}type"
_FONTS_ONLY = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError)
"""Errors that a broken archive raises: each packer has one of its own."""
_CHARSET = re.compile(rb"""(?:encoding|charset)\s*=\s*["']?([A-Za-z0-9_.-]+)""")


class _Entry(NamedTuple):
    """A line of the table of contents."""

    title: str
    page: str
    """Name in the archive."""
    anchor: str


class _Item(NamedTuple):
    """A file that the book lists."""

    name: str
    type: str
    properties: frozenset[str]


def read_epub(path: Path) -> Book:
    """Read an EPUB. Raises InputError if it is none, is damaged, protected, or holds more than a book may."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _Epub(archive, path).read()
    except _DAMAGE as error:
        raise InputError(f"{path}: is no EPUB that can be read: {reason(error)}") from error


class _Epub:
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive, self._path = archive, path
        self._names = {info.filename for info in archive.infolist()}
        self._left_bytes = MOST_BYTES
        if len(self._names) > MOST_FILES:
            raise InputError(f"{path}: holds {len(self._names):,} files; a book has fewer than {MOST_FILES:,}")
        self._missing: list[str] = []

    def read(self) -> Book:
        self._refuse_protection()
        root = self._xml("META-INF/container.xml").find(f".//{_CONTAINER}rootfile")
        package_name = "" if root is None else unquote(root.get("full-path", ""))
        if not package_name:
            raise InputError(f"{self._path}: META-INF/container.xml names no package")
        package = self._xml(package_name)
        folder = posixpath.dirname(package_name)
        items = {
            item.get("id", ""): _Item(
                _join(folder, item.get("href", "")),
                item.get("media-type", ""),
                frozenset(item.get("properties", "").split()),
            )
            for item in package.iter(f"{_OPF}item")
        }
        pages = self._pages(package, items)
        contents = self._contents(package, items)
        chapters = tuple(self._chapters(pages, contents))
        if not chapters:
            raise InputError(f"{self._path}: has no text to speak; a book of pictures cannot be read aloud")
        meta = {name: _text(package.find(f".//{_DC}{name}")) for name in ("title", "language", "date", "description")}
        authors = [_text(creator) for creator in package.iter(f"{_DC}creator")]
        return Book(
            title=meta["title"] or self._path.stem,
            author=", ".join(filter(None, authors)),
            chapters=chapters,
            language=meta["language"],
            date=meta["date"][:10],
            description=" ".join(block.text for block in read_blocks(meta["description"])),
            cover=self._cover(package, items),
            left_out=tuple(self._missing),
        )

    def _refuse_protection(self) -> None:
        if any(info.flag_bits & 1 for info in self._archive.infolist()):
            raise InputError(f"{self._path}: is encrypted; take it out of its protection first")
        if "META-INF/encryption.xml" in self._names:
            methods = [
                element.get("Algorithm", "")
                for element in self._xml("META-INF/encryption.xml").iter()
                if element.tag.endswith("}EncryptionMethod")
            ]
            if any(method not in _FONTS_ONLY for method in methods):
                raise InputError(f"{self._path}: is protected (DRM) and cannot be read")

    def _pages(self, package: Element, items: dict[str, _Item]) -> list[str]:
        """Names of the pages in reading order, without the table of contents."""
        pages = []
        for reference in package.iter(f"{_OPF}itemref"):
            item = items.get(reference.get("idref", ""))
            if item is None:
                self._missing.append(
                    f"'{reference.get('idref', '')}' is in the reading order and not in the list of files"
                )
            elif reference.get("linear") != "no" and "nav" not in item.properties and "html" in item.type:
                if item.name in self._names:
                    pages.append(item.name)
                else:
                    self._missing.append(f"{item.name} is in the reading order and not in the file")
        return pages

    def _contents(self, package: Element, items: dict[str, _Item]) -> list[_Entry]:
        """The table of contents, of version 3 or else of version 2; empty where there is none that can be read."""
        nav = next((item.name for item in items.values() if "nav" in item.properties), "")
        try:
            if nav in self._names:
                found = list(self._nav(nav))
                if found:
                    return found
            spine = package.find(f".//{_OPF}spine")
            ncx = items.get("" if spine is None else spine.get("toc", ""))
            if ncx is not None and ncx.name in self._names:
                return list(self._ncx(ncx.name))
        except InputError as error:
            self._missing.append(f"the table of contents: {error}")
        return []

    def _nav(self, name: str) -> Iterator[_Entry]:
        root = self._xml(name)
        tables = [nav for nav in root.iter(f"{_XHTML}nav") if "toc" in nav.get(_TYPE, "").split()]

        def entries(listing: Element, depth: int) -> Iterator[_Entry]:
            for line in listing.findall(f"{_XHTML}li"):
                link = line.find(f"{_XHTML}a")
                if link is not None and link.get("href"):
                    yield _entry("".join(link.itertext()), name, link.get("href", ""))
                inner = line.find(f"{_XHTML}ol")
                if inner is not None and depth < DEEPEST:
                    yield from entries(inner, depth + 1)

        for table in tables[:1]:
            for listing in table.findall(f"{_XHTML}ol"):
                yield from entries(listing, 1)

    def _ncx(self, name: str) -> Iterator[_Entry]:
        def entries(parent: Element, depth: int) -> Iterator[_Entry]:
            for point in parent.findall(f"{_NCX}navPoint"):
                title = _text(point.find(f"{_NCX}navLabel/{_NCX}text"))
                content = point.find(f"{_NCX}content")
                if content is not None and content.get("src"):
                    yield _entry(title, name, content.get("src", ""))
                if depth < DEEPEST:
                    yield from entries(point, depth + 1)

        table = self._xml(name).find(f"{_NCX}navMap")
        if table is not None:
            yield from entries(table, 1)

    def _chapters(self, pages: list[str], contents: list[_Entry]) -> Iterator[Chapter]:
        """Chapters: the text from one entry of the contents to the next; without contents, each page."""
        starts: dict[str, dict[str, str]] = {}
        for entry in contents:
            starts.setdefault(entry.page, {}).setdefault(entry.anchor, entry.title)
        title, blocks = "", list[Block]()
        for page in pages:
            found = starts.get(page, {})
            if "" in found or not contents:
                yield from _chapter(title, blocks)
                title, blocks = found.get("", ""), []
            for block in read_blocks(self._page(page)):
                anchor = next((anchor for anchor in found if anchor in block.anchors), None)
                if anchor is not None:
                    yield from _chapter(title, blocks)
                    title, blocks = found[anchor], []
                blocks.append(block)
        yield from _chapter(title, blocks)

    def _cover(self, package: Element, items: dict[str, _Item]) -> bytes | None:
        named = [item for item in items.values() if "cover-image" in item.properties]
        for meta in package.iter(f"{_OPF}meta"):
            if meta.get("name") == "cover" and meta.get("content", "") in items:
                named.append(items[meta.get("content", "")])
        pictures = [item.name for item in named if item.type in ("image/jpeg", "image/png", "image/jpg")]
        return next((self._bytes(name) for name in pictures if name in self._names), None)

    def _page(self, name: str) -> str:
        data = self._bytes(name)
        match = _CHARSET.search(data[:1024])
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else match[1].decode() if match else "utf-8"
        try:
            return data.decode(encoding).removeprefix("\ufeff")
        except (LookupError, UnicodeDecodeError):
            return data.decode("utf-8", "replace").removeprefix("\ufeff")

    def _xml(self, name: str) -> Element:
        if name not in self._names:
            raise InputError(f"{self._path}: is no EPUB: {name} is missing")
        return parse_xml(self._bytes(name), f"{self._path}: {name}")

    def _bytes(self, name: str) -> bytes:
        """A file of the archive. What it unpacks to is counted, not believed."""
        limit = min(MOST_FILE_BYTES, self._left_bytes)
        try:
            with self._archive.open(name) as file:
                data = file.read(limit + 1)
        except (*_DAMAGE, ValueError) as error:
            raise InputError(f"{self._path}: {name} is damaged: {reason(error)}") from error
        if len(data) > limit:
            raise InputError(
                f"{self._path}: {name} unpacks to more than {limit >> 20} MB; that is no page of a book but a zip bomb"
            )
        self._left_bytes -= len(data)
        return data


def _chapter(title: str, blocks: list[Block]) -> Iterator[Chapter]:
    if not any(character.isalnum() for block in blocks for character in block.text):
        return
    heading = title or next((block.text for block in blocks[:5] if block.is_heading), "")
    if not heading:
        words = blocks[0].text.split()
        heading = " ".join(words[:6]) + ("..." if len(words) > 6 else "")
        yield Chapter(heading, with_heading("", [block.text for block in blocks]))
    else:
        yield Chapter(heading, with_heading(heading, [block.text for block in blocks]))


def _entry(title: str, base: str, href: str) -> _Entry:
    page, anchor = urldefrag(href)
    return _Entry(" ".join(title.split()), _join(posixpath.dirname(base), page) if page else base, unquote(anchor))


def _join(folder: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(urldefrag(href)[0])))


def _text(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
