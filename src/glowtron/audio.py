"""Sound as samples: read from files, resampled, written, and played by a notebook."""

from __future__ import annotations

import base64
import io
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from glowtron.errors import InputError
from glowtron.files import unwritable, write_bytes

if TYPE_CHECKING:
    from glowtron.ogg import OggPages

FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".opus": ("OGG", "OPUS"),
}
"""Formats that `Audio.write` can write, by suffix: libsndfile's names of container and encoding."""

FILE_FORMATS = (*(suffix[1:] for suffix in FORMATS), "pcm")
"""Formats by name; `pcm` is 16-bit little-endian samples without a header."""

_RATES = {
    "MPEG_LAYER_III": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "OPUS": (8_000, 12_000, 16_000, 24_000, 48_000),
}
"""Hz that an encoding knows; others know all."""

_BLOCK = 1 << 16
"""Samples read or written at a time; libsndfile's Vorbis encoder overflows its stack on very long blocks."""

_LOUDEST = 100.0
"""No recording is 40 dB over full scale; what looks like it are integers that were stored as floating point."""

_MP3_FRAME = 1152
"""Samples."""

_STREAMED = 0x7FFF_0000
"""Sizes from here on in a header mean that it was written before the length was known, as by a pipe."""


class Audio(NamedTuple):
    """Mono sound."""

    samples: NDArray[np.float32]
    """(L,), in [-1, 1]."""
    sample_rate: int
    """Hz."""

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate

    def write(self, path: str | Path, format: str | None = None) -> None:
        """Write a sound file, whole or not at all.

        WAV and FLAC have 16 bits. MP3 and Opus do not know every rate: the sound is resampled to the next higher one.
        Samples outside [-1, 1] are clipped.

        Args:
            path: The file. A device or pipe is written to as it is.
            format: One of `FILE_FORMATS`; None: that of the file's suffix, such as .wav, .flac, .ogg, .mp3 or .opus.

        Raises:
            InputError: The suffix or format is unknown, the place cannot be written, or samples are no numbers.
        """
        path = Path(path)
        check_writable(path, format)
        data = self.encode(format or path.suffix or "wav")
        if path.exists() and not path.is_file():
            # A device or pipe takes the bytes, as WAV if it has no suffix; a rename would put a file in its place.
            try:
                path.write_bytes(data)
            except OSError as error:
                raise unwritable(path, error) from error
        else:
            write_bytes(path, data, shared=True)

    def encode(self, format: str = "wav") -> bytes:
        """The bytes of a sound file.

        Args:
            format: One of `FILE_FORMATS`, or a suffix such as `.wav`.

        Raises:
            InputError: The format is unknown, or samples are no numbers.
        """
        if format == "pcm":
            return self.pcm16().astype("<i2").tobytes()
        container, encoding = _format(format)
        audio = self.resample(encoded_rate(self.sample_rate, format))
        pcm = audio.pcm16()
        out = io.BytesIO()
        with soundfile.SoundFile(out, "w", audio.sample_rate, 1, encoding, format=container) as file:
            for start in range(0, len(pcm), _BLOCK):
                file.write(pcm[start : start + _BLOCK])
        if container != "OGG":
            return out.getvalue()
        from glowtron.ogg import OggPages

        return OggPages().push(out.getvalue())

    def pcm16(self) -> NDArray[np.int16]:
        """(L,) 16-bit samples, clipped and never wrapped; `.tobytes()` is raw PCM in this machine's byte order.

        The inverse of reading 16-bit files: what was read from one comes back bit for bit.

        Raises:
            InputError: Samples are no numbers, or not mono.
        """
        if self.samples.ndim != 1:
            raise InputError(f"audio is mono, samples of shape (L,); these are {self.samples.shape}")
        if not np.isfinite(self.samples).all():
            raise InputError("audio holds NaN or infinite samples and cannot be turned into sound")
        samples: NDArray[np.int16] = np.clip(np.rint(self.samples * 32768.0), -32768, 32767).astype(np.int16)
        return samples

    def resample(self, sample_rate: int) -> Audio:
        """The same sound at another rate; itself if it has that rate already.

        Args:
            sample_rate: In Hz.
        """
        if sample_rate == self.sample_rate:
            return self
        samples = soxr.resample(self.samples, self.sample_rate, sample_rate, quality="HQ")
        return Audio(np.asarray(samples, dtype=np.float32), sample_rate)

    def __repr__(self) -> str:
        return f"Audio({self.duration_s:.2f} s at {self.sample_rate} Hz)"

    def _repr_html_(self) -> str:
        """A player, for notebooks."""
        data = base64.b64encode(self.encode(".wav")).decode("ascii")
        return f'<audio controls src="data:audio/wav;base64,{data}">{self!r}</audio>'


