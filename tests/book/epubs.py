"""EPUBs made for tests."""

import io
import zipfile
from pathlib import Path

from PIL import Image

CONTAINER = (
    '<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
)
NAV = """<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>
<nav epub:type="toc"><ol><li><a href="text/a%20b.xhtml">Chapter One</a></li>
<li><a href="text/b.xhtml#two">Chapter <b>Two</b></a><ol><li><a href="text/b.xhtml#three">Three</a></li></ol></li></ol>
</nav><nav epub:type="landmarks"><ol><li><a href="text/b.xhtml">Start</a></li></ol></nav></body></html>"""
ONE = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd">
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head><title>not said</title>
<style>p { color: red }</style></head><body><h1>Chapter<br/>One</h1><script>not('said')</script>
<p>It was a quiet&nbsp;morning<sup><a epub:type="noteref" href="#n">1</a></sup>.</p>
<p>Nobody spoke of CO<sub>2</sub>.</p>
<span epub:type="pagebreak" title="7">7</span><aside epub:type="footnote" id="n">A note.</aside></body></html>"""
TWO = """<html xmlns="http://www.w3.org/1999/xhtml"><body><p>Still one.</p><h2 id="two">Two</h2>
<p>The second <i>one</i> begins.</p><div id="three"><p>Third.</p></div></body></html>"""
SPINE = '<itemref idref="nav"/><itemref idref="a"/><itemref idref="b"/><itemref idref="n" linear="no"/>'
ITEMS = """<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="c" href="cover.jpg" media-type="image/jpeg" properties="cover-image"/>
<item id="a" href="text/a%20b.xhtml" media-type="application/xhtml+xml"/>
<item id="b" href="text/b.xhtml" media-type="application/xhtml+xml"/>
<item id="n" href="text/notes.xhtml" media-type="application/xhtml+xml"/>"""


def package(items: str = ITEMS, spine: str = SPINE, toc: str = "") -> str:
    return (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0">'
        '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Small Book</dc:title>'
        "<dc:creator>Ann Author</dc:creator><dc:creator>Bob Writer</dc:creator><dc:language>en-GB</dc:language>"
        "<dc:date>2020-01-02T00:00:00Z</dc:date><dc:description>&lt;p&gt;About&lt;/p&gt;</dc:description></metadata>"
        f"<manifest>{items}</manifest><spine {toc}>{spine}</spine></package>"
    )


def picture(format: str = "JPEG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (30, 40), (120, 30, 60)).save(data, format)
    return data.getvalue()


def files(**changes: str | bytes | None) -> dict[str, str | bytes]:
    """Files of a small book; a change is of a name without its folders, with `_` for dots, or None to leave it out."""
    found: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": package(),
        "OEBPS/nav.xhtml": NAV,
        "OEBPS/text/a b.xhtml": ONE,
        "OEBPS/text/b.xhtml": TWO,
        "OEBPS/text/notes.xhtml": "<html><body><p>Notes.</p></body></html>",
        "OEBPS/cover.jpg": picture(),
    }
    for name, content in changes.items():
        (path,) = [path for path in found if path.split("/")[-1].replace(".", "_").replace(" ", "_") == name]
        if content is None:
            del found[path]
        else:
            found[path] = content
    return found


def write(path: Path, content: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path
