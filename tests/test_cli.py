"""The command line: what it writes, what it says, and how it refuses."""

import ast
import contextlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pytest
import soundfile
import torch

import glowtron
from glowtron import Voice
from glowtron.audio import FILE_FORMATS, AudioEncoder
from glowtron.cli import glowtron as command
from glowtron.cli import main, parameter_flags, with_flags
from glowtron.cli.jobs import FORMATS
from glowtron.cli.options import RENAMED_OPTIONS, with_new_names
from glowtron.synthesis import executors
from glowtron.train.recipe import names

GLOWTRON = [sys.executable, "-m", "glowtron"]
PACKAGE = Path(glowtron.__file__).parent
SAMPLES = 20 * 256
"""What the tiny voice says on each sentence."""


class Result(NamedTuple):
    status: int
    out: str
    err: str


def runner(capture, monkeypatch, folder):
    """Runs a command in a folder, within this process, where standard output is a file."""
    monkeypatch.chdir(folder)

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return Result(exit_.value.code, *capture.readouterr())

    return run


@pytest.fixture
def run(capfd, monkeypatch, tmp_path):
    """Run a command in an empty folder."""
    return runner(capfd, monkeypatch, tmp_path)


@pytest.fixture
def run_binary(capfdbinary, monkeypatch, tmp_path):
    """Run a command in an empty folder; what it writes is bytes."""
    return runner(capfdbinary, monkeypatch, tmp_path)


@pytest.fixture
def say(run, tiny_voice):
    return lambda *arguments, **more: run("say", "--voice", tiny_voice, "--device", "cpu", *arguments, **more)


@pytest.fixture
def endless_voice(tiny_voice, tmp_path):
    voice = Voice.load(tiny_voice, device="cpu")
    with torch.no_grad():
        voice.acoustic.stop.bias.fill_(-100.0)
    voice.config.__dict__["decoding"].__dict__["max_frames"] = 40
    voice.save(tmp_path / "endless")
    return tmp_path / "endless"


def tone(path, rate=22_050, channels=1, seconds=0.5):
    wave = 0.3 * np.sin(np.arange(int(rate * seconds)) / 15)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate)
    return path


def assert_refused(result, message, *absent):
    """One line that says so, exit status 2, and no file."""
    assert result.status == 2
    assert result.out == ""
    assert re.fullmatch(rf"glowtron: error: [^\n]*{message}[^\n]*\n", result.err), result.err
    for name in absent:
        assert not os.path.lexists(name)


