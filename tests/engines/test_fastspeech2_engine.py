"""FastSpeech 2 as synthesis calls it: the same mel in any company, whole or in pieces."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glowtron.config import DecodingOptions, FastSpeech2Config, ProsodyOptions
from glowtron.engines.fastspeech2 import FastSpeech2Engine, hard_alignment
from glowtron.engines.hardware import Precision
from glowtron.models.fastspeech2 import FastSpeech2

TINY = FastSpeech2Config(
    n_speakers=2, channels=16, pitch_channels=12, decoder_channels=14, decoder_dilations=(1, 2), pitch_dilations=(1, 2)
)
OPTIONS = DecodingOptions()


@pytest.fixture
def model() -> FastSpeech2:
    torch.manual_seed(0)
    model = FastSpeech2(TINY, n_mels=5).eval()
    with torch.no_grad():  # About five frames a symbol.
        model.duration.out.bias.fill_(math.log(6))
    return model


@pytest.fixture
def engine(model: FastSpeech2) -> FastSpeech2Engine:
    return FastSpeech2Engine(model, Precision("fp32", "for a test"))


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(1, TINY.n_symbols, (3, 9), generator=torch.Generator().manual_seed(1))


def generators(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(i) for i in range(n)]


LENGTHS = torch.tensor([9, 4, 7])
SPEAKER = torch.tensor([0, 1, 0])


def test_the_engine_is_the_model(model: FastSpeech2, engine: FastSpeech2Engine, ids: Tensor) -> None:
    ours = engine.generate(ids, LENGTHS, OPTIONS, generators(3), speaker=SPEAKER)
    mel, durations = model.generate(ids, LENGTHS, SPEAKER, generators(3))
    assert torch.equal(ours.mel_lengths, durations.sum(1))
    for row, length in enumerate(ours.mel_lengths.tolist()):
        torch.testing.assert_close(ours.mel[row, :, :length], mel[row, :, :length], atol=1e-5, rtol=1e-5)
        assert (ours.mel[row, :, length:] == 0).all()
    assert torch.equal(ours.alignment.sum(1), durations.float())
    assert ours.stopped.all()


def test_a_text_is_the_same_to_the_bit_in_any_company(engine: FastSpeech2Engine, ids: Tensor) -> None:
    together = engine.generate(ids, LENGTHS, OPTIONS, generators(3), speaker=SPEAKER)
    for row, n in enumerate(LENGTHS.tolist()):
        one = slice(row, row + 1)
        alone = engine.generate(ids[one, :n], LENGTHS[one], OPTIONS, generators(3)[one], speaker=SPEAKER[one])
        assert torch.equal(alone.mel[0], together.mel[row, :, : alone.mel.shape[2]])


@pytest.mark.parametrize("n_steps", [1, 7, 1000])
def test_pieces_are_the_whole(engine: FastSpeech2Engine, ids: Tensor, n_steps: int) -> None:
    whole = engine.generate(ids[:1], LENGTHS[:1], OPTIONS, generators(1), speaker=SPEAKER[:1])
    chunks = list(engine.stream(ids[:1], OPTIONS, generators(1)[0], speaker=SPEAKER[:1], n_steps=lambda: n_steps))
    torch.testing.assert_close(torch.cat([chunk.mel for chunk in chunks], 2), whole.mel, atol=1e-5, rtol=1e-5)
    assert torch.equal(torch.cat([chunk.alignment for chunk in chunks], 1), whole.alignment)
    assert [chunk.ended for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].stopped


def test_a_text_that_reaches_the_limit_has_not_stopped(engine: FastSpeech2Engine, ids: Tensor) -> None:
    spoken = engine.generate(ids, LENGTHS, replace(OPTIONS, max_frames=10), generators(3), speaker=SPEAKER)
    assert spoken.mel.shape[2] == 10
    assert not spoken.stopped.any()


def test_prosody_is_changed_by_the_options(engine: FastSpeech2Engine, ids: Tensor) -> None:
    slow = replace(OPTIONS, prosody=ProsodyOptions(rate=0.5))
    plain, slowed = (
        engine.generate(ids, LENGTHS, options, generators(3), speaker=SPEAKER) for options in (OPTIONS, slow)
    )
    assert slowed.mel_lengths.tolist() == pytest.approx((2 * plain.mel_lengths).tolist(), abs=2)


def test_changes_of_prosody_add_up() -> None:
    base = ProsodyOptions(rate=1.25, pitch=1.0, pitch_range=1.2, energy=-1.0)
    both = ProsodyOptions(rate=0.8, pitch=2.0, pitch_range=0.5, energy=3.0).on_top_of(base)
    assert both == ProsodyOptions(rate=1.0, pitch=3.0, pitch_range=0.6, energy=2.0)


def test_the_hard_alignment_has_one_symbol_a_frame() -> None:
    alignment = hard_alignment(torch.tensor([[2, 0, 1]]))
    assert alignment.tolist() == [[[1, 0, 0], [1, 0, 0], [0, 0, 1]]]
