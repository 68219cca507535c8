"""Reading and writing sound."""

import base64
import io
import os
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from glowtron.audio import (
    FILE_FORMATS,
    FORMATS,
    Audio,
    AudioEncoder,
    check_writable,
    concatenate,
    read_audio,
    read_header,
)
from glowtron.errors import InputError
from glowtron.serve.formats import make_encoder


def tone(seconds: float = 0.5, rate: int = 22_050, hz: float = 440.0) -> Audio:
    time = np.arange(int(seconds * rate)) / rate
    return Audio((0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32), rate)


def fails(action, *said: str) -> None:
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message


@given(st.lists(st.integers(-32768, 32767), min_size=1, max_size=300))
def test_16_bit_files_come_back_bit_for_bit(values):
    pcm = np.array(values, dtype=np.int16)
    audio = Audio(pcm.astype(np.float32) / 32768, 16_000)
    assert np.array_equal(audio.pcm16(), pcm)
    for suffix in (".wav", ".flac"):
        again, rate = soundfile.read(io.BytesIO(audio.encode(suffix)), dtype="int16")
        assert rate == 16_000
        assert np.array_equal(again, pcm)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=50))
def test_loud_samples_are_clipped_and_never_wrap(values):
    samples = np.array(values, dtype=np.float32)
    pcm = Audio(samples, 22_050).pcm16()
    assert np.all(np.sign(pcm) * np.sign(samples) >= 0)
    assert np.all(pcm[samples >= 1] == 32767)
    assert np.all(pcm[samples <= -1] == -32768)


@pytest.mark.parametrize("suffix", [*FORMATS, ".WAV", ".Flac"])
def test_written_files_are_read_back(tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    audio = tone()
    audio.write(path)
    again = read_audio(path)
    assert again.sample_rate == (24_000 if suffix == ".opus" else audio.sample_rate)
    expected = audio.resample(again.sample_rate).samples
    assert len(again.samples) == len(expected)
    assert again.samples.dtype == np.float32
    inside = slice(2_000, -2_000) if suffix in (".opus", ".mp3") else slice(None)
    lossy = suffix in (".ogg", ".opus", ".mp3")
    assert np.abs(again.samples - expected)[inside].max() < (0.1 if lossy else 1e-4)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("format", FILE_FORMATS)
def test_an_encoder_gives_bytes_that_are_never_changed_later(tmp_path, format):
    audio = tone(1.5)
    encoder = AudioEncoder(audio.sample_rate, format)
    parts = [encoder.encode(part) for part in np.array_split(audio.samples, 7)] + [encoder.finish()]
    data = b"".join(parts)
    if format == "pcm":
        assert data == audio.encode("pcm") == audio.pcm16().astype("<i2").tobytes()
        return
    (tmp_path / f"piped.{format}").write_bytes(data)
    if format == "flac":  # The header tells the length of a file, and here cannot.
        assert data[42:] == audio.encode("flac")[42:]
    again = read_audio(data)
    assert again.sample_rate == encoder.sample_rate
    expected = audio.resample(encoder.sample_rate).samples
    if format == "mp3":  # Without a length in the header, the encoder's silence before and after stays.
        assert len(expected) < len(again.samples) < len(expected) + 3_000
        fit = max(range(3_000), key=lambda i: float(np.dot(again.samples[i : i + 5_000], expected[:5_000])))
        assert np.abs(again.samples[fit:][: len(expected)] - expected)[2_000:-2_000].max() < 0.1
        assert len(read_audio(tmp_path / "piped.mp3").samples) == len(again.samples)
        return
    assert len(again.samples) == len(expected)
    if format == "wav":
        assert np.array_equal(again.pcm16(), audio.pcm16())
    else:
        assert np.abs(again.samples - expected)[2_000:-2_000].max() < 0.1


SPEECH_LIKE = tone(0.8).samples * np.linspace(0.2, 1.0, int(0.8 * 22_050), dtype=np.float32)


@pytest.mark.parametrize("format", [*FILE_FORMATS, "aac"])
@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, len(SPEECH_LIKE)), max_size=12))
def test_where_a_sound_is_cut_is_not_heard(format, cuts):
    def encode(parts):
        encoder = make_encoder(22_050, format)
        return b"".join([encoder.encode(part) for part in parts] + [encoder.finish()])

    if format == "aac":
        pytest.importorskip("av", reason="the extra 'aac' is not installed")
    cut, whole = encode(np.split(SPEECH_LIKE, sorted(cuts))), encode([SPEECH_LIKE])
    if format == "ogg":  # Vorbis chooses its blocks by what it has been given.
        assert np.abs(read_audio(cut).samples - read_audio(whole).samples).max() < 0.05
    else:
        assert cut == whole


