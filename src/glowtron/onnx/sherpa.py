"""A voice for sherpa-onnx (https://github.com/k2-fsa/sherpa-onnx), which runs on phones, in browsers and in ten
languages: one graph, the tokens and a lexicon.

`matcha` is the form for its versions from 2.0 on, `vits` with a lexicon the one that 1.x knows too. It looks words up
in the lexicon and gives phones, spaces and marks in an order of its own; the graph makes of that what Glowtron's
frontend would have made. What either asks of a graph is told where it is done.

Letters: N symbols, L samples.
"""

from __future__ import annotations

import numpy as np

from glowtron.errors import InputError
from glowtron.onnx.export import ExportedVoice, Noise
from glowtron.onnx.graph import Graph, Value
from glowtron.text.lexicon import Lexicon
from glowtron.text.phonemes import WEAK_FORMS
from glowtron.text.symbols import FIRST_SOUND, LETTERS, PAD, PHONES, PUNCTUATION, SYMBOL_IDS

USUAL_NOISE = 0.667
"""sherpa-onnx's own `noise_scale`: with it the voice has the noise that it was made for, with 0 none."""
SPACE, STOP = SYMBOL_IDS[" "], SYMBOL_IDS["."]
MARKS = tuple(SYMBOL_IDS[mark] for mark in ",.!?;:")


def matcha_files(voice: ExportedVoice) -> dict[str, bytes]:
    """`model.onnx`, `tokens.txt` and `lexicon.txt` for OfflineTtsMatchaModelConfig, without a vocoder."""
    check_can(voice)
    graph = voice.graph("matcha")
    # Inputs are told by their places, but for `sid`; the output `audio_output` means that no vocoder is needed.
    x = graph.input("x", "int64", ["N", "L"])
    graph.input("x_length", "int64", ["N"])
    noise_scale, length_scale = graph.input("noise_scale", "float32", [1]), graph.input("length_scale", "float32", [1])
    sid = graph.input("sid", "int64", [1])
    # Between all tokens stands a pad: t is 0, t, 0, t, 0.
    ids = tidy(graph, x.cut(1, 1, step=2))
    graph.output("audio_output", _speak(graph, voice, ids, sid, noise_scale, length_scale), [1, "samples"])
    metadata = {"use_eos_bos": "0", "pad_id": "0", "version": "1", "jieba": "0", "has_espeak": "0", "voice": "en-us"}
    return {"model.onnx": graph.model(_metadata(voice) | metadata), **_text_files(voice)}


def vits_files(voice: ExportedVoice) -> dict[str, bytes]:
    """The same for OfflineTtsVitsModelConfig with a lexicon."""
    check_can(voice)
    graph = voice.graph("vits")
    x = graph.input("x", "int64", ["N", "L"])
    graph.input("x_length", "int64", ["N"])
    noise_scale, length_scale = graph.input("noise_scale", "float32", [1]), graph.input("length_scale", "float32", [1])
    graph.input("noise_scale_w", "float32", [1])
    sid = graph.input("sid", "int64", [1])
    samples = _speak(graph, voice, tidy(graph, x), sid, noise_scale, length_scale)
    graph.output("y", samples.unsqueeze(1), [1, 1, "samples"])
    metadata = {"language": "English", "comment": "glowtron", "add_blank": "0", "punctuation": ", . ! ? ; :"}
    return {"model.onnx": graph.model(_metadata(voice) | metadata), **_text_files(voice)}


def check_can(voice: ExportedVoice) -> None:
    """Raise InputError for a voice that reads other symbols than phones, which the lexicon is made of."""
    config = voice.config.acoustic
    if config is None or not config.text.phonemes:
        raise InputError(f"voice '{voice.config.name}' reads no phones; sherpa-onnx needs them, choose `form` whole")


def tidy(graph: Graph, x: Value) -> Value:
    """Symbols (1, N) in the order in which Glowtron's frontend has them, whatever sherpa-onnx did with spaces.

    A space at the beginning and between words, none before a mark, one after a mark where a word follows, and a mark at
    the end.
    """
    sound_next = _next_is_sound(graph, x)
    kept = ~(x.equals(SPACE)) | sound_next
    x = _compressed(graph, x, kept)
    is_mark = _is_mark(graph, x)
    follows = is_mark & _next_is_sound(graph, x)
    pairs = graph.concat([x.unsqueeze(2), (x * 0 + SPACE).unsqueeze(2)], 2)
    both = graph.concat([(is_mark | ~is_mark).unsqueeze(2), follows.unsqueeze(2)], 2)
    x = _compressed(graph, pairs.reshape(1, -1), both.reshape(1, -1))
    first, last = x.cut(1, 0, 1), x.cut(1, -1)
    space, stop = (graph.constant(np.array([[symbol]])) for symbol in (SPACE, STOP))
    kept = graph.concat([~(first.equals(SPACE)), x.equals(x), ~_is_mark(graph, last)], 1)
    return _compressed(graph, graph.concat([space, x, stop], 1), kept)


def _next_is_sound(graph: Graph, x: Value) -> Value:
    """(1, N) whether a letter or phone follows."""
    return graph.concat([x.cut(1, 1), np.array([[SPACE]])], 1) >= FIRST_SOUND


def _is_mark(graph: Graph, x: Value) -> Value:
    same = x.unsqueeze(2).equals(np.array([[MARKS]]))
    return same.to("float32").max(2, keep=False) > 0.0


def _compressed(graph: Graph, x: Value, kept: Value) -> Value:
    return graph.op("Compress", x, kept.reshape(-1), axis=1)


def _speak(
    graph: Graph, voice: ExportedVoice, ids: Value, sid: Value, noise_scale: Value, length_scale: Value
) -> Value:
    """Symbols (1, N) to samples (1, L). length_scale: how many times as long; it is nothing to a Tacotron 2."""
    one = np.ones((1, 1), np.float32)
    controls = {
        "rate": one / length_scale.unsqueeze(0),
        "pitch": graph.constant(0 * one),
        "pitch_range": graph.constant(one),
        "energy": graph.constant(0 * one),
    }
    noise = Noise(graph, inside=True, scale=noise_scale * (1 / USUAL_NOISE))
    mel = voice.acoustic(graph, ids, ids.size(1), sid, controls, noise)
    return voice.vocoder(graph, mel.mel, sid, noise)


def _metadata(voice: ExportedVoice) -> dict[str, str]:
    return voice.metadata | {"n_speakers": str(voice.n_speakers)}


def _text_files(voice: ExportedVoice) -> dict[str, bytes]:
    return {"tokens.txt": tokens().encode(), "lexicon.txt": lexicon().encode()}


def tokens() -> str:
    """A line for each pad, mark and phone, with its id. Letters are left out: some are phones by another id."""
    lines = [f"{symbol} {SYMBOL_IDS[symbol]}" for symbol in (PAD, *PUNCTUATION)]
    lines += [f"{phone} {SYMBOL_IDS['{' + phone + '}']}" for phone in PHONES]
    return "".join(f"{line}\n" for line in lines)


def lexicon() -> str:
    """A line for each word of the dictionary with its phones; function words as they are said inside a phrase."""
    known = Lexicon()
    words = {word: phones for word, phones in known.words().items() if word.isascii()}
    words |= {word: phones for word, phones in known.own_words.items() if set(word) <= set(LETTERS + "'-")}
    words |= {word: tuple(phones.split()) for word, phones in WEAK_FORMS.items()}
    return "".join(f"{word} {' '.join(phones)}\n" for word, phones in sorted(words.items()))
