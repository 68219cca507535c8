"""A WaveNet from training or import to sound: in voice folders, on the command line's ways, streamed and whole."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from glowtron import Audio, InputError, SynthesisOptions, Voice
from glowtron.checkpoint import StoredVoice, load_voice, save_voice
from glowtron.config import LinearPredictionConfig, MelConfig, VoiceFile, WaveNetConfig
from glowtron.importers.voices import import_voice
from glowtron.models.wavenet import WaveNet
from glowtron.synthesis.types import FaultWarning
from glowtron.synthesis.wavenet import WaveNetVocoder
from glowtron.train import segment_task
from glowtron.train import wavenet_task as module
from glowtron.train.export import export
from glowtron.train.loop import train
from glowtron.train.recipe import recipe
from glowtron.train.task import Corpora
from glowtron.train.wavenet_task import wavenet_task

MEL = MelConfig()
SIZES = WaveNetConfig(
    n_layers=3, residual_channels=8, gate_channels=16, skip_channels=8, signal=LinearPredictionConfig(order=8)
)


@pytest.fixture
def sound():
    samples = 0.1 * np.sin(np.arange(6000) * 0.1).astype(np.float32)
    return Audio(samples, 22_050)


def voice_with(**parts):
    torch.manual_seed(0)
    return StoredVoice(VoiceFile(name="tiny", **parts), wavenet=WaveNet(SIZES).eval())


@pytest.mark.parametrize("part", ["wavenet", "vocoder"])
def test_a_stored_wavenet_vocodes_as_before(tmp_path, sound, part):
    stored = voice_with(**{part: SIZES})
    save_voice(stored, tmp_path / "v")
    loaded = load_voice(tmp_path / "v")
    assert (tmp_path / "v" / f"{part}.safetensors").exists()
    voices = [Voice(one, precision="fp32") for one in (stored, loaded)]
    first, second = (voice.vocode(sound, seed=3) for voice in voices)
    assert len(first.samples) == len(sound.samples)
    np.testing.assert_allclose(first.samples, second.samples, atol=1e-4)
    assert not np.array_equal(first.samples, voices[0].vocode(sound, seed=4).samples)


def test_a_stream_gives_the_sound_of_the_whole():
    vocoder = Voice(voice_with(wavenet=SIZES)).runtime.vocoder_for(SynthesisOptions())
    mel = np.random.default_rng(0).normal(-5, 2, (80, 12)).astype(np.float32)
    whole = vocoder.stream(1).push(mel, True)
    stream = vocoder.stream(1)
    parts = [stream.push(mel[:, start : start + 3], start == 9) for start in range(0, 12, 3)]
    assert len(parts[1]) > 0
    assert np.array_equal(np.concatenate(parts), whole)
    assert vocoder.lookahead_frames < 12


def test_several_sentences_and_recordings_go_in_step_and_sound_as_alone(tiny_voice, sound, monkeypatch):
    stored = load_voice(tiny_voice)
    sizes = replace(SIZES, mel=stored.mel)
    torch.manual_seed(0)
    config = replace(stored.config, wavenet=sizes)
    voice = Voice(StoredVoice(config, stored.acoustic, stored.vocoder, WaveNet(sizes).eval()))
    company = []
    together = WaveNetVocoder.together
    monkeypatch.setattr(
        WaveNetVocoder, "together", lambda self, mels, seeds: company.append(len(mels)) or together(self, mels, seeds)
    )
    options = SynthesisOptions(vocoder="wavenet", max_frames=12)
    text = "One goes. Two went by. Three!"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FaultWarning)
        whole = voice.say(text, options)
        assert company == [3]
        alone = np.concatenate([piece.samples for piece in voice.stream(text, options)])
        assert company == [3], "a stream's sentences are heard one by one"
        (many,) = voice.say_many([text], options, workers=1)
    assert company == [3, 3]
    np.testing.assert_allclose(whole.samples, alone, atol=1e-5)
    np.testing.assert_allclose(many.samples, whole.samples, atol=1e-5)

    recordings = [sound, sound._replace(samples=sound.samples[:4000]), sound._replace(samples=2 * sound.samples)]
    again = list(voice.vocode_many(iter(recordings), options))
    assert company == [3, 3, 3]
    for recording, one in zip(recordings, again, strict=True):
        assert np.array_equal(one.samples, voice.vocode(recording, options).samples)


def test_what_a_wavenet_has_not_is_said(sound):
    voice = Voice(voice_with(wavenet=SIZES))
    with pytest.raises(InputError, match="denoise is for WaveGlow"):
        voice.vocode(sound, denoise=1.0)
    with pytest.raises(InputError, match="has no WaveGlow"):
        voice.vocode(sound, vocoder="waveglow")


def test_mels_that_disagree_are_refused(tmp_path):
    other = WaveNetConfig(n_layers=1, mel=MelConfig(f_max=7600.0))
    voice = StoredVoice(VoiceFile(name="tiny", wavenet=SIZES, vocoder=other), wavenet=WaveNet(other))
    with pytest.raises(InputError, match=r"disagree on mel\.f_max"):
        save_voice(voice, tmp_path / "v")


@pytest.mark.parametrize("name", ["a_mol", "a_gin", "b_mol", "b_mulaw256"])
def test_published_weights_are_imported_and_speak(parity, tmp_path, sound, name):
    checkpoint = parity(f"wavenet_{name}.pth")
    statistics = tmp_path / "meanvar.npz"
    np.savez(statistics, mean=np.zeros(80), scale=np.ones(80))
    if name.startswith("b"):
        with pytest.raises(InputError, match=r"meanvar\.joblib"):
            import_voice([checkpoint], tmp_path / "v", hparams=parity(f"wavenet_{name}_hparams.json"))
        assert not (tmp_path / "v").exists()
    hparams = parity(f"wavenet_{name}_hparams.json")
    import_voice([checkpoint], tmp_path / "v", hparams=hparams, statistics=statistics)
    voice = Voice.load(tmp_path / "v")
    spoken = voice.vocode(sound)
    assert len(spoken.samples) == round(len(sound.samples) * spoken.sample_rate / 22_050)
    assert np.isfinite(spoken.samples).all()
    assert np.abs(spoken.samples).max() > 0


@pytest.mark.parametrize(
    ("hparams", "told"),
    [
        ("[]", "JSON object"),
        ('{"stacks": 0}', "stacks"),
        ('{"stacks": "two"}', "stacks must be a number"),
        ('{"stacks": 4}', "does not divide"),
        ('{"upsample_scales": [2, 2]}', "has shape|upsample"),
        ('{"log_scale_min": NaN}', "must be a number"),
        ("{", "cannot be read"),
    ],
)
def test_hyperparameters_that_cannot_be_are_refused(parity, tmp_path, hparams, told):
    path = tmp_path / "hparams.json"
    path.write_text(hparams)
    with pytest.raises(InputError, match=told):
        import_voice([parity("wavenet_a_mol.pth")], tmp_path / "v", hparams=path)
    assert not (tmp_path / "v").exists()


CHANGES = [
    *(f"wavenet.{name}={size}" for name, size in (("n_layers", 2), ("residual_channels", 8), ("gate_channels", 16))),
    *("wavenet.skip_channels=8", "training.validation_clips=2", "training.batch_size=2", "segment_frames=2"),
    *("training.checkpoint_every=3", "training.validate_every=3", "training.optimizer.schedule=constant"),
]


def trained(corpus, folder, steps, cache):
    config = recipe("vocoder", "compact-wavenet", [*CHANGES, f"training.max_steps={steps}"])
    task = wavenet_task(config, Corpora([("me", corpus)], cache))
    train(task, folder, device="cpu", quiet=True)


def test_a_resumed_run_is_the_same_to_the_bit_with_its_average(tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(segment_task, "SAMPLE_CLIPS", 1)
    monkeypatch.setattr(module, "SAMPLE_FRAMES", 8)
    trained(tiny_corpus, tmp_path / "whole", 6, tmp_path / "cache")
    trained(tiny_corpus, tmp_path / "cut", 3, tmp_path / "cache")
    config = json.loads((tmp_path / "cut" / "config.json").read_text())
    config["training"]["max_steps"] = 6
    (tmp_path / "cut" / "config.json").write_text(json.dumps(config))
    trained(tiny_corpus, tmp_path / "cut", 6, tmp_path / "cache")
    for name in ("model", "average", "optimizer"):
        files = [tmp_path / run / "step-0000006" / f"{name}.safetensors" for run in ("whole", "cut")]
        assert files[0].read_bytes() == files[1].read_bytes(), name
    average, model = (tmp_path / "whole" / "step-0000006" / f"{name}.safetensors" for name in ("average", "model"))
    assert average.read_bytes() != model.read_bytes()
    export([tmp_path / "whole"], tmp_path / "voice", store="int8")
    spoken = Voice.load(tmp_path / "voice").vocode(Audio(np.zeros(2000, np.float32), 22_050))
    assert len(spoken.samples) == 2000
