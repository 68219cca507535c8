"""Tasks: what the loop asks of a model and its data, and what all tasks on recorded clips share.

A new model needs one subclass of `ClipTask`: the model, a dataset, the losses and some samples to look at.
"""

from __future__ import annotations

import os
import signal
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from glowtron.audio import read_header
from glowtron.config import MelConfig, RunConfig, TrainingConfig
from glowtron.data.cache import Cache
from glowtron.data.manifest import Clip, over_clips, read_corpora, split
from glowtron.data.sampler import BatchOrder, FixedOrder, Key
from glowtron.engines.training import accelerate_training
from glowtron.errors import InputError
from glowtron.train.distributed import Shard
from glowtron.train.init_from import InitFrom
from glowtron.train.log import ValidationSamples
from glowtron.train.run_dir import file_lock
from glowtron.train.schedule import step_seed


class Batch(NamedTuple):
    """The data of a step, or of a part of one."""

    ids: list[str]
    """Ids of the clips, in order."""
    content: Any
    """The dataset's batch of them, all tensors."""


class Task(ABC):
    """A model, its data and its losses, as the training loop needs them."""

    config: RunConfig
    model: nn.Module
    unit: str
    """Name of the units that `n_units` counts, in the plural."""
    init_from: InitFrom | None = None
    """Weights that a new run begins with; None: random ones."""

    @property
    def pretrained_part(self) -> nn.Module:
        """The part of the model that `init_from` gives weights, and a voice is made of."""
        return self.model

    @property
    @abstractmethod
    def n_items(self) -> int:
        """Clips in an epoch."""

    @abstractmethod
    def data(self) -> Mapping[str, Any]:
        """A description of training and validation data, as JSON values. It is equal for runs on the same data."""

    @abstractmethod
    def batches(self, first_step: int, shard: Shard) -> Iterator[Any]:
        """Endless batches, from the step after `first_step` steps on, `gradient accumulation` of them a step."""

    @abstractmethod
    def validation_batches(self) -> Iterable[Any]:
        """The validation data, the same every time."""

    @abstractmethod
    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars by name, each a mean over the batch. `loss` is minimised."""

    @abstractmethod
    def n_units(self, batch: Any) -> int:
        """Samples or frames in a batch, without padding: its weight in means over batches, and the throughput."""

    @abstractmethod
    def samples(self, model: nn.Module) -> ValidationSamples:
        """Sounds and pictures of validation clips."""


class ClipTask(Task):
    """A task on recorded clips: their split, the seeded model, and batches of training and validation."""

    def __init__(self, config: RunConfig, clips: Sequence[Clip], cache: Cache) -> None:
        """Split the clips and make the model. Attributes that the methods below need must be set before."""
        self.config, self.cache = config, cache
        self.left_out: dict[str, str] = {}
        """Why some clips are not used, by id."""
        training, validation = split_clips(clips, config.training)
        self.clips, self.validation_clips = self._usable(training), self._usable(validation)
        self.dataset = self.make_dataset(self.clips)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(config.training.seed, "weights"))
            self.model = accelerate_training(self.make_model())

    @abstractmethod
    def make_model(self) -> nn.Module:
        """The model with its first random weights."""

    @abstractmethod
    def make_dataset(self, clips: Sequence[Clip], *, validation: bool = False) -> Any:
        """The dataset of some clips, for training or for validation."""

    @abstractmethod
    def collate(self, items: Any) -> Any:
        """Make items of the dataset a batch."""

    def fault(self, clip: Clip) -> str:
        """The reason why a clip cannot be used; empty if it can. Raises InputError for one that must be mended."""
        return ""

    def lengths(self) -> list[int] | None:
        """Lengths of the training clips, to batch those of like length together; None for batches in any order."""
        return None

    def validation_order(self) -> Iterable[list[Key]]:
        """Batches of validation: by default every clip once, alone."""
        return FixedOrder(len(self.validation_clips), 1)

    @property
    def n_items(self) -> int:
        return len(self.clips)

    def data(self) -> Mapping[str, Any]:
        speakers = sorted({clip.speaker for clip in self.clips})
        return {
            "clips": {speaker: sum(clip.speaker == speaker for clip in self.clips) for speaker in speakers},
            "held_out": [clip.label for clip in self.validation_clips],
        }

    def batches(self, first_step: int, shard: Shard) -> Iterator[Batch]:
        config = self.config.training
        order = BatchOrder(
            n_items=len(self.clips),
            batch_size=config.batch_size,
            seed=config.seed,
            lengths=self.lengths(),
            world_size=shard.world_size,
            rank=shard.rank,
            parts=config.gradient_accumulation_steps,
            first_step=first_step,
        )
        return load_batches(self.dataset, self.clips, order, self.collate, config.workers)

    def validation_batches(self) -> Iterable[Batch]:
        dataset = self.make_dataset(self.validation_clips, validation=True)
        return load_batches(dataset, self.validation_clips, self.validation_order(), self.collate)

    def _usable(self, clips: Sequence[Clip]) -> list[Clip]:
        faults = {clip.id: fault for clip in clips if (fault := self.fault(clip))}
        self.left_out |= faults
        return [clip for clip in clips if clip.id not in faults]


def split_clips(clips: Sequence[Clip], config: TrainingConfig) -> tuple[list[Clip], list[Clip]]:
    """Training and validation clips: those that `held_out` names, or else some of each speaker, chosen by the seed.

    Raises InputError for a named clip that is not there.
    """
    if not config.held_out:
        return split(clips, config.validation_clips, config.seed)
    named = set(config.held_out)
    if missing := sorted(named - {clip.label for clip in clips}):
        raise InputError(
            f"training.held_out: the data hold no clip '{missing[0]}'; give all of its data, or leave it out"
        )
    return [clip for clip in clips if clip.label not in named], [clip for clip in clips if clip.label in named]


class Corpora(NamedTuple):
    """Recordings to train on."""

    sources: Sequence[tuple[str, Path]]
    """Pairs of a speaker's name and a folder or a list, as `read_manifest` reads them."""
    cache: Path
    """Folder for decoded clips and mels. Runs may share it."""
    root: Path | None = None
    """Folder in which the paths of lists begin."""
    quiet: bool = True
    """True to show no progress."""

    def clips(self, *, needs_text: bool = True) -> list[Clip]:
        """All clips. Raises InputError for lists that cannot be read and recordings that are missing."""
        if not self.sources:
            raise InputError("there is nothing to train on; give `data`")
        return read_corpora(self.sources, self.root, needs_text=needs_text)

    def decode(self, clips: Sequence[Clip], mel: MelConfig) -> Cache:
        """Decode the clips into the cache. Raises InputError that names all that cannot be read."""
        cache = Cache(self.cache, mel)
        is_main = os.environ.get("RANK", "0") == "0"  # torchrun starts several processes.
        hidden = self.quiet or not sys.stderr.isatty() or not is_main
        bar = tqdm(total=len(clips), unit="clip", desc="reading", disable=hidden, leave=False)
        with bar, file_lock(cache.folder):
            cache.fill(clips, lambda done: bar.update(done - bar.n))
        if is_main and not self.quiet:
            _print_resampling(clips, mel.sample_rate)
        return cache