def test_an_encoder_gives_sound_before_the_end():
    encoder = AudioEncoder(22_050, "wav")
    assert len(encoder.encode(np.zeros(0, np.float32))) == 44
    assert len(encoder.encode(np.zeros(100, np.float32))) == 200


def test_a_format_may_be_named_apart_from_the_file(tmp_path):
    audio = tone()
    audio.write(tmp_path / "sound", "flac")
    assert (tmp_path / "sound").read_bytes() == audio.encode(".flac") == audio.encode("flac")
    fails(lambda: audio.encode("mp9"), "unknown sound format 'mp9'")
    fails(lambda: AudioEncoder(22_050, "mp9"), "unknown sound format 'mp9'")


def test_minutes_of_ogg_are_written(tmp_path):
    tone(180).write(tmp_path / "long.ogg")
    assert read_audio(tmp_path / "long.ogg").duration_s == pytest.approx(180)


def test_channels_are_averaged_and_rates_converted(tmp_path):
    path = tmp_path / "stereo.wav"
    left, right = tone(1, 48_000).samples, tone(1, 48_000, 1000).samples
    soundfile.write(path, np.stack([left, right], axis=1), 48_000, "FLOAT")
    assert np.allclose(read_audio(path).samples, (left + right) / 2, atol=1e-7)
    converted = read_audio(path, 22_050)
    assert converted.sample_rate == 22_050
    assert len(converted.samples) == 22_050
    expected = (tone(1).samples + tone(1, hz=1000).samples) / 2
    assert np.abs(converted.samples - expected)[500:-500].max() < 1e-3
    header = read_header(path)
    assert header.conversion(22_050) == "48000 Hz stereo to 22050 Hz mono"
    assert read_header(path)._replace(n_channels=6).conversion(48_000) == "48000 Hz 6 channels to 48000 Hz mono"
    assert header._replace(n_channels=1).conversion(48_000) == ""


def test_resampling_to_the_same_rate_changes_nothing():
    audio = tone()
    assert audio.resample(22_050) is audio


