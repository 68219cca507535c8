"""Training of a postnet: mels the decoder made on its own in, mels that look recorded out.

Teacher forcing shows the decoder recorded frames, and squared error asks it for a mean. Spoken freely its mels are
smoother than that, and the postnet has never seen any such. Here it learns from them, along measured alignments that
keep them in step with the recordings, and a discriminator tells it where they still look made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from glowtron.config import PostnetRun
from glowtron.data.cache import Cache
from glowtron.data.given_mels import GivenMels
from glowtron.data.manifest import Clip, split
from glowtron.data.mel_pairs import MelPairDataset, collate_mel_pairs
from glowtron.data.sampler import FixedOrder
from glowtron.models.patch_discriminator import PatchDiscriminator
from glowtron.models.tacotron2 import Tacotron2
from glowtron.train.adversarial_postnet import AdversarialPostnet
from glowtron.train.batches import Batch, Share, batches, training_batches
from glowtron.train.log import Picture, Samples
from glowtron.train.schedule import step_seed
from glowtron.train.vocoder_task import describe

SAMPLE_CLIPS = 4
"""Held-out clips shown at each validation."""


class PostnetTask:
    """The postnet of `acoustic` with its data: `mels` are the decoder's own, of these clips.

    Clips that have no mel there, or are shorter than a segment, are left out.
    """

    unit = "mel_frames"

    def __init__(
        self, config: PostnetRun, clips: Sequence[Clip], cache: Cache, mels: GivenMels, acoustic: Tacotron2
    ) -> None:
        self.config = config
        training = config.training
        self.cache, self.mels = cache, mels
        clips, held_out = split(clips, training.validation_clips, training.seed)
        self.left_out: dict[str, str] = {}
        self.clips, self.held_out_clips = self._usable(clips), self._usable(held_out)
        self.dataset = self._dataset(self.clips, config.segment_frames)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(step_seed(training.seed, "weights"))
            opponent = PatchDiscriminator(config.discriminator, acoustic.n_mels, acoustic.config.n_speakers)
            self.model: nn.Module = AdversarialPostnet(acoustic, opponent)

    def _dataset(self, clips: Sequence[Clip], segment_frames: int | None) -> MelPairDataset:
        return MelPairDataset(
            clips,
            self.cache,
            self.mels,
            speakers=self.config.acoustic.speakers,
            segment_frames=segment_frames,
            seed=self.config.training.seed,
        )

    def _usable(self, clips: Sequence[Clip]) -> list[Clip]:
        kept = []
        for clip in clips:
            n_frames = len(self.cache.entry(clip).mel)
            if clip not in self.mels:
                self.left_out[clip.id] = f"{self.mels.folder} has no mel of it"
            elif n_frames < self.config.segment_frames:
                self.left_out[clip.id] = f"its {n_frames} frames are fewer than segment_frames"
            else:
                self.mels.mel(clip, n_frames)  # A file that does not fit is named now, not after an hour.
                kept.append(clip)
        return kept

    @property
    def n_items(self) -> int:
        """Clips of training: an epoch."""
        return len(self.clips)

    def data(self) -> Mapping[str, Any]:
        """Names of the clips, why some are left out, and which mels stand against theirs."""
        return {
            **describe(self.clips, self.held_out_clips),
            "left_out": self.left_out,
            "mels": self.mels.sha256([*self.clips, *self.held_out_clips]),
        }

    def batches(self, first_step: int, share: Share) -> Iterable[Batch]:
        """Segments, `batch_size` a step over all processes."""
        return training_batches(self.dataset, self.clips, collate_mel_pairs, self.config.training, first_step, share)

    def held_out(self) -> Iterable[Batch]:
        """All held-out clips whole, one by one."""
        whole = self._dataset(self.held_out_clips, None)
        return batches(whole, self.held_out_clips, FixedOrder(len(self.held_out_clips), 1), collate_mel_pairs)

    def losses(self, model: nn.Module, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Both players' losses in training; in validation, where a game has no score, how the mels compare.

        `movement` is the mean change from frame to frame, made against recorded, and `spread` the mean standard
        deviation of the bands: 1 is right, and smooth mels are below. So no checkpoint counts as the best, and the
        newest is exported.
        """
        made, recorded, speaker = batch.content
        if not model.training:
            assert isinstance(model, AdversarialPostnet)
            return _compare(model.refine(made), recorded)
        game = model(made, recorded, speaker)
        config = self.config
        total = (
            game.judging
            + game.deceiving
            + config.feature_weight * game.features
            + config.reconstruction_weight * game.reconstruction
        )
        return {"loss": total, **game._asdict()}

    def amount(self, batch: Batch) -> int:
        """Mel frames."""
        made = batch.content.made
        return int(made.shape[0] * made.shape[2])

    def samples(self, model: nn.Module) -> Samples:
        """Held-out mels before and after the postnet, and the recording's."""
        assert isinstance(model, AdversarialPostnet)
        device = next(model.parameters()).device
        clips = self.held_out_clips[:: max(1, len(self.held_out_clips) // SAMPLE_CLIPS)][:SAMPLE_CLIPS]
        pictures: dict[str, Picture] = {}
        for clip in clips:
            recorded = self.cache.entry(clip).mel
            made = torch.tensor(self.mels.mel(clip, len(recorded)).T[None])
            refined = model.refine(made.to(device)).cpu()
            for name, mel in (("made", made[0]), ("refined", refined[0]), ("recorded", torch.tensor(recorded.T))):
                pictures[f"{clip.id}_{name}"] = Picture(mel.numpy(), "frame", "mel band")
        return Samples({}, pictures, {})


def _compare(made: Tensor, recorded: Tensor) -> dict[str, Tensor]:
    """(B, M, T) each."""

    def movement(mel: Tensor) -> Tensor:
        return mel.diff(dim=2).abs().mean()

    def spread(mel: Tensor) -> Tensor:
        return mel.std(dim=2).mean()

    return {
        "mel_l1": (made - recorded).abs().mean(),
        "mel_squared": (made - recorded).square().mean(),
        "movement": movement(made) / movement(recorded),
        "spread": spread(made) / spread(recorded),
    }
