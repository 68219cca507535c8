"""Lists of path|text as the published programs have them."""

import shutil
from importlib import import_module
from pathlib import Path

import pytest

from glowtron.cli import main
from glowtron.data.manifest import Clip, read_corpora, read_manifest, speakers_of
from glowtron.errors import InputError


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def fails(action, *said):
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message


def audios(clips):
    return [clip.audio.resolve().name for clip in clips]


def test_paths_begin_in_the_list_s_folder_the_one_above_or_the_current_one(tiny_corpus, tmp_path, monkeypatch):
    lines = "corpus/wavs/tiny-1.wav|One, two.\r\n\ncorpus/wavs/tiny-0.flac|Zero.\n"
    expected = [("tiny-1", "One, two.", "ada"), ("tiny-0", "Zero.", "ada")]
    for place in (tmp_path, tmp_path / "filelists"):
        clips = read_manifest(write(place / "list.txt", lines), "ada")
        assert [(clip.id, clip.text, clip.speaker) for clip in clips] == expected
        assert audios(clips) == ["tiny-1.wav", "tiny-0.flac"]
    far = write(tmp_path / "far" / "away" / "list.txt", lines)
    fails(lambda: read_manifest(far), "list.txt", "corpus/wavs/tiny-1.wav", "`root`")
    monkeypatch.chdir(tmp_path)
    assert audios(read_manifest(far)) == ["tiny-1.wav", "tiny-0.flac"]


@pytest.mark.parametrize(
    ("prefix", "root"),
    [
        ("wavs/", "corpus"),
        ("corpus/wavs/", "."),
        ("corpus/wavs/", "corpus"),
        ("DUMMY/", "corpus/wavs"),
        ("/elsewhere/LJSpeech-1.1/wavs/", "corpus"),
        ("", "corpus/wavs"),
    ],
)
def test_a_root_takes_the_place_of_folders_that_are_not_there(tiny_corpus, tmp_path, prefix, root):
    listed = write(tmp_path / "lists" / "list.txt", f"{prefix}tiny-1.wav|One.\n{prefix}tiny-3.wav|Three.\n")
    clips = read_manifest(listed, root=tmp_path / root)
    assert [clip.audio for clip in clips] == [tiny_corpus / "wavs" / "tiny-1.wav", tiny_corpus / "wavs" / "tiny-3.wav"]


def test_a_root_means_the_same_for_every_line(tiny_corpus, tmp_path):
    """Else a missing file could be taken for another of its name."""
    listed = write(tmp_path / "list.txt", "wavs/tiny-1.wav|One.\nother/wavs/tiny-3.wav|Three.\n")
    fails(lambda: read_manifest(listed, root=tiny_corpus), "line 2", "other/wavs/tiny-3.wav")
    absolute = write(tmp_path / "absolute.txt", f"{tiny_corpus}/wavs/tiny-1.wav|One.\n")
    assert read_manifest(absolute)[0].audio == tiny_corpus / "wavs" / "tiny-1.wav"


def test_a_third_column_names_the_speaker(tiny_corpus, tmp_path):
    listed = write(tmp_path / "l.txt", "corpus/wavs/tiny-1.wav|One.|ann\ncorpus/wavs/tiny-3.wav|Three.| bob \n")
    assert [clip.speaker for clip in read_manifest(listed)] == ["ann", "bob"]
    fails(lambda: read_manifest(listed, "lj"), "l.txt", "leave 'lj=' out")
    assert speakers_of([("speaker", listed), ("lj", tiny_corpus), ("lj", tmp_path / "gone")]) == ["ann", "bob", "lj"]


def test_mels_stand_for_the_recordings_they_were_made_of(tiny_corpus, tmp_path):
    listed = write(tmp_path / "l.txt", "corpus/mels/tiny-0.pt|Zero.\ncorpus/mels/tiny-1.npy|One.\n")
    assert audios(read_manifest(listed)) == ["tiny-0.flac", "tiny-1.wav"]


def test_recordings_alone_do_where_no_text_is_needed(tiny_corpus, tmp_path):
    listed = write(tmp_path / "train_files.txt", "corpus/wavs/tiny-1.wav\ncorpus/wavs/tiny-3.wav\n")
    clips = read_corpora([("ada", listed)], needs_text=False)
    assert clips[0] == Clip("tiny-1", tmp_path / "corpus" / "wavs" / "tiny-1.wav", "", "ada")
    fails(lambda: read_corpora([("ada", listed)]), "'tiny-1'", "path|text")


