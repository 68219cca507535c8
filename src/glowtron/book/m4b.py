"""M4B, the audiobook of MP4: AAC sound with chapters, a cover and what is known of the book (PyAV, extra `book`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import soundfile

from glowtron.book.speaking import Spoken
from glowtron.errors import InputError

if TYPE_CHECKING:
    import av

_BLOCK = 1024
"""Samples of an AAC frame."""
_MS = Fraction(1, 1000)


class Tags(NamedTuple):
    """Metadata of a book that a player shows."""

    title: str
    author: str
    narrator: str
    date: str = ""
    description: str = ""
    language: str = ""


def check_m4b() -> None:
    """Raise InputError if PyAV is not there."""
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise InputError(
            "M4B needs PyAV: pip install 'glowtron[book]'; or give -o a folder, which becomes a file for each chapter"
        ) from error


def picture_size(picture: bytes) -> tuple[str, int, int]:
    """Codec, width and height of a cover. Raises InputError if it is neither JPEG nor PNG."""
    import av

    try:
        with av.open(io.BytesIO(picture)) as container:
            stream = container.streams.video[0]
            codec, width, height = stream.codec_context.name, stream.width, stream.height
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise InputError("the cover is no picture that can be read; give a JPEG or PNG") from error
    if codec not in ("mjpeg", "png") or not width or not height:
        raise InputError("the cover is neither JPEG nor PNG; convert it")
    return codec, width, height


def write_m4b(
    path: Path,
    chapters: Sequence[Spoken],
    sample_rate: int,
    tags: Tags,
    cover: bytes | None,
    bit_rate: int,
    progress: Callable[[int], Any] | None = None,
) -> None:
    """Write an audiobook at `path`, which is a temporary name: what is there half-written after an error is no file.

    progress is called with numbers of samples. The same chapters give the same bytes.
    """
    import av

    with av.open(str(path), "w", format="mp4", options={"brand": "M4B ", "movflags": "+faststart"}) as container:
        _tag(container, tags)
        stream = container.add_stream("aac", rate=sample_rate, layout="mono")
        stream.bit_rate = bit_rate
        if tags.language:
            stream.metadata["language"] = _three_letters(tags.language)
        picture: Any = None
        if cover is not None:
            codec, width, height = picture_size(cover)
            picture = container.add_mux_stream(codec, width=width, height=height, time_base=_MS)
            picture.disposition = av.stream.Disposition.attached_pic
        container.set_chapters(_marks(chapters, sample_rate))
        container.start_encoding()
        if cover is not None:
            packet = av.Packet(cover)
            packet.stream, packet.pts, packet.dts, packet.time_base = picture, 0, 0, _MS
            container.mux(packet)
        for packet in _encoded(stream, chapters, sample_rate, progress):
            container.mux(packet)


def _tag(container: av.container.OutputContainer, tags: Tags) -> None:
    values = {
        "title": tags.title,
        "album": tags.title,
        "artist": tags.author,
        "album_artist": tags.author,
        "composer": tags.narrator,
        "genre": "Audiobook",
        "date": tags.date,
        "description": tags.description[:4000],
        "comment": f"Read by {tags.narrator}, a synthetic voice",
    }
    container.metadata.update({key: value for key, value in values.items() if value})


def _marks(chapters: Sequence[Spoken], sample_rate: int) -> list[Any]:
    found, start = [], 0
    for number, chapter in enumerate(chapters, 1):
        end = start + chapter.n_samples
        found.append(
            {
                "id": number,
                "start": round(1000 * start / sample_rate),
                "end": round(1000 * end / sample_rate),
                "time_base": _MS,
                "metadata": {"title": chapter.title},
            }
        )
        start = end
    return found


def _encoded(
    stream: Any, chapters: Iterable[Spoken], sample_rate: int, progress: Callable[[int], Any] | None
) -> Iterable[Any]:
    """Packets of all chapters' sound. One encoder makes all, so no join is heard."""
    import av

    place = 0
    for chapter in chapters:
        with soundfile.SoundFile(chapter.path) as file:
            while len(samples := file.read(64 * _BLOCK, dtype="int16")):
                frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = sample_rate, place, Fraction(1, sample_rate)
                yield from stream.encode(frame)
                place += len(samples)
                if progress is not None:
                    progress(len(samples))
    yield from stream.encode(None)


def _three_letters(language: str) -> str:
    """ISO 639-2, which MP4 has; English is what is spoken, and other tags are left to those who wrote them."""
    code = language.split("-")[0].lower()
    known = {"en": "eng", "de": "deu", "fr": "fra", "es": "spa", "it": "ita", "nl": "nld", "pt": "por"}
    return known.get(code, code if len(code) == 3 else "und")
