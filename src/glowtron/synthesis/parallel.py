"""Many texts at once: sentences of about one length in groups, spread over processes, put in order again.

Sentences of one length finish together, so none waits for the longest in its group. Sounds that come too early are
held, so only sentences that stand near each other in the texts are sorted by length.
"""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from glowtron.audio import Audio
from glowtron.errors import InputError
from glowtron.machine import usable_cores
from glowtron.synthesis.executors import ProcessPool, SerialExecutor
from glowtron.synthesis.interfaces import Runtime
from glowtron.synthesis.pipeline import Synthesizer, utterances_with_sound
from glowtron.synthesis.types import FaultWarning, Markup, Samples, Sentence, joined
from glowtron.text.frontend import Frontend, MarkedText, NormalizedSentence
from glowtron.text.sentences import Ending

if TYPE_CHECKING:
    from glowtron.synthesis.captions import Caption

GROUPS_AT_ONCE = 8
"""Groups a worker among which sentences are sorted by length; sounds of twice as many may be held."""
WORTH_CHARS = 2_000
"""Characters that make another worker worth its start: to the shipped voice twice the work of loading it."""


class Sound(NamedTuple):
    """A finished sentence."""

    samples: Samples
    """(L,), the pause that follows in its text included."""
    warnings: tuple[str, ...]
    """Of its failures, for people."""
    captions: tuple[Caption, ...] = ()
    """Of it, or of its parts, from the beginning of its sound."""


class Order(NamedTuple):
    """A sentence as it is sent to another process, which has a frontend of its own."""

    source: NormalizedSentence
    ending: Ending | None
    place: str
    markup: Markup


Executor: TypeAlias = (
    SerialExecutor[list[int], list[Order], list[Sound]] | ProcessPool[list[int], list[Order], list[Sound]]
)
"""Does groups of sentences; each is submitted with their places, from 0, among all sentences."""


def synthesize_group(synthesizer: Synthesizer, frontend: Frontend, orders: Sequence[Order]) -> list[Sound]:
    """A sound for each sentence."""
    from glowtron.synthesis.captions import make_caption

    sentences = [Sentence(frontend, *order) for order in orders]
    spoken = synthesizer.utterances(sentences)
    heard = utterances_with_sound(synthesizer.sound(utterance for utterances in spoken for utterance in utterances))
    sounds = []
    for utterances in spoken:
        parts: list[Samples] = []
        captions: list[Caption] = []
        start_s = 0.0
        for utterance in islice(heard, len(utterances)):
            assert utterance.audio is not None
            captions.append(make_caption(utterance, start_s, utterance.audio.duration_s))
            parts.append(utterance.with_pause.samples)
            start_s += len(parts[-1]) / utterance.audio.sample_rate
        warned = tuple(utterance.warning for utterance in utterances if utterance.failures)
        sounds.append(Sound(joined(parts), warned, tuple(captions)))
    return sounds


def split_texts(
    texts: Sequence[str | MarkedText], split: Callable[[str | MarkedText], Iterable[Sentence]]
) -> list[list[Sentence]]:
    """Each text's sentences. Raises InputError that names, by its place from 0, a text with nothing to speak."""
    if isinstance(texts, str):
        raise InputError("several texts are spoken here, as in say_many([text]); say speaks one")
    sentences = []
    for place, text in enumerate(texts):
        try:
            sentences.append(list(split(text)))
        except InputError as error:
            raise InputError(f"text {place}: {error}") from error
    return sentences


def choose_workers(asked: int, sentences: Sequence[str], runtime: Runtime) -> int:
    """Number of processes to use, 1 at least; `asked` is 0 to leave it open."""
    if asked < 0:
        raise InputError(f"workers must be 0 or more, got {asked}")
    if asked > 1 and os.name == "nt":
        raise InputError("workers are given their pipes in a way that Windows does not have; leave workers out")
    if asked > 1 and str(runtime.device) != "cpu":
        raise InputError(f"several workers cannot share {runtime.device}; leave workers out, or choose the device cpu")
    if not asked:
        spread = str(runtime.device) == "cpu" and runtime.is_small and os.name != "nt"
        asked = min(usable_cores(), sum(map(len, sentences)) // WORTH_CHARS) if spread else 1
    return max(1, min(asked, len(sentences)))


def groups_of_one_length(lengths: Sequence[int], group_size: int, window: int) -> list[list[int]]:
    """Places 0 to n - 1 in groups of up to `group_size` whose lengths are alike.

    A group's places are of one window of that many; windows follow each other, and within one the longest are first,
    so that at the end nobody is left alone with them.
    """
    groups: list[list[int]] = []
    for start in range(0, len(lengths), window):
        places = sorted(range(start, min(start + window, len(lengths))), key=lambda place: -lengths[place])
        groups += [places[i : i + group_size] for i in range(0, len(places), group_size)]
    return groups


def synthesize_texts(
    texts: Sequence[Sequence[Sentence]],
    executor: Executor,
    sample_rate: int,
    group_size: int,
    n_workers: int,
    progress: Callable[[int], Any] | None = None,
) -> Generator[Audio, None, None]:
    """Each text's sound, text after text; warns of failures as it comes to them.

    group_size: sentences that are synthesised together. progress is called with numbers of sentences as they finish.
    """
    sentences = [sentence for text in texts for sentence in text]
    with executor:
        sounds = _in_order(sentences, executor, group_size, n_workers, progress)
        for text in texts:
            parts = list(islice(sounds, len(text)))
            for warning in (warning for part in parts for warning in part.warnings):
                warnings.warn(warning, FaultWarning, stacklevel=2)
            yield Audio(joined([part.samples for part in parts]), sample_rate)


def _in_order(
    sentences: Sequence[Sentence],
    executor: Executor,
    group_size: int,
    n_workers: int,
    progress: Callable[[int], Any] | None,
) -> Iterator[Sound]:
    """Each sentence's sound, in order.

    Nothing is submitted that lies more than two windows ahead of the first unfinished sentence, nor while nobody asks.
    """
    window = GROUPS_AT_ONCE * n_workers * group_size
    waiting = deque(groups_of_one_length([len(sentence.text) for sentence in sentences], group_size, window))
    done: dict[int, Sound] = {}

    def submit(reached: int) -> None:
        while waiting and executor.has_room and waiting[0][0] // window <= reached // window + 1:
            places = waiting.popleft()
            group = [sentences[place] for place in places]
            executor.submit(places, [Order(one.source, one.ending, one.place, one.markup) for one in group])

    for place in range(len(sentences)):
        while place not in done:
            submit(place)
            places, sounds = executor.next_result()
            done.update(zip(places, sounds, strict=True))
            submit(place)  # Before the caller looks at what is done, so that no worker waits for that.
            if progress is not None:
                progress(len(places))
        yield done.pop(place)
