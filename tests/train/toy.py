"""A task of a few weights, to try the loop with: run as a program, so that it can be killed."""

import argparse
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from glowtron.audio import Audio
from glowtron.config import OptimizerConfig, TrainingConfig, VocoderRun
from glowtron.errors import InputError
from glowtron.train.distributed import Shard
from glowtron.train.log import Picture, ValidationSamples
from glowtron.train.loop import train
from glowtron.train.schedule import step_seed
from glowtron.train.state import StoppingCriteria
from glowtron.train.task import Task

CONFIG = VocoderRun(
    training=TrainingConfig(
        batch_size=4,
        max_steps=20,
        optimizer=OptimizerConfig(type="adamw", lr=1e-2, warmup_steps=3, schedule="cosine", weight_decay=0.01),
        ema_decay=0.9,
        validate_every=5,
        checkpoint_every=4,
        log_every=3,
    )
)


class Batch(NamedTuple):
    ids: list[str]
    x: Tensor
    y: Tensor


class Toy(Task):
    """Learns the norm of a vector, with dropout, batch norm and noise, so that all kinds of state take part."""

    unit = "vectors"

    def __init__(
        self,
        config: VocoderRun = CONFIG,
        *,
        broken_at: int | None = None,
        stop_at: int | None = None,
        pause_s: float = 0,
        held_batch: int = 2,
        n_held_out: int = 7,
    ) -> None:
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.model: nn.Module = nn.Sequential(
                nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 1)
            )
        self.config = config
        self.broken_at, self.stop_at, self.pause_s = broken_at, stop_at, pause_s
        self.held_batch, self.n_held_out = held_batch, n_held_out

    @property
    def n_items(self) -> int:
        return 40

    def data(self) -> Mapping[str, object]:
        return {"clips": 7}

    def batch(self, place: int, size: int) -> Batch:
        x = torch.randn(size, 8, generator=torch.Generator().manual_seed(step_seed(5, place)))
        return Batch([f"clip{place}-{i}" for i in range(size)], x, x.norm(dim=1, keepdim=True))

    def batches(self, first_step: int, shard: Shard) -> Iterator[Batch]:
        step, parts = first_step, self.config.training.gradient_accumulation_steps
        while True:
            ids, x, y = self.batch(step, self.config.training.batch_size)
            if step == self.broken_at:
                x = x * float("nan")
            if step == self.stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(self.pause_s)
            for part in range(parts):
                mine = slice(shard.rank + part * shard.world_size, None, shard.world_size * parts)
                yield Batch(ids[mine], x[mine], y[mine])
            step += 1

    def validation_batches(self) -> Iterator[Batch]:
        ids, x, y = self.batch(-1, self.n_held_out)
        for at in range(0, self.n_held_out, self.held_batch):
            yield Batch(ids[at : at + self.held_batch], x[at : at + self.held_batch], y[at : at + self.held_batch])

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        x = batch.x
        if model.training:
            x = x + 0.01 * torch.randn(x.shape, generator=generator, device=x.device)
        return {"loss": (model(x).float() - batch.y).square().mean()}

    def n_units(self, batch: Batch) -> int:
        return len(batch.ids)

    def samples(self, model: nn.Module) -> ValidationSamples:
        picture = Picture(model[0].weight.detach().numpy(), "in", "out")
        return ValidationSamples(
            {"hum": Audio(torch.zeros(100).numpy(), 22_050)}, {"weight": picture}, {"stopped_share": 1.0}
        )


class Uneven(Toy):
    """A mean over frames, of which clips have different numbers; without noise, dropout and batch statistics."""

    def __init__(self, config: VocoderRun = CONFIG, **more: Any) -> None:
        super().__init__(config, **more)
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.model = nn.Sequential(nn.Linear(8, 1))

    def frames(self, batch: Batch) -> Tensor:
        return torch.tensor([1 + int(name.rpartition("-")[2]) ** 2 for name in batch.ids])

    def n_units(self, batch: Batch) -> int:
        return int(self.frames(batch).sum())

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        frames = self.frames(batch)
        error = (model(batch.x).float() - batch.y).square().squeeze(1)
        return {"loss": (error * frames).sum() / frames.sum()}


def changed(**training: Any) -> VocoderRun:
    """The configuration with other habits of training."""
    return replace(CONFIG, training=replace(CONFIG.training, **training))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--hours", type=float)
    parser.add_argument("--stop-at", type=int, help="where the second process is asked to end")
    parser.add_argument(
        "--pids", type=Path, help="a folder that gets a file of the process's number, named by its rank"
    )
    parser.add_argument("--threads", action="store_true", help="name those that are left after the training")
    arguments = parser.parse_args()
    rank = os.environ.get("RANK", "0")
    if arguments.pids is not None:
        (arguments.pids / rank).write_text(str(os.getpid()))
    if arguments.uneven:
        task = Uneven(changed(precision="fp32"), pause_s=arguments.pause, held_batch=3)
    else:
        task = Toy(pause_s=arguments.pause, stop_at=arguments.stop_at if rank == "1" else None)
    try:
        print(train(task, arguments.run, stopping=StoppingCriteria(max_hours=arguments.hours), device="cpu"))
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
    if arguments.threads:
        print("threads left:", *sorted(thread.read_text().strip() for thread in Path("/proc/self/task").glob("*/comm")))


if __name__ == "__main__":
    main()
