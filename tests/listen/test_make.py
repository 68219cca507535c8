import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile
from listen_material import NOISE, RATE, say, write_systems

from glowtron.audio import Audio, read_audio
from glowtron.data.loudness import loudness
from glowtron.errors import InputError
from glowtron.listen.checks import HEADPHONE_TRIALS, headphone_trials
from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.make import Settings, make_test, system_folders


def test_clips_are_alike_but_for_what_is_tested(systems, tmp_path):
    # One system at another rate and another level.
    for path in systems["hiss"].iterdir():
        quiet = read_audio(path).resample(22_050)
        Audio(quiet.samples * np.float32(0.1), 22_050).write(path)
    test = make_test(systems, tmp_path / "test", Settings(), say)
    for id in test.key.clips:
        clip = read_audio(test.clip_path(id))
        assert clip.sample_rate == RATE
        assert loudness(clip) == pytest.approx(test.file.loudness_lufs, abs=0.1)
        assert clip.duration_s == pytest.approx(test.file.seconds[id], abs=0.01)


def test_what_a_browser_gets_tells_no_system(systems, tmp_path):
    test = make_test(systems, tmp_path / "test", Settings(seed=3), say)
    told = json.dumps([test.public(), *[test.public_session(k) for k in range(32)]])
    assert not re.search("|".join([*NOISE, "item-", "attention"]), told.replace(test.file.instructions, ""))
    names = [path.name for path in (tmp_path / "test" / "clips").iterdir()]
    assert all(re.fullmatch(r"[0-9a-f]{16}\.wav", name) for name in names)
    assert len({path.stat().st_mtime for path in (tmp_path / "test" / "clips").iterdir()}) == 1
    assert (tmp_path / "test" / "key.json").stat().st_mode & 0o077 == 0
    # The same clips have other names in another test: nobody learns them.
    other = make_test(systems, tmp_path / "other", Settings(seed=3), say)
    assert not other.clip_ids & test.clip_ids


def test_every_session_has_its_checks(systems, tmp_path):
    test = make_test(systems, tmp_path / "test", Settings(attention=2, repeats=2), say)
    for session in test.file.sessions:
        shown = Counter(clip for trial in session for clip in trial.clips)
        attention = [clip for clip in shown if clip in test.key.attention]
        assert len(attention) == 4  # Two in ten of sixteen, rounded up.
        assert sorted(shown[clip] for clip in test.key.clips) == [1] * 14 + [2] * 2
    assert len(test.file.headphones) == HEADPHONE_TRIALS
    assert len(test.file.training) == 3
    assert test.file.screening["headphone_right"] == 5


def test_mushra_has_reference_and_anchors(systems, tmp_path):
    test = make_test(systems, tmp_path / "test", Settings(method="mushra", reference="clean"), say)
    assert test.key.systems[-2:] == ["anchor-3500-hz", "anchor-7000-hz"] == test.key.anchors
    for trial in test.file.sessions[0]:
        if trial.clips[0] in test.key.attention:
            continue
        sources = [test.key.clips[clip] for clip in trial.clips]
        assert {source.system for source in sources} == set(test.key.systems)
        assert len({source.item for source in sources}) == 1
        assert test.key.clips[trial.reference] == next(s for s in sources if s.system == "clean")


def test_anchors_lack_what_is_above_them(systems, tmp_path):
    rng = np.random.default_rng(0)
    for folder in systems.values():
        for path in folder.iterdir():
            soundfile.write(path, 0.1 * rng.standard_normal(RATE), RATE)
    test = make_test(systems, tmp_path / "test", Settings(method="mushra", reference="clean"), say)
    for name, hertz in (("anchor-3500-hz", 3500), ("anchor-7000-hz", 7000)):
        id = next(id for id, source in test.key.clips.items() if source.system == name)
        power = np.abs(np.fft.rfft(read_audio(test.clip_path(id)).samples)) ** 2
        above = int((hertz + 600) / RATE * 2 * len(power))
        assert power[above:].sum() < 1e-4 * power[:above].sum()


