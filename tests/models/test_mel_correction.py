"""The correction does what it is for, and harms nothing."""

import pytest
import torch

from glowtron.config import MelConfig
from glowtron.mel import log_mel
from glowtron.models.mel_correction import MelCorrection

MEL = MelConfig()


def noise(n_frames: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, n_frames * MEL.hop_length, generator=torch.Generator().manual_seed(seed))


def mel_error(wave: torch.Tensor, mel: torch.Tensor) -> float:
    return float((log_mel(wave, MEL)[..., : mel.shape[2]] - mel).abs().mean())


def test_each_round_brings_the_sound_nearer_to_its_mel() -> None:
    n_frames = 40
    time = torch.arange(n_frames * MEL.hop_length) / MEL.sample_rate
    tone = (torch.sin(2 * torch.pi * 330 * time) * time)[None]
    wanted = log_mel(tone + 0.01 * noise(n_frames, 1), MEL)[..., :n_frames]
    correct = MelCorrection(MEL)
    errors = [mel_error(correct(noise(n_frames), wanted, rounds), wanted) for rounds in (0, 1, 3, 6)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_no_rounds_and_a_sound_that_fits_are_left_alone() -> None:
    wave = noise(30)
    mel = log_mel(wave, MEL)[..., :30]
    correct = MelCorrection(MEL)
    assert torch.equal(correct(wave, mel, 0), wave)
    torch.testing.assert_close(correct(wave, mel, 2), wave, atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 7])
def test_short_and_silent_sounds_stay_finite_and_as_long(n_frames: int) -> None:
    correct = MelCorrection(MEL)
    for wave in (noise(n_frames), torch.zeros(1, n_frames * MEL.hop_length)):
        out = correct(wave, torch.zeros(1, MEL.n_mels, n_frames), 2)
        assert out.shape == wave.shape
        assert out.isfinite().all()


def test_rows_of_a_batch_do_not_touch_each_other() -> None:
    waves = torch.cat((noise(20, 1), noise(20, 2)))
    mels = torch.stack((torch.zeros(80, 20), torch.full((80, 20), -3.0)))
    correct = MelCorrection(MEL)
    together = correct(waves, mels, 2)
    for row in range(2):
        torch.testing.assert_close(together[row : row + 1], correct(waves[row : row + 1], mels[row : row + 1], 2))


@pytest.mark.parametrize("n_frames", [1, 2, 3, 40, 130])
@pytest.mark.parametrize("config", [MEL, MelConfig(n_fft=800, hop_length=200, win_length=600)], ids=["512", "other"])
def test_pieces_of_any_size_join_to_the_whole(n_frames: int, config: MelConfig) -> None:
    generator = torch.Generator().manual_seed(n_frames)
    waves = 0.1 * torch.randn(2, n_frames * config.hop_length, generator=generator)
    mels = torch.randn(2, config.n_mels, n_frames, generator=generator) - 4
    correct = MelCorrection(config)
    whole = correct(waves, mels, 5)
    for step in (1, 7, 64):
        stream, pieces = correct.stream(5), []
        for start in range(0, n_frames, step):
            wave = waves[:, start * config.hop_length : (start + step) * config.hop_length]
            pieces.append(stream.push(wave, mels[..., start : start + step], start + step >= n_frames))
            given = sum(piece.shape[1] for piece in pieces) // config.hop_length
            assert given >= min(start + step, n_frames) - correct.frames_after(5) or n_frames < 4
        torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=1e-5, rtol=0)


def test_it_is_what_transforms_of_the_whole_sound_give() -> None:
    """The same computed with torch's own short-time transforms."""
    wave, mel = noise(30), log_mel(noise(30, 1), MEL)[..., :30]
    correct = MelCorrection(MEL)
    settings = (MEL.n_fft, MEL.hop_length, MEL.win_length, torch.hann_window(MEL.win_length))
    wanted = before = wave
    for _ in range(3):
        ahead, before = torch.lerp(before, wanted, 1.9), wanted
        spectrum = torch.stft(ahead, *settings, return_complex=True)
        found = (correct.filters.T @ spectrum.abs()[..., :30]).clamp(min=1e-5).log()
        gain = (correct.spread.T @ (mel - found).clamp(-3, 3)).exp()
        gain = torch.cat((gain, gain[..., -1:]), dim=-1)
        wanted = torch.istft(spectrum * gain, *settings, length=wave.shape[1])
    torch.testing.assert_close(correct(wave, mel, 3), wanted, atol=1e-5, rtol=0)


def test_a_stream_keeps_no_more_than_it_needs() -> None:
    """The ends of tensors as copies, not as views of the whole."""
    wave = noise(400)
    stream = MelCorrection(MEL).stream(3)
    stream.push(wave, log_mel(wave, MEL)[..., :400])
    for one in stream._rounds:
        kept = [value for value in vars(one).values() if isinstance(value, torch.Tensor)]
        assert len(kept) >= 5
        assert sum(value.untyped_storage().nbytes() for value in kept) < 4 * 16 * MEL.n_fft
