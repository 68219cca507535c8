"""Corpora in the layouts of Piper, NeMo and Hugging Face, lists from Windows, and readers with the same file names."""

import json
import shutil

import pytest
import soundfile

from glowtron.cli import main
from glowtron.data.durations import read_alignments, read_alignments_of
from glowtron.data.manifest import read_corpora, read_manifest, speakers_of, split
from glowtron.data.recordings import find_recordings
from glowtron.errors import InputError


def labels(clips):
    return [(clip.id, clip.speaker, clip.text) for clip in clips]


PIPER = [("tiny-0", "ann", "The first of all."), ("tiny-1", "bob", "Yes."), ("tiny-2", "ann", "The third one."),
         ("tiny-3", "bob", "And this is the last.")]  # fmt: skip


def test_pipers_speakers_are_not_merged(tiny_corpus):
    (tiny_corpus / "metadata.csv").write_text("".join(f"{'|'.join(row)}\n" for row in PIPER))
    assert labels(read_manifest(tiny_corpus)) == PIPER
    assert speakers_of([("speaker", tiny_corpus)]) == ["ann", "bob"]
    with pytest.raises(InputError, match="names the speaker in each line; leave 'me=' out"):
        read_manifest(tiny_corpus, "me")
    assert [(one.id, one.speaker, one.text) for one in find_recordings(tiny_corpus)][:4] == PIPER


@pytest.mark.parametrize(
    "lines",
    [
        ["tiny-0|1984|nineteen eighty four", "tiny-1|1985|nineteen eighty five", "tiny-2|Hi.|Hi."],
        ["tiny-0|Yes.|Yes.", "tiny-1|Yes.|Yes.", "tiny-2|No.|No."],
        ["tiny-0|No. 3.|Number three.", "tiny-1|No. 3.|Number three."],
        ["tiny-0|Oh|", "tiny-1|Oh|"],
        ["tiny-0|1984|nineteen eighty four"],
    ],
)
def test_normalised_texts_are_not_taken_for_a_speakers(tiny_corpus, lines):
    (tiny_corpus / "metadata.csv").write_text("\n".join(lines))
    clips = read_manifest(tiny_corpus)
    assert {clip.speaker for clip in clips} == {"speaker"}
    assert [clip.text for clip in clips] == [line.split("|")[2] or line.split("|")[1] for line in lines]


def test_a_list_may_have_the_speaker_before_the_text(tiny_corpus):
    rows = [f"wavs/tiny-{i}.{'wav' if i % 2 else 'flac'}|{i % 2}|It is number {i}." for i in range(4)]
    (tiny_corpus / "list.txt").write_text("\n".join(rows))
    assert labels(read_manifest(tiny_corpus / "list.txt"))[1] == ("tiny-1", "1", "It is number 1.")


def test_nemos_manifest_and_a_data_set_of_hugging_face(tiny_corpus):
    nemo = [
        {"audio_filepath": "wavs/tiny-0.flac", "duration": 0.2, "text": "No. 0", "normalized_text": "Number zero."},
        {"audio_filepath": "wavs/tiny-1.wav", "duration": 0.3, "text": "One.", "speaker": 7},
    ]
    path = tiny_corpus / "train_manifest.json"
    path.write_text("\n".join(json.dumps(row) for row in nemo))
    assert labels(read_manifest(path)) == [("tiny-0", "speaker", "Number zero."), ("tiny-1", "7", "One.")]
    (tiny_corpus / "metadata.csv").unlink()
    rows = [{"file_name": "wavs/tiny-1.wav", "transcription": "One.", "speaker": "ann"}]
    (tiny_corpus / "metadata.jsonl").write_text(json.dumps(rows[0]) + "\n", encoding="utf-16")
    assert labels(read_manifest(tiny_corpus)) == [("tiny-1", "ann", "One.")]
    assert speakers_of([("speaker", tiny_corpus)]) == ["ann"]
    (found,) = [one for one in find_recordings(tiny_corpus) if one.text]
    assert (found.id, found.speaker, found.text) == ("tiny-1", "ann", "One.")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[1]", "line 2: is not a JSON object"),
        ("wavs/tiny-1.wav|One.", "line 2: is not JSON"),
        ('{"text": "One."}', "line 2: names no recording; give its path as one of audio_filepath"),
        ('{"audio": {"bytes": ""}, "text": "One."}', "line 2: names no recording"),
        ('{"path": "wavs/tiny-1.wav", "text": 1}', "line 2: its text is no string"),
        ('{"path": "wavs/tiny-1.wav", "text": "x", "offset": 0.5}', "line 2: begins 0.5 s into its recording"),
    ],
)
def test_faulty_json_lines_are_named(tiny_corpus, line, said):
    path = tiny_corpus / "manifest.json"
    path.write_text(f'{{"audio_filepath": "wavs/tiny-0.flac", "text": "Zero."}}\n{line}\n')
    with pytest.raises(InputError) as error:
        read_manifest(path)
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("prefix", "root"), [("wavs\\", None), ("corpus\\wavs\\", ".."), ("C:\\Users\\me\\wavs\\", "."), ("D:", "wavs")]
)
def test_paths_of_windows_are_found(tiny_corpus, prefix, root):
    path = tiny_corpus / "list.txt"
    path.write_text(f"{prefix}tiny-1.wav|One.\r\n{prefix}tiny-3.wav|Three.\r\n", newline="")
    if prefix == "D:":  # Without a backslash this is a name like any other.
        with pytest.raises(InputError, match=r"D:tiny-1.wav is not in"):
            read_manifest(path, root=tiny_corpus / root)
        return
    clips = read_manifest(path, root=tiny_corpus / root if root else None)
    assert [clip.audio.resolve() for clip in clips] == [tiny_corpus / "wavs" / f"tiny-{i}.wav" for i in (1, 3)]
    assert [clip.id for clip in clips] == ["tiny-1", "tiny-3"]