def test_a_reader_is_told_what_is_wrong_with_a_file(tmp_path):
    text, empty, folder, dead = (tmp_path / name for name in ("a.wav", "b.wav", "c.wav", "d.wav"))
    text.write_text("This is no sound at all, but a page of text. " * 50)
    empty.write_bytes(b"")
    folder.mkdir()
    dead.symlink_to(tmp_path / "gone.wav")
    fails(lambda: read_audio(text), "a.wav", "not a sound file")
    fails(lambda: read_audio(empty), "b.wav", "empty")
    fails(lambda: read_audio(folder), "c.wav", "folder")
    fails(lambda: read_audio(dead), "d.wav", "no such file")
    fails(lambda: read_audio(tmp_path / "nowhere.wav"), "nowhere.wav", "no such file")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 22_050)
    fails(lambda: read_audio(tmp_path / "none.wav"), "none.wav", "no samples")
    for value in (np.nan, np.inf, -np.inf):
        soundfile.write(tmp_path / "nan.wav", np.array([0.0, value, 0.0]), 22_050, "FLOAT")
        fails(lambda: read_audio(tmp_path / "nan.wav"), "nan.wav", "NaN")
    soundfile.write(tmp_path / "int.wav", np.array([0.0, 20_000.0, -5.0]), 22_050, "FLOAT")
    fails(lambda: read_audio(tmp_path / "int.wav"), "int.wav", "reach 2e+04", "1 is full scale")
    soundfile.write(tmp_path / "loud.wav", np.array([0.0, 3.0, -5.0]), 22_050, "FLOAT")
    assert read_audio(tmp_path / "loud.wav").samples.min() == -5.0


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_files_cut_short_are_told(tmp_path, suffix, share):
    path = tmp_path / f"cut{suffix}"
    rng = np.random.default_rng(0)
    Audio(rng.standard_normal(22_050).astype(np.float32) * 0.1, 22_050).write(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    fails(lambda: read_audio(path), path.name)


@given(st.binary(max_size=300), st.sampled_from([b"", b"RIFF\x24\x00\x00\x00WAVEfmt ", b"fLaC", b"OggS", b"ID3"]))
def test_random_bytes_give_the_stated_error(tmp_path_factory, data, start):
    path = tmp_path_factory.getbasetemp() / "random.wav"
    path.write_bytes(start + data)
    try:
        audio = read_audio(path)
    except InputError as error:
        assert str(path) in str(error)
    else:
        assert len(audio.samples) > 0


def test_streams_that_do_not_know_their_length(tmp_path):
    audio = tone()
    wav = bytearray(audio.encode(".wav"))
    wav[4:8] = wav[40:44] = b"\xff\xff\xff\xff"  # As a program writes that pipes its output.
    (tmp_path / "piped.wav").write_bytes(wav)
    flac = bytearray(audio.encode(".flac"))
    flac[21] &= 0xF0  # The number of samples takes the 36 bits before the checksum.
    flac[22:26] = bytes(4)
    (tmp_path / "piped.flac").write_bytes(flac)
    assert np.array_equal(read_audio(tmp_path / "piped.wav").pcm16(), audio.pcm16())
    fails(lambda: read_audio(tmp_path / "piped.flac"), "piped.flac", "convert it to WAV")


def test_nothing_is_written_where_it_cannot_be(tmp_path):
    audio = tone()
    fails(lambda: audio.write(tmp_path / "a.mp4"), "a.mp4", ".mp4", ".wav, .flac, .ogg")
    fails(lambda: audio.write(tmp_path / "noname"), "noname", "known")
    fails(lambda: audio.write(tmp_path / "no" / "a.wav"), "no folder")
    fails(lambda: audio.write(tmp_path), "is a folder")
    broken = Audio(np.array([0.0, np.nan], dtype=np.float32), 22_050)
    fails(lambda: broken.write(tmp_path / "nan.wav"), "NaN")
    stereo = Audio(np.zeros((9, 2), np.float32), 22_050)
    fails(lambda: stereo.write(tmp_path / "stereo.wav"), "mono", "(9, 2)")
    (tmp_path / "file").write_text("")
    fails(lambda: audio.write(tmp_path / "file" / "a.wav"), "no folder")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    fails(lambda: tone().write(path), "out.wav", "No space left")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX devices")
def test_devices_and_links_are_written_through(tmp_path):
    tone().write("/dev/null")
    assert not Path("/dev/null").is_file()
    link, target = tmp_path / "link.wav", tmp_path / "target.wav"
    target.write_bytes(b"old")
    link.symlink_to(target)
    tone().write(link)
    assert link.is_symlink()
    assert read_audio(target).duration_s == pytest.approx(0.5)


def test_writability_is_known_before_the_work(tmp_path):
    check_writable(tmp_path / "fine.wav")
    fails(lambda: check_writable(tmp_path / "bad.xyz"), "bad.xyz")
    assert list(tmp_path.iterdir()) == []


def test_sounds_are_joined_with_pauses():
    joined = concatenate([tone(0.2), tone(0.3)], pause_s=0.1)
    assert joined.duration_s == pytest.approx(0.6, abs=1e-3)
    gap = joined.samples[4410 : 4410 + 2205]
    assert not gap.any()
    assert concatenate([tone(0.2)], pause_s=1).duration_s == pytest.approx(0.2)
    fails(lambda: concatenate([tone(0.2), tone(0.2, 16_000)]), "16000, 22050")
    fails(lambda: concatenate([]), "0 sounds")


def test_a_notebook_gets_a_player():
    audio = tone()
    page = audio._repr_html_()
    data = re.search(r'src="data:audio/wav;base64,([^"]+)"', page)
    assert data is not None
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data[1])), dtype="int16")
    assert rate == 22_050
    assert np.array_equal(samples, audio.pcm16())
    assert repr(audio) == "Audio(0.50 s at 22050 Hz)"
