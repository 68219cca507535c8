"""Sentences are spoken one by one, and the checks of their alignments added up."""

from pathlib import Path

from glowtron import SynthesisOptions, Voice
from glowtron.evaluate.sentences import Sentence
from glowtron.evaluate.synthesis import alignment_summary, speak

SENTENCES = [Sentence(str(place), text) for place, text in enumerate(("One.", "Two, and a few words more.", "Three?"))]


def test_sentences_sound_as_the_voice_says_them(reader: Path) -> None:
    voice, steps = Voice.load(reader, device="cpu", precision="fp32"), []
    options = SynthesisOptions(seed=3, max_frames=60)
    spoken = list(speak(voice, SENTENCES, options, steps.append))
    assert [one.sentence for one in spoken] == SENTENCES and steps == [1, 1, 1]
    summary = alignment_summary(spoken)
    assert summary["n"] == 3
    assert 0 < summary["aligned"] < 1, "some are aligned and some are not"
    assert summary["aligned"] == sum(one.aligned for one in spoken) / 3
    assert all(0 <= share <= 1 for name, share in summary.items() if name != "n")
    assert all(len(one.audio.samples) and one.alignment.ndim == 2 for one in spoken)
