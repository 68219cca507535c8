"""EPUBs as they are read, and those that are refused."""

import zipfile
from pathlib import Path

import epubs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glowtron.book import epub
from glowtron.book.book import Book, read_book
from glowtron.book.xhtml import read_blocks
from glowtron.errors import InputError


def read(tmp_path: Path, **changes: str | bytes | None) -> Book:
    return read_book(epubs.write(tmp_path / "book.epub", epubs.files(**changes)))


def test_a_book_is_read_in_its_order_with_the_titles_of_its_contents(tmp_path):
    book = read(tmp_path)
    assert (book.title, book.author) == ("The Small Book", "Ann Author, Bob Writer")
    assert (book.language, book.date, book.description) == ("en-GB", "2020-01-02", "About")
    assert book.cover == epubs.picture()
    assert book.left_out == ()
    assert [(chapter.title, chapter.text) for chapter in book.chapters] == [
        ("Chapter One", "Chapter One\n\nIt was a quiet morning.\n\nNobody spoke of CO2.\n\nStill one."),
        ("Chapter Two", "Chapter Two\n\nThe second one begins."),
        ("Three", "Three\n\nThird."),
    ]


def test_contents_of_version_2(tmp_path):
    ncx = (
        '<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/x.dtd">'
        '<ncx xmlns="http://www.daisy.org/z3986/2005/ncx/"><navMap><navPoint><navLabel><text>Uno</text></navLabel>'
        '<content src="text/a%20b.xhtml"/></navPoint><navPoint><navLabel><text>Due</text></navLabel>'
        '<content src="text/b.xhtml"/></navPoint></navMap></ncx>'
    )
    items = epubs.ITEMS.replace(' properties="nav"', "") + '<item id="t" href="toc.ncx" media-type="x"/>'
    content = epubs.files(content_opf=epubs.package(items, toc='toc="t"')) | {"OEBPS/toc.ncx": ncx}
    book = read_book(epubs.write(tmp_path / "old.epub", content))
    assert [chapter.title for chapter in book.chapters][-2:] == ["Uno", "Due"]


def test_without_contents_each_page_is_a_chapter(tmp_path):
    book = read(tmp_path, nav_xhtml="<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>")
    assert [chapter.title for chapter in book.chapters] == ["Chapter One", "Two"]


def test_a_missing_page_is_named_and_the_rest_is_read(tmp_path):
    book = read(tmp_path, b_xhtml=None)
    assert book.left_out == ("OEBPS/text/b.xhtml is in the reading order and not in the file",)
    assert len(book.chapters) == 1


def test_broken_contents_are_told_and_done_without(tmp_path):
    book = read(tmp_path, nav_xhtml="<nav><ol>")
    assert "table of contents" in book.left_out[0]
    assert len(book.chapters) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"container_xml": None}, "is no EPUB: META-INF/container.xml is missing"),
        ({"container_xml": "<container/>"}, "names no package"),
        ({"content_opf": None}, "OEBPS/content.opf is missing"),
        ({"content_opf": "<package>"}, "content.opf: no element found in line 1|unclosed|line 1"),
        ({"a_b_xhtml": "<html/>", "b_xhtml": "<html><body><img src='x'/></body></html>"}, "has no text to speak"),
    ],
)
def test_what_is_no_book_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, **changes)


def test_files_that_are_no_zip_or_cut_short_are_refused(tmp_path):
    path = epubs.write(tmp_path / "book.epub", epubs.files())
    data = path.read_bytes()
    for broken in (b"", b"not a zip", data[: len(data) // 2]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match="is no EPUB that can be read"):
            read_book(path)
    with pytest.raises(InputError, match="no such file"):
        read_book(tmp_path / "none.epub")
    with pytest.raises(InputError, match="books are read from"):
        read_book(tmp_path / "book.pdf")


def test_protected_books_are_refused(tmp_path):
    encryption = "<a xmlns:e='y'><e:EncryptedData><e:EncryptionMethod Algorithm='{}'/></e:EncryptedData></a>"
    drm = epubs.files() | {"META-INF/encryption.xml": encryption.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")}
    with pytest.raises(InputError, match="DRM"):
        read_book(epubs.write(tmp_path / "drm.epub", drm))
    fonts = epubs.files() | {"META-INF/encryption.xml": encryption.format("http://www.idpf.org/2008/embedding")}
    assert read_book(epubs.write(tmp_path / "fonts.epub", fonts)).chapters


def test_a_zip_bomb_is_stopped_while_it_unpacks(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="zip bomb"):
        read(tmp_path, b_xhtml=b"<html>" + b" " * (epub.MOST_FILE_BYTES + 10))
    monkeypatch.setattr(epub, "MOST_BYTES", 1500)
    with pytest.raises(InputError, match="zip bomb"):
        read(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(epub, "MOST_FILES", 5)
    with pytest.raises(InputError, match="holds 8 files"):
        read(tmp_path)


def test_entities_of_its_own_are_refused(tmp_path):
    laughs = "<!DOCTYPE p [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>" + epubs.package().partition("?>")[2]
    with pytest.raises(InputError, match="declares entities of its own"):
        read(tmp_path, content_opf=laughs)


def test_names_that_lead_out_of_the_archive_lead_nowhere(tmp_path):
    items = epubs.ITEMS.replace("text/b.xhtml", "../../../../etc/passwd")
    book = read(tmp_path, content_opf=epubs.package(items))
    assert "etc/passwd is in the reading order and not in the file" in book.left_out[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_an_error_in_one_line_or_a_book(tmp_path, data):
    """Some bytes of the archive, or of one of its files before it was packed, are others."""
    content = epubs.files()
    name = data.draw(st.sampled_from([None, *content]))

    def damaged(whole: bytes) -> bytes:
        broken = bytearray(whole)
        for place in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=6)):
            broken[place] = data.draw(st.integers(0, 255))
        return bytes(broken)

    if name is not None:
        whole = content[name]
        content[name] = damaged(whole.encode() if isinstance(whole, str) else whole)
    path = epubs.write(tmp_path / "book.epub", content)
    if name is None:
        path.write_bytes(damaged(path.read_bytes()))
    try:
        assert read_book(path).chapters
    except InputError as error:
        assert "book.epub" in str(error)


@given(st.text(alphabet="<>/ab pdiv=\"'&;!-[]hscript", max_size=80))
def test_any_page_has_paragraphs_or_none(page):
    assert all(block.text.strip() for block in read_blocks(page))


def test_archives_packed_otherwise(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "book.epub", "w", method) as archive:
            for name, data in epubs.files().items():
                archive.writestr(name, data)
        assert len(read_book(tmp_path / "book.epub").chapters) == 3
