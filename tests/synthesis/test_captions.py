"""Captions: times in order, all of the text, formats that players read."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from glowtron import Voice
from glowtron.config import TextConfig
from glowtron.errors import InputError
from glowtron.synthesis.captions import MAX_CHARS, Caption, format_captions, make_caption
from glowtron.synthesis.types import WordTime, word_times
from glowtron.text.frontend import Encoded, EncodedWord, make_frontend
from glowtron.text.symbols import SYMBOL_IDS, SYMBOLS

TEXT = "In 1985 they walked from the river to the mill, past the church & the <old> bridge, and nobody saw them come."


def caption(text=TEXT, start_s=3600.0):
    words = [WordTime(word, start_s + 0.1 * i, start_s + 0.1 * (i + 1)) for i, word in enumerate(text.split())]
    return Caption(text, start_s, start_s + 0.1 * len(words), tuple(words))


def seconds(clock):
    hours, minutes, rest = clock.replace(",", ".").split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(rest)


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_cues_hold_the_text_in_order_and_fit_a_screen(format):
    captions = [caption(), caption("Short.", 3700.0)]
    content = format_captions(captions, format)
    assert content.startswith("1\n01:00:00,000 --> " if format == "srt" else "WEBVTT\n\n01:00:00.000 --> ")
    cues = re.findall(r"(\d\S+) --> (\S+)\n(.+)\n\n", content)
    written = " ".join(text for _, _, text in cues)
    if format == "vtt":
        assert "<" not in written
        written = written.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert written == f"{TEXT} Short."
    assert len(cues) == 3 and all(len(text) <= MAX_CHARS + 20 for _, _, text in cues)
    times = [seconds(clock) for start, end, _ in cues for clock in (start, end)]
    assert times == sorted(times) and times[1] == times[2]
    # The first cue ends where the second one's first word begins, give or take a word.
    n_words = len(cues[0][2].split())
    assert times[1] == pytest.approx(3600 + 0.1 * n_words, abs=0.11)


def test_json_has_all_times():
    (only,) = json.loads(format_captions([caption()], "json"))
    assert (only["text"], only["start_s"]) == (TEXT, 3600.0)
    assert [word["text"] for word in only["words"]] == TEXT.split()
    with pytest.raises(InputError, match="unknown format of captions 'str'"):
        format_captions([], "str")


def test_symbols_of_a_word_follow_each_other():
    hello = [SYMBOL_IDS[f"{{{phone}}}"] for phone in ("HH", "AH0", "L", "OW1")]
    encoded = Encoded("Hello.", "Hello.", "", [*hello, SYMBOL_IDS["."]], (EncodedWord("hello", (0, 4)),))
    (word,) = word_times(encoded, np.array([0, 0, 1, 1, 3, 3, 2, 4]), 0.1)
    assert [one.symbol for one in word.symbols] == ["HH", "AH0", "L", "OW1"]
    assert (word.start_s, word.end_s) == (0.0, pytest.approx(0.7))
    assert [one.start_s for one in word.symbols] == pytest.approx([0.0, 0.2, 0.4, 0.4])
    assert [one.end_s for one in word.symbols] == pytest.approx([0.2, 0.4, 0.4, 0.7])
    later = word.shifted(2.0)
    assert (later.start_s, later.symbols[-1].end_s) == (2.0, pytest.approx(2.7))
    made = make_caption(SimpleNamespace(words=(word,), text="Hello\n there."), 5.0, 1.0)
    assert (made.text, made.start_s, made.end_s, made.words[0].start_s) == ("Hello there.", 5.0, 6.0, 5.0)


def test_symbols_are_those_of_the_sentence(tiny_voice):
    for utterance in Voice.load(tiny_voice, device="cpu").utterances("One here. And two there."):
        ids = utterance.sentence.encoded.ids
        for word, encoded in zip(utterance.words, utterance.sentence.encoded.words, strict=True):
            assert len(word.symbols) == encoded.symbols[1] - encoded.symbols[0]
            assert [one.symbol for one in word.symbols] == [
                SYMBOLS[i].strip("{}") for i in ids[slice(*encoded.symbols)]
            ]


def test_a_cue_begins_where_what_is_written_in_it_is_spoken():
    text = "In 1985 and 1986,\n" + "they walked from the river to the mill, past the church, and nobody saw them come."
    encoded = make_frontend(TextConfig(frontend="english")).encode(text)
    words = tuple(WordTime(word.text, float(i), float(i + 1), span=word.span) for i, word in enumerate(encoded.words))
    made = make_caption(SimpleNamespace(words=words, text=text), 0.0, float(len(words)))
    assert all(made.text[slice(*word.span)] for word in made.words)
    _, start, line = re.findall(r"(\d+)\n(\S+) --> \S+\n(.+)\n\n", format_captions([made], "srt"))[1]
    first = line.split()[0].strip(",")
    assert made.words[int(seconds(start))].text.strip(",") == first
