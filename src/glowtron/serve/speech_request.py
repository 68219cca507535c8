"""The body of a speech request, read strictly where it matters and leniently where clients differ."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from glowtron.config.synthesis import FASTEST, LIMITS, SLOWEST, SynthesisOptions
from glowtron.errors import InputError, nearest
from glowtron.serve.errors import ApiError
from glowtron.serve.formats import MEDIA_TYPES
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import ServedVoice, VoiceShelf
from glowtron.text.frontend import MarkedText

MODELS = ("glowtron", "tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
"""Names of models that mean this server."""

SPEEDS = (0.25, 4.0)
RATES = (8_000, 48_000)
STREAM_FORMATS = ("audio", "sse")


class SpeechRequest(NamedTuple):
    """A client's request."""

    text: str | MarkedText
    served: ServedVoice
    options: SynthesisOptions
    format: str
    """A key of `MEDIA_TYPES`."""
    sample_rate: int | None
    """Hz that was asked for; None: the format's."""
    as_events: bool
    """True if the sound goes as server-sent events."""
    streamed: bool
    """True if sound leaves before all is there."""
    clamped: bool
    """True if `speed` was beyond what still sounds like speech, and the nearest rate was taken."""


def read_speech_request(body: Any, shelf: VoiceShelf, settings: ServerSettings) -> SpeechRequest:
    """Check the JSON of a request. Raises ApiError that names the field; unknown fields are passed over."""
    if not isinstance(body, dict):
        raise ApiError(400, 'the body must be a JSON object, as in {"model": "tts-1", "input": "Hello."}')
    text = _text(body, settings)
    _check_model(body, shelf, settings)
    served = _voice(body, shelf)
    format = _choice(body, "response_format", tuple(MEDIA_TYPES), "mp3")
    stream_format = _choice(body, "stream_format", STREAM_FORMATS, "audio")
    speed = _number(body, "speed", 1.0, SPEEDS)
    rate = min(max(speed, SLOWEST), FASTEST)
    sample_rate = _number(body, "sample_rate", None, RATES)
    if sample_rate is not None and sample_rate != int(sample_rate):
        raise ApiError(400, "sample_rate must be a whole number of hertz", param="sample_rate", code="invalid_value")
    streamed = body.get("stream")
    if streamed is not None and not isinstance(streamed, bool):
        raise ApiError(400, "stream must be true or false", param="stream", code="invalid_value")
    try:
        options = SynthesisOptions(speaker=served.speaker, rate=rate, **_extras(body, served))
    except InputError as error:
        raise ApiError(400, str(error), code="invalid_value") from error
    return SpeechRequest(
        text=_marked(text, body, served, settings),
        served=served,
        options=options,
        format=format,
        sample_rate=None if sample_rate is None else int(sample_rate),
        as_events=stream_format == "sse",
        streamed=streamed is not False,
        clamped=rate != speed,
    )


def _text(body: dict[str, Any], settings: ServerSettings) -> str:
    text = body.get("input")
    if not isinstance(text, str):
        raise ApiError(400, "input must be the text to speak", param="input", code="missing_required_parameter")
    # JSON may name half a surrogate pair, which nothing could write into captions or errors.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if len(text) > settings.max_chars:
        message = f"input has {len(text)} characters and {settings.max_chars} are allowed; send it in parts"
        raise ApiError(413, message, param="input", code="string_above_max_length")
    if not text.strip():
        raise ApiError(400, "input is empty; there is nothing to speak", param="input", code="invalid_value")
    return text


def _marked(text: str, body: dict[str, Any], served: ServedVoice, settings: ServerSettings) -> str | MarkedText:
    """The text, or what SSML in it means where that was asked for."""
    if not (text.lstrip().startswith("<speak") and (settings.ssml or body.get("ssml") is True)):
        return text
    from glowtron.text.ssml import parse_ssml

    try:
        return parse_ssml(text, served.voice.speakers)
    except InputError as error:
        raise ApiError(400, str(error), param="input", code="invalid_ssml") from error


def _check_model(body: dict[str, Any], shelf: VoiceShelf, settings: ServerSettings) -> None:
    model = body.get("model", "glowtron")
    if not isinstance(model, str):
        raise ApiError(400, "model must be a text", param="model", code="invalid_value")
    if settings.strict and model not in MODELS and shelf.find(model) is None:
        message = f"there is no model '{model[:60]}'; there are {', '.join((*MODELS, *shelf.voices))}"
        raise ApiError(404, message, param="model", code="model_not_found")


def _voice(body: dict[str, Any], shelf: VoiceShelf) -> ServedVoice:
    voice = body.get("voice")
    if isinstance(voice, dict):
        voice = voice.get("id")
    if voice is None and "voice" not in body:
        # Without a voice the model may name one; else the first.
        return shelf.find(str(body.get("model", ""))) or shelf.default
    served = shelf.find(voice) if isinstance(voice, str) else None
    if served is None:
        names = (*shelf.voices, *shelf.aliases)
        message = f"there is no voice '{str(voice)[:60]}'; there are {', '.join(names)}"
        raise ApiError(400, message, param="voice", code="voice_not_found")
    return served


def _choice(body: dict[str, Any], name: str, known: tuple[str, ...], default: str) -> str:
    value = body.get(name)
    if value is None:
        return default
    if value not in known:
        hint = nearest(value, known) if isinstance(value, str) else f" (known: {', '.join(known)})"
        raise ApiError(400, f"unknown {name} '{str(value)[:60]}'{hint}", param=name, code="invalid_value")
    return str(value)


def _number(body: dict[str, Any], name: str, default: float | None, limits: tuple[float, float]) -> Any:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ApiError(400, f"{name} must be a number", param=name, code="invalid_value")
    if not limits[0] <= value <= limits[1]:
        message = f"{name} must be from {limits[0]:g} to {limits[1]:g}, got {value:g}"
        raise ApiError(400, message, param=name, code="invalid_value")
    return value


def _extras(body: dict[str, Any], served: ServedVoice) -> dict[str, Any]:
    """Options of ours that other servers do not have."""
    found: dict[str, Any] = {}
    if (seed := body.get("seed")) is not None:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise ApiError(400, "seed must be a whole number, 0 or more", param="seed", code="invalid_value")
        found["seed"] = seed
    for name in ("pitch", "pitch_range", "energy"):
        if (value := _number(body, name, None, LIMITS[name])) is not None:
            if not served.voice.runtime.acoustic_model.predicts_prosody:
                message = f"voice '{served.id}' predicts no pitch and no energy; leave {name} out"
                raise ApiError(400, message, param=name, code="invalid_value")
            found[name] = value
    return found