class AudioEncoder:
    """Encodes sound while it comes, for a pipe or a network: nothing that was given out is changed later.

    A WAV header says that the length is not known, as other programs write it to pipes.
    """

    def __init__(self, sample_rate: int, format: str = "wav", *, encoded_as: int | None = None) -> None:
        """sample_rate: Hz of the samples that come. format: one of `FILE_FORMATS`. encoded_as: Hz of what is made;
        None: the same, or the next higher one that the format knows. Raises InputError for an unknown format.
        """
        wanted = sample_rate if encoded_as is None else encoded_as
        self.sample_rate = wanted if format == "pcm" else encoded_rate(wanted, format)
        """Hz of what is made."""
        self._resampler = None
        if self.sample_rate != sample_rate:
            self._resampler = soxr.ResampleStream(sample_rate, self.sample_rate, 1, dtype="float32", quality="HQ")
        self._sink, self._file = _Appended(), None
        self._pages: OggPages | None = None
        if format in ("ogg", "opus"):
            from glowtron.ogg import OggPages

            self._pages = OggPages()
        if format == "wav":
            self._sink.write(_streamed_wav_header(self.sample_rate))
        elif format != "pcm":
            container, encoding = _format(format)
            # A stream says nowhere how long it is; readers judge an MP3 by its size, which takes a constant bit rate.
            constant = {"compression_level": 0.5, "bitrate_mode": "CONSTANT"} if container == "MP3" else {}
            self._file = soundfile.SoundFile(
                self._sink, "w", self.sample_rate, 1, encoding, format=container, **constant
            )

    def encode(self, samples: NDArray[np.float32]) -> bytes:
        """The next samples (L,) at the rate that was given -> the bytes that are settled.

        Raises InputError on NaN and infinity.
        """
        return self._encode(samples, last=False)

    def finish(self) -> bytes:
        """The bytes that were held back, once all samples were given."""
        return self._encode(np.zeros(0, np.float32), last=True)

    def _encode(self, samples: NDArray[np.float32], *, last: bool) -> bytes:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples, np.float32), last=last)
        pcm = Audio(samples, self.sample_rate).pcm16()
        if self._file is None:
            self._sink.write(pcm.astype("<i2").tobytes())
            return self._sink.take()
        for start in range(0, len(pcm), _BLOCK):
            self._file.write(pcm[start : start + _BLOCK])
        if last:
            self._file.close()
        data = self._sink.take()
        return data if self._pages is None else self._pages.push(data)


class _Appended(io.RawIOBase):
    """A file for libsndfile of which only the end grows: what it writes over earlier bytes is dropped."""

    def __init__(self) -> None:
        self._place = self._end = 0
        self._data = bytearray()

    def write(self, data: Any) -> int:
        n_new = self._place + len(data) - self._end
        if n_new > 0:
            self._data += bytes(data)[-n_new:]
            self._end += n_new
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._end)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def take(self) -> bytes:
        """Returns the bytes written since the last call."""
        data = bytes(self._data)
        self._data.clear()
        return data


def _streamed_wav_header(sample_rate: int) -> bytes:
    """Of 16-bit mono sound of a length that is not known."""
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, 2 * sample_rate, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 0xFFFF_FFFF, b"WAVE") + fmt + struct.pack("<4sI", b"data", 0xFFFF_FFFF)


def encoded_rate(sample_rate: int, format: str) -> int:
    """The rate in Hz of sound in a file of this format: the next one that its encoding knows."""
    rates = _RATES.get(_format(format)[1], (sample_rate,))
    return next((rate for rate in rates if rate >= sample_rate), rates[-1])


class _Streamed(soundfile.SoundFile):  # type: ignore[misc]  # It has no types.
    """Sound that does not say how long it is: it is read to its end, without looking for a place in it."""

    def seekable(self) -> bool:
        return False


class Header(NamedTuple):
    """The header of a sound file."""

    sample_rate: int
    """Hz."""
    n_channels: int
    n_samples: int
    """Of each channel."""

    def conversion(self, sample_rate: int) -> str:
        """The conversion by `read_audio` in words: `"48000 Hz stereo to 22050 Hz mono"`; empty if nothing."""
        if (self.sample_rate, self.n_channels) == (sample_rate, 1):
            return ""
        channels = {1: "mono", 2: "stereo"}.get(self.n_channels, f"{self.n_channels} channels")
        return f"{self.sample_rate} Hz {channels} to {sample_rate} Hz mono"


def read_header(source: str | Path | bytes, name: str = "sound") -> Header:
    """Rate, channels and length of a sound file, or of its bytes, which errors call `name`.

    Raises InputError if it is none.
    """
    path = Path(name) if isinstance(source, bytes) else Path(source)
    with _open(path, source if isinstance(source, bytes) else None) as file:
        return Header(file.samplerate, file.channels, file.frames)


