"""Books in plain text and Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.book.book import read_book
from glowtron.book.plain import read_markdown, read_plain
from glowtron.errors import InputError


def titles(book):
    return [chapter.title for chapter in book.chapters]


def test_chapters_of_a_text_begin_where_a_line_says_so():
    book = read_plain(
        "Call me.\n\nCHAPTER I.\nLoomings.\n\nSome years ago,\nnever mind.\n\n"
        "Chapter 2: The Bag\n\nI stuffed\n\na shirt.\n\nEPILOGUE\n\nDone.",
        "whale",
    )
    assert titles(book) == ["whale", "CHAPTER I. Loomings.", "Chapter 2: The Bag", "EPILOGUE"]
    assert book.chapters[1].text == "CHAPTER I. Loomings.\n\nSome years ago, never mind."


def test_a_sentence_that_begins_as_a_heading_is_none():
    book = read_plain("One.\n\nPart of the crew left; chapter two of the story begins here and goes on.\n\nTwo.", "x")
    assert len(book.chapters) == 1


def test_what_project_gutenberg_puts_around_is_left_out():
    book = read_plain(
        "The Project Gutenberg eBook\n\nTitle: Emma\nAuthor: Jane Austen\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***\n\n"
        "CHAPTER I\n\nCHAPTER II\n\nCHAPTER I\n\nEmma Woodhouse.\n\nCHAPTER II\n\nMr. Weston.\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***\n\nLicence",
        "file",
    )
    assert (book.title, book.author, titles(book)) == ("Emma", "Jane Austen", ["CHAPTER I", "CHAPTER II"])
    assert not any("Licence" in chapter.text for chapter in book.chapters)


def test_form_feeds_part_chapters():
    assert titles(read_plain("One.\fTwo.\f\fThree.", "pages")) == ["pages", "Part 2", "Part 3"]


MARKDOWN = """---
title: "Field notes"
author: Ann
---

# One

Some *soft* and **bold** and `code` and a [link](http://x.example/a_b).[^1]

![a picture](x.png)

```python
print("not said")
```

- first
- [x] second
1. third

> quoted
> text

| a | b |
|---|---|
| 1 | 2 |

<!-- hidden -->

Two
===

snake_case stays, 2 * 3 * 4 too; &amp; this.

## Inner

Last.

[^1]: not said
"""


def test_markdown_is_read_without_its_marks():
    book = read_markdown(MARKDOWN, "file")
    assert (book.title, book.author, titles(book)) == ("Field notes", "Ann", ["One", "Two"])
    assert book.chapters[0].text.split("\n\n") == [
        "One", "Some soft and bold and code and a link.", "first", "second", "1. third", "quoted text", "a, b.",
        "1, 2.",
    ]  # fmt: skip
    assert book.chapters[1].text.split("\n\n") == [
        "Two", "snake_case stays, 2 * 3 * 4 too; & this.", "Inner", "Last.",
    ]  # fmt: skip


def test_a_single_heading_at_the_top_is_the_title():
    book = read_markdown("# Book\n\nBefore.\n\n## A\n\nx\n\n## B\n\ny", "file")
    assert (book.title, titles(book)) == ("Book", ["Book", "A", "B"])


@given(st.text(alphabet="#*_`[]()<>!-|=~\n ab1.>:&;\\^", max_size=120))
def test_any_markdown_is_a_book_or_has_nothing_to_say(text):
    try:
        book = read_markdown(text, "x")
    except InputError as error:
        assert "no text to speak" in str(error)
        return
    assert all(any(map(str.isalnum, chapter.text)) for chapter in book.chapters)


def test_files_are_read_in_the_encodings_that_they_name(tmp_path):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "x.txt").write_bytes("Caf\u00e9.\r\nMore.".encode(encoding))
        assert read_book(tmp_path / "x.txt").chapters[0].text == "Caf\u00e9. More."
    (tmp_path / "x.txt").write_bytes("Caf\u00e9".encode("latin-1"))
    with pytest.raises(InputError, match=r"x\.txt: is not UTF-8 text \(byte 3\)"):
        read_book(tmp_path / "x.txt")
    (tmp_path / "x.md").write_text("---\n")
    with pytest.raises(InputError, match="no text to speak"):
        read_book(tmp_path / "x.md")
