"""What is judged of sentences does not depend on whether they sound."""

from pathlib import Path

from glowtron import SynthesisOptions, Voice
from glowtron.evaluate.sentences import Sentence
from glowtron.evaluate.synthesis import attention_summary, read, speak

SENTENCES = [Sentence(str(place), text) for place, text in enumerate(("One.", "Two, and a few words more.", "Three?"))]


def test_attention_is_the_same_without_sound(reader: Path) -> None:
    voice, steps = Voice.load(reader, device="cpu", precision="fp32"), []
    options = SynthesisOptions(seed=3, max_frames=60)
    spoken, silent = (list(say(voice, SENTENCES, options, steps.append)) for say in (speak, read))
    assert attention_summary(spoken) == attention_summary(silent)
    assert 0 < attention_summary(silent)["complete"] < 1, "some are whole and some are not"
    assert all(len(speech.audio.samples) for speech in spoken)
    assert not any(len(speech.audio.samples) for speech in silent)
    assert steps == [1] * 6
