"""What README shows works as it stands there."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import epubs
import numpy as np
import pytest
import soundfile

import glowtron.voices
from glowtron.cli import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands(word):
    return [line for block in blocks("sh") for line in block.splitlines() if line.startswith(f"glowtron {word}")]


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch, tiny_voice):
    """A folder with what the examples read, where the only voice that ships is a tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(glowtron.voices, "VOICES", tiny_voice.parent)
    Path("chapter.txt").write_text("It was a dark night. It was a stormy one.", encoding="utf-8")
    Path("prompts.txt").write_text("One.\nTwo.\n", encoding="utf-8")
    epubs.write(Path("novel.epub"), epubs.files())
    soundfile.write("recording.wav", 0.3 * np.sin(np.arange(9000) / 15), 44_100)


def run(line):
    """Run a command line; a redirection is the test's own business. Returns the exit status."""
    with pytest.raises(SystemExit) as exit_:
        main(shlex.split(line.split(" > ")[0])[1:])
    return exit_.value.code


def test_it_opens_with_the_two_commands():
    assert [line.split("#")[0].strip() for line in blocks("sh")[0].splitlines()] == ["make demo", "make test"]


def test_python():
    names = {}
    for block in blocks("python"):
        exec(block, names)
    assert len(blocks("python")[0].strip().splitlines()) <= 5
    assert soundfile.info("hello.wav").frames > 0


@pytest.mark.parametrize("line", [line for word in ("say", "vocode", "voices", "book") for line in commands(word)])
def test_speaking(line, capfdbinary, tiny_voice):
    for folder in ("nvidia", "my-voice"):
        Path(folder).symlink_to(tiny_voice)
    assert run(line) == 0
    output = re.search(r"-o ([\w.-]+)", line)
    if " > " in line:
        assert len(capfdbinary.readouterr().out) == 2 * 20 * 256
    elif output:
        assert Path(output[1]).exists()


@pytest.mark.parametrize("line", commands("prepare folder"))
def test_preparing(line):
    folder = Path("recordings")
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("first", "second"):
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.standard_normal(48_000), 48_000)
    texts = "first|The first thing that was said.\nsecond|And a second one.\n"
    (folder / "metadata.csv").write_text(texts, encoding="utf-8")
    assert run(line) == 0
    assert len(list(Path("corpus/wavs").iterdir())) == 2


@pytest.mark.parametrize("line", commands("train"))
def test_training_reaches_the_loop(line, monkeypatch):
    from glowtron.train import loop

    calls = []
    command = import_module("glowtron.cli.train")
    monkeypatch.setattr(command, "make_task", lambda *given: calls.append(given))
    monkeypatch.setattr(loop, "train", lambda *_, **__: loop.Outcome(1, True, "max_steps"))
    assert run(line) == 0
    ((config, corpora, _),) = calls
    assert config.type == line.split()[2]
    assert [folder for _, folder in corpora.sources] == [Path("corpus")]
    if config.type == "acoustic":
        assert config.acoustic.speakers == ("me",)
        assert config.acoustic.model.n_speakers == 1


def test_importing(monkeypatch):
    from glowtron.importers import voices

    calls = []
    monkeypatch.setattr(voices, "import_voice", lambda *given, **how: calls.append(given))
    for line in commands("import"):
        assert run(line) == 0
    assert ([Path("tacotron2.pt"), Path("waveglow.pt")], Path("nvidia")) in calls
    assert ([Path("wavenet.pth")], Path("wavenet")) in calls
    assert len(calls) == 2


def test_every_command_shown_is_tried_here():
    shown = {line.split()[1] for line in commands("")}
    assert shown == {"say", "vocode", "voices", "train", "import", "align", "export", "prepare", "book", "serve"}


def test_links_lead_somewhere():
    root = Path(__file__).resolve().parent.parent
    for name in ("README.md", "CONTRIBUTING.md", *(str(path) for path in (root / "docs").rglob("*.md"))):
        page = root / name
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{name} links to {target}"


def test_every_decision_is_listed():
    folder = Path(__file__).resolve().parent.parent / "docs" / "adr"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in folder.glob("[0-9]*.md"))
