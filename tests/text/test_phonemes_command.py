"""`glowtron phonemes` and `--lexicon`: what is shown, and that it is what is said."""

import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from glowtron.cli import main
from glowtron.config import TextConfig
from glowtron.text.frontend import make_frontend
from glowtron.text.phonemes import Source
from glowtron.text.symbols import text_ids


class Result(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run `glowtron` in an empty folder, within this process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: bytes = b"") -> Result:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return Result(exit_.value.code, *capfd.readouterr())  # type: ignore[arg-type]

    return run


def test_words_phones_and_sources_stand_in_columns(run: Callable[..., Result]) -> None:
    Path("words.txt").write_text("glowtron G L OW1 T R AA2 N\n", encoding="utf-8")
    result = run(
        "phonemes", "--lexicon", "words.txt", "They record Glowtron's 2 waggons. The FBI's {AE1} Zhqkl-like vrombat!"
    )
    assert result.status == 0
    assert result.out.splitlines() == [
        "they record glowtron's two waggons.",
        "  they        DH EY0",
        "  record      R AH0 K AO1 R D      homograph: verb",
        "  glowtron's  G L OW1 T R AA2 N Z  derived: glowtron",
        "  two         T UW1",
        "  waggons     W AE1 G AH0 N Z      derived: waggon",
        "",
        "the F B I's {AE1} zhqkl-like vrombat!",
        "  the         DH IY0                                    weak form",
        "  F           EH1 F                                     letter",
        "  B           B IY1                                     letter",
        "  i's         AY1 Z                                     derived: i",
        "  {}          AE1                                       inline",
        "  zhqkl-like  Z IY1 EY1 CH K Y UW1 K EY1 EH1 L L AY1 K  guessed: zhqkl",
        "  vrombat     V R AA1 M B AE2 T                         guessed",
    ]
    assert result.err == "glowtron: 2 words were guessed (--unknown lists guesses for a lexicon)\n"


