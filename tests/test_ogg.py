"""Ogg pages with one serial number."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.ogg import OggPages


def stream(subtype: str) -> bytes:
    out = io.BytesIO()
    noise = (0.1 * np.random.default_rng(0).standard_normal(60_000)).astype(np.float32)
    soundfile.write(out, noise, 24_000, format="OGG", subtype=subtype)
    return out.getvalue()


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_rewritten_stream_sounds_the_same(subtype):
    data = stream(subtype)
    again = OggPages(7).push(data)
    assert len(again) == len(data) and again != data
    assert again[14:18] == bytes([7, 0, 0, 0])
    # libsndfile drops pages whose checksum is wrong.
    assert np.array_equal(soundfile.read(io.BytesIO(again))[0], soundfile.read(io.BytesIO(data))[0])


@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=20))
@settings(max_examples=20, deadline=None)
def test_it_does_not_matter_where_a_stream_is_cut(sizes):
    pages, given, place = OggPages(), b"", 0
    for size in sizes:
        given += pages.push(STREAM[place : place + size])
        place += size
    given += pages.push(STREAM[place:])
    assert given == OggPages().push(STREAM)


STREAM = stream("OPUS")
