"""Recordings and their texts, found in folders as people keep them."""

import pytest

from glowtron.data.recordings import Recording, find_recordings
from glowtron.errors import InputError


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def fails(action, *said):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value), str(error.value)


def test_texts_lie_beside_recordings(tmp_path):
    write(
        tmp_path,
        a_dot_wav="",
        a_dot_txt="\ufeffOne,\r\n  two. ",
        b_dot_MP3="",
        b_dot_lab="Three",
        c_dot_flac="",
        notes_dot_txt="",
        _dot_hidden_dot_wav="",
    )
    assert find_recordings(tmp_path, speaker="ann") == [
        Recording("a", tmp_path / "a.wav", "One, two.", "One, two.", "ann"),
        Recording("b", tmp_path / "b.MP3", "Three", "Three", "ann"),
        Recording("c", tmp_path / "c.flac", "", "", "ann"),
    ]


def test_a_corpus_in_ljspeech_s_layout(tmp_path):
    write(tmp_path, metadata_dot_csv="x.1|No. 1|Number one\ny|Two|\n", wavs__x_dot_1_dot_flac="", wavs__z_dot_wav="")
    assert find_recordings(tmp_path) == [
        Recording("x.1", tmp_path / "wavs" / "x.1.flac", "No. 1", "Number one", "speaker"),
        Recording("y", None, "Two", "Two", "speaker"),
        Recording("z", tmp_path / "wavs" / "z.wav", "", "", "speaker"),
    ]


@pytest.mark.parametrize(
    ("columns", "line", "expected"),
    [
        (None, "sub/a.wav|One|bob", ("One", "One", "bob")),
        (None, "sub/a.wav|One", ("One", "One", "speaker")),
        ("id|text|normalised", "sub/a.wav|1|One", ("1", "One", "speaker")),
        ("id|text|normalised|speaker", "sub/a.wav|1|One|bob", ("1", "One", "bob")),
    ],
)
def test_a_file_of_paths_and_texts(tmp_path, columns, line, expected):
    write(tmp_path, sub__a_dot_wav="", texts_dot_txt=line)
    found = find_recordings(tmp_path, transcript=tmp_path / "texts.txt", columns=columns)
    assert found == [Recording("a", tmp_path / "sub" / "a.wav", *expected)]


def test_a_folder_each_is_a_speaker_each(tmp_path):
    write(tmp_path, ann__1_dot_wav="", ann__1_dot_txt="One", bob__metadata_dot_csv="1|Two\n", bob__wavs__1_dot_wav="")
    write(tmp_path, _dot_git__x_dot_wav="", empty__notes_dot_txt="")
    assert [(one.id, one.text, one.speaker) for one in find_recordings(tmp_path)] == [
        ("1", "One", "ann"),
        ("1", "Two", "bob"),
    ]


def test_speakers_in_the_third_column_are_not_read_as_texts(tmp_path):
    write(tmp_path, metadata_dot_csv="a|One|ann\nb|Two|bob\nc|Three|ann\nd|Four|bob\n", a_dot_wav="")
    fails(lambda: find_recordings(tmp_path), "metadata.csv", "speakers", "--columns")
    found = find_recordings(tmp_path, columns="id|text|speaker")
    assert [one.speaker for one in found] == ["ann", "bob", "ann", "bob"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["empty"]),
        ("a|x\nb\n", ["line 2", "1 columns", "id|text"]),
        ("a|b|c|d\n", ["line 1", "4 columns", "--columns"]),
        ("|x\n", ["line 1", "id is empty"]),
        (b"a|caf\xe9\n", ["line 1", "UTF-8"]),
    ],
)
def test_faulty_transcripts_are_named_by_line(tmp_path, text, said):
    write(tmp_path, metadata_dot_csv=text, a_dot_wav="")
    fails(lambda: find_recordings(tmp_path), "metadata.csv", *said)


def test_what_is_no_folder_of_recordings_is_said(tmp_path):
    fails(lambda: find_recordings(tmp_path / "gone"), "gone", "is no folder")
    fails(lambda: find_recordings(tmp_path), "holds no recordings")
    write(tmp_path, metadata_dot_csv="a|One\n")
    fails(lambda: find_recordings(tmp_path), "holds no recordings")
    write(tmp_path, a_dot_wav="", a_dot_txt=b"\xff\xfe\x00")
    fails(lambda: find_recordings(tmp_path, transcript=tmp_path / "none.txt"), "none.txt", "No such file")
    fails(lambda: find_recordings(tmp_path, columns="a|b"), "'a|b'", "id|text|speaker")
    (tmp_path / "metadata.csv").unlink()
    fails(lambda: find_recordings(tmp_path), "a.txt", "UTF-8")
