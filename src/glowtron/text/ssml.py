"""SSML, the markup of speech (W3C, "Speech Synthesis Markup Language 1.1"), as far as a voice can follow it.

`speak`, `p`, `s`, `break`, `prosody`, `emphasis`, `sub`, `phoneme`, `say-as` and `voice` do what the standard says.
`w`, `token`, `lang`, `audio` and `mark` leave their text as it is, `desc` drops it; any other element is an error. What
is not given in XML safely is refused: document types, and with them entities of one's own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from xml.parsers import expat

from glowtron.config import ProsodyOptions
from glowtron.errors import InputError, nearest
from glowtron.text.frontend import MarkedText, Passage, ProsodySpan
from glowtron.text.ipa import ipa_to_arpabet
from glowtron.text.say_as import INTERPRETATIONS, say_as
from glowtron.text.sentences import Ending
from glowtron.text.symbols import parse_markup

DEEPEST = 20
"""Elements that may stand in each other; what people write needs five."""
LONGEST_BREAK_S = 60.0
SLOWEST, FASTEST = 0.7, 1.4
"""Rates at which speech still sounds like speech."""

_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "speak": frozenset(("version", "xml:lang", "xml:base", "xmlns", "onlangfailure")),
    "p": frozenset(),
    "s": frozenset(),
    "break": frozenset(("time", "strength")),
    "prosody": frozenset(("rate", "pitch", "range", "volume")),
    "emphasis": frozenset(("level",)),
    "sub": frozenset(("alias",)),
    "phoneme": frozenset(("alphabet", "ph", "type")),
    "say-as": frozenset(("interpret-as", "format", "detail")),
    "voice": frozenset(("name", "gender", "age", "variant", "languages", "required")),
    "w": frozenset(("role",)),
    "token": frozenset(("role",)),
    "lang": frozenset(("onlangfailure",)),
    "audio": frozenset(
        ("src", "fetchtimeout", "fetchhint", "maxage", "maxstale", "clipbegin", "clipend", "soundlevel")
    ),
    "mark": frozenset(("name",)),
    "desc": frozenset(),
}
_EVERYWHERE = ("xml:lang", "xml:id", "xml:space")

_STRENGTHS = {"none": 0.0, "x-weak": 0.0, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 1.5}
_RATES = {"x-slow": 0.7, "slow": 0.85, "medium": 1.0, "default": 1.0, "fast": 1.2, "x-fast": 1.4}
_PITCHES = {"x-low": -4.0, "low": -2.0, "medium": 0.0, "default": 0.0, "high": 2.0, "x-high": 4.0}
_RANGES = {"x-low": 0.3, "low": 0.65, "medium": 1.0, "default": 1.0, "high": 1.4, "x-high": 1.8}
_VOLUMES = {"silent": -12.0, "x-soft": -9.0, "soft": -4.5, "medium": 0.0, "default": 0.0, "loud": 4.5, "x-loud": 9.0}
_EMPHASES = {
    "strong": ProsodyOptions(rate=0.8, pitch=2.5, energy=4.0),
    "moderate": ProsodyOptions(rate=0.88, pitch=1.5, energy=2.5),
    "none": ProsodyOptions(),
    "reduced": ProsodyOptions(rate=1.12, pitch=-0.8, energy=-2.5),
}
_UNCHANGED = ProsodyOptions()
_TIME = re.compile(r"\+?([0-9]*\.?[0-9]+)(ms|s)")
_NUMBER = re.compile(r"([+-]?)([0-9]*\.?[0-9]+)(%|st|dB|Hz|)")
_SPACE = re.compile(r"\s+")
_ENDS = re.compile(r"(?P<sentence>[.!?…][\"'”’)\]]*$)|[,;:)—–-][\"'”’]*$")


def parse_ssml(source: str, speakers: Sequence[str] | None = None) -> MarkedText:
    """Parses an SSML document into a marked text for `Voice.say` and the others.

    A `break` cuts the sentence that it stands in, and is as much silence as it says, to the sample, in place of the
    pause that would be there. Rates multiply the caller's, and what comes of it is kept within what a voice can do.

    Args:
        source: From `<speak>` to `</speak>`.
        speakers: Names that `<voice>` may use; None: they are checked when the text is spoken.

    Raises:
        InputError: With line and column: it is not XML, has a document type, or asks for what is not understood.
    """
    reader = _Reader(speakers)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    reader.place = lambda: f"SSML, line {parser.CurrentLineNumber}, column {parser.CurrentColumnNumber + 1}"
    parser.StartDoctypeDeclHandler = reader.refuse_doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(source.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise InputError(_broken(error)) from error
    return MarkedText(tuple(reader.passages))


def _broken(error: expat.ExpatError) -> str:
    place = f"SSML, line {error.lineno}, column {error.offset + 1}"
    what = expat.errors.messages.get(error.code, "not XML")
    mend = {
        expat.errors.XML_ERROR_UNDEFINED_ENTITY: "; write the character itself, or its number as in &#160;",
        expat.errors.XML_ERROR_INVALID_TOKEN: "; write & as &amp; and < as &lt;",
        expat.errors.XML_ERROR_SYNTAX: "; begin with <speak> and end with </speak>",
        expat.errors.XML_ERROR_NO_ELEMENTS: "; begin with <speak> and end with </speak>",
    }
    return f"{place}: {what}{mend.get(what, '')}"


class _Element(NamedTuple):
    """An element that is open."""

    name: str
    prosody: ProsodyOptions
    speaker: str | None
    replace: Callable[[str], str] | None
    """Makes what is spoken of its text; None: that stays as it is."""
    place: str


class _Reader:
    """Makes passages of a document's events."""

    def __init__(self, speakers: Sequence[str] | None) -> None:
        self.passages: list[Passage] = []
        self.place: Callable[[], str] = str
        self._speakers = speakers
        self._open: list[_Element] = []
        self._held: list[str] = []
        """Text of the open element that replaces it."""
        self._text = ""
        self._spans: list[ProsodySpan] = []
        self._before_s = 0.0
        """Silence before anything is said."""
        self._cut = False
        """True if a break cut the sentence that the last passage is of."""

    def refuse_doctype(self, *_: object) -> None:
        raise InputError(f"{self.place()}: a document type (<!DOCTYPE>) is refused; leave it out")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._check(name, attributes)
        outer = self._open[-1] if self._open else _Element("", _UNCHANGED, None, None, "")
        prosody, speaker, replace = outer.prosody, outer.speaker, None
        match name:
            case "p":
                self._close("paragraph")
            case "s":
                self._close("sentence")
            case "break":
                self._break(attributes)
            case "prosody":
                prosody = self._prosody(attributes).on_top_of(prosody)
            case "emphasis":
                level = attributes.get("level", "moderate")
                prosody = self._named("level", level, _EMPHASES).on_top_of(prosody)
            case "voice":
                speaker = self._voice(attributes)
            case _:
                replace = self._replacement(name, attributes)
        if speaker != outer.speaker:
            self._close(None)
        self._open.append(_Element(name, prosody, speaker, replace, self.place()))

    def end(self, name: str) -> None:
        element = self._open.pop()
        if element.replace is not None:
            held, self._held = "".join(self._held), []
            try:
                self._add(element.replace(held), element.prosody)
            except InputError as error:
                raise InputError(f"{element.place}: <{name}>: {error}") from error
        match name:
            case "p":
                self._close("paragraph", element.speaker)
            case "s":
                self._close("sentence", element.speaker)
            case "speak":
                self._close("sentence", element.speaker)
                self._settle()
            case "voice" if element.speaker != self._open[-1].speaker:
                self._close(None, element.speaker)

    def characters(self, text: str) -> None:
        element = self._open[-1]
        if element.replace is not None:
            self._held.append(text)
        else:
            self._add(text, element.prosody)

    def _check(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "speak":
            raise InputError(f"{self.place()}: it begins with <{name}>; put <speak> and </speak> around it")
        if self._open and name == "speak":
            raise InputError(f"{self.place()}: <speak> stands in another <{self._open[-1].name}>; leave it out")
        if len(self._open) >= DEEPEST:
            raise InputError(f"{self.place()}: more than {DEEPEST} elements stand in each other")
        if name not in _ATTRIBUTES:
            raise InputError(f"{self.place()}: unknown element <{name}>{nearest(name, list(_ATTRIBUTES))}")
        if self._open and self._open[-1].replace is not None:
            raise InputError(f"{self.place()}: <{name}> stands in <{self._open[-1].name}>, which holds text alone")
        for attribute in attributes:
            known = _ATTRIBUTES[name]
            of_root = name == "speak" and ":" in attribute  # xsi:schemaLocation and the like.
            if attribute not in known and attribute not in _EVERYWHERE and not of_root:
                hint = nearest(attribute, sorted(known)) if known else ""
                raise InputError(f"{self.place()}: <{name}> has no '{attribute}'{hint}")

    def _replacement(self, name: str, attributes: dict[str, str]) -> Callable[[str], str] | None:
        """Returns the handler of an element that holds text alone."""
        match name:
            case "sub":
                alias = self._needed("sub", "alias", attributes)
                return lambda text: alias
            case "phoneme":
                phones = self._phones(attributes)
                return lambda text: phones
            case "say-as":
                kind = self._needed("say-as", "interpret-as", attributes)
                if kind not in INTERPRETATIONS:
                    raise InputError(f"{self.place()}: unknown interpret-as '{kind}'{nearest(kind, INTERPRETATIONS)}")
                return lambda text: say_as(text, kind, attributes.get("format", ""))
            case "desc":
                return lambda text: ""
        return None

    def _phones(self, attributes: dict[str, str]) -> str:
        alphabet, ph = attributes.get("alphabet", "ipa"), self._needed("phoneme", "ph", attributes)
        try:
            if alphabet == "ipa":
                words = [" ".join(ipa_to_arpabet(word)) for word in ph.split()]
            elif alphabet in ("x-arpabet", "arpabet", "cmu", "x-cmu"):
                words = [" ".join(parse_markup("{" + ph.upper() + "}"))]
            else:
                raise InputError(f"unknown alphabet '{alphabet}' (known: ipa, x-arpabet)")
        except InputError as error:
            raise InputError(f"{self.place()}: {error}") from error
        if not all(words) or not words:
            raise InputError(f"{self.place()}: ph has no phones; give some, as in ph='HH AH0 L OW1'")
        return " ".join("{" + word + "}" for word in words)

    def _voice(self, attributes: dict[str, str]) -> str:
        name = self._needed("voice", "name", attributes)
        if self._speakers is not None and name not in self._speakers:
            hint = nearest(name, list(self._speakers)) if self._speakers else "; this voice has one speaker"
            raise InputError(f"{self.place()}: no speaker '{name}'{hint}")
        return name

    def _prosody(self, attributes: dict[str, str]) -> ProsodyOptions:
        return ProsodyOptions(
            rate=self._rate(attributes.get("rate", "medium")),
            pitch=self._pitch(attributes.get("pitch", "medium")),
            pitch_range=self._range(attributes.get("range", "medium")),
            energy=self._volume(attributes.get("volume", "medium")),
        )

    def _rate(self, value: str) -> float:
        if value in _RATES:
            return _RATES[value]
        sign, number, unit = self._number("rate", value, _RATES, ("%", ""))
        factor = number / 100 if unit else number
        if sign and unit:  # +20% is a change, 120% is a share.
            factor = 1 + factor if sign == "+" else 1 - factor
        return self._within("rate", value, factor, SLOWEST, FASTEST)

    def _pitch(self, value: str) -> float:
        if value in _PITCHES:
            return _PITCHES[value]
        sign, number, unit = self._number("pitch", value, _PITCHES, ("st", "%"))
        if not sign:
            raise InputError(f"{self.place()}: pitch '{value}' has no sign; say by how much, as in +2st or -10%")
        if unit == "%":
            ratio = 1 + number / 100 if sign == "+" else 1 - number / 100
            semitones = 12 * math.log2(max(ratio, 1e-9))
        else:
            semitones = number if sign == "+" else -number
        return self._within("pitch", value, semitones, -12.0, 12.0)

    def _range(self, value: str) -> float:
        if value in _RANGES:
            return _RANGES[value]
        sign, number, _ = self._number("range", value, _RANGES, ("%",))
        share = number / 100
        factor = {"+": 1 + share, "-": 1 - share, "": share}[sign]
        return self._within("range", value, factor, 0.0, 3.0)

    def _volume(self, value: str) -> float:
        if value in _VOLUMES:
            return _VOLUMES[value]
        sign, number, _ = self._number("volume", value, _VOLUMES, ("dB",))
        return self._within("volume", value, -number if sign == "-" else number, -12.0, 12.0)

    def _number(
        self, name: str, value: str, names: Mapping[str, float], units: Sequence[str]
    ) -> tuple[str, float, str]:
        """Sign, size and unit of an attribute's value."""
        match = _NUMBER.fullmatch(value.strip())
        if match is None or match[3] not in units:
            shown = " or ".join(f"5{unit}" for unit in units)
            raise InputError(f"{self.place()}: {name} '{value}' is not understood; give {', '.join(names)}, or {shown}")
        return match[1], float(match[2]), match[3]

    def _within(self, name: str, value: str, number: float, low: float, high: float) -> float:
        if not low <= number <= high:
            raise InputError(f"{self.place()}: {name} '{value}' is {number:g}; it must be from {low:g} to {high:g}")
        return number

    def _named(self, name: str, value: str, known: Mapping[str, ProsodyOptions]) -> ProsodyOptions:
        if value not in known:
            raise InputError(f"{self.place()}: unknown {name} '{value}'{nearest(value, list(known))}")
        return known[value]

    def _needed(self, element: str, name: str, attributes: dict[str, str]) -> str:
        if not attributes.get(name, "").strip():
            raise InputError(f'{self.place()}: <{element}> needs {name}="..."')
        return attributes[name].strip()

    def _break(self, attributes: dict[str, str]) -> None:
        if "time" in attributes:
            match = _TIME.fullmatch(attributes["time"].strip())
            if match is None:
                raise InputError(f"{self.place()}: time '{attributes['time']}' is not understood; give 500ms or 1.5s")
            seconds = float(match[1]) / (1000 if match[2] == "ms" else 1)
            if seconds > LONGEST_BREAK_S:
                raise InputError(f"{self.place()}: a break is {LONGEST_BREAK_S:g} s at most, this one {seconds:g} s")
        else:
            strength = attributes.get("strength", "medium")
            if strength not in _STRENGTHS:
                raise InputError(f"{self.place()}: unknown strength '{strength}'{nearest(strength, list(_STRENGTHS))}")
            seconds = _STRENGTHS[strength]
        if self._text.strip():
            if not seconds:
                return  # Inside a sentence, no pause is what there is anyway.
            self._close(None, self._open[-1].speaker)
            self._cut = self.passages[-1].ending != "sentence"
        if self.passages:
            last = self.passages[-1]
            self.passages[-1] = last._replace(pause_s=(last.pause_s or 0.0) + seconds)
        else:
            self._before_s += seconds

    def _add(self, text: str, prosody: ProsodyOptions) -> None:
        """Text that is spoken in one way. Its line breaks are the markup's, and mean nothing."""
        text = _SPACE.sub(" ", text)
        if not self._text:
            text = text.lstrip()
            if text and self._cut:  # The voice holds on where a break cuts a sentence.
                last = self.passages[-1]
                if not _ENDS.search(last.text):
                    self.passages[-1] = last._replace(text=last.text + ",", ending="clause")
                self._cut = False
        elif self._text.endswith(" "):
            text = text.lstrip()
        if not text:
            return
        start = len(self._text)
        self._text += text
        if prosody != _UNCHANGED and text.strip():
            if self._spans and self._spans[-1].end == start and self._spans[-1].prosody == prosody:
                start = self._spans.pop().start
            self._spans.append(ProsodySpan(start, len(self._text), prosody))

    def _close(self, ending: Ending | None, speaker: str | None = None) -> None:
        """End the passage, if there is one. ending: None: as its last mark says."""
        text = self._text.rstrip()
        if text:
            match = _ENDS.search(text)
            if ending is None:
                ending = "sentence" if match and match["sentence"] else "clause" if match else "words"
            speaker = self._open[-1].speaker if speaker is None and self._open else speaker
            self.passages.append(Passage(text, tuple(self._spans), speaker, self._before_s, None, ending))
            self._before_s = 0.0
        elif ending == "paragraph" and self.passages and self.passages[-1].ending == "sentence":
            self.passages[-1] = self.passages[-1]._replace(ending="paragraph")
        self._text, self._spans = "", []
        if ending is not None:
            self._cut = False

    def _settle(self) -> None:
        """Nothing follows on the last passage but what a break asked for."""
        if self.passages:
            last = self.passages[-1]
            self.passages[-1] = last._replace(pause_s=last.pause_s or 0.0)