def _print_resampling(clips: Sequence[Clip], sample_rate: int) -> None:
    """Say in one line which clips have another rate than the model's, and are resampled."""
    rates = over_clips(clips, lambda clip: read_header(clip.audio).sample_rate)
    others = Counter(rate for rate in rates if rate != sample_rate)
    if others:
        listed = ", ".join(f"{count} of {rate} Hz" for rate, count in sorted(others.items()))
        sys.stderr.write(f"{others.total()} of {len(clips)} clips are resampled to {sample_rate} Hz: {listed}\n")


def load_batches(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    order: Iterable[list[Key]],
    collate: Callable[[Any], Any],
    workers: int = 0,
) -> Iterator[Batch]:
    """The dataset's items in the given order, read ahead of time by `workers` processes (0: by a thread)."""
    batches = _load(dataset, clips, order, collate, workers)
    return batches if workers else _read_ahead(batches)


def _load(
    dataset: Dataset[Any],
    clips: Sequence[Clip],
    order: Iterable[list[Key]],
    collate: Callable[[Any], Any],
    workers: int,
) -> Iterator[Batch]:
    loader = DataLoader(
        dataset,
        batch_sampler=order,
        collate_fn=collate,
        num_workers=workers,
        # A GPU can fetch pinned memory while it computes.
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_ignore_ctrl_c,
        persistent_workers=False,
        generator=torch.Generator(),  # Else it would draw a number from torch's own generator.
    )
    # The order is a pure function, so iterating it beside the loader names what the loader reads.
    for keys, content in zip(order, loader, strict=True):
        yield Batch([clips[key.item].id for key in keys], content)


def _read_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches. Each is read while the one before is trained on."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def _ignore_ctrl_c(_: int) -> None:
    # Ctrl-C reaches every process of a terminal. The parent finishes its step, and needs its data until then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