class TestSay:
    def test_writes_the_file_and_says_how_long_it_is(self, say):
        result = say("Hello, world.", "-o", "out.wav")
        assert result.status == 0
        assert re.fullmatch(r"out\.wav: 0\.23 s of audio in \d+\.\d\d s \(real-time factor \d+\.\d+\)\n", result.out)
        assert result.err == ""
        samples, rate = soundfile.read("out.wav")
        assert (len(samples), rate) == (SAMPLES, 22_050)
        assert os.listdir() == ["out.wav"]

    def test_words_need_no_quotes_and_the_output_has_a_default(self, say):
        assert say("Hello", "there,", "world.").status == 0
        assert os.listdir() == ["speech.wav"]

    @pytest.mark.parametrize("source", ["file", "dash", "file-dash", "piped"])
    def test_text_comes_from_a_file_or_standard_input(self, say, source):
        text = "\ufeffHello. Again.".encode()
        Path("text.txt").write_bytes(text)
        arguments = {"file": ["--file", "text.txt"], "dash": ["-"], "file-dash": ["-f", "-"], "piped": []}[source]
        assert say(*arguments, "-o", "out.flac", "--pause", "0", stdin=text).status == 0
        assert soundfile.info("out.flac").frames == 2 * SAMPLES

    @pytest.mark.parametrize("to", [["-o", "x.wav"], ["-o", "-"]])
    def test_subtitles_are_written(self, say, to):
        for format in ("srt", "vtt", "json"):
            assert say("One. Two.", *to, "--subtitles", f"y.{format}", "--pause", "0.5").status == 0
        assert Path("y.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:00,232\nOne.\n\n2\n00:00:00,732 --> ")
        assert Path("y.vtt").read_text().startswith("WEBVTT\n\n00:00:00.000 --> 00:00:00.232\nOne.\n\n")
        assert [caption["text"] for caption in json.loads(Path("y.json").read_text())] == ["One.", "Two."]

    def test_each_sound_has_its_subtitles(self, say):
        assert say("One.\nTwo.", "--each-line", "-o", "lines", "--subtitles", "srt").status == 0
        assert sorted(os.listdir("lines")) == ["0001.srt", "0001.wav", "0002.srt", "0002.wav"]
        say("Two.", "-o", "alone.wav", "--subtitles", "srt")
        assert Path("alone.srt").read_text() == Path("lines/0002.srt").read_text()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["Hello.", "--subtitles", "x.txt"], "x.txt: subtitles are srt, vtt, json files"),
            (["Hello.", "--subtitles", "no/x.srt"], "no/x.srt: cannot be written"),
            (["Hello.", "-o", "-", "--subtitles", "srt"], "standard output has no name"),
            (["A.\nB.", "--each-line", "--subtitles", "x.srt"], "give --subtitles srt alone"),
            (["Hello.", "--subtitles", "srt", "--workers", "2"], "subtitles come from one process"),
        ],
    )
    def test_subtitles_that_cannot_be_are_refused(self, say, arguments, message):
        assert_refused(say(*arguments), message, "speech.wav", "speech")

    def test_text_may_be_utf_16(self, say):
        for i, encoding in enumerate(("utf-16", "utf-16-be", "utf-16-le")):
            data = "\ufeffHello.".encode(encoding) if encoding != "utf-16" else "Hello.".encode(encoding)
            assert say("-o", f"{i}.wav", stdin=data).status == 0
        assert Path("0.wav").read_bytes() == Path("1.wav").read_bytes() == Path("2.wav").read_bytes()

    def test_text_may_begin_with_a_minus_sign(self, say):
        say("-o", "plain.wav", "--", "-5 degrees")
        for i, words in enumerate((["-5 degrees"], ["-5", "degrees"], ["--rate", "1", "-5 degrees"])):
            assert say(*words, "-o", f"{i}.wav").status == 0
            assert Path(f"{i}.wav").read_bytes() == Path("plain.wav").read_bytes()
        assert_refused(say("-x"), "-x", "speech.wav")
        assert_refused(say("Hello.", "--rate", "-5"), "rate", "speech.wav")

    @pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3", "opus"])
    def test_formats_by_suffix_and_by_name(self, say, format):
        assert say("Hello.", "-o", f"named.{format}").status == 0
        assert say("Hello.", "--format", format).status == 0
        assert say("Hello.", "--format", format, "-o", "bare").status == 0
        kinds = {soundfile.info(name).format_info for name in (f"named.{format}", f"speech.{format}", "bare")}
        assert len(kinds) == 1
        assert say("One.\nTwo.", "--each-line", "--format", format, "-o", "lines").status == 0
        assert os.listdir("lines") and all(name.endswith(f".{format}") for name in os.listdir("lines"))

    def test_all_formats_are_known_to_both(self):
        assert FORMATS == FILE_FORMATS

    def test_a_suffix_of_another_format_is_refused(self, say):
        assert_refused(say("Hello.", "-o", "x.wav", "--format", "mp3"), "x.wav is to be mp3", "x.wav")

    def test_equal_seeds_write_equal_files(self, say):
        for name, seed in (("a.wav", 1), ("b.wav", 1), ("c.wav", 2)):
            say("Hello.", "-o", name, "--seed", seed)
        a, b, c = (Path(name).read_bytes() for name in ("a.wav", "b.wav", "c.wav"))
        assert a == b != c

    @pytest.mark.parametrize(
        "options",
        [("--speaker", "bob"), ("--vocoder", "griffin-lim"), ("--sigma", "0.2"), ("--denoise", "1"), ("--rate", "0.8")],
    )
    def test_every_option_is_heard(self, say, options):
        say("Hello.", "-o", "plain.wav")
        assert say("Hello.", "-o", "other.wav", *options).status == 0
        assert Path("plain.wav").read_bytes() != Path("other.wav").read_bytes()

    def test_quiet_prints_nothing(self, say):
        assert say("One. Two. Three. Four.", "-o", "out.wav", "--quiet") == (0, "", "")

    def test_long_text_shows_progress(self, say):
        result = say(" ".join(["Say this."] * 20), "-o", "out.wav")
        assert "20/20" in result.err or "sentence" in result.err
        assert "out.wav: " in result.out

    def test_of_many_files_only_lines_are_said_where_there_is_no_terminal(self, say):
        result = say("one\ntwo\nthree\nfour", "--each-line", "-o", "lines")
        assert result.err == ""
        *files, last = result.out.splitlines()
        assert files == [f"lines/000{i}.wav: 0.23 s of audio" for i in (1, 2, 3, 4)]
        assert re.fullmatch(r"4 files, 0\.93 s of audio in \d+\.\d\d s: \d+\.\d times real time", last)

    def test_a_sentence_cut_by_the_limit_is_reported_by_its_text(self, run, endless_voice):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            result = run("say", "--voice", endless_voice, "Fine words. Endless ones.", "-o", "x.wav", "--device", "cpu")
        assert result.status == 0
        first, second = result.err.splitlines()
        assert first.startswith("glowtron: warning: ") and "40 frames" in first and "'Fine words.'" in first
        assert "'Endless ones.'" in second