@pytest.mark.parametrize("arguments", [("Hello there.",), ("Hello", "there."), ("-",), (), ("-f", "text"), ("-f", "-")])
def test_text_comes_from_where_say_takes_it(run: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    Path("text").write_bytes(b"Hello there.")
    assert run("phonemes", *arguments, stdin=b"Hello there.").out.startswith("hello there.\n  hello  HH AH0 L OW1\n")


def test_json_is_what_the_voice_is_given(run: Callable[..., Result]) -> None:
    text = "Dr. Xyzzo read it. {AH0} 5 zorps!"
    sentences = json.loads(run("phonemes", "--json", text).out)
    frontend = make_frontend(TextConfig(phonemes=True))
    assert [sentence["text"] for sentence in sentences] == ["Dr. Xyzzo read it.", "{AH0} 5 zorps!"]
    for sentence in sentences:
        assert text_ids(sentence["symbols"]) == frontend.ids(sentence["text"])
        assert sentence["clean"] == frontend.normalize(sentence["text"])
        phones = [phone for word in sentence["words"] for phone in word["phones"].split()]
        assert text_ids("{" + " ".join(phones) + "}") == [i for i in text_ids(sentence["symbols"]) if i >= 64]
    assert [word["source"] for word in sentences[1]["words"]] == ["inline", "dictionary", "guessed"]


def test_unknown_words_are_a_lexicon_that_changes_nothing(run: Callable[..., Result]) -> None:
    text = "Vrombat's zorp, vrombats, un-zorp and the zhqkl of Vrombat."
    before = json.loads(run("phonemes", "--json", text).out)
    result = run("phonemes", "--unknown", text)
    assert [line.split()[0] for line in result.out.splitlines()] == ["vrombat", "zorp", "vrombats", "zhqkl"]
    Path("words.txt").write_text(result.out, encoding="utf-8")
    after = json.loads(run("phonemes", "--json", "--lexicon", "words.txt", text).out)
    assert [sentence["symbols"] for sentence in before] == [sentence["symbols"] for sentence in after]
    assert run("phonemes", "--unknown", "--lexicon", "words.txt", text) == (0, "", "glowtron: no word was guessed\n")


def test_a_voice_of_letters_has_only_words(run: Callable[..., Result], tiny_voice: Path) -> None:
    assert run("phonemes", "--voice", tiny_voice, "Dr. Who. 5!") == (0, "doctor who.\n\nfive!\n", "")
    assert json.loads(run("phonemes", "--voice", tiny_voice, "--json", "5!").out)[0]["words"] == []


def test_faults_are_one_line(run: Callable[..., Result], tiny_voice: Path) -> None:
    Path("words.txt").write_text("ab\nb XX\n", encoding="utf-8")
    Path("vocoder").mkdir()
    Path("vocoder/voice.json").write_text('{"name": "v", "vocoder": {"type": "griffin-lim"}}', encoding="utf-8")
    Path("broken").mkdir()
    Path("broken/voice.json").write_text('{"name": "b", "acoustic": {"text": {"frontend": "dutch"}}}', encoding="utf-8")
    cases = {
        ("--lexicon", "words.txt", "Hi."): r"words.txt: 2 lines are wrong: line 1: 'ab' has no phones",
        ("--lexicon", "none.txt", "Hi."): "none.txt: cannot be read as a lexicon: No such file or directory",
        ("--voice", tiny_voice, "--unknown", "Hi."): "reads letters and looks no words up",
        ("--voice", tiny_voice, "--lexicon", "words.txt", "Hi."): "words.txt: this voice reads letters",
        ("--voice", "vocoder", "Hi."): "vocoder: this voice has no acoustic model",
        ("--voice", "broken", "Hi."): "broken/voice.json: acoustic.text.frontend",
        ("--voice", "nobody", "Hi."): "no voice 'nobody'",
        ("...",): "nothing speakable in '...'",
        ("",): "the text is empty",
        ("Hi.", "-f", "words.txt"): "both TEXT and --file are given",
        ("Say {HH AH0 LOW}.",): "'LOW' is no ARPAbet phone",
    }
    for arguments, message in cases.items():
        result = run("phonemes", *arguments)
        assert (result.status, result.out) == (2, ""), arguments
        assert result.err.startswith("glowtron: error: ") and message in result.err and result.err.count("\n") == 1


def test_say_speaks_by_the_lexicon(run: Callable[..., Result], tiny_voice: Path) -> None:
    Path("words.txt").write_text("hi HH AY1\n", encoding="utf-8")
    result = run("say", "--voice", tiny_voice, "--device", "cpu", "--lexicon", "words.txt", "Hi.")
    assert result.status == 2 and "words.txt: this voice reads letters and uses no lexicon" in result.err
    assert not Path("speech.wav").exists()


def test_the_page_on_text_shows_what_is_printed(run: Callable[..., Result]) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "text.md").read_text(encoding="utf-8")
    (lexicon,) = re.findall(r"```text\n(# words\.txt.*?)```", page, re.S)
    Path("words.txt").write_text(lexicon, encoding="utf-8")
    shown = re.findall(r"```console\n\$ glowtron (.*?)\n(.*?)```", page, re.S)
    assert len(shown) >= 3
    for command, output in shown:
        assert run(*shlex.split(command)).out == output
    rows = re.findall(r"^\| (`.*`) \| (.*?) \|$", page, re.M)
    readings = [row for row in rows if row[0].strip("`") not in get_args(Source)]
    assert len(readings) >= 11
    for written, read in readings:
        pieces = re.findall("`(.*?)`", written)
        assert ", ".join(make_frontend(TextConfig()).normalize(piece) for piece in pieces) == read


def test_it_does_not_load_torch() -> None:
    code = (
        "import sys; from glowtron.cli import glowtron; "
        "glowtron.main(['phonemes', 'Dr. Zhqkl read 5 records.'], standalone_mode=False); "
        "sys.exit(int('torch' in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_it_tells_which_pass_did_what(run: Callable[..., Result]) -> None:
    result = run("phonemes", "--explain", "On 3/5 he ran 10 km.")
    assert result.out == (
        "on march fifth he ran ten kilometers.\n"
        "    0-6  dates       'On 3/5' -> 'On March fifth'\n"
        "  14-20  quantities  '10 km.' -> 'ten kilometers.'\n"
    )
    assert run("phonemes", "--explain", "...").status == 2
