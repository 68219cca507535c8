"""Many texts spoken side by side: sentences of about one length in groups, put in the texts' order again.

Sentences of one length are done at one time, so that nothing waits for the longest beside it. Sounds that came too
early are held, so only sentences that stand near each other in the texts are sorted by length.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from glowtron.audio import Audio
from glowtron.checkpoint import StoredVoice
from glowtron.engines.threads import SMALL
from glowtron.errors import InputError
from glowtron.synthesis.takes import Line
from glowtron.synthesis.utterance import FaultWarning, Utterance
from glowtron.synthesis.workers import Here, Workers, usable_cores

GROUPS_AT_ONCE = 8
"""Groups a worker among which sentences are sorted by length; sounds of twice as many may be held."""
WORTH_CHARS = 2_000
"""Characters that make another worker worth its start: to the shipped voice twice the work of loading it."""


class Sound(NamedTuple):
    """A sentence, spoken."""

    samples: NDArray[np.float32]
    """(L,), the silence that follows in its text included."""
    complaints: tuple[str, ...]
    """Of its faults, for people."""


Speakers: TypeAlias = Here[list[int], list[Line], list[Sound]] | Workers[list[int], list[Line], list[Sound]]
"""Who is given lines, and which they are, and gives their sounds."""


def spoken(speak: Callable[[Sequence[Line]], Iterable[Sequence[Utterance]]], lines: Sequence[Line]) -> list[Sound]:
    """A sound for each line."""
    return [
        Sound(
            np.concatenate([utterance.with_pause.samples for utterance in utterances]),
            tuple(utterance.complaint for utterance in utterances if utterance.faults),
        )
        for utterances in speak(lines)
    ]


def lines_of_each(texts: Sequence[str], split: Callable[[str], Iterable[Line]]) -> list[list[Line]]:
    """Each text's lines. Raises InputError that names, by its place from 0, a text with nothing to speak."""
    if isinstance(texts, str):
        raise InputError("several texts are spoken here, as in say_many([text]); say speaks one")
    lines = []
    for place, text in enumerate(texts):
        try:
            lines.append(list(split(text)))
        except InputError as error:
            raise InputError(f"text {place}: {error}") from error
    return lines


def choose_workers(asked: int, sentences: Sequence[str], device: torch.device, voice: StoredVoice) -> int:
    """How many processes are to speak, 1 at least; `asked` is 0 where that is left open."""
    if asked < 0:
        raise InputError(f"workers must be 0 or more, got {asked}")
    if asked > 1 and device.type != "cpu":
        raise InputError(f"several workers cannot share {device}; leave workers out, or choose the device cpu")
    if not asked:
        models = [model for model in (voice.acoustic, voice.vocoder) if model is not None]
        # The products of large models use all cores as they are, and their weights are better in memory once.
        small = all(sum(weight.numel() for weight in model.parameters()) < SMALL for model in models)
        spread = small and device.type == "cpu"
        asked = min(usable_cores(), sum(map(len, sentences)) // WORTH_CHARS) if spread else 1
    return max(1, min(asked, len(sentences)))


def groups_of_one_length(lengths: Sequence[int], together: int, window: int) -> list[list[int]]:
    """Places 0 to n - 1 in groups of up to `together` whose lengths are alike.

    A group's places are of one window of that many; windows follow each other, and within one the longest are first,
    so that at the end nobody is left alone with them.
    """
    groups: list[list[int]] = []
    for start in range(0, len(lengths), window):
        places = sorted(range(start, min(start + window, len(lengths))), key=lambda place: -lengths[place])
        groups += [places[i : i + together] for i in range(0, len(places), together)]
    return groups


def speak_texts(
    texts: Sequence[Sequence[Line]],
    speakers: Speakers,
    sample_rate: int,
    together: int,
    n_workers: int,
    progress: Callable[[int], Any] | None = None,
) -> Generator[Audio, None, None]:
    """Each text's sound, text after text; warns of faults as it comes to them.

    together: lines in a group. progress is called with the number of lines that are done, as they are.
    """
    lines = [line for text in texts for line in text]
    with speakers:
        sounds = _in_order(lines, speakers, together, n_workers, progress)
        for text in texts:
            parts = list(islice(sounds, len(text)))
            for complaint in (complaint for part in parts for complaint in part.complaints):
                warnings.warn(complaint, FaultWarning, stacklevel=2)
            yield Audio(np.concatenate([part.samples for part in parts]), sample_rate)


def _in_order(
    lines: Sequence[Line],
    speakers: Speakers,
    together: int,
    n_workers: int,
    progress: Callable[[int], Any] | None,
) -> Iterator[Sound]:
    """Each line's sound, line after line.

    Nothing is begun that lies more than two windows ahead of the first line that is not done, nor while nobody asks.
    """
    window = GROUPS_AT_ONCE * n_workers * together
    waiting = deque(groups_of_one_length([len(line.text) for line in lines], together, window))
    done: dict[int, Sound] = {}

    def hand_out(reached: int) -> None:
        while waiting and speakers.has_room and waiting[0][0] // window <= reached // window + 1:
            places = waiting.popleft()
            speakers.give(places, [lines[place] for place in places])

    for place in range(len(lines)):
        while place not in done:
            hand_out(place)
            places, sounds = speakers.take()
            done.update(zip(places, sounds, strict=True))
            hand_out(place)  # Before anyone looks at what is done, so that no worker waits for that.
            if progress is not None:
                progress(len(places))
        yield done.pop(place)