def test_headphone_tones_cancel_in_the_air_where_they_should():
    for sound, softest in headphone_trials(seed=4, sample_rate=RATE):
        length = (len(sound) - 2 * (RATE // 2)) // 3
        tones = [sound[k * (length + RATE // 2) :][:length] for k in range(3)]
        power = [float(np.mean(tone[:, 0] ** 2)) for tone in tones]
        assert np.argmin(power) == softest
        assert 10 * np.log10(max(power) / min(power)) == pytest.approx(6, abs=0.1)
        in_air = [float(np.mean(tone.sum(axis=1) ** 2)) for tone in tones]
        assert np.argmin(in_air) != softest and min(in_air) < 1e-6
    assert len({place for _, place in headphone_trials(0, RATE)}) == 3


def test_loud_peaks_lower_every_clip_alike(systems, tmp_path):
    clicks = np.full(RATE, 0.001, np.float32)
    clicks[RATE // 2] = 1.0
    for path in systems["awful"].iterdir():
        Audio(clicks, RATE).write(path)
    test = make_test(systems, tmp_path / "test", Settings(), say)
    assert test.file.loudness_lufs < -23
    levels = [loudness(read_audio(test.clip_path(id))) for id in test.key.clips]
    assert max(levels) - min(levels) < 0.6  # Of a click, rounding is a part.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: next(s["hiss"].iterdir()).unlink(), "lacks 'item-"),
        (lambda s: s.pop("hiss") and [s.pop(k) for k in ("noisy", "awful")], "two folders"),
        (lambda s: (s["hiss"] / "item-0.flac").write_bytes((s["hiss"] / "item-0.wav").read_bytes()), "keep one"),
        (lambda s: (s["hiss"] / "item-0.wav").write_bytes(b"no sound"), "not a sound file"),
        (lambda s: soundfile.write(s["hiss"] / "item-0.wav", np.zeros(RATE), RATE), "is silent"),
        (lambda s: s.update(hiss=s["hiss"] / "nowhere"), "no such folder"),
        (lambda s: [path.unlink() for path in s["hiss"].iterdir()], "holds no clips"),
    ],
)
def test_clips_that_do_not_match_are_refused(systems, tmp_path, change, message):
    change(systems)
    with pytest.raises(InputError, match=message):
        make_test(systems, tmp_path / "test", Settings(), say)
    assert not list(tmp_path.glob("*test*"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "mushra"}, "needs a reference"),
        ({"reference": "clean"}, "no open reference"),
        ({"method": "mushra", "reference": "klean"}, "is no system"),
        ({"against": "clean"}, "methods of pairs"),
        ({"method": "moss"}, "did you mean 'mos'"),
        ({"screening": {"constnt": False}}, "did you mean 'constant'"),
    ],
)
def test_settings_that_contradict_are_refused(systems, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        make_test(systems, tmp_path / "test", Settings(**settings), say)
    assert not (tmp_path / "test").exists()


def test_a_test_is_never_written_over(systems, tmp_path):
    make_test(systems, tmp_path / "test", Settings(), say)
    with pytest.raises(InputError, match="exists already"):
        make_test(systems, tmp_path / "test", Settings(), say)


def test_a_damaged_test_is_named(systems, tmp_path):
    make_test(systems, tmp_path / "test", Settings(), say)
    path = tmp_path / "test" / "test.json"
    value = json.loads(path.read_text())
    value["sessions"][0][0]["clips"] = "one"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"sessions\.0\.0\.clips"):
        ListeningTest(tmp_path / "test")


def test_folders_have_names(tmp_path):
    (tmp_path / "a").mkdir()
    assert system_folders([str(tmp_path / "a"), "b=x"]).keys() == {"a", "b"}
    with pytest.raises(InputError, match="two systems are called 'a'"):
        system_folders([str(tmp_path / "a"), f"a={tmp_path}"])


def test_twelve_on_a_page_are_the_most(tmp_path):
    systems = write_systems(tmp_path / "s", n_items=1)
    many = {f"s{k}": systems["clean"] for k in range(11)}
    with pytest.raises(InputError, match="13 clips on one page"):
        make_test(many, tmp_path / "test", Settings(method="mushra", reference="s0"), say)
