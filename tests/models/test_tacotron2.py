"""Tacotron 2: parity with the published programs, and the properties its users rely on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glowtron.config import DecodingOptions, Tacotron2Config
from glowtron.engines.modules import MatrixConvolution, shifted_views
from glowtron.importers import read_published
from glowtron.models.convolution import Convolution, matrix_from_taps
from glowtron.models.monotonic import REACH, finish, longest_dwells, move_on
from glowtron.models.published_tacotron2 import config_from_published, from_published
from glowtron.models.tacotron2 import Memory, Tacotron2, Tacotron2Output
from glowtron.models.tacotron2_loss import attention_loss, guided_attention_loss, loss, symbols_of_steps

NO_DROPOUT = {"prenet_dropout": 0.0, "encoder_dropout": 0.0, "rnn_dropout": 0.0, "postnet_dropout": 0.0}
TINY = Tacotron2Config(
    embedding_channels=12,
    encoder_channels=16,
    prenet_channels=8,
    attention_rnn_channels=14,
    attention_channels=6,
    location_filters=4,
    location_kernel=7,
    decoder_rnn_channels=18,
    postnet_channels=10,
)


def relative_error(ours: Tensor, reference: np.ndarray) -> float:
    wanted = torch.as_tensor(reference)
    assert ours.shape == wanted.shape
    return float((ours.detach() - wanted).norm() / wanted.norm())


def published(parity: Callable[[str], Path], name: str) -> tuple[Tacotron2, dict[str, Tensor]]:
    """The reference checkpoint as ours, dropout off and padding leaking as there, with the reference arrays."""
    state = read_published(parity(f"{name}.pt")).state
    config = replace(config_from_published(state), mask_padding=False, **NO_DROPOUT)
    model = Tacotron2(config)
    model.load_state_dict(from_published(state))
    with np.load(parity(f"{name}.npz")) as arrays:
        return model.eval(), {key: torch.as_tensor(arrays[key]) for key in arrays}


def generators(n: int, seed: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed + i) for i in range(n)]


def batch(config: Tacotron2Config, n_mels: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(1, config.n_symbols, (3, 9))
    return ids, torch.tensor([9, 4, 7]), torch.randn(3, n_mels, 12), torch.tensor([8, 12, 4])


def test_full_size_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        model = Tacotron2(Tacotron2Config())
    assert sum(p.numel() for p in model.parameters()) == 28_193_153


def test_teacher_forcing_matches_the_published_program(parity: Callable[[str], Path]) -> None:
    model, arrays = published(parity, "tacotron2")
    output = model(arrays["ids"], arrays["lengths"], arrays["mels"], arrays["mel_lengths"])
    assert relative_error(output.mel_before, arrays["mel_out"]) < 1e-4
    assert relative_error(output.mel, arrays["mel_post"]) < 1e-4
    assert relative_error(output.stop_logits, arrays["gate"]) < 1e-4
    assert relative_error(output.alignment, arrays["align"]) < 1e-4


def test_loss_and_gradient_match_the_published_program(parity: Callable[[str], Path]) -> None:
    model, arrays = published(parity, "tacotron2")
    first = model.postnet.convolutions[0]
    seen: dict[str, Tensor] = {}

    def remember(_module: object, inputs: tuple[Tensor], output: Tensor) -> None:
        seen["input"] = inputs[0].detach()
        output.register_hook(lambda gradient: seen.update(gradient=gradient))

    first.register_forward_hook(remember)
    output = model(arrays["ids"], arrays["lengths"], arrays["mels"], arrays["mel_lengths"])
    value = loss(output, arrays["mels"], arrays["mel_lengths"], count_padding=True).total
    assert float(value.detach()) == pytest.approx(float(arrays["loss"]), rel=1e-4)
    value.backward()
    # The published program zeroes padded frames of the postnet's input through `.data` after the forward pass, so its
    # first convolution's weight gradient is taken with an input it never saw. Everything else is the true gradient.
    real = torch.arange(arrays["mels"].shape[2]) < arrays["mel_lengths"][:, None]
    views = shifted_views(seen["input"] * real[..., None], first.kernel_size)
    first.weight.grad = seen["gradient"].flatten(0, 1).T @ views.flatten(0, 1)
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(float(arrays["grad_norm"]), rel=1e-4)


def test_free_running_matches_the_published_program(parity: Callable[[str], Path]) -> None:
    model, arrays = published(parity, "tacotron2")
    spoken = model.generate(arrays["ids"][:1], arrays["lengths"][:1], DecodingOptions(max_frames=60), generators(1))
    assert bool(spoken.stopped[0])
    assert relative_error(spoken.mel, arrays["infer_mel_post"]) < 1e-4
    assert relative_error(spoken.alignment, arrays["infer_align"]) < 1e-4


def test_batched_inference_matches_the_published_program(parity: Callable[[str], Path]) -> None:
    model, arrays = published(parity, "tacotron2_dle")
    options = DecodingOptions(max_frames=60, keep_stop_frame=False)
    spoken = model.generate(arrays["ids"], arrays["lengths"], options, generators(3))
    assert spoken.mel_lengths.tolist() == arrays["mel_lengths"].tolist()
    for row, length in enumerate(spoken.mel_lengths):
        assert relative_error(spoken.mel[row, :, :length], arrays["mel_post"][row, :, :length]) < 1e-4
        assert relative_error(spoken.alignment[row, :length], arrays["align"][row, :length]) < 1e-4


@pytest.mark.parametrize("monotonic", [False, True])
@pytest.mark.parametrize("reduction_factor", [1, 2, 3])
def test_a_text_alone_and_in_a_padded_batch_gives_the_same_mel(reduction_factor: int, monotonic: bool) -> None:
    config = replace(TINY, reduction_factor=reduction_factor, n_speakers=2)
    torch.manual_seed(0)
    model = Tacotron2(config, n_mels=5).eval()
    ids, lengths, _, _ = batch(config)
    speaker = torch.tensor([0, 1, 0])
    options = DecodingOptions(max_frames=31, stop_threshold=0.52, monotonic=monotonic, max_dwell=6)
    together = model.generate(ids, lengths, options, generators(3), speaker=speaker)
    for row in range(3):
        alone = model.generate(
            ids[row : row + 1, : lengths[row]],
            lengths[row : row + 1],
            options,
            generators(1, seed=row),
            speaker=speaker[row : row + 1],
        )
        n = int(alone.mel_lengths[0])
        assert n == int(together.mel_lengths[row])
        torch.testing.assert_close(alone.mel[0], together.mel[row, :, :n], atol=1e-5, rtol=1e-4)
        assert not together.mel[row, :, n:].any()


def test_padding_changes_neither_loss_nor_gradient_nor_batch_statistics() -> None:
    config = replace(TINY, **NO_DROPOUT)
    ids, id_lengths, mel, mel_lengths = batch(config)
    results = []
    for extra in (0, 6):
        torch.manual_seed(0)
        model = Tacotron2(config, n_mels=5).train()
        padded_ids = torch.nn.functional.pad(ids, (0, extra))
        padded_mel = torch.nn.functional.pad(mel, (0, extra), value=3.0)
        output = model(padded_ids, id_lengths, padded_mel, mel_lengths)
        value = loss(output, padded_mel, mel_lengths).total
        value.backward()
        grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        means = torch.cat([norm.running_mean for norm in model.postnet.norms])
        results.append((value.detach(), grads, means))
    for plain, padded in zip(*results, strict=True):
        torch.testing.assert_close(plain, padded, atol=1e-6, rtol=1e-4)


def test_reading_at_measured_symbols_equals_walking_with_that_attention() -> None:
    """The parallel form is the sequential one with the attention's choice replaced."""
    config = replace(TINY, rnn_dropout=0.0, encoder_dropout=0.0, postnet_dropout=0.0, reduction_factor=2)
    torch.manual_seed(0)
    model = Tacotron2(config, n_mels=5).eval()
    ids, id_lengths, mel, mel_lengths = batch(config)
    symbols = torch.tensor([[0, 1, 1, 3, 5, 8], [0, 0, 1, 2, 3, 3], [0, 2, 3, 4, 6, 6]])
    at_once = model(ids, id_lengths, mel, mel_lengths, symbols=symbols, generator=torch.Generator().manual_seed(3))
    memory = model.encode(ids, id_lengths)
    previous = torch.nn.functional.pad(mel.transpose(1, 2)[:, 1::2], (0, 0, 1, -1))
    squeezed = model.squeeze(previous, torch.Generator().manual_seed(3))
    chosen = torch.nn.functional.one_hot(symbols, ids.shape[1]).float()
    state = model.start(memory)
    for i in range(6):
        proposed = model.attention.forward
        model.attention.forward = lambda *_args, i=i: chosen[:, i : i + 1].log()  # type: ignore[method-assign]
        frames, stop, state = model.step(squeezed[:, i], state, memory)
        model.attention.forward = proposed  # type: ignore[method-assign]
        real = mel_lengths > 2 * i
        torch.testing.assert_close(
            at_once.mel_before.transpose(1, 2)[real, 2 * i : 2 * i + 2], frames[real], atol=1e-5, rtol=1e-4
        )
        torch.testing.assert_close(at_once.stop_logits[real, i], stop[real], atol=1e-5, rtol=1e-4)


