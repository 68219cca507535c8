"""Alignments as frames."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron.config import MelConfig
from glowtron.data.durations import Alignment, durations, read_alignments
from glowtron.errors import InputError

CONFIG = MelConfig()
SECONDS_A_FRAME = 256 / 22_050


@given(st.lists(st.floats(0, 2), min_size=1, max_size=40), st.integers(1, 200))
def test_durations_fill_the_clip_exactly(lasting, n_frames):
    ends = [sum(lasting[: i + 1]) for i in range(len(lasting))]
    scale = n_frames * SECONDS_A_FRAME / max(ends[-1], 1e-9)
    alignment = Alignment(tuple(range(len(ends))), tuple(end * min(1, scale) for end in ends))
    frames = durations(alignment, n_frames, CONFIG)
    assert len(frames) == len(ends)
    assert min(frames) >= 0
    assert sum(frames) == n_frames


def test_a_frame_belongs_to_the_symbol_at_its_centre():
    # Frames 0 to 5 are centred at 0, 1, 2, ... hops; the ends at 0.5, 3 and 3.2 hops.
    alignment = Alignment((1, 2, 3, 4), tuple(h * SECONDS_A_FRAME for h in (0.5, 3, 3.2, 5)))
    assert durations(alignment, 6, CONFIG) == [1, 2, 1, 2]


def test_an_alignment_of_a_longer_clip_is_refused():
    with pytest.raises(InputError, match=r"2\.00 s but the clip at 1\.16 s"):
        durations(Alignment((1,), (2.0,)), 100, CONFIG)


def test_lines_are_read(tmp_path):
    path = tmp_path / "alignments.jsonl"
    lines = [{"id": "a", "symbols": [1, 2], "ends": [0.5, 1]}, {"id": "b", "symbols": [3], "ends": [0.25]}]
    path.write_text("\n\n".join(map(json.dumps, lines)) + "\n")
    assert read_alignments(path) == {"a": Alignment((1, 2), (0.5, 1.0)), "b": Alignment((3,), (0.25,))}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "no alignment"),
        ("[]", "no alignment"),
        ('{"id": "a", "symbols": [1]}', "no alignment"),
        ('{"id": "a", "symbols": ["x"], "ends": [1]}', "no alignment"),
        ('{"id": "a", "symbols": 1, "ends": [1]}', "no alignment"),
        ('{"id": "a", "symbols": [1, 2], "ends": [1]}', "2 symbols and 1 ends"),
        ('{"id": "a", "symbols": [], "ends": []}', "0 symbols"),
        ('{"id": "a", "symbols": [1, 2], "ends": [1, 0.5]}', "decrease"),
        ('{"id": "a", "symbols": [1, 2], "ends": [-1, 0.5]}', "negative"),
        ('{"id": "a", "symbols": [1, 2], "ends": [NaN, 0.5]}', "decrease"),
        ('{"id": "ok", "symbols": [1], "ends": [1]}', "before"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, said):
    path = tmp_path / "alignments.jsonl"
    path.write_text('{"id": "ok", "symbols": [1], "ends": [1]}\n' + line)
    with pytest.raises(InputError, match=rf"alignments\.jsonl, line 2: .*{said}"):
        read_alignments(path)


def test_a_file_that_is_none(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        read_alignments(tmp_path / "nowhere")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="binary"):
        read_alignments(tmp_path / "binary")
