"""Recordings and their texts, found in folders as people keep them."""

import unicodedata
from pathlib import Path

import pytest

from glowtron.data.recordings import Recording, find_recordings
from glowtron.errors import InputError


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def fails(action, *said):
    with pytest.raises(InputError) as error:
        action()
    assert "\n" not in str(error.value)
    for part in said:
        assert part in str(error.value), str(error.value)


def told(folder, **more):
    return [(one.id, one.text, one.speaker) for one in find_recordings(folder, **more)]


def test_texts_lie_beside_recordings(tmp_path):
    write(
        tmp_path,
        {
            "a.wav": "",
            "a.txt": "\ufeffOne,\r\n  two. ",
            "b.MP3": "",
            "b.lab": "Three",
            "c.flac": "",
            "d.wav": "",
            "d.TXT": "Four".encode("utf-16"),
            "notes.txt": "",
            ".hidden.wav": "",
            ".git/x.wav": "",
        },
    )
    assert find_recordings(tmp_path, speaker="ann") == [
        Recording("a", tmp_path / "a.wav", "One, two.", "One, two.", "ann"),
        Recording("b", tmp_path / "b.MP3", "Three", "Three", "ann"),
        Recording("c", tmp_path / "c.flac", "", "", "ann"),
        Recording("d", tmp_path / "d.wav", "Four", "Four", "ann"),
    ]


def test_a_corpus_in_ljspeech_s_layout(tmp_path):
    write(tmp_path, {"metadata.csv": "x.1|No. 1|Number one\ny|Two|\n", "wavs/x.1.flac": "", "wavs/z.wav": ""})
    fails(lambda: find_recordings(tmp_path), "metadata.csv, line 2", "no recording 'y'", "`partial`")
    assert find_recordings(tmp_path, partial=True) == [
        Recording("x.1", tmp_path / "wavs" / "x.1.flac", "No. 1", "Number one", "speaker"),
        Recording("y", None, "Two", "Two", "speaker"),
        Recording("z", tmp_path / "wavs" / "z.wav", "", "", "speaker"),
    ]


def test_missing_recordings_are_counted(tmp_path):
    write(tmp_path, {"metadata.csv": "a|One\nb|Two\nc|Three\nd|Four\n", "a.wav": ""})
    fails(lambda: find_recordings(tmp_path), "line 2", "'b'", "2 more are missing")


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
    write(tmp_path, {"sub/a.wav": "", "texts.txt": line})
    found = find_recordings(tmp_path, transcript=tmp_path / "texts.txt", columns=columns)
    assert found == [Recording("a", tmp_path / "sub" / "a.wav", *expected)]


@pytest.mark.parametrize(
    "name",
    ["a b", "a b.wav", "sub/a b.wav", "sub/a b", "wavs/sub/a b.wav", "DUMMY/sub/a b.wav", "a b.flac", "./sub/a b"],
)
def test_recordings_are_found_by_name_or_path(tmp_path, name):
    folder = write(tmp_path / "in", {"sub/a b.wav": "", "c.wav": "", "sub/c.wav": ""})
    write(tmp_path, {"t.txt": f"{name}|One\n"})
    found = find_recordings(folder, transcript=tmp_path / "t.txt")
    assert [one.audio for one in found if one.text] == [folder / "sub" / "a b.wav"]
    assert sorted(one.id for one in found) == ["c", "sub-a b", "sub-c"]


def test_a_path_never_means_a_file_of_that_name_in_another_folder(tmp_path):
    write(tmp_path, {"day2/a.wav": "", "t.txt": "day1/a.wav|One\n"})
    fails(lambda: find_recordings(tmp_path, transcript=tmp_path / "t.txt"), "'day1/a.wav'", "line 1")


def test_recordings_elsewhere_are_found_by_their_path(tmp_path):
    write(tmp_path, {"in/b.wav": "", "far/a.wav": "", "lists/t.txt": f"../far/a.wav|One\n{tmp_path}/in/b.wav|Two\n"})
    found = find_recordings(tmp_path / "in", transcript=tmp_path / "lists" / "t.txt")
    assert [(one.id, one.text) for one in found] == [("a", "One"), ("b", "Two")]
    assert found[0].audio.samefile(tmp_path / "far" / "a.wav")


def test_one_recording_by_two_ways_is_one(tmp_path, monkeypatch):
    write(tmp_path, {"in/a.wav": "", "in/b.wav": "", "in/metadata.csv": f"{tmp_path}/in/a.wav|One\n../in/b.wav|Two\n"})
    monkeypatch.chdir(tmp_path)
    assert [(str(one.audio), one.text) for one in find_recordings(Path("in"))] == [
        ("in/a.wav", "One"),
        ("in/b.wav", "Two"),
    ]
    write(tmp_path, {"in/metadata.csv": f"a|One\n{tmp_path}/in/a.wav|Two\n"})
    fails(lambda: find_recordings(Path("in")), "line 2", "was there before, in line 1")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_letters_with_accents_are_the_same_in_both_forms_of_unicode(tmp_path, form, written):
    write(tmp_path, {unicodedata.normalize(form, "Größe é.wav"): ""})
    write(tmp_path, {"metadata.csv": unicodedata.normalize(written, "Größe é|Schön\n")})
    assert told(tmp_path) == [("Größe é", "Schön", "speaker")]


def test_names_that_lists_cannot_hold_are_changed(tmp_path):
    for name in ("a|b", "c\nd", " e ", "f\udcff"):
        write(tmp_path, {f"{name}.wav": "", f"{name}.txt": "One"})
    assert {one.id for one in find_recordings(tmp_path)} == {"a_b", "c_d", "e", "f_"}