def test_every_chooses_which_steps_are_taught() -> None:
    torch.manual_seed(0)
    model = Tacotron2(TINY, n_mels=5).eval()
    ids, id_lengths, mel, mel_lengths = batch(TINY)
    symbols = torch.arange(12).clamp(max=3).expand(3, -1)
    outputs = [
        model(ids, id_lengths, mel, mel_lengths, symbols=symbols, every=n, generator=torch.Generator().manual_seed(0))
        for n in (1, 4)
    ]
    torch.testing.assert_close(outputs[0].alignment[:, ::4], outputs[1].alignment)


def test_attention_loss_is_zero_on_the_measured_symbols_and_ignores_padding() -> None:
    symbols = torch.tensor([[0, 1, 2, 2]])
    alignment = torch.nn.functional.one_hot(symbols, 3).float()
    alignment[0, 3] = torch.tensor([1.0, 0.0, 0.0])
    assert float(attention_loss(alignment, symbols, torch.tensor([3]))) == pytest.approx(0, abs=1e-6)
    assert float(attention_loss(alignment, symbols, torch.tensor([4]))) > 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), n_symbols=st.integers(1, 12), max_dwell=st.integers(1, 9))
def test_monotonic_attention_never_goes_back_moves_within_reach_and_reaches_the_end(
    seed: int, n_symbols: int, max_dwell: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    memory = Memory(
        torch.zeros(1, n_symbols, 4), torch.zeros(1, n_symbols, 4), torch.ones(1, n_symbols, dtype=torch.bool)
    )
    config = replace(TINY, encoder_channels=4)
    state = Tacotron2(config, n_mels=2).start(memory)
    positions = []
    for _ in range(n_symbols * (max_dwell + 1)):
        proposed = (torch.randn(1, n_symbols, generator=generator) * 4).softmax(-1)
        weights, survival = move_on(proposed, state.weights, state.cumulative, state.survival, memory.mask, max_dwell)
        assert weights.sum() == 1
        state = state._replace(weights=weights, cumulative=state.cumulative + weights, survival=survival)
        positions.append(int(weights.argmax()))
    jumps = [b - a for a, b in zip(positions, positions[1:], strict=False)]
    assert positions[0] == 0
    assert all(0 <= jump <= REACH for jump in jumps)
    assert positions[-1] == n_symbols - 1


def test_frame_limit_is_reported_not_hidden() -> None:
    torch.manual_seed(0)
    model = Tacotron2(TINY, n_mels=5).eval()
    options = DecodingOptions(max_frames=7, stop_threshold=1.0)
    spoken = model.generate(torch.ones(1, 4, dtype=torch.long), torch.tensor([4]), options, generators(1))
    assert spoken.stopped.tolist() == [False]
    assert spoken.mel.shape == (1, 5, 7)


def test_same_generator_same_mel_and_another_generator_another_mel() -> None:
    torch.manual_seed(0)
    model = Tacotron2(TINY, n_mels=5).eval()
    ids, lengths, options = torch.ones(1, 4, dtype=torch.long), torch.tensor([4]), DecodingOptions(max_frames=9)
    mels = [model.generate(ids, lengths, options, generators(1, seed)).mel for seed in (5, 5, 6)]
    assert torch.equal(mels[0], mels[1])
    assert mels[0].shape != mels[2].shape or not torch.equal(mels[0], mels[2])


@pytest.mark.parametrize("in_channels", [2, 16])
def test_convolution_is_conv1d(in_channels: int) -> None:
    """So is the matrix product that training uses; narrow inputs take another way to the same values."""
    torch.manual_seed(0)
    reference = torch.nn.Conv1d(in_channels, 6, 5, padding=2)
    x = torch.randn(2, 11, in_channels)
    for ours in (Convolution(in_channels, 6, 5), MatrixConvolution(in_channels, 6, 5)):
        ours.load_state_dict({"weight": matrix_from_taps(reference.weight), "bias": reference.bias})
        torch.testing.assert_close(ours(x), reference(x.transpose(1, 2)).transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_loss_counts_a_stop_at_the_last_step_only() -> None:
    mel, lengths = torch.zeros(1, 2, 6), torch.tensor([4])
    logits = torch.tensor([[-50.0, 50.0, 1000.0]])
    output = Tacotron2Output(mel, mel, logits, torch.zeros(1, 3, 1))
    assert float(loss(output, mel, lengths).stop) == pytest.approx(0, abs=1e-6)
    wrong = output._replace(stop_logits=torch.tensor([[50.0, 50.0, 1000.0]]))
    assert float(loss(wrong, mel, lengths).stop) == pytest.approx(25, rel=1e-3)


def test_symbols_of_steps_are_those_at_the_middle_of_each_step() -> None:
    durations = torch.tensor([[2, 0, 3, 1, 0], [1, 1, 1, 0, 0]])
    assert symbols_of_steps(durations, 6, 1).tolist() == [[0, 0, 2, 2, 2, 3], [0, 1, 2, 2, 2, 2]]
    assert symbols_of_steps(durations, 3, 2).tolist() == [[0, 2, 3], [1, 2, 2]]


def test_guide_loss_prefers_the_diagonal_and_ignores_padding() -> None:
    diagonal = torch.eye(8)[None]
    lengths = torch.tensor([8])
    assert float(guided_attention_loss(diagonal, lengths, lengths)) == pytest.approx(0, abs=1e-6)
    assert float(guided_attention_loss(diagonal.flip(1), lengths, lengths)) > 0.5
    padded = torch.nn.functional.pad(diagonal, (0, 3, 0, 5), value=0.7)
    padded[:, :8, 8:] = 0
    assert float(guided_attention_loss(padded, lengths, lengths)) == pytest.approx(0, abs=1e-6)


def test_monotonic_speech_ends_when_it_has_probably_ended() -> None:
    """Two steps of a 30 % chance make an end likely; none counts before the last symbol, and dwelling ends it too."""
    lengths, survival = torch.tensor([3, 3]), torch.ones(2)
    weights = torch.tensor([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    ended = []
    for _ in range(3):
        stops, survival = finish(torch.tensor([0.3, 0.9]), weights, weights, survival, lengths, max_dwell=9)
        ended.append(stops.tolist())
    assert ended == [[False, False], [True, False], [True, False]]
    stops, _ = finish(torch.zeros(2), weights, 9 * weights, torch.ones(2), lengths, max_dwell=9)
    assert stops.tolist() == [True, False]


def test_sounds_are_left_sooner_than_marks() -> None:
    ids = torch.tensor([[11, 38, 64, 7]])  # A space, a letter, a phone, a full stop.
    assert longest_dwells(ids, 100, 43).tolist() == [[100, 43, 43, 100]]
    assert longest_dwells(ids, 20, 43).tolist() == [[20, 20, 20, 20]]


def test_no_sound_of_monotonic_speech_lasts_longer_than_its_limit() -> None:
    """Also where the network would stay for ever."""
    torch.manual_seed(0)
    model = Tacotron2(replace(TINY, reduction_factor=2), n_mels=5).eval()
    with torch.no_grad():
        model.stop.bias.fill_(-50.0)
    ids = torch.tensor([[11, 38, 64, 65, 66, 67, 68, 69, 70, 71, 72, 7]])
    options = DecodingOptions(monotonic=True, max_dwell=30, max_sound_dwell=8)
    model.attention.forward = lambda _query, weights, _cumulative, _memory: stay(weights)  # type: ignore[method-assign]
    spoken = model.generate(ids, torch.tensor([12]), options, generators(1))
    dwells = 2 * torch.bincount(spoken.alignment[0].argmax(-1), minlength=12)
    assert bool(spoken.stopped[0])
    assert dwells[0] == dwells[-1] == 30
    assert set(dwells[1:-1].tolist()) <= {0, 8}


def stay(weights: Tensor) -> Tensor:
    """Log-weights of an attention that wants to be where it was."""
    return (weights + 1e-9).log()