def test_windows_paths_in_transcripts_of_recordings(tiny_corpus, tmp_path):
    transcript = tmp_path / "texts.txt"
    transcript.write_text("C:\\me\\wavs\\tiny-1.wav|The first.\nwavs\\tiny-3.wav|The second.\n")
    found = [one for one in find_recordings(tiny_corpus, transcript=transcript) if one.text]
    assert [(one.id, one.text) for one in found] == [("tiny-1", "The first."), ("tiny-3", "The second.")]


@pytest.fixture
def twins(tiny_corpus, tmp_path):
    """Two readers of the same sentences."""
    shutil.copytree(tiny_corpus, tmp_path / "other")
    return [("ann", tiny_corpus), ("bob", tmp_path / "other")]


def test_two_readers_may_have_the_same_file_names(twins):
    clips = read_corpora(twins)
    assert len({clip.id for clip in clips}) == 16
    assert (clips[0].id, clips[0].label, clips[8].id) == ("ann-tiny-0", "ann/tiny-0", "bob-tiny-0")
    # Who else takes part does not change what is kept for validation.
    alone = split(read_corpora(twins[:1]), 3, 1)[1]
    together = [clip for clip in split(clips, 3, 1)[1] if clip.speaker == "ann"]
    assert [clip.label for clip in alone] == [clip.label for clip in together]
    with pytest.raises(InputError, match=r"'tiny-0' is twice in the data of ann; rename one, or name another speaker"):
        read_corpora([("ann", twins[0][1]), ("ann", twins[1][1])])


def test_alignments_of_two_readers_are_told_apart(twins, alignments, tmp_path):
    other = tmp_path / "bob.jsonl"
    other.write_text(alignments.read_text().replace('"ends": [0.0', '"ends": [0.001'))
    clips = read_corpora(twins)
    found = read_alignments_of(clips, [("ann", alignments), ("bob", other)])
    assert found.keys() == {clip.id for clip in clips}
    assert found["ann-tiny-0"] == read_alignments(alignments)["tiny-0"]
    assert found["bob-tiny-0"] == read_alignments(other)["tiny-0"] != found["ann-tiny-0"]
    with pytest.raises(InputError, match=r"called 'tiny-0'; say whose these are: `alignments` ann="):
        read_alignments_of(clips, [alignments, other])
    assert read_alignments_of(read_corpora(twins[:1]), [alignments]) == read_alignments(alignments)


def test_the_command_trains_two_readers_and_says_what_it_resamples(twins, alignments, tmp_path, capfd):
    wave, _ = soundfile.read(twins[1][1] / "wavs" / "tiny-7.wav")
    soundfile.write(twins[1][1] / "wavs" / "tiny-7.wav", wave, 44_100, "PCM_16")
    sizes = ["vocoder.wavenet.n_channels=8", "vocoder.n_flows=2", "training.batch_size=2"]
    options = ["--set", "training.validation_clips=1", *(part for size in sizes for part in ("--set", size))]
    data = ["--data", f"ann={twins[0][1]}", "--data", f"bob={twins[1][1]}"]
    command = ["train", "vocoder", "--config", "compact-vocoder", *data, "--run", tmp_path / "run", "--device", "cpu"]
    with pytest.raises(SystemExit) as status:
        main([str(part) for part in [*command, *options, "--max-steps", 1]])
    assert status.value.code == 0
    assert "1 of 16 clips are resampled to 22050 Hz: 1 of 44100 Hz\n" in capfd.readouterr().err
    held_out = json.loads((tmp_path / "run" / "data.json").read_text())["held_out"]
    assert [label[:9] for label in held_out] == ["ann/tiny-", "bob/tiny-"]


def test_too_few_clips_for_validation_says_how_to_lower_it(tiny_corpus):
    with pytest.raises(InputError, match=r"cannot keep 20 of the 8 .*: `training.validation_clips=0`"):
        split(read_corpora([("ann", tiny_corpus)]), 20, 1)
