"""Voices on a hub: a server of this machine that speaks its protocol, and commands in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glowtron import Voice
from glowtron.audio import read_audio
from glowtron.errors import InputError
from glowtron.hub import model_card, parse_reference
from glowtron.voice_folder import read_voice
from glowtron.voice_index import format_index, index_voice, read_index, shipped_index
from glowtron.voices import VOICES

pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")


@pytest.fixture(scope="module")
def root(tmp_path_factory, tiny_voice):
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(tiny_voice, root / "someone" / "tiny")
    (root / "someone" / "tiny" / "run_me.py").write_text("raise SystemExit")
    (root / "someone" / "tiny" / "config.json").write_text("{}")
    (root / "someone" / "nothing").mkdir()
    (root / "someone" / "nothing" / "README.md").write_text("no voice")
    (root / "someone" / "voices").mkdir()
    lines = [index_voice(tiny_voice, "hf://someone/tiny")]
    (root / "someone" / "voices" / "voices.json").write_text(format_index(lines))
    return root


@pytest.fixture(scope="module")
def hub(root):
    command = [sys.executable, str(Path(__file__).parent / "hub_server.py"), str(root)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.kill()
    process.wait()


@pytest.fixture
def run(hub, tmp_path):
    """A command with a hub and an empty cache."""

    def run(*arguments, program=("-m", "glowtron"), **environment):
        settings = {
            "HF_ENDPOINT": hub,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_TOKEN": "hf_token",
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, *program, *map(str, arguments)]
        environment = {**os.environ, **settings, **environment}
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)

    return run


def test_a_voice_on_the_hub_stays_and_speaks(run, tiny_voice, tmp_path):
    done = run("voices", "hf://someone/tiny")
    assert done.returncode == 0, done.stderr
    fetched = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert "voice.json" in fetched and "acoustic.safetensors" in fetched
    assert "run_me.py" not in fetched
    done = run("say", "Hello.", "--voice", "hf://someone/tiny", "-o", "said.wav", HF_HUB_OFFLINE="1")
    assert done.returncode == 0, done.stderr
    said, wanted = read_audio(tmp_path / "said.wav").samples, Voice.load(tiny_voice).say("Hello.").samples
    assert said.shape == wanted.shape and np.abs(said - wanted.clip(-1, 1)).max() < 1e-3


NOT_THERE = {
    "hf://someone/missing": "there is no such repository",
    "hf://someone/tiny@gone": "there is no such revision",
    "hf://someone/nothing": "holds no voice.json",
    "hf://someone": "is no voice on the hub",
}


def test_what_is_not_there_is_told_in_a_line(run):
    done = run("voices", "hf://a/b/c")
    assert done.returncode == 2
    assert "is no voice on the hub" in done.stderr and done.stderr.count("\n") == 1, done.stderr
    code = (
        "import sys; from glowtron.voices import find_voice; from glowtron.errors import InputError\n"
        "for source in sys.argv[1:]:\n"
        "    try: find_voice(source)\n"
        "    except InputError as error: print(error)"
    )
    told = run(*NOT_THERE, program=("-c", code)).stdout.splitlines()
    assert len(told) == len(NOT_THERE)
    for (source, fault), line in zip(NOT_THERE.items(), told, strict=True):
        assert line.startswith(("'", source)) and fault in line, line


def test_without_network_only_the_cache_is_there(run):
    done = run("voices", "hf://someone/tiny", HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and "is not in the cache" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_voice_is_pushed_with_a_card_and_comes_back(run, root, tiny_voice, tmp_path):
    refused = run("push", "me/mine", "--voice", tiny_voice, HF_TOKEN="hf_wrong")
    assert refused.returncode == 2 and "hf auth login" in refused.stderr
    done = run("push", "me/mine", "--voice", tiny_voice)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (root / "me" / "mine").iterdir()}
    assert names == {"voice.json", "acoustic.safetensors", "vocoder.safetensors", "README.md", "config.json"}
    card = (root / "me" / "mine" / "README.md").read_text()
    assert card.startswith("---\n") and 'pipeline_tag: "text-to-speech"' in card
    assert 'Voice.load("hf://me/mine")' in card
    assert run("say", "Hello.", "--voice", "hf://me/mine", "-o", "a.wav").returncode == 0
    assert run("say", "Hello.", "--voice", tiny_voice, "-o", "b.wav").returncode == 0
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


def test_an_index_is_searched_and_checked(run, root):
    found = run("voices", "--search", "TINY", "--index", "hf://someone/voices")
    assert found.returncode == 0 and found.stdout.startswith("tiny (hf://someone/tiny)"), found.stderr
    assert run("voices", "tiny", "--index", "hf://someone/voices").returncode == 0
    missing = run("voices", "--search", "nobody at all")
    assert missing.returncode == 2 and "no voice has 'nobody at all'" in missing.stderr
    path = root / "someone" / "voices" / "voices.json"
    index = json.loads(path.read_text())
    index["voices"][0]["sha256"] = "0" * 64
    (root / "wrong.json").write_text(json.dumps(index))
    wrong = run("voices", "tiny", "--index", root / "wrong.json")
    assert wrong.returncode == 2 and "is not the voice that the index lists" in wrong.stderr


def test_the_shipped_card_has_its_measures():
    voice = read_voice(VOICES / "duet")
    card = model_card(voice, "me/duet")
    front = card.split("---\n")[1]
    assert 'license: "apache-2.0"' in front and 'library_name: "glowtron"' in front
    assert "Speakers: lj, kathleen." in card


def test_references_have_one_form():
    assert parse_reference("hf://a-b/c.d_e@v1/x") == ("a-b/c.d_e", "v1/x")
    for wrong in ("hf://", "hf://a", "hf://a/b@", "hf://a/b c", "hf://../..//x", "a/b"):
        with pytest.raises(InputError, match="no voice on the hub"):
            parse_reference(wrong)


def test_shipped_voices_are_an_index(tmp_path):
    lines = shipped_index()
    assert [line.name for line in lines] == [line.source for line in lines]
    (tmp_path / "voices.json").write_text(format_index(lines))
    assert read_index(str(tmp_path)) == lines


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "has no list 'voices'"),
        ("{", "cannot be read as an index"),
        ('{"voices": [1]}', "voice 1: must be an object"),
        ('{"voices": [{"name": "a"}]}', "voice 1: source must be a text"),
        ('{"voices": [{"name": "a", "source": "b", "speakers": "c"}]}', "voice 1: speakers must be a list"),
        ('{"voices": [{"name": "a", "source": "b", "licence": 3}]}', "voice 1: licence must be a text"),
    ],
)
def test_a_faulty_index_is_told(content, told, tmp_path):
    (tmp_path / "voices.json").write_text(content)
    with pytest.raises(InputError, match=told):
        read_index(str(tmp_path / "voices.json"))
