"""A user's own pronunciations: what a file may hold, what is said of a faulty one, and that all that reads heeds it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glowtron import Voice
from glowtron.config import AcousticConfig, AcousticRun, Tacotron2Config, TextConfig, TrainingConfig
from glowtron.data.cache import Cache
from glowtron.data.manifest import read_manifest
from glowtron.errors import InputError
from glowtron.text import lexicon as words
from glowtron.text.frontend import Frontend, make_frontend
from glowtron.text.lexicon import PHONES, read_pronunciations

PHONED = TextConfig(phonemes=True)


@pytest.fixture
def lexicon(tmp_path: Path) -> Callable[[str], Path]:
    """A lexicon file with the given lines."""

    def write(content: str) -> Path:
        path = tmp_path / "words.txt"
        path.write_text(content, encoding="utf-8")
        return path

    return write


def said(frontend: Frontend, text: str) -> dict[str, str]:
    return {word.text: " ".join(word.pronunciation.phones) for word in frontend.encode(text).words}


def test_words_are_found_whatever_their_case_and_accents(lexicon: Callable[[str], Path]) -> None:
    path = lexicon("\ufeffCafé K AA1 F EY2\r\nO’Brien AH0\r\n\r\n# none\r\nx-ray  eh1 k\ts\r\n")
    assert read_pronunciations(path) == {
        "cafe": ("K", "AA1", "F", "EY2"),
        "o'brien": ("AH0",),
        "x-ray": ("EH1", "K", "S"),
    }
    frontend = make_frontend(PHONED, path)
    assert said(frontend, "The CAFÉ, O'Brien’s X-ray.") == {
        "the": "DH AH0", "cafe": "K AA1 F EY2", "o'brien's": "AH0 Z", "x-ray": "EH1 K S",
    }  # fmt: skip


def test_words_of_the_lexicon_are_not_spelt(lexicon: Callable[[str], Path]) -> None:
    plain, own = make_frontend(PHONED), make_frontend(PHONED, lexicon("sql S IY1 K W AH0 L\n"))
    assert plain.normalize("SQL, SQLs, SQL's and FBI") == "S Q L, S Q L's, S Q L's and F B I"
    assert own.normalize("SQL, SQLs, SQL's and FBI") == "sql, sqls, sql's and F B I"
    assert said(own, "SQL SQLs") == {"sql": "S IY1 K W AH0 L", "sqls": "S IY1 K W AH0 L Z"}
    assert own.normalize("MAKE SQL GREAT AGAIN") == "make sql great again"


def test_the_lexicon_comes_before_everything(lexicon: Callable[[str], Path]) -> None:
    own = make_frontend(PHONED, lexicon("lead L EH1 D\nthe DH IY1\nread R EH1 D\nbirmingham B ER1\n"))
    for word in own.encode("They lead the Birmingham read.").words[1:]:
        assert word.pronunciation.source == "lexicon", word


@given(
    st.dictionaries(st.from_regex("[a-z]{1,9}", fullmatch=True), st.lists(st.sampled_from(sorted(PHONES)), min_size=1))
)
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, words: dict[str, list[str]]) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "words.txt"
    path.write_text("".join(f"{word} {' '.join(phones)}\n" for word, phones in words.items()), encoding="utf-8")
    assert read_pronunciations(path) == {word: tuple(phones) for word, phones in words.items()}


@given(st.binary() | st.text().map(str.encode) | st.text("ab AEH01#'-\n ").map(str.encode))
def test_any_file_is_read_or_named_with_a_line(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "words.txt"
    path.write_bytes(content)
    try:
        words = read_pronunciations(path)
    except InputError as error:
        assert re.match(
            re.escape(str(path)) + r"(, line \d+: '|: \d+ lines are wrong: line \d+: |: cannot be read)", str(error)
        )
    else:
        assert all(PHONES.issuperset(phones) for phones in words.values())


def test_all_faulty_lines_are_named_with_what_to_do(lexicon: Callable[[str], Path]) -> None:
    path = lexicon("ok OW1 K EY1\nmp3 EH1 M\nword\nyes Y ES\nok OW1\n")
    with pytest.raises(InputError) as caught:
        read_pronunciations(path)
    assert str(caught.value) == (
        f"{path}: 4 lines are wrong: line 2: 'mp3' must be a word of letters, hyphens and apostrophes; figures and "
        "signs are read before; line 3: 'word' has no phones; write it as: word PH0 PH1 ...; line 4: 'yes': "
        "unknown phone ES; ARPAbet is wanted, such as HH AH0 L OW1; line 5: 'ok' is given twice; keep one of the lines"
    )


def test_of_many_faults_some_are_named(lexicon: Callable[[str], Path]) -> None:
    path = lexicon("x1 ?\n" * 1000)
    with pytest.raises(InputError, match=r": 1000 lines are wrong: line 1: .*; line 5: .*; and 995 more$") as caught:
        read_pronunciations(path)
    assert len(str(caught.value)) < 1000


def test_a_voice_takes_one(lexicon: Callable[[str], Path], tiny_voice: Path, duet: Path) -> None:
    path = lexicon("zhqkl Z AH0 K AH1 L\n")
    (reading,) = Voice.load(duet, device="cpu", lexicon=path).phonemes("Zhqkl.")
    assert reading.symbols == " {Z AH0 K AH1 L}."
    with pytest.raises(InputError, match="this voice reads letters and uses no lexicon"):
        Voice.load(tiny_voice, device="cpu", lexicon=path)
    with pytest.raises(InputError, match=r"words\.txt, line 1: 'a' has no phones"):
        Voice.load(duet, device="cpu", lexicon=lexicon("a\n"))


@pytest.fixture
def duet() -> Path:
    from glowtron.voices import find_voice

    return find_voice("duet")


def test_training_reads_by_it_and_remembers_it(
    lexicon: Callable[[str], Path], tiny_corpus: Path, tmp_path: Path
) -> None:
    from glowtron.train.acoustic_task import AcousticTask

    small = Tacotron2Config(encoder_channels=8, prenet_channels=8, attention_rnn_channels=8, decoder_rnn_channels=8)
    config = AcousticRun(
        acoustic=AcousticConfig(model=small, text=PHONED), training=TrainingConfig(batch_size=2, validation_clips=2)
    )
    clips, cache = read_manifest(tiny_corpus), Cache(tmp_path / "cache", config.acoustic.mel)
    cache.fill(clips)
    path = lexicon("number N AH1\n")
    plain, own = AcousticTask(config, clips, cache), AcousticTask(config, clips, cache, None, path)
    assert own.dataset.ids == [make_frontend(PHONED, path).ids(clip.text) for clip in own.clips]
    assert own.dataset.ids != plain.dataset.ids
    assert own.data()["lexicon"] == {"number": "N AH1"}
    assert "lexicon" not in plain.data()


def test_the_dictionary_that_is_built_in_is_found_first(tmp_path, monkeypatch):
    """Without it, in a checkout that was not installed, the package it is taken from has it."""
    as_packaged = words.dictionary.__wrapped__("gold")
    assert as_packaged.get("house") is not None
    for name in ("us_gold.json", "us_silver.json"):
        (tmp_path / name).write_text('{\n  "abba": "ˈæbə",\n  "house": "hˈWs"\n}\n', "utf-8")
    monkeypatch.setattr(words, "DICTIONARY", tmp_path)
    assert words.dictionary.__wrapped__("gold").get("abba") == "ˈæbə"
    monkeypatch.setattr(words, "DICTIONARY", tmp_path / "nothing")
    assert words.dictionary.__wrapped__("gold").get("house") == as_packaged.get("house")
