"""The whole report on a tiny random voice and a corpus of noises."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from glowtron import Audio, Voice
from glowtron.cli import glowtron
from glowtron.errors import InputError
from glowtron.evaluate import asr_mos, evaluation
from glowtron.evaluate.evaluation import Settings, evaluate
from glowtron.evaluate.optional import is_installed
from glowtron.evaluate.report import read_report
from glowtron.evaluate.sentences import Sentence
from glowtron.evaluate.vocoders import vocoders_of

pytest.importorskip("pesq", reason="needs the extra 'eval'")

SETTINGS = Settings(n_held_out=2, processes=1, quiet=True)


def murmur(seed: int) -> Audio:
    noise = np.random.default_rng(seed).standard_normal(30_000)
    return Audio((0.1 * noise * np.sin(np.arange(30_000) / 1500) ** 2).astype(np.float32), 22_050)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "wavs").mkdir()
    lines = [f"c-{i}|number {i} of the clips" for i in range(5)]
    for i in range(5):
        murmur(i).write(folder / "wavs" / f"c-{i}.wav")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")
    (folder / "metadata_all.csv").write_text("\n".join([*lines, "d-1|a sentence never seen", "d-2|and another one"]))
    return folder


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    hard = [Sentence("one letter 1", "A"), Sentence("short 2", "Go. Stop.")]
    monkeypatch.setattr(evaluation, "hard_sentences", lambda: hard)
    # Finding words in noise is slow, and tested elsewhere on speech.
    monkeypatch.setattr(asr_mos, "recognise_all", lambda audios, *_: (["number", "clips"] for _ in audios))


@pytest.fixture
def voice(tiny_voice: Path) -> Voice:
    return Voice.load(tiny_voice, device="cpu")


@pytest.mark.usefixtures("few")
def test_the_report_holds_every_figure_beside_its_neighbours(voice: Voice, corpus: Path, tmp_path: Path) -> None:
    report = evaluate(voice, [("bob", corpus)], tmp_path / "out", SETTINGS)
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == json.loads(json.dumps(report))
    assert read_report(tmp_path / "out" / "report.json") == json.loads(json.dumps(report))
    bob = report["speakers"]["bob"]
    assert set(bob["vocoders"]) == {"real", *vocoders_of(voice, "bob", 0, None)}
    assert bob["vocoders"]["real"]["words_correct"] == 2 / 5
    assert bob["vocoders"]["griffin-lim"]["mel_l1"] < bob["vocoders"]["waveglow"]["mel_l1"]
    assert bob["vocoders"]["waveglow"]["log_likelihood"] is not None
    assert bob["alignment"]["unseen_sentences"]["n"] == 2
    assert bob["alignment"]["hard_sentences"]["n"] == 2
    assert bob["alignment"]["hard_sentences"]["complete"] == 0 and bob["alignment"]["hard_sentences"]["word_error_rate"]
    assert bob["speaking"]["real"]["f0_sd_semitones"] is None or bob["speaking"]["real"]["f0_sd_semitones"] >= 0
    assert "median_pause_s" in bob["speaking"]["held_out_texts"]
    assert ("mos_distill" in bob["vocoders"]["real"]) == is_installed("distillmos")
    assert ("speaker_similarity" in bob["vocoders"]["waveglow"]) == is_installed("resemblyzer")
    assert bob["speaking"]["real"]["n"] == bob["speaking"]["held_out_texts"]["n"] == len(bob["clips"]) == 2
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| WaveGlow |" in text and "| Griffin-Lim, 60 iterations |" in text and "spoken, unseen sentences" in text
    for picture in bob["pictures"]:
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG") and picture in text
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.usefixtures("few")
def test_half_a_voice_is_measured_by_what_it_has(voice: Voice, corpus: Path, tmp_path: Path) -> None:
    voice.torch.config = dataclasses.replace(voice.config, acoustic=None)
    voice.torch.acoustic = None
    report = evaluate(voice, [("speaker", corpus)], tmp_path / "vocoder", SETTINGS)
    assert "speaking" not in report["speakers"]["speaker"]
    assert "### Speaking" not in (tmp_path / "vocoder" / "report.md").read_text()


@pytest.mark.usefixtures("few")
def test_the_clips_are_those_that_training_kept_out(voice: Voice, corpus: Path, tmp_path: Path) -> None:
    voice.torch.config = dataclasses.replace(voice.config, acoustic=None, vocoder=None, held_out=("ann/c-3",))
    voice.torch.acoustic = voice.torch.vocoder = None
    report = evaluate(voice, [("ann", corpus)], tmp_path / "out", SETTINGS)
    assert report["speakers"]["ann"]["clips"] == ["c-3"]
    assert set(report["speakers"]["ann"]["vocoders"]) == {"real", "mel-inversion", "griffin-lim"}
    with pytest.raises(InputError, match="none of the clips"):
        evaluate(voice, [("bob", corpus)], tmp_path / "other", SETTINGS)


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_figures(
    monkeypatch: pytest.MonkeyPatch, voice: Voice, corpus: Path, tmp_path: Path
) -> None:
    """Of what is drawn; networks that only listen draw nothing, and are left out."""
    voice.torch.config = dataclasses.replace(voice.config, vocoder=None)
    voice.torch.vocoder = None
    for module in (asr_mos, evaluation):
        monkeypatch.setattr(module, "is_installed", lambda _: False)
    settings = dataclasses.replace(SETTINGS, n_held_out=1)
    one, two = (evaluate(voice, [("ann", corpus)], tmp_path / name, settings)["speakers"] for name in "ab")
    assert one == two


def test_faults_are_told_before_anything_is_measured(voice: Voice, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for data, message in (
        ([("eve", corpus)], "the voice has the speakers ann, bob"),
        ([("ann", tmp_path / "nowhere")], "cannot be read"),
        ([], "give `data` of one speaker at least"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate(voice, data, out, SETTINGS)
    with pytest.raises(InputError, match="cannot keep 20"):
        evaluate(voice, [("ann", corpus)], out, Settings())
    assert not out.exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made a folder"):
        evaluate(voice, [("ann", corpus)], tmp_path / "file" / "out", SETTINGS)


def test_the_command_passes_its_words_on(tiny_voice: Path, corpus: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(glowtron, ["evaluate", str(tiny_voice), "--data", f"eve={corpus}", "-o", str(tmp_path)])
    assert isinstance(result.exception, InputError) and "ann, bob" in str(result.exception)
    whisper = ["--recogniser", f"whisper:{tmp_path}", "--n-sentences", "3"]
    command = ["evaluate", str(tiny_voice), "--data", f"ann={corpus}", "-o", str(tmp_path / "out"), *whisper]
    result = CliRunner().invoke(glowtron, command)
    assert isinstance(result.exception, InputError) and "lacks config.json" in str(result.exception)
    result = CliRunner().invoke(glowtron, ["evaluate", "--data", "=x", "-o", str(tmp_path / "out")])
    assert result.exit_code != 0
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named_first(monkeypatch: pytest.MonkeyPatch, voice: Voice, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pesq", None)
    with pytest.raises(InputError, match=r"'pesq': pip install 'glowtron\[eval\]'"):
        evaluate(voice, [("ann", tmp_path / "nowhere")], tmp_path / "out", SETTINGS)


def test_a_recogniser_is_checked_first(voice: Voice, corpus: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(SETTINGS, recogniser=f"whisper:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match="lacks config"):
        evaluate(voice, [("ann", corpus)], tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("few")
def test_packages_of_weights_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, voice: Voice, corpus: Path, tmp_path: Path
) -> None:
    voice.torch.config = dataclasses.replace(voice.config, acoustic=None, vocoder=None)
    voice.torch.acoustic = voice.torch.vocoder = None
    for module in (asr_mos, evaluation):
        monkeypatch.setattr(module, "is_installed", lambda _: False)
    report = evaluate(voice, [("ann", corpus)], tmp_path / "out", SETTINGS)
    assert report["not_measured"] == [
        "pip install --no-deps distillmos==0.9.1",
        "pip install --no-deps Resemblyzer==0.1.4",
    ]
    assert "mos_distill" not in report["speakers"]["ann"]["vocoders"]["real"]
