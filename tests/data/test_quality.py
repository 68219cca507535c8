"""What is wrong with a recording, and what becomes of a good one."""

import numpy as np
import pytest
import soundfile
import soxr

from glowtron.audio import read_audio
from glowtron.data.loudness import loudness, true_peak
from glowtron.data.manifest import Clip, read_clip, read_manifest
from glowtron.data.quality import PEAK_DB, Examined, Fault, Rules, clipped_samples, examine
from glowtron.errors import InputError

RATE = 22_050


def speechlike(seconds=2.0, rate=RATE, level=0.1, seed=0):
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    envelope = np.clip(np.sin(2 * np.pi * 3 * np.arange(n) / rate) + 0.5, 0, 1)
    return level * envelope * rng.standard_normal(n) * 0.3


def examined(tmp_path, wave, rate=RATE, suffix=".wav", rules=None, **more):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, wave, rate, **more)
    return examine(Clip("a", path, "text", "ada"), rules or Rules())


@pytest.mark.parametrize(
    ("suffix", "rate", "kind"),
    [
        *((".wav", rate, "PCM_16") for rate in (8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)),
        *((".wav", 48_000, kind) for kind in ("PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        (".flac", 96_000, "PCM_24"),
        (".ogg", 44_100, "VORBIS"),
        (".mp3", 44_100, "MPEG_LAYER_III"),
        (".aiff", 44_100, "PCM_16"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_format_becomes_one_clip(tmp_path, suffix, rate, kind, channels):
    wave = np.concatenate([np.zeros(rate), speechlike(2.0, rate), np.zeros(rate)])
    result = examined(tmp_path, np.stack([wave] * channels, 1), rate, suffix, subtype=kind)
    assert isinstance(result, Examined)
    assert result.recorded_rate == rate
    assert result.audio.sample_rate == RATE
    assert result.audio.samples.ndim == 1
    assert result.recorded_s == pytest.approx(4.0, abs=0.1)
    assert 1.8 < result.audio.duration_s < 2.5
    assert loudness(result.audio) == pytest.approx(-23.0, abs=0.1)
    assert result.gain_db == pytest.approx(-23.0 - result.loudness, abs=1e-3)


def test_a_peak_is_never_cut_off_by_levelling(tmp_path):
    wave = speechlike(level=0.05)
    wave[RATE] = 0.9
    result = examined(tmp_path, wave)
    assert result.limited
    assert 20 * np.log10(true_peak(result.audio)) == pytest.approx(PEAK_DB, abs=0.01)
    assert loudness(result.audio) < -24
    assert not examined(tmp_path, speechlike()).limited


@pytest.mark.parametrize(
    ("wave", "reason", "said"),
    [
        (np.zeros(RATE), "silent", "0.001"),
        (np.zeros(1), "silent", "0.001"),
        (np.full(RATE, 5e-4), "silent", "0.001"),
        (np.clip(speechlike(level=20), -0.99, 0.99), "clipped", "-0.1 dB"),
        (np.clip(speechlike(level=20), -0.4, 0.4), "clipped", "-8.0 dB"),
        (speechlike(0.3), "too short", "0.30 s"),
        (speechlike(13.0), "too long", "13.0"),
    ],
)
def test_faults_have_a_reason(tmp_path, wave, reason, said):
    fault = examined(tmp_path, wave)
    assert isinstance(fault, Fault)
    assert fault.reason == reason
    assert said in fault.detail


def test_a_file_that_is_none_has_a_reason(tmp_path):
    for data in (b"", b"RIFFnonsense"):
        path = tmp_path / "a.wav"
        path.write_bytes(data)
        fault = examine(Clip("a", path, "text", "ada"), Rules())
        assert fault.reason == "unreadable"
        assert str(tmp_path) not in fault.detail
    assert examine(Clip("a", tmp_path / "gone.wav", "text", "ada"), Rules()).reason == "unreadable"


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e6])
def test_samples_that_are_no_sound_have_a_reason(tmp_path, wrong):
    wave = speechlike()
    wave[100] = wrong
    assert examined(tmp_path, wave, subtype="FLOAT").reason == "unreadable"


def test_float_recordings_over_full_scale_are_not_clipped(tmp_path):
    result = examined(tmp_path, 30 * speechlike(), subtype="FLOAT")
    assert result.loudness > -10 and result.gain_db < -10
    assert np.abs(result.audio.samples).max() < 1


def test_an_offset_changes_nothing(tmp_path):
    """Neither the cut nor the level, and it is gone from the clip."""
    wave = np.concatenate([np.zeros(RATE), speechlike(), np.zeros(RATE)])
    plain, moved = examined(tmp_path, wave, subtype="PCM_24"), examined(tmp_path, wave + 0.2, subtype="PCM_24")
    assert len(moved.audio.samples) == len(plain.audio.samples)
    assert np.abs(moved.audio.samples - plain.audio.samples).max() < 2e-3
    assert abs(moved.audio.samples.mean()) < 1e-3
    assert examined(tmp_path, np.full(RATE, 0.05)).reason == "silent"


def test_hours_of_a_recording_are_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr("glowtron.data.quality.read_audio", None)
    soundfile.write(tmp_path / "a.flac", np.zeros(8000 * 660, np.int16), 8000)
    fault = examine(Clip("a", tmp_path / "a.flac", "text", "ada"), Rules())
    assert fault == ("too long", "11 min; cut it into sentences")


def test_length_counts_after_trimming(tmp_path):
    padded = np.concatenate([np.zeros(10 * RATE), speechlike(3.0), np.zeros(10 * RATE)])
    assert isinstance(examined(tmp_path, padded), Examined)
    assert examined(tmp_path, padded, rules=Rules(longest_s=2.0)).reason == "too long"
    assert examined(tmp_path, padded, rules=Rules(shortest_s=5.0)).reason == "too short"


def test_clean_recordings_are_not_taken_for_clipped(shared):
    for name in ("ljspeech", "kathleen"):
        for clip in read_manifest(shared(f"data/{name}"))[::25]:
            samples = read_clip(clip).samples
            assert clipped_samples(samples) == 0
            limit = 0.5 * np.abs(samples).max()
            assert clipped_samples(np.clip(samples, -limit, limit)) >= 6


@pytest.mark.parametrize("rate", [RATE, 48_000])
def test_a_smooth_peak_is_not_clipped(rate):
    for hz in (80, 200, 1000):
        wave = (0.5 * np.sin(2 * np.pi * hz * np.arange(rate) / rate)).astype(np.float32)
        assert clipped_samples(wave) == 0


def test_speech_loses_no_sound(shared, tmp_path):
    """Real clips between two seconds of a room's noise come back as they were, give or take the margins."""
    rng = np.random.default_rng(0)
    for clip in read_manifest(shared("data/kathleen"))[:200:40]:
        speech = soxr.resample(read_clip(clip).samples, RATE, 48_000)
        wave = np.concatenate([np.zeros(96_000), speech, np.zeros(96_000)]) + 3e-4 * rng.standard_normal(
            len(speech) + 192_000
        )
        result = examined(tmp_path, wave, 48_000)
        assert -0.05 < result.audio.duration_s - len(speech) / 48_000 < 0.35


@pytest.mark.parametrize(
    "wrong",
    [
        {"sample_rate": 22},
        {"shortest_s": 0.0},
        {"shortest_s": 13.0},
        {"longest_s": 9999.0},
        {"loudness": 3.0},
        {"loudness": float("nan")},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        Rules(**wrong)


def test_what_is_written_is_what_was_levelled(tmp_path):
    result = examined(tmp_path, speechlike())
    result.audio.write(tmp_path / "out.wav")
    again = read_audio(tmp_path / "out.wav")
    assert np.abs(again.samples - result.audio.samples).max() <= 0.5 / 32768 + 1e-7
