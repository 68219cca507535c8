"""Silence at the ends of speech, and between its pieces."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from glowtron.synthesis.trimming import EDGE_S, fade_out, pause, trim_bounds
from glowtron.text.symbols import SYMBOL_IDS

STEP_S = 0.025
EDGE = round(EDGE_S / STEP_S)
SPACE, STOP, A = SYMBOL_IDS[" "], SYMBOL_IDS["."], SYMBOL_IDS["a"]


def mel_of(levels_db: list[float], frames: int = 2) -> NDArray[np.float32]:
    """A log-mel (M, T) of steps of `frames` frames as loud as given."""
    nepers = np.array(levels_db, np.float32) * np.float32(np.log(10) / 20)
    return np.tile(nepers.repeat(frames), (4, 1))


def test_silence_before_and_after_is_cut_to_the_edge() -> None:
    levels = [-50.0] * 8 + [0.0, -10.0, -30.0, 0.0] + [-45.0] * 20
    places = np.array([0] * 8 + [1] * 6 + [2] * 18)
    kept = trim_bounds(mel_of(levels), places, [SPACE, A, STOP], STEP_S)
    assert (kept.start, kept.stop) == (8 - EDGE, 12 + EDGE)


def test_silence_inside_is_left_alone() -> None:
    levels = [0.0] * 4 + [-60.0] * 30 + [0.0] * 4
    places = np.array([0] * 20 + [1] * 18)
    assert trim_bounds(mel_of(levels), places, [A, A], STEP_S) == slice(0, 38)


def test_a_sound_keeps_its_quiet_beginning() -> None:
    """A closure before the first burst belongs to the sound; only the mark before it is silence."""
    levels = [-50.0] * 10 + [0.0] * 5
    as_mark, as_sound = [SPACE, A], [A, A]
    places = np.array([0] * 4 + [1] * 11)
    assert trim_bounds(mel_of(levels), places, as_mark, STEP_S).start == 4 - EDGE
    assert trim_bounds(mel_of(levels), places, as_sound, STEP_S).start == 0


def test_an_echo_under_the_last_mark_is_not_speech() -> None:
    levels = [0.0] * 6 + [-20.0, -28.0, -30.0, -10.0, -5.0, -10.0]
    places = np.array([0] * 6 + [1] * 6)
    assert trim_bounds(mel_of(levels), places, [A, STOP], STEP_S).stop == 7 + EDGE
    assert trim_bounds(mel_of(levels), places, [A, A], STEP_S).stop == 12


@pytest.mark.parametrize("n_steps", [1, 2, 50])
def test_what_is_silent_throughout_is_kept(n_steps: int) -> None:
    kept = trim_bounds(np.full((4, 2 * n_steps), -11.5, np.float32), np.zeros(n_steps, np.int64), [A], STEP_S)
    assert kept == slice(0, n_steps)


def test_a_last_step_may_be_cut_short() -> None:
    """The frame limit need not be a multiple of the reduction factor."""
    assert trim_bounds(mel_of([0.0] * 4)[:, :7], np.array([0, 0, 1, 1]), [A, A], STEP_S) == slice(0, 4)


def test_pauses_grow_with_what_ends() -> None:
    lengths = [pause(ending, 0.4) for ending in ("words", "clause", "sentence", "paragraph")]
    assert lengths == sorted(set(lengths)) and lengths[2] == 0.4


def test_fading_touches_the_end_only() -> None:
    wave = np.ones(10_000, np.float32)
    faded = fade_out(wave, 22_050)
    n = round(EDGE_S * 22_050)
    assert faded.shape == wave.shape and faded[-1] == 0 and faded.dtype == np.float32
    assert np.array_equal(faded[:-n], wave[:-n]) and (faded[-n + 1 :] < 1).all()
    assert fade_out(np.ones(5, np.float32), 22_050).shape == (5,)