def test_a_folder_each_is_a_speaker_each(tmp_path):
    write(
        tmp_path,
        {
            "ann/1.wav": "",
            "ann/1.txt": "One",
            "ann/later/2.wav": "",
            "ann/later/2.txt": "Two",
            "bob/metadata.csv": "1|Three\n",
            "bob/wavs/1.wav": "",
            "empty/notes.txt": "",
            "loose.wav": "",
        },
    )
    assert told(tmp_path) == [
        ("loose", "", "speaker"),
        ("ann-1", "One", "ann"),
        ("ann-later-2", "Two", "ann"),
        ("bob-1", "Three", "bob"),
    ]
    assert {one.speaker for one in find_recordings(tmp_path, speaker="eve")} == {"eve"}


def test_a_transcript_of_all_speaks_for_folders_below(tmp_path):
    write(tmp_path, {"metadata.csv": "day1/1.wav|One\nday2/1.wav|Two\n", "day1/1.wav": "", "day2/1.wav": ""})
    write(tmp_path, {"day2/2.wav": "", "day2/2.txt": "not read"})
    assert told(tmp_path) == [("day1-1", "One", "speaker"), ("day2-1", "Two", "speaker"), ("day2-2", "", "speaker")]


def test_links_to_folders_are_followed_once(tmp_path):
    write(tmp_path, {"far/1.wav": "", "far/1.txt": "One", "in/notes": ""})
    (tmp_path / "in" / "ann").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "again").symlink_to(tmp_path / "far")
    assert told(tmp_path / "in") == [("1", "One", "ann")]


def test_speakers_in_the_third_column_are_not_read_as_texts(tmp_path):
    write(tmp_path, {"metadata.csv": "a|One|ann\nb|One|bob\nc|One|ann\nd|One|bob\n"})
    write(tmp_path, {f"{c}.wav": "" for c in "abcd"})
    fails(lambda: find_recordings(tmp_path), "metadata.csv", "speakers", "`columns`")
    assert [one.speaker for one in find_recordings(tmp_path, columns="id|text|speaker")] == ["ann", "bob", "ann", "bob"]


def test_texts_in_the_third_column_are_not_read_as_speakers(tmp_path):
    write(tmp_path, {"t.txt": "".join(f"{c}|No. {c}|Number {c}\n" for c in "abcd")})
    write(tmp_path, {f"{c}.wav": "" for c in "abcd"})
    fails(lambda: find_recordings(tmp_path, transcript=tmp_path / "t.txt"), "t.txt", "texts", "`columns`")
    found = find_recordings(tmp_path, transcript=tmp_path / "t.txt", columns="id|text|normalised")
    assert [one.text for one in found] == ["Number a", "Number b", "Number c", "Number d"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ["empty"]),
        ("a,x\n", ["line 1", "no '|'", "id|text"]),
        ("a|x\nb\n", ["line 2", "1 columns", "id|text"]),
        ("a|b|c|d\n", ["line 1", "4 columns", "`columns`"]),
        ("|x\n", ["line 1", "id is empty"]),
        ("a|x\na.wav|y\n", ["line 2", "'a.wav' was there before, in line 1"]),
        (f"{'x' * 300}|a\n", ["line 1", "no recording"]),
        ("\0|a\n", ["line 1", "no recording"]),
        (b"a|caf\xe9\n", ["line 1", "UTF-8"]),
        (b"\xff\xfea\0|\0x", ["line 1", "UTF-16"]),
    ],
)
def test_faulty_transcripts_are_named_by_line(tmp_path, text, said):
    write(tmp_path, {"metadata.csv": text, "a.wav": ""})
    fails(lambda: find_recordings(tmp_path), "metadata.csv", *said)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_ends_of_lines(tmp_path, encoding, end):
    write(tmp_path, {"metadata.csv": f"a|Café{end}{end}b|Naïve{end}".encode(encoding), "a.wav": "", "b.wav": ""})
    assert told(tmp_path) == [("a", "Café", "speaker"), ("b", "Naïve", "speaker")]


def test_two_recordings_are_never_one_clip(tmp_path):
    write(tmp_path, {"a.wav": "", "a.flac": "", "a.txt": "One"})
    fails(lambda: find_recordings(tmp_path), "a.wav", "a.flac", "clip 'a'", "rename one")
    write(tmp_path, {"metadata.csv": "a|One\n"})
    fails(lambda: find_recordings(tmp_path), "line 1", "a.wav", "a.flac", "give its path")


def test_what_is_no_folder_of_recordings_is_said(tmp_path):
    fails(lambda: find_recordings(tmp_path / "gone"), "gone", "is no folder")
    fails(lambda: find_recordings(tmp_path), "holds no recordings")
    write(tmp_path, {"metadata.csv": "a|One\n"})
    fails(lambda: find_recordings(tmp_path), "holds no recordings")
    write(tmp_path, {"a.wav": "", "a.txt": b"\xff\x00"})
    fails(lambda: find_recordings(tmp_path, transcript=tmp_path / "none.txt"), "none.txt", "No such file")
    fails(lambda: find_recordings(tmp_path, columns="a|b"), "'a|b'", "id|text|speaker")
    (tmp_path / "metadata.csv").unlink()
    fails(lambda: find_recordings(tmp_path), "a.txt", "UTF-8")
    (tmp_path / "a.txt").unlink()
    write(tmp_path, {"texts.csv": "a|One\n"})
    fails(lambda: find_recordings(tmp_path), "none of its 1 recordings has a text", "`transcript`", "texts.csv")
