"""Lists of clips."""

import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from glowtron.data.manifest import Clip, over_clips, read_clip, read_manifest, split
from glowtron.errors import InputError


def rewrite(corpus, data: bytes) -> None:
    (corpus / "metadata.csv").write_bytes(data)


def fails(action, *said: str) -> str:
    with pytest.raises(InputError) as error:
        action()
    message = str(error.value)
    assert "\n" not in message
    for part in said:
        assert part in message, message
    return message


def check_clips(clips, progress=None):
    """Seconds that each clip lasts."""
    return over_clips(clips, lambda clip: read_clip(clip).duration_s, progress)


def test_clips_come_in_the_order_of_the_file(tiny_corpus):
    clips = read_manifest(tiny_corpus, "ada")
    assert [clip.id for clip in clips] == [f"tiny-{i}" for i in range(8)]
    assert clips[0] == Clip("tiny-0", tiny_corpus / "wavs" / "tiny-0.flac", "Number one.", "ada")
    assert clips[1].audio.suffix == ".wav"


def test_both_corpora_are_read_whole(shared):
    for name, n_clips in (("ljspeech", 365), ("kathleen", 1092)):
        clips = read_manifest(shared(f"data/{name}"))
        assert len(clips) == n_clips
        assert all(clip.text and clip.audio.is_file() for clip in clips)


def test_the_normalised_text_is_taken_where_there_is_one(tiny_corpus):
    rewrite(tiny_corpus, b"tiny-0|raw\ntiny-1|raw|spelled out\ntiny-2|raw|\n")
    assert [clip.text for clip in read_manifest(tiny_corpus)] == ["raw", "spelled out", "raw"]


def test_line_ends_marks_and_odd_characters_do_no_harm(tiny_corpus):
    text = 'He said: "caf\u00e9\u2028\u0085, 5\u00a0o\u2019clock".'
    rewrite(tiny_corpus, f"\ufefftiny-0|x|{text}\r\n\r\n  \ntiny-1|y|z".encode())
    clips = read_manifest(tiny_corpus)
    assert [clip.id for clip in clips] == ["tiny-0", "tiny-1"]
    assert clips[0].text == text


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"tiny-0|a\ntiny-1\n", ["line 2", "1 columns"]),
        (b"tiny-0|a|b|c\n", ["line 1", "4 columns"]),
        (b"tiny-0|a\n\ntiny-0|b\n", ["line 3", "'tiny-0'", "before"]),
        (b"tiny-0|a\nnowhere|b\n", ["line 2", "'nowhere'", "no recording"]),
        (b"tiny-0|a\nnowhere|b\ngone|c\nlost|d\n", ["line 2", "'nowhere'", "2 more clips have none"]),
        (b"tiny-0| | \n", ["line 1", "'tiny-0'", "no text"]),
        (b"|text\n", ["line 1", "id is empty"]),
        (b"tiny-0|a\ntiny-1|caf\xe9\n", ["line 2", "UTF-8"]),
        (b"\xff\xfet\0i", ["line 1", "UTF-16"]),
        (b"", ["no clips"]),
        (b"\n \n", ["no clips"]),
    ],
)
def test_faults_are_named_by_file_and_line(tiny_corpus, lines, said):
    rewrite(tiny_corpus, lines)
    fails(lambda: read_manifest(tiny_corpus), "metadata.csv", *said)


def test_a_folder_that_is_no_corpus(tmp_path):
    fails(lambda: read_manifest(tmp_path), "metadata.csv", "No such file")
    fails(lambda: read_manifest(tmp_path / "gone"), "gone", "No such file")


def test_good_clips_are_measured(tiny_corpus):
    done = []
    seconds = check_clips(read_manifest(tiny_corpus), done.append)
    assert seconds == pytest.approx([0.2 + 0.1 * i for i in range(8)], abs=1e-3)
    assert done == list(range(1, 9))


def test_every_bad_clip_is_named_with_its_reason_at_once(tiny_corpus):
    clips = read_manifest(tiny_corpus)
    clips[0].audio.write_bytes(clips[0].audio.read_bytes()[:2000])
    clips[1].audio.write_text("not a sound")
    clips[2].audio.write_bytes(b"")
    soundfile.write(clips[3].audio, np.zeros(5000), 22_050)
    soundfile.write(clips[5].audio, np.full(5000, np.nan), 22_050, "FLOAT")
    clips[6].audio.unlink()
    message = fails(lambda: check_clips(clips), "6 of 8 clips", "tiny-0: ", "cut short", "tiny-1: ", "not a sound file")
    for part in ("tiny-2: ", "empty", "tiny-3: ", "silent", "tiny-5: ", "NaN", "tiny-6: ", "no such file"):
        assert part in message
    assert "tiny-4" not in message
    assert "tiny-7" not in message


def test_a_corpus_of_bad_clips_is_counted_not_listed(tiny_corpus):
    good = read_manifest(tiny_corpus)[0]
    bad = [good._replace(id=f"bad-{i}", audio=tiny_corpus / f"{i}.wav") for i in range(100)]
    message = fails(lambda: check_clips([good, *bad]), "100 of 101 clips", "and 80 more")
    assert len(message) < 5000


def test_other_faults_are_not_taken_for_bad_clips(tiny_corpus):
    def broken(done: int) -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        check_clips(read_manifest(tiny_corpus), broken)


def many(n: int, speaker: str = "ada") -> list[Clip]:
    return [Clip(f"{speaker}-{i}", None, "text", speaker) for i in range(n)]


@given(n=st.integers(2, 60), kept=st.integers(0, 59), seed=st.integers(), shuffle=st.randoms())
def test_split_is_a_partition_whatever_the_order(n, kept, seed, shuffle):
    clips = many(n) + many(n, "bea")
    kept = min(kept, n - 1)
    train, validation = split(clips, kept, seed)
    assert sorted(train + validation) == sorted(clips)
    assert [clip.speaker for clip in validation] == ["ada"] * kept + ["bea"] * kept
    shuffle.shuffle(clips)
    again, also = split(clips, kept, seed)
    assert (set(again), set(also)) == (set(train), set(validation))


def test_split_changes_with_the_seed_and_little_with_the_corpus():
    clips = many(200)
    chosen = set(split(clips, 20, 1)[1])
    assert chosen != set(split(clips, 20, 2)[1])
    assert len(chosen & set(split(many(220), 20, 1)[1])) >= 15
    for gone in (clips[7], next(iter(chosen))):
        assert chosen - {gone} <= set(split([clip for clip in clips if clip != gone], 20, 1)[1])
    assert chosen == set(split(many(200, "bea") + clips, 20, 1)[1][20:])


@pytest.mark.parametrize("n_validation", [-1, 8, 9])
def test_a_split_that_leaves_nothing_is_named(n_validation):
    fails(lambda: split(many(8), n_validation, 0), str(n_validation), "of the 8 clips", "'ada'")


def test_a_corpus_may_be_moved(tiny_corpus, tmp_path):
    moved = tmp_path / "moved corpus"
    shutil.move(tiny_corpus, moved)
    assert len(check_clips(read_manifest(str(moved)))) == 8
