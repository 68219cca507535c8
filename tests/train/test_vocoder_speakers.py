"""A vocoder of two speakers, from recordings to speech, all by the command line."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from test_acoustic_task import CONFIG as ACOUSTIC
from test_vocoder_task import CONFIG as VOCODER

from glowtron.checkpoint import load_voice
from glowtron.cli import main
from glowtron.config import to_dict
from glowtron.train import acoustic_task, checkpoints


@pytest.fixture
def corpora(tiny_corpus, tmp_path, monkeypatch):
    """--data of ann and of bob, whose clips have other names and are played backwards."""
    monkeypatch.setattr(acoustic_task, "SAMPLE_CLIPS", 1)
    other = tmp_path / "other"
    shutil.copytree(tiny_corpus, other)
    for path in sorted((other / "wavs").iterdir()):
        wave, rate = soundfile.read(path)
        soundfile.write(path.with_name(path.name.replace("tiny", "bobs")), wave[::-1], rate, "PCM_16")
        path.unlink()
    lines = (other / "metadata.csv").read_text().replace("tiny-", "bobs-")
    (other / "metadata.csv").write_text(lines)
    return ["--data", f"ann={tiny_corpus}", "--data", f"bob={other}"]


@pytest.fixture
def glowtron(capfd, tmp_path):
    """The command; returns its exit status and what it said on standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as status:
            main([str(argument) for argument in arguments])
        return status.value.code or 0, capfd.readouterr().err

    return run


def config_file(folder: Path, config, **training) -> Path:
    training = replace(config.training, validation_clips=1, checkpoint_every=1, **training)
    path = folder / f"{config.type}.json"
    path.write_text(json.dumps(to_dict(replace(config, training=training))))
    return path


@pytest.mark.filterwarnings("ignore::glowtron.voice.FaultWarning")  # One step does not teach when to stop.
def test_recordings_of_two_become_a_voice_of_two(corpora, glowtron, tmp_path):
    vocoder, acoustic = config_file(tmp_path, VOCODER), config_file(tmp_path, ACOUSTIC, max_steps=1)
    train = ["--device", "cpu", "--quiet", "--cache", tmp_path / "cache"]
    several = ["--set", 'vocoder.speakers=["ann","bob"]']
    for steps in (2, 3):  # Ended, and begun anew from there.
        run, begin = tmp_path / f"vocoder{steps}", ["--init-from", tmp_path / "vocoder2"] if steps == 3 else []
        options = ["--config", vocoder, *corpora, *train, *several, *begin, "--max-steps", steps, "--run", run]
        assert glowtron("train", "vocoder", *options) == (0, "")
    told = json.loads((run / "data.json").read_text())["from"]
    assert (told["speakers_known"], told["fresh"]) == (["ann", "bob"], [])
    rows = [checkpoints.read_tensors(checkpoints.folder(run, step), "model")["speaker.weight"] for step in (2, 3)]
    assert not torch.isclose(*rows).any(dim=1).all() and rows[0].shape[0] == 2

    options = ["--config", acoustic, *corpora, *train, "--run", tmp_path / "acoustic"]
    assert glowtron("train", "acoustic", *options)[0] == 0
    voice = tmp_path / "voice"
    assert glowtron("export", tmp_path / "acoustic", run, "-o", voice) == (0, "")
    assert load_voice(voice).config.vocoder.speakers == ("ann", "bob")

    recording = next((tmp_path / "corpus" / "wavs").glob("tiny-7.*"))
    sounds = {}
    for name in ("ann", "bob"):
        options = ["--voice", voice, "--speaker", name, "--quiet", "--device", "cpu"]
        assert glowtron("say", "Hi.", "-o", tmp_path / f"{name}.wav", "--attempts", 0, *options)[0] == 0
        assert glowtron("vocode", recording, "-o", tmp_path / f"{name}-again.wav", *options) == (0, "")
        sounds[name] = soundfile.read(tmp_path / f"{name}-again.wav")[0]
        assert len(soundfile.read(tmp_path / f"{name}.wav")[0]) > 0
    assert not np.allclose(sounds["ann"], sounds["bob"], atol=1e-3)

    status, said = glowtron("vocode", recording, "-o", tmp_path / "x.wav", "--voice", voice, "--speaker", "bobby")
    assert status == 2 and "has no speaker 'bobby' (did you mean 'bob'?)" in said
    assert not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("speakers", "said"),
    [
        ('["ann"]', "clip 'bobs-0': its speaker 'bob' is not among the model's (ann)"),
        ('["ann","ann"]', "speakers repeat: ann, ann"),
        ('["ann",""]', "a name that is not empty"),
        ('["ann",1]', "vocoder.speakers"),
        ("2", "vocoder.speakers"),
    ],
)
def test_speakers_that_do_not_fit_are_refused_before_anything_is_read(corpora, glowtron, tmp_path, speakers, said):
    config, run = config_file(tmp_path, VOCODER), tmp_path / "run"
    command = ["train", "vocoder", "--config", config, *corpora, "--run", run, "--set", f"vocoder.speakers={speakers}"]
    status, error = glowtron(*command)
    assert status == 2 and said in error and error.count("\n") == 1
    assert not run.exists()


def test_a_voice_that_tells_nobody_apart_has_no_use_for_a_speaker(glowtron, tiny_voice, tiny_corpus, tmp_path):
    recording = tiny_corpus / "wavs" / "tiny-0.flac"
    status, said = glowtron("vocode", recording, "-o", tmp_path / "x.wav", "--voice", tiny_voice, "--speaker", "ann")
    assert status == 2 and "leave the speaker out" in said
    assert not (tmp_path / "x.wav").exists()
