"""Markup in sound: silence to the sample, and changes where they were asked for and nowhere else."""

import numpy as np
import pytest

from glowtron import Voice, parse_ssml
from glowtron.data.pitch import track_pitch
from glowtron.errors import InputError

SENTENCE = "I never said that she stole the money yesterday."
FRAME_S = 256 / 22_050


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load("duet", device="cpu", precision="fp32")


def marked(inside: str):
    return parse_ssml(f"<speak>{inside}</speak>")


def lengths(voice: Voice, inside: str) -> dict[str, float]:
    return {
        word.text: word.end_s - word.start_s
        for utterance in voice.utterances(marked(inside))
        for word in utterance.words
    }


def test_without_markup_it_is_the_text(voice):
    np.testing.assert_array_equal(voice.say(marked(SENTENCE)).samples, voice.say(SENTENCE).samples)


def test_a_break_is_silent_to_the_sample(voice):
    inside = (
        "<break time='300ms'/>Hello there<break time='1234ms'/> my friend.<break time='1s'/> Bye<break time='7ms'/>"
    )
    utterances = list(voice.utterances(marked(inside), rate=1.2))
    said = [len(utterance.audio.samples) for utterance in utterances]
    samples = voice.say(marked(inside), rate=1.2).samples
    pauses = [round(seconds * 22_050) for seconds in (1.234, 1.0, 0.007)]
    assert len(samples) == sum(said) + sum(pauses)
    assert not samples[: round(0.3 * 22_050)].any()
    place = 0
    for n_said, n_pause in zip(said, pauses, strict=True):
        place += n_said
        assert not samples[place : place + n_pause].any()
        assert np.abs(samples[place - 2000 : place]).max() > 0
        place += n_pause
    assert utterances[0].words[0].start_s >= 0.3  # Times count the silence before.


def test_a_rate_changes_its_words_and_no_others(voice):
    plain = lengths(voice, SENTENCE)
    slow = lengths(voice, SENTENCE.replace("that she stole", "<prosody rate='70%'>that she stole</prosody>"))
    inside = ("that", "she", "stole")
    for word, length in slow.items():
        if word in inside:
            continue
        assert length == pytest.approx(plain[word], abs=1.01 * FRAME_S)
    assert sum(map(slow.get, inside)) == pytest.approx(sum(map(plain.get, inside)) / 0.7, abs=2 * FRAME_S)


def test_emphasis_is_longer_higher_and_louder(voice):
    for level, sign in (("strong", 1), ("reduced", -1)):
        plain, changed = (
            next(iter(voice.utterances(marked(text))))
            for text in (SENTENCE, SENTENCE.replace("money", f"<emphasis level='{level}'>money</emphasis>"))
        )
        found = []
        for utterance in (plain, changed):
            word = next(word for word in utterance.words if word.text == "money")
            first, last = (round(at_s * 22_050) for at_s in (word.start_s, word.end_s))
            piece = utterance.audio.samples[first:last]
            inside = track_pitch(utterance.audio)[round(word.start_s * 100) : round(word.end_s * 100)]
            found.append((len(piece), np.median(inside[inside > 0]), np.sqrt(np.square(piece).mean())))
        (length, f0, level_), (changed_length, changed_f0, changed_level) = found
        assert sign * (changed_length - length) > 0
        assert sign * (changed_f0 - f0) > 0
        assert sign * (changed_level - level_) > 0


def test_streamed_and_beside_others_it_is_the_same(voice):
    text = marked(
        "One <prosody rate='slow' pitch='+2st'>two</prosody><break time='50ms'/> three. "
        "<voice name='kathleen'>Four?</voice>"
    )
    whole = voice.say(text).samples
    streamed = np.concatenate([piece.samples for piece in voice.stream(text)])
    np.testing.assert_allclose(streamed, whole, atol=1e-4)
    _, together = voice.say_many(["Five.", text], workers=1)
    np.testing.assert_allclose(together.samples, whole, atol=1e-4)


def test_a_speaker_of_markup_is_that_speaker(voice):
    text = marked("<voice name='kathleen'>Hello there.</voice>")
    np.testing.assert_array_equal(voice.say(text).samples, voice.say("Hello there.", speaker="kathleen").samples)
    with pytest.raises(InputError, match="no speaker 'ann'"):
        voice.say(marked("<voice name='ann'>a</voice>"))


def test_a_voice_with_attention_follows_rate_and_breaks_and_says_what_it_cannot():
    voice = Voice.load("duet-tacotron2", device="cpu", precision="fp32")
    text = marked("One two <prosody rate='70%'>three four</prosody> five.<break time='500ms'/> Six.")
    plain = list(voice.utterances(text, attempts=0))
    assert [utterance.text for utterance in plain] == ["One two", "three four", "five.", "Six."]
    assert [utterance.pause_s for utterance in plain] == [0.0, 0.0, 0.5, 0.0]
    slow = plain[1]
    assert len(slow.audio.samples) == pytest.approx(slow.mel.shape[1] * 256 / 0.7, abs=300)
    streamed = np.concatenate([piece.samples for piece in voice.stream(text, attempts=0)])
    np.testing.assert_allclose(streamed, voice.say(text, attempts=0).samples, atol=1e-3)
    with pytest.raises(InputError, match=r"predicts no pitch and no energy.* out of 'two'"):
        voice.say(marked("one <emphasis>two</emphasis>"))


def test_silence_around_what_says_nothing_is_kept(voice):
    text = marked("<break time='1s'/>...<break time='1s'/>One.<break time='1s'/>...<break time='1s'/>")
    samples = voice.say(text).samples
    assert not samples[: 2 * 22_050].any() and not samples[-2 * 22_050 :].any()
    with pytest.raises(InputError, match="nothing"):
        voice.say(marked("<break time='1s'/>"))
