"""XML of strangers: parsed without entities of its own, and with places in its errors."""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from glowtron.errors import InputError


def parse_xml(data: bytes, name: str) -> Element:
    """The root of a document, names with their namespaces as `{uri}name`.

    A document type is passed over; one that declares entities is refused, since these may grow without bounds or name
    other files. Raises InputError that says where in `name` it is no XML.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, attributes: builder.start(
        _qualified(tag), {_qualified(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda tag: builder.end(_qualified(tag))
    parser.CharacterDataHandler = builder.data
    parser.SkippedEntityHandler = lambda entity, is_parameter: None

    def refuse(*_: object) -> None:
        raise InputError(f"{name}: declares entities of its own (line {parser.CurrentLineNumber}), which is refused")

    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        what = expat.errors.messages.get(error.code, "not XML")
        raise InputError(f"{name}: {what} in line {error.lineno}, column {error.offset + 1}") from error
    return builder.close()


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name
