"""The page at `/`: its files, and what it asks for besides sound: words, phones, mel and alignment as they are made."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from glowtron import __version__
from glowtron.config.synthesis import LIMITS
from glowtron.errors import InputError
from glowtron.serve.body import read_json
from glowtron.serve.errors import ApiError
from glowtron.serve.formats import MEDIA_TYPES, make_encoder
from glowtron.serve.queue import QueueFullError
from glowtron.serve.speaker import Speaker, SpokenPiece
from glowtron.serve.speech_request import SpeechRequest, read_speech_request
from glowtron.synthesis.types import Utterance, WordTime
from glowtron.text.phonemes import Word
from glowtron.text.symbols import SYMBOLS

FILES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "page.js": "text/javascript",
    "player.js": "text/javascript",
    "drawing.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""The whole page: name and media type."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy: nothing from elsewhere, nothing inline."""

MEL_RANGE = (-9.0, 1.0)
"""Log-mels that become 0 and 255."""


class Page:
    """Files and data of the page."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker
        folder = files("glowtron.serve") / "static"
        self._files = {name: (folder / name).read_bytes() for name in FILES}

    @property
    def routes(self) -> list[BaseRoute]:
        """Its paths."""
        return [
            Route("/", self.index),
            Route("/static/{name}", self.file),
            Route("/page/voices", self.voices),
            Route("/page/speech", self.speech, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """`GET /`."""
        return self._file(request, "index.html")

    async def file(self, request: Request) -> Response:
        """`GET /static/NAME`."""
        name = request.path_params["name"]
        if name not in self._files:
            raise ApiError(404, f"there is nothing at {request.url.path[:100]}", code="not_found")
        return self._file(request, name)

    def _file(self, request: Request, name: str) -> Response:
        data = self._files[name]
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        headers = {
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-cache",
            "ETag": tag,
        }
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(data, media_type=FILES[name], headers=headers)

    async def voices(self, request: Request) -> Response:
        """`GET /page/voices`: who can speak, and what can be asked of them."""
        found = [
            {
                "id": served.id,
                "voice": served.voice.config.name,
                "speaker": served.speaker,
                "description": served.voice.config.description,
                "predicts_prosody": served.voice.runtime.acoustic_model.predicts_prosody,
            }
            for served in self._speaker.shelf.speakers
        ]
        content = {
            "version": __version__,
            "voices": found,
            "limits": {name: LIMITS[name] for name in ("rate", "pitch", "pitch_range")},
            "max_chars": self._speaker.settings.max_chars,
            "formats": [name for name in MEDIA_TYPES if name != "pcm" and (name != "aac" or find_spec("av"))],
        }
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    async def speech(self, request: Request) -> Response:
        """`POST /page/speech`: the body of a speech request -> lines of JSON, each an event.

        `begin`, then in any order `sound` (16-bit samples, base64), `words` (as they begin) and `sentence` (once it is
        finished: words with their phones and where these are from, mel, alignment), and `done` or `error`.
        """
        body = await read_json(request, self._speaker.settings)
        asked = read_speech_request(body, self._speaker.shelf, self._speaker.settings)
        # A client that hangs up ends the generator, and with it the work.
        return StreamingResponse(
            self._lines(asked), media_type="application/x-ndjson", headers={"Cache-Control": "no-store"}
        )

    async def _lines(self, asked: SpeechRequest) -> AsyncGenerator[str, None]:
        rate = asked.served.voice.mel.sample_rate
        started_s = time.monotonic()
        whole = _Whole(asked)
        yield _line("begin", sample_rate=rate, voice=asked.served.id)
        try:
            encoder = make_encoder(rate, "pcm", rate)
            async with aclosing(self._speaker.speak(asked.text, asked.served, asked.options, encoder)) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    for event in whole.events(piece):
                        yield event
        except (InputError, QueueFullError) as error:
            yield _line("error", message=str(error))
            return
        yield _line("done", duration_s=whole.duration_s, taken_s=time.monotonic() - started_s)


class _Whole:
    """The part of a text's speech that has come so far."""

    def __init__(self, asked: SpeechRequest) -> None:
        self._asked = asked
        self._text = asked.text if isinstance(asked.text, str) else ""
        self._place = 0
        """Place in the text from which the next sentence is looked for."""
        self._sentence_place: dict[str, int | None] = {}
        self._start_s: float | None = None
        """When the sentence that is being heard began."""
        self.duration_s = 0.0

    def events(self, piece: SpokenPiece) -> list[str]:
        """Events of a piece."""
        found = []
        if piece.sentence is not None and self._start_s is None:
            self._start_s = self.duration_s
        place = self._place_of(piece)
        if piece.words:
            words = [
                {**_word(word, place), "sentence": piece.sentence and piece.sentence.place} for word in piece.words
            ]
            found.append(_line("words", words=words))
        if piece.data:
            found.append(_line("sound", pcm=base64.b64encode(piece.data).decode("ascii")))
        if piece.utterance is not None and self._start_s is not None:
            found.append(_line("sentence", **self._sentence(piece.utterance, self._start_s, place)))
            self._start_s = None
        self.duration_s += piece.duration_s
        return found

    def _place_of(self, piece: SpokenPiece) -> int | None:
        """Start of a piece's sentence in the text; None where the text is markup."""
        if piece.sentence is None or not self._text:
            return None
        if piece.sentence.place not in self._sentence_place:
            found = self._text.find(piece.sentence.text, self._place)
            self._sentence_place[piece.sentence.place] = None if found < 0 else found
            if found >= 0:
                self._place = found + len(piece.sentence.text)
        return self._sentence_place[piece.sentence.place]

    def _sentence(self, utterance: Utterance, start_s: float, place: int | None) -> dict[str, Any]:
        encoded = utterance.sentence.encoded
        times = list(utterance.words)
        readings = []
        for word, time_of in zip(encoded.words, times, strict=False):
            said = _word(time_of.shifted(start_s), place)
            said |= {"source": "", "note": ""} if word.pronunciation is None else _reading(word.pronunciation)
            readings.append(said)
        mel = np.asarray(utterance.mel)
        low, high = MEL_RANGE
        shades = np.clip((mel - low) / (high - low) * 255, 0, 255).astype(np.uint8)
        return {
            "id": utterance.sentence.place,
            "text": utterance.text,
            "normalized": encoded.normalized,
            "start_s": start_s,
            "duration_s": self.duration_s - start_s,
            "words": readings,
            "symbols": [SYMBOLS[id].strip("{}") for id in encoded.ids],
            "alignment": _base64(np.asarray(utterance.alignment).argmax(-1).astype("<u2")),
            "mel": {"bands": mel.shape[0], "frames": mel.shape[1], "data": _base64(shades.T)},
            "failures": list(utterance.failures),
        }


def _word(word: WordTime, place: int | None) -> dict[str, Any]:
    """A word for the page; `span` is its place in the whole text."""
    span = None if word.span is None or place is None else [word.span[0] + place, word.span[1] + place]
    return {
        "text": word.text,
        "start_s": round(word.start_s, 4),
        "end_s": round(word.end_s, 4),
        "span": span,
        "phones": [[one.symbol, round(one.start_s, 4), round(one.end_s, 4)] for one in word.symbols],
    }


def _reading(word: Word) -> dict[str, str]:
    """Source of a pronunciation, and its details."""
    guesses = [guess for guess, _ in word.guessed if guess != word.text]
    notes = {"homograph": word.part, "derived": " + ".join(word.made_of), "guessed": ", ".join(guesses)}
    return {"source": word.source, "note": notes.get(word.source, "")}


def _base64(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def _line(type: str, **content: Any) -> str:
    return json.dumps({"type": type, **content}, ensure_ascii=False) + "\n"