class TestEachLine:
    def test_output_i_answers_line_i(self, say):
        lines = ["First line.", "", "Third line. With two sentences.", "   ", "Fifth."]
        result = say("--each-line", "-o", "lines", "--pause", "0", stdin="\n".join(lines).encode())
        assert result.status == 0
        assert sorted(os.listdir("lines")) == ["0001.wav", "0003.wav", "0005.wav"]
        assert [line.split(":")[0] for line in result.out.splitlines()[:-1]] == [f"lines/000{i}.wav" for i in (1, 3, 5)]
        assert [soundfile.info(f"lines/000{i}.wav").frames // SAMPLES for i in (1, 3, 5)] == [1, 2, 1]

    def test_each_is_what_it_would_be_alone(self, say):
        say("--each-line", "-o", "all", stdin=b"First line.\nSecond line.\n")
        say("Second line.", "-o", "alone.wav")
        among, alone = (soundfile.read(name)[0] for name in ("all/0002.wav", "alone.wav"))
        assert np.abs(among - alone).max() < 1e-3, "which rounding makes of other company"

    def test_a_pattern_names_the_files(self, say):
        assert say("--each-line", "-o", "deep/in/take-{}.ogg", stdin=b"One.\nTwo.\n").status == 0
        assert sorted(os.listdir("deep/in")) == ["take-0001.ogg", "take-0002.ogg"]

    def test_a_bad_line_is_named_before_anything_is_written(self, say):
        result = say("--each-line", "-o", "lines", stdin=b"Fine.\n{HH AH0 LOW}\n")
        assert_refused(result, "line 2: .*no ARPAbet phone", "lines")

    def test_a_line_with_nothing_to_speak_is_passed_over(self, say):
        result = say("--each-line", "-o", "lines", stdin=b"Fine.\n***\nWell, {NAME}.\n")
        assert result.status == 0 and sorted(os.listdir("lines")) == ["0001.wav", "0003.wav"]
        assert "glowtron: warning: line 2: passed over: nothing speakable in '***'" in result.err
        assert_refused(say("--each-line", "-o", "none", stdin=b"***\n...\n"), "line 1: nothing speakable", "none")

    def test_no_lines_is_an_error(self, say):
        assert_refused(say("--each-line", stdin=b"\n \n"), "no line", "speech")

    def test_standard_output_takes_one_sound_only(self, say):
        assert_refused(say("--each-line", "-o", "-", stdin=b"One.\nTwo.\n"), "folder")


class TestSeveralFiles:
    @pytest.fixture(autouse=True)
    def texts(self, run):
        """In the folder of `run`."""
        for name, text in {"b.txt": "One. Two.", "a.md": "Three.\n\nFour.\nFive.", "empty.txt": " \n"}.items():
            Path(name).write_text(text)
        Path("other").mkdir()
        Path("other/b.txt").write_text("Another.")

    def test_each_becomes_a_sound_of_its_name_in_their_order(self, say):
        result = say("-f", "b.txt", "-f", "a.md", "-o", "sounds", "--pause", "0")
        assert result.status == 0 and result.err == ""
        *files, last = result.out.splitlines()
        assert [line.split(":")[0] for line in files] == ["sounds/b.wav", "sounds/a.wav"]
        assert last.startswith("2 files, 1.16 s of audio in ")
        assert sorted(os.listdir("sounds")) == ["a.wav", "b.wav"]
        assert soundfile.info("sounds/b.wav").frames == 2 * SAMPLES
        say("-f", "a.md", "-o", "alone.wav", "--pause", "0")
        among, alone = (soundfile.read(name)[0] for name in ("sounds/a.wav", "alone.wav"))
        assert np.abs(among - alone).max() < 1e-3, "which rounding makes of other company"

    def test_their_lines_too(self, say):
        assert say("-f", "b.txt", "-f", "a.md", "--each-line", "-o", "new/take-{}.flac").status == 0
        assert sorted(os.listdir("new")) == [f"take-{name}.flac" for name in ("a-0001", "a-0003", "a-0004", "b-0001")]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("-f", "b.txt", "-f", "other/b.txt"), "b.txt and other/b.txt would become files of one name"),
            (("-f", "b.txt", "-f", "b.txt", "--each-line"), "b.txt and b.txt would become files of one name"),
            (("-f", "b.txt", "-f", "empty.txt"), "empty.txt: nothing to say"),
            (("-f", "b.txt", "-f", "empty.txt", "--each-line"), "empty.txt: nothing to say: no line"),
            (("-f", "b.txt", "-f", "-"), "standard input has no name"),
            (("-f", "b.txt", "-f", "a.md", "-o", "-"), "more than one --file writes files"),
            (("-f", "b.txt", "-f", "a.md", "-o", "x.wav"), r"name them as in x-\{\}.wav"),
            (("-f", "b.txt", "-f", "gone.txt"), "gone.txt: cannot be read"),
            (("Words.", "-f", "b.txt", "-f", "a.md"), "both TEXT and --file"),
        ],
    )
    def test_what_cannot_be_is_refused(self, say, arguments, message):
        assert_refused(say(*arguments), message, "speech", "speech.wav")

    def test_a_bad_line_is_named_with_its_file(self, say):
        Path("bad.txt").write_text("Fine.\n{HH AH0 LOW}\n", encoding="utf-8")
        assert_refused(say("-f", "b.txt", "-f", "bad.txt", "--each-line"), "bad.txt: line 2: ", "speech")


