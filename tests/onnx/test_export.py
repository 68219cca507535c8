"""Exported files say what torch says for the same noise, and are read by the programs that they are for."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import onnx
from glowtron import InputError, Voice
from glowtron.checkpoint import load_voice
from glowtron.cli import main
from glowtron.config import ProsodyOptions
from glowtron.models.fastspeech2 import draw_noise
from glowtron.models.mel_correction import MelCorrection
from glowtron.onnx import sherpa
from glowtron.onnx.export import FORMS, GraphOptions, export_onnx
from glowtron.onnx.graph import Graph
from glowtron.onnx.sessions import Session
from glowtron.text.symbols import SYMBOL_IDS, SYMBOLS

NEAR = 1e-4


def session(path: Path) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(onnx.load(path), full_check=True)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def control(**changes: float) -> dict[str, np.ndarray]:
    values = {"rate": 1.0, "pitch": 0.0, "pitch_range": 1.0, "energy": 0.0} | changes
    return {name: np.array([[value]], np.float32) for name, value in values.items()}


def test_symbols_to_samples_in_one_graph(parallel: Path, tmp_path: Path) -> None:
    """FastSpeech 2, the lapped WaveGlow and its correction, as the textbook computes them."""
    export_onnx(parallel, tmp_path / "out")
    stored, changes = load_voice(parallel), ProsodyOptions(rate=1.1, pitch=2.0, pitch_range=0.8, energy=1.5)
    ids = torch.tensor([Voice.load(parallel).phonemes("One two three, four.")[0].ids])
    with torch.inference_mode():
        prosody = changes.on_top_of(stored.config.decoding.prosody)
        plan = stored.acoustic.plan(ids, torch.tensor([ids.shape[1]]), torch.tensor([1]), prosody, 2000)
        noise = draw_noise(stored.acoustic.config, plan.durations.sum(1), [torch.Generator().manual_seed(0)])
        mel = stored.acoustic.decode(plan.frames, plan.pitch, plan.voiced, noise, plan.mask)
        z = torch.randn(1, 256, mel.shape[2], generator=torch.Generator().manual_seed(1))
        wave = stored.vocoder.inverse(stored.config.vocoding.sigma * z, mel)
        wanted = MelCorrection(stored.mel)(wave, mel, stored.config.vocoding.correction).numpy()
    # Noise may be longer than the text turns out to be.
    longer = np.pad(z.numpy(), ((0, 0), (0, 0), (0, 7)), constant_values=9.0)
    given_noise = {"acoustic_noise": noise.numpy(), "vocoder_noise": longer}
    samples, alignment = session(tmp_path / "out" / "voice.onnx").run(
        None,
        {
            "ids": ids.numpy(),
            "speaker": np.array([1]),
            **control(rate=1.1, pitch=2.0, pitch_range=0.8, energy=1.5),
            **given_noise,
        },
    )
    assert samples.shape == wanted.shape and np.abs(samples - wanted).max() <= NEAR * max(np.abs(wanted).max(), 1)
    assert np.array_equal(alignment.sum(1)[0], plan.durations[0].numpy())
    about = json.loads((tmp_path / "out" / "about.json").read_text())
    assert about["name"] == "parallel"
    assert (tmp_path / "out" / "symbols.txt").read_text().split("\n")[: len(SYMBOLS)] == list(SYMBOLS)


@pytest.mark.parametrize("name", ["reader", "published", "tiny_voice"])
def test_the_decoders_loop_is_in_the_graph(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Tacotron 2, whose dropout is an input; monotonic attention, soft attention, an end at the first step."""
    folder = request.getfixturevalue(name)
    export_onnx(folder, tmp_path / "out", "parts")
    stored = load_voice(folder)
    config = stored.config.acoustic.model
    ids, lengths, speaker = torch.randint(12, 60, (2, 17)), torch.tensor([17, 9]), torch.tensor([1, 0])
    if name == "published":
        ids, lengths, speaker = ids[:1], lengths[:1], speaker[:1]
    n_steps = -(-stored.config.decoding.max_frames // config.reduction_factor)
    seeds = range(len(ids))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    wanted = stored.acoustic.generate(ids, lengths, stored.config.decoding, generators, speaker=speaker)
    masks = []
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        drawn = [
            stored.acoustic.prenet.draw(64, like=torch.zeros(1), generator=generator) for _ in range(n_steps // 64 + 1)
        ]
        masks.append(torch.cat(drawn, dim=1)[:, :n_steps])
    acoustic = session(tmp_path / "out" / "acoustic.onnx")
    mel, mel_lengths, _ = acoustic.run(
        None,
        {
            "ids": ids.numpy(),
            "lengths": lengths.numpy(),
            "speaker": speaker.numpy(),
            "dropout": torch.stack(masks, dim=2).transpose(0, 1).numpy(),
        },
    )
    assert mel_lengths.tolist() == wanted.mel_lengths.tolist()
    assert np.abs(mel - wanted.mel.numpy()).max() < NEAR
    vocoder = session(tmp_path / "out" / "vocoder.onnx")
    n_channels = stored.vocoder.config.n_channels
    frames = wanted.mel[:1, :, : int(wanted.mel_lengths[0])]
    z = torch.randn(1, n_channels, frames.shape[2] * 256 // n_channels, generator=torch.Generator().manual_seed(1))
    who = torch.tensor([1]) if stored.vocoder.config.n_speakers > 1 else None
    with torch.no_grad():
        wave = stored.vocoder.inverse(stored.config.vocoding.sigma * z, frames, who)
        wave = MelCorrection(stored.mel)(wave, frames, stored.config.vocoding.correction).numpy()
    given_speaker = {} if who is None else {"speaker": who.numpy()}
    (samples,) = vocoder.run(None, {"mel": frames.numpy(), "vocoder_noise": z.numpy(), **given_speaker})
    assert np.abs(samples - wave).max() <= NEAR * max(np.abs(wave).max(), 1)


def test_noise_may_be_drawn_inside(reader: Path, tmp_path: Path) -> None:
    export_onnx(reader, tmp_path / "out", options=GraphOptions(noise_inside=True, int8=True, correction=0))
    voice = session(tmp_path / "out" / "voice.onnx")
    assert [one.name for one in voice.get_inputs()] == ["ids", "speaker"]
    given_text = {"ids": np.array([[12, 13, 14, 7]]), "speaker": np.array([0])}
    one, two = (voice.run(["samples"], given_text)[0] for _ in range(2))
    assert np.isfinite(one).all() and (one.shape != two.shape or not np.array_equal(one, two))


def test_griffin_lim_is_a_vocoder_too(parallel: Path, tmp_path: Path) -> None:
    voice = Voice.load(parallel, runtime="onnx")
    voice.save(tmp_path / "voice")
    about = json.loads((tmp_path / "voice" / "voice.json").read_text())
    about["vocoder"] = {"type": "griffin-lim", "n_iterations": 3}
    del about["sha256"]["vocoder.safetensors"]
    (tmp_path / "voice" / "voice.json").write_text(json.dumps(about))
    export_onnx(tmp_path / "voice", tmp_path / "out", "parts")
    vocoder = session(tmp_path / "out" / "vocoder.onnx")
    noise = np.random.default_rng(0).random((2, 513, 30)).astype(np.float32)
    (samples,) = vocoder.run(None, {"mel": np.full((2, 80, 30), -5, np.float32), "vocoder_noise": noise})
    assert samples.shape == (2, 30 * 256) and np.isfinite(samples).all()


@pytest.mark.parametrize("form", FORMS)
def test_faults_leave_no_file(form: str, published: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    with pytest.raises(InputError, match="does not exist"):
        export_onnx(nothing, tmp_path / "out", form)
    if form.startswith("sherpa"):
        with pytest.raises(InputError, match="reads no phones"):
            export_onnx(published, tmp_path / "out", form)
    assert not (tmp_path / "out").exists()


def test_the_command_line(parallel: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"

    def export(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main(["export", *map(str, arguments)])
        return (done.value.code, *capfd.readouterr())

    status, told, _ = export(parallel, "--onnx", "--form", "parts", "--store", "int8", "-o", out)
    assert status == 0 and "acoustic.onnx" in told and (out / "vocoder.onnx").exists()
    status, _, error = export(parallel, "--form", "parts", "-o", out)
    assert status == 2 and "--form is for ONNX files; add --onnx" in error
    status, _, error = export(parallel, parallel, "--onnx", "-o", out)
    assert status == 2 and "--onnx takes one voice" in error


WORDS = st.lists(st.sampled_from(["HH AH0 L OW1", "W ER1 L D", "AH0", "Y EH1 S"]), min_size=1, max_size=4)
CLAUSES = st.lists(st.tuples(WORDS, st.sampled_from(",.;:!?")), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def tidied() -> Session:
    graph = Graph("tidy")
    x = graph.input("x", "int64", [1, "N"])
    graph.output("y", sherpa.tidy(graph, x), [1, "M"], "int64")
    return Session(graph, 1)


@given(clauses=CLAUSES, last_mark=st.booleans())
def test_whatever_sherpa_does_with_spaces_is_undone(
    tidied: Session, clauses: list[tuple[list[str], str]], last_mark: bool
) -> None:
    """2.x drops spaces after marks; 1.x has one after every word. Wanted is what the frontend makes."""
    words = [[[SYMBOL_IDS["{" + phone + "}"] for phone in word.split()] for word in clause] for clause, _ in clauses]
    marks = [SYMBOL_IDS[mark] for _, mark in clauses]
    space, stop = SYMBOL_IDS[" "], SYMBOL_IDS["."]
    wanted: list[int] = []
    matcha: list[int] = []
    vits: list[int] = []
    for i, (clause, mark) in enumerate(zip(words, marks, strict=True)):
        for j, word in enumerate(clause):
            wanted += [space, *word]
            matcha += ([space] if j else []) + word
            vits += [*word, space]
        is_last = i == len(words) - 1
        wanted.append(mark if last_mark or not is_last else stop)
        if last_mark or not is_last:
            matcha.append(mark)
            vits += [mark, space] if i % 2 else [mark]
    for given_order in (matcha, vits):
        assert tidied(x=np.array([given_order]))[0][0].tolist() == wanted


@pytest.mark.slow
@pytest.mark.parametrize("form", ["sherpa-matcha", "sherpa-vits"])
def test_sherpa_says_the_same(form: str, parallel: Path, tmp_path: Path) -> None:
    """Without noise the same phones, and so the same samples."""
    import sherpa_onnx

    out = tmp_path / "sherpa"
    export_onnx(parallel, out, form)
    files = {"lexicon": str(out / "lexicon.txt"), "tokens": str(out / "tokens.txt")}
    model = str(out / "model.onnx")
    if form == "sherpa-matcha":
        kind = {"matcha": sherpa_onnx.OfflineTtsMatchaModelConfig(model, "", noise_scale=0.0, **files)}
    else:
        kind = {"vits": sherpa_onnx.OfflineTtsVitsModelConfig(model, noise_scale=0.0, **files)}
    model_config = sherpa_onnx.OfflineTtsModelConfig(num_threads=1, **kind)
    config = sherpa_onnx.OfflineTtsConfig(model=model_config)
    tts = sherpa_onnx.OfflineTts(config)
    assert tts.sample_rate == 22_050 and tts.num_speakers == 2
    text = "Hello, world of seven rivers."
    ids = np.array([Voice.load(parallel).phonemes(text)[0].ids])
    export_onnx(parallel, tmp_path / "whole")
    (wanted,) = session(tmp_path / "whole" / "voice.onnx").run(
        ["samples"],
        {
            "ids": ids,
            "speaker": np.array([1]),
            **control(),
            "acoustic_noise": np.zeros((1, 8, 1), np.float32),
            "vocoder_noise": np.zeros((1, 256, 1), np.float32),
        },
    )
    how = sherpa_onnx.GenerationConfig()
    how.sid, how.speed, how.silence_scale = 1, 1.0, 1.0  # Silence stays as long as it is.
    found = np.array(tts.generate(text, how).samples, np.float32)
    assert found.shape == wanted[0].shape
    assert np.abs(found - wanted[0]).max() <= NEAR * max(np.abs(wanted).max(), 1)
