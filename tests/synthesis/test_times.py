"""Times of words beside what a forced aligner finds in the same sound."""

import numpy as np
import pytest

from glowtron import Voice
from glowtron.data.alignment import SAMPLE_RATE, Aligner

WITHIN_S = 0.05
SENTENCES = """The quick brown fox jumps over the lazy dog.
She opened the window and listened to the rain on the roof.
In 1985, the library moved to a larger building near the river.
Please bring three apples, two pears, and a loaf of bread.
The train to Boston leaves at half past seven.
Nobody knew why the old clock had stopped at midnight.
He asked whether the report would be ready by Friday.
After the storm, the fishermen mended their nets on the beach.
Our neighbours planted a row of birch trees along the fence.
The doctor said that she should rest for another week.
Where did you put the keys to the garden shed?
Most of the visitors came by boat, and some of them walked.
A thin layer of ice covered the pond this morning.
The museum shows more than 400 paintings from that period.
They argued about the price, but in the end they paid it.
My grandfather kept bees behind the house for forty years.
The committee will discuss the new rules on Tuesday evening.
It was a quiet street with small shops and a bakery.
Every child received a pencil, a ruler, and a notebook.
The road climbs slowly through the forest to the pass.""".splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["duet", "duet-tacotron2"])
def test_words_are_heard_when_their_times_say(name):
    pytest.importorskip("pocketsphinx", reason="needs the extra align")
    voice, aligner = Voice.load(name, device="cpu"), Aligner()
    for speaker in voice.speakers:
        starts, ends, phones = [], [], []
        for sentence in SENTENCES:
            for utterance in voice.utterances(sentence, speaker=speaker):
                encoded = utterance.sentence.encoded
                found = aligner.align(utterance.audio.resample(SAMPLE_RATE), encoded.ids).ends
                began = [0.0, *found]
                for word, symbols in zip(utterance.words, (word.symbols for word in encoded.words), strict=True):
                    starts.append(word.start_s - began[symbols[0]])
                    ends.append(word.end_s - found[symbols[1] - 1])
                    phones += [one.start_s - began[i] for one, i in zip(word.symbols, range(*symbols), strict=True)]
        assert len(starts) > 200
        for errors in (starts, ends, phones):
            assert np.mean(np.abs(errors) <= WITHIN_S) >= 0.95, f"{name}, {speaker}: {np.sort(np.abs(errors))[-20:]}"