def test_equal_names_in_several_folders_are_told_apart(tiny_corpus, tmp_path):
    for speaker in ("ann", "bob"):
        shutil.copytree(tiny_corpus / "wavs", tmp_path / speaker)
    listed = write(tmp_path / "l.txt", "ann/tiny-1.wav|One.\nbob/tiny-1.wav|One.\n")
    assert [clip.id for clip in read_manifest(listed)] == ["ann-tiny-1", "bob-tiny-1"]
    write(listed, "ann/tiny-1.wav|One.\nann/tiny-1.wav|One.\n")
    fails(lambda: read_manifest(listed), "line 2", "'ann-tiny-1'", "before")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("", ["holds no clips"]),
        ("a.wav|x\na.wav\n", ["line 2", "1 columns", "has 2"]),
        ("a.wav|x|y|z\n", ["line 1", "4 columns"]),
        ("a.wav| \n", ["line 1", "text is empty"]),
        ("a.wav|x|\n", ["line 1", "speaker is empty"]),
        ("|x\n", ["line 1", "path is empty"]),
        ("wavs/tiny-1.wav|x\nwavs/no.wav|x\nwavs/none.wav|x\n", ["line 2", "wavs/no.wav", "1 more clips"]),
        (b"wavs/tiny-1.wav|caf\xe9\n", ["line 1", "UTF-8"]),
    ],
)
def test_faults_are_named_by_file_and_line(tiny_corpus, lines, said):
    listed = write(tiny_corpus / "list.txt", lines)
    fails(lambda: read_manifest(listed), "list.txt", *said)


def test_a_corpus_s_own_transcripts_are_no_list(tiny_corpus):
    fails(lambda: read_manifest(tiny_corpus / "metadata.csv"), "metadata.csv", f"give {tiny_corpus}")


def test_one_id_in_two_sources_is_refused(tiny_corpus, tmp_path):
    listed = write(tmp_path / "l.txt", "corpus/wavs/tiny-1.wav|One.\n")
    fails(lambda: read_corpora([("ann", tiny_corpus), ("bob", listed)]), "'tiny-1'", "ann", "bob")


def test_published_lists_are_read_as_they_are(shared, tmp_path):
    """W: paths alone; T: DUMMY/ and a root; D: from where the corpus is."""
    wavs = sorted(shared("data/kathleen/wavs").glob("*.flac"))[:3]
    for i, style in enumerate(("{}", "DUMMY/{}|It has.", "kathleen/wavs/{}|It has.")):
        listed = write(tmp_path / f"{i}.txt", "".join(style.format(wav.name) + "\n" for wav in wavs))
        clips = read_manifest(listed, root=Path(shared("data/kathleen/wavs")) if i < 2 else shared("data"))
        assert [clip.audio for clip in clips] == wavs


class TestCommands:
    """Lists reach every command that reads recordings."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)

        def run(*arguments):
            with pytest.raises(SystemExit) as exit_:
                main([str(argument) for argument in arguments])
            return exit_.value.code, capsys.readouterr()

        return run

    @pytest.fixture
    def listed(self, tiny_corpus, tmp_path):
        rows = [f"DUMMY/tiny-{i}.{'wav' if i % 2 else 'flac'}|No. {i}.|{'ann' if i % 2 else 'bob'}\n" for i in range(8)]
        return write(tmp_path / "list.txt", "".join(rows))

    @pytest.fixture
    def tasks(self, monkeypatch):
        """The tasks that are trained."""
        from glowtron.train import loop

        tasks = []

        def record(task, *_, **__):
            tasks.append(task)
            return loop.Outcome(1, True, "max_steps")

        monkeypatch.setattr(loop, "train", record)
        return tasks

    def test_training(self, run, listed, tasks):
        options = ["--run", "run", "--set", "training.validation_clips=1", "--set", "vocoder.wavenet.n_channels=8"]
        status, said = run(
            *["train", "vocoder", "--config", "compact-vocoder", "--data", listed, "--root", "corpus/wavs", *options]
        )
        assert (status, said.err) == (0, "")
        clips = tasks[0].clips + tasks[0].validation_clips
        assert sorted(clip.speaker for clip in clips) == ["ann"] * 4 + ["bob"] * 4
        assert run("train", "vocoder", "--config", "compact-vocoder", "--data", listed, "--run", "other")[0] == 2

    def test_the_acoustic_model_has_the_list_s_speakers(self, run, listed, tasks, monkeypatch):
        calls = []
        monkeypatch.setattr(import_module("glowtron.cli.train"), "make_task", lambda *given: calls.append(given))
        given = ["--config", "tacotron2", "--data", listed, "--data", "cat=corpus", "--run", "run", "--root", "corpus"]
        assert run("train", "acoustic", *given)[0] == 0
        ((config, corpora, _),) = calls
        assert config.acoustic.speakers == ("bob", "ann", "cat")
        assert config.acoustic.model.n_speakers == 3
        assert corpora.root == Path("corpus")

    def test_texts_are_asked_for_only_where_they_are_read(self, run, listed, tiny_corpus):
        write(listed, "tiny-1.wav\n")
        status, said = run("align", listed, "--root", tiny_corpus / "wavs")
        assert status == 2
        assert "says nothing of its text" in said.err
