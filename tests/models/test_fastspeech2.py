"""FastSpeech 2: the properties its users rely on."""

import math

import pytest
import torch
from torch import Tensor

from glowtron.config import FastSpeech2Config, ProsodyOptions
from glowtron.models.fastspeech2 import FastSpeech2, FastSpeech2Output, Predictions, Prosody, draw_noise, expand, loss

TINY = FastSpeech2Config(
    n_speakers=2, channels=16, pitch_channels=12, decoder_channels=14, decoder_dilations=(1, 2), pitch_dilations=(1, 2)
)
LENGTHS = torch.tensor([9, 4, 7])
SPEAKER = torch.tensor([0, 1, 0])


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


@pytest.fixture
def model() -> FastSpeech2:
    torch.manual_seed(0)
    model = FastSpeech2(TINY, n_mels=5).eval()
    model.pitch_std.fill_(0.2)
    with torch.no_grad():  # About five frames a symbol.
        model.duration.out.bias.fill_(math.log(6))
    return model


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(1, TINY.n_symbols, (3, 9), generator=torch.Generator().manual_seed(1))


def measured(ids: Tensor) -> tuple[Prosody, Tensor, Tensor]:
    """Prosody, mel and mask of recordings of `ids`."""
    durations = torch.randint(0, 4, ids.shape, generator=torch.Generator().manual_seed(2)) + 1
    durations *= torch.arange(ids.shape[1]) < LENGTHS[:, None]
    n_frames = int(durations.sum(1).max())
    mask = (torch.arange(n_frames) < durations.sum(1)[:, None]).float()
    noise = torch.randn(3, n_frames + ids.shape[1] + 5 * n_frames, generator=torch.Generator().manual_seed(3))
    pitch, energy, mel = noise.split((n_frames, ids.shape[1], 5 * n_frames), dim=1)
    return Prosody(durations, pitch, (pitch > 0).float() * mask, energy), mel.view(3, 5, n_frames), mask


def test_a_text_alone_and_in_a_padded_batch_gives_the_same_mel(model: FastSpeech2, ids: Tensor) -> None:
    together, durations = model.generate(ids, LENGTHS, SPEAKER, generators(3))
    for row, n in enumerate(LENGTHS.tolist()):
        alone, its = model.generate(
            ids[row : row + 1, :n], LENGTHS[[row]], SPEAKER[[row]], generators(3)[row : row + 1]
        )
        assert torch.equal(its[0], durations[row, :n])
        torch.testing.assert_close(alone[0], together[row, :, : alone.shape[2]], atol=1e-5, rtol=1e-5)


def test_frames_depend_on_no_more_than_the_reach(model: FastSpeech2, ids: Tensor) -> None:
    plan = model.plan(ids[:1], LENGTHS[:1], SPEAKER[:1], ProsodyOptions(), 2000)
    n_frames = plan.frames.shape[2]
    noise = draw_noise(TINY, torch.tensor([n_frames]), generators(1))
    whole = model.decode(plan.frames, plan.pitch, plan.voiced, noise, plan.mask)
    first, last = 12, 20
    cut = slice(first - model.reach, last + model.reach)
    assert cut.start > 0 and cut.stop < n_frames, "the text is too short to tell"
    piece = model.decode(
        plan.frames[..., cut], plan.pitch[:, cut], plan.voiced[:, cut], noise[..., cut], plan.mask[..., cut]
    )
    torch.testing.assert_close(piece[..., model.reach : -model.reach], whole[..., first:last], atol=1e-5, rtol=1e-5)


def test_durations_are_the_length_of_the_mel(model: FastSpeech2, ids: Tensor) -> None:
    mel, durations = model.generate(ids, LENGTHS, SPEAKER, generators(3))
    assert mel.shape[2] == durations.sum(1).max()
    assert (durations >= 0).all()
    assert (durations[1, 4:] == 0).all(), "padding lasts"


def test_a_text_is_cut_at_the_frame_limit(model: FastSpeech2, ids: Tensor) -> None:
    mel, durations = model.generate(ids, LENGTHS, SPEAKER, generators(3), max_frames=10)
    assert mel.shape[2] == 10
    assert durations.sum(1).max() == 10