def children(pid):
    """Processes that this one has started and that live."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


class TestWorkers:
    def test_a_stream_has_one(self, say):
        assert_refused(say("Hello.", "--stream", "--workers", "2"), "a stream comes from one process")

    @pytest.mark.slow
    @pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked for in /proc")
    def test_interrupted_they_have_said_the_same_in_the_same_order_and_none_is_left(self, say, tiny_voice, tmp_path):
        lines = [f"Line {i}. And more." for i in range(2_000)]
        (tmp_path / "lines.txt").write_text("\n".join(lines))
        arguments = ["-f", "lines.txt", "--each-line", "--voice", tiny_voice, "--workers", "2", "--device", "cpu"]
        process = subprocess.Popen(
            [*GLOWTRON, "say", *arguments],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts in the background ignores Ctrl-C, and so would all that these tests start.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        for i in range(1, 21):
            assert process.stdout.readline().startswith(f"speech/{i:04}.wav: ")
        workers = children(process.pid)
        assert len(workers) == 2
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert not set(workers) & {int(path.name) for path in Path("/proc").glob("[0-9]*")}
        # Where the machine is slow, a progress bar is above it.
        assert (process.returncode, err.strip().splitlines()[-1].strip()) == (130, "glowtron: interrupted")
        sounds = sorted((tmp_path / "speech").iterdir())
        assert [path.name for path in sounds] == [f"{i:04}.wav" for i in range(1, len(sounds) + 1)]
        stdin = "\n".join(lines[: len(sounds)]).encode()
        assert say("--each-line", "-o", "by-one", "--workers", "1", stdin=stdin).status == 0
        for path in sounds:
            here, there = (soundfile.read(one)[0] for one in (tmp_path / "by-one" / path.name, path))
            assert np.abs(here - there).max() < 1e-3

    def test_killed_its_files_are_whole_and_none_is_left(self, say, monkeypatch):
        workers, start = [], executors._start

        def start_and_remember():
            worker = start()
            workers.append(worker.process)
            return worker

        def kill_once_something_is_said():
            while not Path("speech/0001.wav").exists():
                time.sleep(0.005)
            workers[0].kill()

        monkeypatch.setattr(executors, "_start", start_and_remember)
        killer = threading.Thread(target=kill_once_something_is_said, daemon=True)
        killer.start()
        status, _, err = say("--each-line", "--workers", "2", stdin=b"Say it. And again.\n" * 1_000)
        killer.join(60)
        assert (status, len(workers)) == (2, 2) and all(worker.poll() is not None for worker in workers)
        assert re.search(r"glowtron: error: a worker was killed \(SIGKILL\)[^\n]*\n\Z", err), err
        sounds = sorted(Path("speech").iterdir())
        assert [path.name for path in sounds] == [f"{i:04}.wav" for i in range(1, len(sounds) + 1)]
        assert all(soundfile.info(path).frames > 2 * SAMPLES for path in sounds)


class TestRawOutput:
    @pytest.fixture
    def speak(self, run_binary, tiny_voice):
        return partial(run_binary, "say", "One. Two.", "--voice", tiny_voice, "--device", "cpu")

    def test_is_the_same_sound(self, speak):
        raw = speak("-o", "-")
        assert raw.status == 0 and raw.err.decode().startswith("standard output: ")
        assert speak("-o", "out.wav").status == 0
        samples, _ = soundfile.read("out.wav", dtype="int16")
        # One at a time its sentences are rounded otherwise than together.
        streamed = np.frombuffer(raw.out, "<i2")
        assert streamed.shape == samples.shape and np.abs(streamed.astype(int) - samples).max() <= 1

    def test_has_a_format(self, speak):
        raw = speak("-o", "-").out
        for output in (["-o", "-", "--format", "wav"], ["--stream", "--format", "wav"], ["-o", "/dev/stdout"]):
            wav = speak(*output)
            assert wav.status == 0 and wav.err.decode().startswith("standard output: ")
            assert wav.out[:4] == b"RIFF" and wav.out[44:] == raw
        Path("x.opus").write_bytes(speak("-o", "-", "--format", "opus").out)
        assert soundfile.info("x.opus").subtype == "OPUS"

    def test_is_kept_for_sound_where_it_is_asked_to_be(self, speak):
        status, out, err = speak()
        assert (status, out) == (0, b"") and err.startswith(b"speech.wav: ")
        assert soundfile.info("speech.wav").duration > 0

    def test_a_named_pipe_is_written_into(self, speak):
        os.mkfifo("pipe")
        with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
            assert speak("-o", "pipe").status == 0
            data = reader.communicate(timeout=30)[0]
        assert soundfile.read(io.BytesIO(data))[1] == 22_050

    def test_ends_quietly_when_the_reader_has_enough(self, tiny_voice):
        text = " ".join(["Say this again."] * 200)
        process = subprocess.Popen(
            [*GLOWTRON, "say", "-", "--quiet", "--voice", tiny_voice, "-o", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        process.stdin.write(text.encode())
        process.stdin.close()
        assert len(process.stdout.read(1000)) == 1000
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
        process.stderr.close()


class TestRefusals:
    @pytest.mark.parametrize("text", ["", "   ", "?!", "\N{HORIZONTAL ELLIPSIS}", "\N{GRINNING FACE}"])
    def test_nothing_to_speak(self, say, text):
        assert_refused(say(text, "-o", "out.wav"), "(nothing|no )", "out.wav")

    def test_empty_standard_input(self, say):
        assert_refused(say("-", "-o", "out.wav"), "empty", "out.wav")

    def test_an_empty_text_needs_no_voice_to_be_refused(self, run):
        assert_refused(run("say", "  ", "--voice", "nobody"), "the text is empty", "speech.wav")

    def test_unknown_voice(self, run):
        assert_refused(run("say", "Hello.", "--voice", "nobody"), "no voice 'nobody'", "speech.wav")

    def test_a_folder_that_is_no_voice(self, run, tmp_path):
        assert_refused(run("say", "Hello.", "--voice", tmp_path), "voice.json", "speech.wav")

    def test_unknown_speaker(self, say):
        assert_refused(say("Hello.", "--speaker", "carl"), "no speaker 'carl' .*ann, bob", "speech.wav")

    @pytest.mark.parametrize("name", ["no/such/folder/out.wav", "out.mp9", "out", ".", "/dev/null/out.wav"])
    def test_unwritable_output_is_told_before_the_voice_is_loaded(self, run, name):
        result = run("say", "Hello.", "--voice", "nobody", "-o", name)
        assert "nobody" not in result.err
        assert_refused(result, re.escape(name))
        assert os.listdir() == []

    def test_a_folder_for_lines_that_is_a_file(self, run):
        Path("taken").touch()
        assert_refused(run("say", "--voice", "nobody", "--each-line", "-o", "taken/in", stdin=b"One."), "taken")

    def test_a_folder_without_permission(self, run, tmp_path):
        if os.geteuid() == 0:
            pytest.skip("root may write anywhere")
        (tmp_path / "closed").mkdir(mode=0o500)
        assert_refused(run("say", "Hello.", "--voice", "nobody", "-o", "closed/out.wav"), "permission")

    def test_text_and_file_together(self, run):
        assert_refused(run("say", "Hello.", "--file", "text.txt"), "both")

    def test_a_text_file_that_is_not_there(self, run):
        assert_refused(run("say", "--file", "text.txt"), "text.txt: cannot be read: No such file")

    def test_a_text_file_that_is_no_text(self, run):
        Path("text.txt").write_bytes(b"Caf\xe9 au lait")
        assert_refused(run("say", "--file", "text.txt"), r"text.txt: is not UTF-8 text \(byte 3\)", "speech.wav")

    @pytest.mark.parametrize(
        "arguments",
        [("--sigma", "-1"), ("--sigma", "nan"), ("--sigma", "much"), ("--denoise", "inf"), ("--seed", "1.5"),
         ("--seed", "-1"), ("--pause", "nan"), ("--vocoder", "waveglue"), ("--device", "abacus")],
    )  # fmt: skip
    def test_values_out_of_range(self, say, arguments):
        assert_refused(say("Hello.", *arguments), f"{arguments[0].strip('-')}.*", "speech.wav")

    def test_misspelt_options_and_commands_name_the_nearest(self, run):
        assert_refused(run("say", "Hello.", "--sigmaa", "1"), "--sigma'")
        assert_refused(run("speak", "Hello."), "no command 'speak'")
        assert_refused(run("vocodee"), r"did you mean 'vocode'\?")
        assert_refused(run("--versio"), "--version")


class TestVocode:
    def test_keeps_the_length(self, run, tiny_voice):
        tone("in.wav")
        result = run("vocode", "in.wav", "-o", "out.wav", "--voice", tiny_voice)
        assert result.status == 0
        assert result.err == ""
        assert soundfile.info("out.wav").frames == soundfile.info("in.wav").frames

    def test_converts_and_says_so(self, run, tiny_voice):
        tone("in.flac", rate=48_000, channels=2)
        result = run("vocode", "in.flac", "-o", "out.wav", "--voice", tiny_voice)
        assert result.status == 0
        assert result.err == "in.flac: converted from 48000 Hz stereo to 22050 Hz mono\n"
        info = soundfile.info("out.wav")
        assert (info.samplerate, info.channels) == (22_050, 1)
        assert info.duration == pytest.approx(0.5, abs=0.01)

    def test_reads_a_pipe_and_writes_one(self, run_binary, tiny_voice, tmp_path):
        samples = (0.3 * np.sin(np.arange(11_025) / 15)).astype(np.float32)
        arguments = ["vocode", "-", "-o", "-", "--format", "flac", "--voice", tiny_voice]
        for format in ("wav", "flac", "mp3"):
            encoder = AudioEncoder(22_050, format)
            sound = encoder.encode(samples) + encoder.finish()
            if format == "mp3":  # One of them by real pipes.
                done = subprocess.run([*GLOWTRON, *arguments], input=sound, capture_output=True, check=True)
                out, err = done.stdout, done.stderr
            else:
                _, out, err = run_binary(*arguments, stdin=sound)
            info = soundfile.info(io.BytesIO(out))
            assert (info.format, info.samplerate) == ("FLAC", 22_050)
            assert 0 <= info.frames - len(samples) < (3_000 if format == "mp3" else 1)  # MP3 has whole blocks.
            assert b"standard output: 0." in err
            assert os.listdir(tmp_path) == []

    def test_a_format_goes_before_the_suffix(self, run, tiny_voice):
        assert run("vocode", tone("in.wav"), "-o", "out", "--format", "flac", "--voice", tiny_voice).status == 0
        assert soundfile.info("out").format == "FLAC"
        assert_refused(run("vocode", "in.wav", "-o", "out.wav", "--format", "mp3"), "out.wav is to be mp3", "out.wav")

    def test_refuses_an_empty_pipe_and_a_cut_one(self, run, tiny_voice):
        assert_refused(run("vocode", "-", "-o", "out.wav", stdin=b""), "standard input: is empty", "out.wav")
        tone("in.wav")
        cut = Path("in.wav").read_bytes()[:9_000]
        assert_refused(run("vocode", "-", "-o", "out.wav", stdin=cut), "standard input: cut short", "out.wav")

    def test_refuses_what_is_no_sound(self, run):
        Path("in.wav").write_text("This is a text.")
        assert_refused(run("vocode", "in.wav", "-o", "out.wav"), "in.wav: not a sound file", "out.wav")

    def test_refuses_nan(self, run):
        soundfile.write("in.wav", np.array([0.0, np.nan, 0.1]), 22_050, subtype="FLOAT")
        assert_refused(run("vocode", "in.wav", "-o", "out.wav"), "in.wav: holds NaN", "out.wav")

    def test_refuses_a_missing_file_and_an_unwritable_output(self, run):
        assert_refused(run("vocode", "in.wav", "-o", "out.wav"), "in.wav: no such file", "out.wav")
        assert_refused(run("vocode", tone("in.wav"), "-o", "no/out.wav"), "no/out.wav")
        assert_refused(run("vocode", "in.wav"), "--output")


class TestVoices:
    def test_shows_a_folder(self, run, tiny_voice):
        result = run("voices", tiny_voice)
        assert result.status == 0
        for fact in ("tiny", "ann, bob", "waveglow", "22050 Hz", "acoustic.safetensors"):
            assert fact in result.out

    def test_metrics_are_written_for_people(self, run, tiny_voice):
        shutil.copytree(tiny_voice, "voice")
        told = json.loads(Path("voice/voice.json").read_text(encoding="utf-8"))
        told["metrics"] = {"words": {"real": 0.78912, "spoken": 1}, "pesq": 2.5, "by": "ear"}
        Path("voice/voice.json").write_text(json.dumps(told), encoding="utf-8")
        out = run("voices", "voice").out
        for line in ("metric words:    real 0.7891, spoken 1\n", "metric pesq:     2.5\n", "metric by:       ear\n"):
            assert line in out

    def test_refuses_other_folders(self, run, tmp_path):
        assert_refused(run("voices", tmp_path), "voice.json")
        assert_refused(run("voices", "nobody"), "no voice 'nobody'")


class TestOtherCommands:
    def test_import_refuses_what_is_no_checkpoint(self, run):
        Path("weights.pt").write_text("This is a text.")
        assert_refused(run("import", "weights.pt", "-o", "voice"), "weights.pt", "voice")
        assert_refused(run("import", "nothing.pt", "-o", "voice"), "nothing.pt", "voice")
        assert_refused(run("import", "nothing.pt", "-o", "weights.pt"), "weights.pt")
        assert_refused(run("import", "-o", "voice"), "FILE")

    def test_import_makes_a_voice_that_vocodes(self, run, parity):
        assert run("import", parity("waveglow_2020_09_02.pt"), "-o", "voice").status == 0
        assert run("voices", "voice").status == 0
        assert run("vocode", tone("in.wav"), "-o", "out.wav", "--voice", "voice").status == 0
        assert soundfile.info("out.wav").frames == soundfile.info("in.wav").frames
        assert_refused(run("say", "Hello.", "--voice", "voice", "-o", "no.wav"), "no acoustic model", "no.wav")

    @pytest.mark.slow
    def test_from_recordings_to_speech(self, run, tiny_corpus):
        training = {"batch_size": 2, "max_steps": 2, "validation_clips": 2, "precision": "fp32"}
        sizes = {"embedding_channels": 8, "encoder_channels": 8, "prenet_channels": 8, "attention_rnn_channels": 8,
                 "attention_channels": 8, "decoder_rnn_channels": 8, "postnet_channels": 8}  # fmt: skip
        flow = {"analysis": {"type": "lapped"}, "early_size": 0, "n_flows": 2, "wavenet": {"n_channels": 8}}
        configs = {
            "acoustic": {"acoustic": {"model": sizes}, "training": training},
            "vocoder": {"vocoder": flow, "training": training, "segment_length": 2048},
        }
        for kind, config in configs.items():
            Path(f"{kind}.json").write_text(json.dumps(config), encoding="utf-8")
            result = run("train", kind, "--config", f"{kind}.json", "--data", f"me={tiny_corpus}", "--run", kind, "-q",
                         "--device", "cpu")  # fmt: skip
            assert result.status == 0, result.err
        assert run("export", "acoustic", "vocoder", "-o", "voice").status == 0
        assert "me" in run("voices", "voice").out
        arguments = [*GLOWTRON, "say", "Hello.", "--voice", "voice", "-o", "out.wav"]
        assert subprocess.run(arguments, capture_output=True, check=False).returncode == 0
        assert soundfile.info("out.wav").frames > 0

    def test_train_names_the_recipes_that_ship(self, run):
        text = run("train", "--help").out
        assert all(name in text for name in names())

    def test_train_refuses_before_it_begins(self, run, tiny_corpus):
        train = ("train", "vocoder", "--data", tiny_corpus, "--run", "run")
        assert_refused(run(*train, "--config", "compact-vocodr"), "did you mean 'compact-vocoder'", "run")
        assert_refused(
            run(*train, "--config", "compact-vocoder", "--set", "training.batchsize=2"),
            "did you mean 'batch_size'", "run",
        )  # fmt: skip
        assert_refused(run("train", "vocoder", "--config", "waveglow", "--data", "none", "--run", "run"), "none", "run")
        assert_refused(run(*train, "--config", "waveglow", "--data", "=x"), "SPEAKER=FOLDER", "run")
        assert_refused(run(*train, "--config", "waveglow", "--device", "tpu"), "'tpu' is not one of", "run")
        assert_refused(run(*train, "--config", "waveglow", "--alignments", "a"), "for acoustic models", "run")
        assert_refused(run("train", "vocodr"), "'vocodr' is not one of")

    def test_align_refuses_a_folder_without_recordings(self, run, tmp_path):
        assert_refused(run("align", tmp_path), "metadata.csv", tmp_path / "alignments.jsonl")

    def test_export_refuses_what_is_no_run(self, run):
        assert_refused(run("export", "no-run", "-o", "voice"), "no-run", "voice")


class TestHelp:
    @pytest.mark.parametrize("name", [None, *command.commands])
    def test_has_examples(self, run, name):
        result = run(*([] if name is None else [name]), "--help")
        assert result.status == 0
        assert "Examples:\n    glowtron " in result.out
        assert max(map(len, result.out.splitlines())) <= 100

    def test_no_arguments_is_help(self, run):
        assert run().status == 0

    def test_answers_at_once_and_without_torch(self):
        code = (
            "import sys; from glowtron.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.endswith("False\n")
        # Of processor time, since whatever else the machine does would count in a clock's. Torch alone takes over 2 s.
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1


def errors_in(path):
    """Every text within a raise statement of a source file, with its line."""
    for statement in ast.walk(ast.parse(path.read_text("utf-8"))):
        for node in ast.walk(statement) if isinstance(statement, ast.Raise) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value


# `vendor` is the command line of other projects' programs, and names their flags.
COMMAND_LINES = ("cli", "vendor")
LIBRARY = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in COMMAND_LINES]


def test_the_library_names_parameters_and_no_flags():
    flag = re.compile(r"(?<![\w-])--[a-z][a-z-]*\b")
    command_of_another = re.compile(r"`(?!glowtron)\w+ [^`]*`")
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for path in LIBRARY
        for line, text in errors_in(path)
        if flag.search(command_of_another.sub("", text))
    ]
    assert not found


def test_every_parameter_that_the_library_names_in_an_error_has_a_flag():
    flags = parameter_flags(command)
    found = {
        name: f"{path.relative_to(PACKAGE)}:{line}"
        for path in LIBRARY
        for line, text in errors_in(path)
        for name in re.findall(r"`(\w+)`", text)
        if name not in flags
    }
    assert not found


def test_a_parameter_that_an_error_names_has_one_flag_in_all_commands():
    named = {name for path in LIBRARY for _, text in errors_in(path) for name in re.findall(r"`(\w+)`", text)}

    def pairs(group):
        for one in group.params:
            if isinstance(one, click.Option) and one.name in named:
                yield str(one.name), max(one.opts, key=len)
        for inner in group.commands.values() if isinstance(group, click.Group) else ():
            yield from pairs(inner)

    assert len(set(pairs(command))) == len(dict(pairs(command)))


def test_errors_of_the_library_speak_in_flags_on_the_command_line():
    assert with_flags("give `init_from` or `nothing`") == "give --init-from or `nothing`"
    assert with_flags("`changes` sigma=2: give `training.precision=bf16`") == (
        "--set sigma=2: give --set training.precision=bf16"
    )
    assert with_flags("make them with `glowtron align`") == "make them with `glowtron align`"


def all_options(group):
    """Names of options of a command and its subcommands."""
    for one in group.params:
        yield from one.opts
    for inner in group.commands.values() if isinstance(group, click.Group) else ():
        yield from all_options(inner)


@pytest.mark.parametrize(
    ("name", "former", "present"),
    [(name, *pair) for name, options in RENAMED_OPTIONS.items() for pair in options.items()],
)
def test_former_options_work_for_a_release_with_a_warning(name, former, present, capsys):
    options = set(all_options(command.commands[name]))
    assert present in options and former not in options
    assert with_new_names(name, ["x", former, f"{former}=2", "--", former]) == [
        "x", present, f"{present}=2", "--", former
    ]  # fmt: skip
    assert capsys.readouterr().err == 2 * f"glowtron: warning: {former} is called {present} now\n"
