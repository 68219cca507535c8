"""`glowtron prepare folder`, as it is typed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile
from recorded import record, untidy
from served import snapshot

from glowtron.cli import main
from glowtron.data.manifest import read_manifest


@pytest.fixture
def recordings(tmp_path):
    return untidy(tmp_path / "recordings")


@pytest.mark.slow
def test_killed_by_force_and_started_again_it_ends_with_the_same_bytes(tmp_path):
    for i in range(40):
        record(tmp_path / "in" / f"{i:02}.wav", text=f"Number {i}.", seed=i)
    out, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-m", "glowtron", "prepare", "folder", str(tmp_path / "in"), "-q", "-o"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(whole)], check=True, env=environment)
    for name in ("report.json", "wavs/20.wav", "report.md"):
        process = subprocess.Popen([*command, str(out)], env=environment)
        try:
            while process.poll() is None and not (out / name).exists():
                time.sleep(0.001)
        finally:
            process.send_signal(signal.SIGKILL)
        assert process.wait() in (-signal.SIGKILL, 0)  # 0: it was quicker than we could look.
    subprocess.run([*command, str(out)], check=True, env=environment)
    assert snapshot(out) == snapshot(whole)


class TestCommand:
    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)

        def run(*arguments):
            with pytest.raises(SystemExit) as exit_:
                main(["prepare", "folder", *map(str, arguments)])
            return exit_.value.code, *capsys.readouterr()

        return run

    def test_says_what_was_made_and_what_comes_next(self, run, recordings):
        status, out, _ = run("recordings", "-o", "corpus")
        assert status == 0
        assert out.startswith("corpus: 3 of 11 recordings make clips, 0.1 minutes\nleft out: 2 untranscribed, ")
        assert "corpus/report.md; next: glowtron align corpus\n" in out
        assert run("recordings", "-o", "corpus", "--quiet")[:2] == (0, "")

    def test_options_are_obeyed(self, run, recordings):
        assert run("recordings", "-o", "c", "--sample-rate", 16000, "--longest", 20, "--loudness", -30)[0] == 0
        info = soundfile.info("c/wavs/long.wav")
        assert info.samplerate == 16_000
        assert json.loads(Path("c/report.json").read_text())["rules"]["loudness"] == -30

    def test_missing_recordings_can_be_passed_over(self, run, tmp_path):
        record(Path("in", "a.wav"), 0.6)
        Path("in", "metadata.csv").write_text("a|One\nb|Two\n")
        status, out, _ = run("in", "-o", "c", "--partial")
        assert status == 0 and "left out: 1 no recording\n" in out

    def test_names_with_spaces_accents_and_what_no_encoding_knows(self, run, tmp_path):
        for name in ("Größe 1", "two words ", "odd \udcff"):
            plain = record(Path("in folder", "plain.wav"), 0.6, text=f"Größe {name[:3]}.")
            for path in (plain, plain.with_suffix(".txt")):
                path.rename(path.with_name(name + path.suffix))
        status, out, _ = run("in folder", "-o", "out é", "-q")
        assert (status, out) == (0, "")
        clips = read_manifest("out é")
        assert {clip.id for clip in clips} == {"Größe 1", "two words", "odd _"}
        assert "odd \\\\udcff.wav" in Path("out é", "report.json").read_text("utf-8")

    def test_speakers_are_pointed_to_their_list(self, run, recordings):
        Path("t.txt").write_text("r0.wav|One|ann\nr1.wav|Two|bob\n")
        status, out, _ = run("recordings", "-o", "corpus", "--transcript", "t.txt")
        assert status == 0
        assert "glowtron align corpus/clips.txt" in out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["gone", "-o", "c"], "gone: is no folder"),
            (["recordings", "-o", "recordings"], "apart"),
            (["recordings", "-o", "recordings/r0.wav"], "is a file"),
            (["recordings", "-o", "c", "--columns", "what"], "id|text|speaker"),
            (["recordings", "-o", "c", "--shortest", "50"], "50 to 12 s"),
            (["recordings", "-o", "c", "--transcript", "none.txt"], "none.txt"),
            (["recordings"], "--output"),
            (["recordings", "-o", "recordings/in"], "apart"),
            (["empty", "-o", "c"], "empty: holds no recordings"),
            (["untold", "-o", "c"], "none of its 1 recordings has a text"),
            (["twice", "-o", "c"], "metadata.csv, line 2: 'a.wav' was there before"),
            (["missing", "-o", "c"], "metadata.csv, line 2: there is no recording 'b'"),
            (["same", "-o", "c"], "would be clip 'a'"),
            (["latin", "-o", "c"], "metadata.csv, line 1: not UTF-8"),
        ],
    )
    def test_faults_are_one_line_and_leave_nothing(self, run, recordings, arguments, said):
        Path("empty").mkdir()
        for folder in ("untold", "twice", "missing", "same", "latin"):
            record(Path(folder, "a.wav"), 0.6)
        record(Path("same", "a.flac"), 0.6, text="One")
        Path("twice", "metadata.csv").write_text("a|One\na.wav|Two\n")
        Path("missing", "metadata.csv").write_text("a|One\nb|Two\n")
        Path("latin", "metadata.csv").write_bytes(b"a|caf\xe9\n")
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
        assert said in err
        assert not Path("c").exists()