def read_audio(source: str | Path | bytes, sample_rate: int | None = None, name: str = "sound") -> Audio:
    """Read a sound file (WAV, FLAC, OGG, MP3, ...), mix its channels to mono and resample it to `sample_rate` Hz.

    source: the file, or its bytes, which errors call `name`; these may not say how long they are, as what comes from a
    pipe. Raises InputError that names the file and the reason: not there, not sound, cut short, without samples, or
    with samples that are no numbers.
    """
    streamed = isinstance(source, bytes)
    path = Path(name) if isinstance(source, bytes) else Path(source)
    with _open(path, source if isinstance(source, bytes) else None) as file:
        samples = _decode(file, path, streamed=streamed)
        rate = file.samplerate
    if len(samples) == 0:
        raise InputError(f"{path}: holds no samples")
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: holds NaN or infinite samples")
    if (peak := float(np.abs(samples).max())) > _LOUDEST:
        raise InputError(f"{path}: its samples reach {peak:.3g}, where 1 is full scale; divide them by what is meant")
    audio = Audio(samples, rate)
    return audio if sample_rate is None else audio.resample(sample_rate)


def concatenate(parts: Sequence[Audio], pause_s: float = 0.0) -> Audio:
    """One sound after the other, with `pause_s` seconds of silence between them. All must have one rate."""
    rates = sorted({part.sample_rate for part in parts})
    if len(rates) != 1:
        raise InputError(f"cannot join {len(parts)} sounds of rates {rates}; they must share one rate")
    pause = np.zeros(round(pause_s * rates[0]), np.float32)
    pieces = [piece for part in parts for piece in (pause, part.samples)][1:]
    return Audio(np.concatenate(pieces), rates[0])


def check_writable(path: Path, format: str | None = None) -> None:
    """Raise InputError if `Audio.write(path, format)` is bound to fail, so this is known before the work is done."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written: permission denied")
    if not format and not (path.exists() and not path.is_file()):  # A device needs no suffix.
        _format(path.suffix, str(path))


def _format(format: str, name: str = "") -> tuple[str, str]:
    """Names that libsndfile has for a format's name or suffix."""
    suffix = format if format.startswith(".") or not format else f".{format}"
    if suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{name + ': ' if name else ''}unknown sound format '{format}' (known: {known})")
    return FORMATS[suffix.lower()]


def _open(path: Path, data: bytes | None = None) -> soundfile.SoundFile:
    if data is not None:
        if not data:
            raise InputError(f"{path}: is empty")
        try:
            file = soundfile.SoundFile(io.BytesIO(data))
            return _Streamed(io.BytesIO(data)) if file.frames >= _STREAMED else file
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: not sound that can be read: {error.error_string}") from error
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not a sound file")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    try:
        return soundfile.SoundFile(os.fsencode(path))  # Names that are no text in any encoding can be opened, too.
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: not a sound file that can be read: {error.error_string}") from error


def _decode(file: soundfile.SoundFile, path: Path, *, streamed: bool) -> NDArray[np.float32]:
    """All samples, channels averaged: (L,). streamed: whether the end may be where the bytes end."""
    if not streamed and file.frames >= _STREAMED:
        raise InputError(f"{path}: does not say how long it is, as if it was written to a pipe; convert it to WAV")
    blocks: list[NDArray[np.float32]] = []
    try:
        # In blocks, since a damaged header may ask for more memory than there is.
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            blocks.append(block.mean(axis=1))
    except soundfile.LibsndfileError as error:
        n = sum(map(len, blocks))
        raise InputError(f"{path}: cut short or damaged after sample {n}; get the file again") from error
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    n_told = len(samples) if streamed and file.frames >= _STREAMED else file.frames
    if lost := _cut_short(file, len(samples), n_told):
        raise InputError(f"{path}: cut short: {lost}; get the file again")
    return samples


def _cut_short(file: soundfile.SoundFile, n_samples: int, n_told: int) -> str:
    """Why a file that decoded without an error must have lost its end, or nothing. n_told: samples by its header."""
    # libsndfile reads what is left of a shortened WAV or OGG in silence, but says so in its log.
    log = file.extra_info
    if match := re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE):
        declared, present = int(match[1]), int(match[2])
        if present < declared < _STREAMED:
            return f"{present} of {declared} bytes of sound are there"
    if any(sign in log for sign in ("without an End-Of-Stream", "lacks an end-of-stream", "Junk after the last page")):
        return "the end of the stream is missing"
    # What an MP3 says is a guess of up to a frame where its header does not know.
    if n_samples < n_told - (_MP3_FRAME if file.format == "MP3" else 0):
        return f"{n_samples} of {n_told} samples are there"
    return ""