def test_rate_divides_the_duration(model: FastSpeech2, ids: Tensor) -> None:
    def n_frames(rate: float) -> int:
        plan = model.plan(ids, LENGTHS, SPEAKER, ProsodyOptions(rate=rate), 2000)
        return int(plan.durations.sum())

    assert n_frames(2.0) == pytest.approx(n_frames(1.0) / 2, abs=3)
    assert n_frames(0.5) == pytest.approx(n_frames(1.0) * 2, abs=3)


def test_pitch_moves_by_semitones_and_range_from_the_mean(model: FastSpeech2, ids: Tensor) -> None:
    def pitch(prosody: ProsodyOptions) -> Tensor:
        return model.plan(ids, LENGTHS, SPEAKER, prosody, 2000).pitch * model.pitch_std[0]

    plain = pitch(ProsodyOptions())
    torch.testing.assert_close(pitch(ProsodyOptions(pitch=12.0)) - plain, torch.full_like(plain, math.log(2)))
    torch.testing.assert_close(pitch(ProsodyOptions(pitch_range=2.0)), 2 * plain)
    torch.testing.assert_close(pitch(ProsodyOptions(pitch_range=0.0)), torch.zeros_like(plain))


def test_energy_changes_the_mel_and_not_its_length(model: FastSpeech2, ids: Tensor) -> None:
    plain, _ = model.generate(ids, LENGTHS, SPEAKER, generators(3))
    loud, _ = model.generate(ids, LENGTHS, SPEAKER, generators(3), ProsodyOptions(energy=6.0))
    assert loud.shape == plain.shape
    assert not torch.allclose(loud, plain)


def test_padding_never_changes_the_loss(model: FastSpeech2, ids: Tensor) -> None:
    prosody, mel, mask = measured(ids)
    noise = torch.randn(3, TINY.noise_channels, mel.shape[2])

    def of(extra_symbols: int, extra_frames: int) -> list[float]:
        def symbols(x: Tensor) -> Tensor:
            return torch.nn.functional.pad(x, (0, extra_symbols))

        def frames(x: Tensor) -> Tensor:
            return torch.nn.functional.pad(x, (0, extra_frames), value=3)

        padded = Prosody(
            symbols(prosody.durations), frames(prosody.pitch), frames(prosody.voiced), symbols(prosody.energy)
        )
        window = (torch.zeros(3, dtype=torch.int64), mel.shape[2] + extra_frames)
        output = model(symbols(ids), LENGTHS, padded, SPEAKER, frames(noise), window=window)
        real = torch.nn.functional.pad(mask, (0, extra_frames))
        return [part.item() for part in loss(output, frames(mel), padded, LENGTHS, real)]

    assert of(4, 6) == pytest.approx(of(0, 0), rel=1e-4)


def test_each_part_of_the_loss_is_least_for_what_was_measured(model: FastSpeech2, ids: Tensor) -> None:
    prosody, mel, mask = measured(ids)
    best = Predictions(prosody.durations.float().log1p(), prosody.pitch, (prosody.voiced - 0.5) * 100, prosody.energy)
    assert loss(FastSpeech2Output(mel, best), mel, prosody, LENGTHS, mask).total.item() == pytest.approx(0, abs=1e-5)


def test_predictors_do_not_shape_the_encoder(model: FastSpeech2, ids: Tensor) -> None:
    prosody, mel, mask = measured(ids)
    output = model(ids, LENGTHS, prosody, SPEAKER, torch.randn(3, TINY.noise_channels, mel.shape[2]))
    parts = loss(output, mel, prosody, LENGTHS, mask)
    (parts.duration + parts.pitch + parts.voicing + parts.energy).backward()
    assert model.encoder.embedding.weight.grad is None
    assert model.pitch_out.weight.grad is not None


def test_expanded_symbols_last_as_long_as_their_durations() -> None:
    symbols = torch.tensor([[[1.0], [2.0], [3.0]]])
    frames, mask = expand(symbols, torch.tensor([[2, 0, 3]]))
    assert frames[0, 0].tolist() == [1, 1, 3, 3, 3]
    assert frames[0, 1].tolist() == pytest.approx([0.25, 0.75, 1 / 6, 0.5, 5 / 6])
    assert mask.tolist() == [[[1] * 5]]
    window, _ = expand(symbols, torch.tensor([[2, 0, 3]]), (torch.tensor([1]), 3))
    torch.testing.assert_close(window, frames[..., 1:4])
