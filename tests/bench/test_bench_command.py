"""`glowtron bench`: tiny models in processes of their own; what the figures are called, and that they fit together."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from glowtron.bench import saying
from glowtron.bench.acoustic import AcousticWork, bench_acoustic
from glowtron.bench.measurement import Settings
from glowtron.bench.processes import bench_processes
from glowtron.bench.result import as_table
from glowtron.bench.saying import SayingWork, bench_saying
from glowtron.bench.streaming import Arrival, bench_streaming, least_ahead_s
from glowtron.bench.training import bench_training
from glowtron.bench.training_step import TrainingWork, clips, find_run, with_alignment
from glowtron.bench.vocoder import VocoderWork, bench_vocoder
from glowtron.bench.weights import realistic_acoustic_weights, realistic_wavenet_weights, realistic_weights
from glowtron.checkpoint import StoredVoice, save_voice
from glowtron.cli import main
from glowtron.config import (
    AcousticConfig,
    AcousticRun,
    DecodingOptions,
    MelConfig,
    Tacotron2Config,
    VoiceFile,
    WaveGlowConfig,
    WaveNetConfig,
    WNConfig,
    to_dict,
)
from glowtron.errors import InputError
from glowtron.models.tacotron2 import Tacotron2
from glowtron.models.waveglow import WaveGlow
from glowtron.models.wavenet import WaveNet

SETTINGS = Settings(runs=2, warm_up=1, threads=1)
COMMON = {"what", "model", "precision", "why", "threads", "ratio_to_plain", "plain", "peak_memory_gb", "error", "parts"}
# The published upsampling is 80 x 80 x 1024, and torch takes a second to lay it out.
MEL = MelConfig(n_mels=16)
VOCODER = WaveGlowConfig(mel=MEL, n_flows=3, early_every=2, wavenet=WNConfig(n_layers=2, n_channels=16))
ACOUSTIC = AcousticConfig(
    mel=MEL,
    model=Tacotron2Config(
        embedding_channels=16,
        encoder_channels=16,
        prenet_channels=8,
        attention_rnn_channels=16,
        attention_channels=8,
        location_filters=4,
        decoder_rnn_channels=16,
        postnet_channels=8,
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("voices")


def small_voice(folder: Path, name: str, decoding: DecodingOptions) -> str:
    """A voice folder of small models of the published kind."""
    generator = torch.Generator().manual_seed(0)
    tacotron2 = realistic_acoustic_weights(Tacotron2(ACOUSTIC.model, MEL.n_mels), generator)
    waveglow = realistic_weights(WaveGlow(VOCODER), generator)
    config = VoiceFile(name=name, acoustic=ACOUSTIC, vocoder=VOCODER, decoding=decoding, attempts=0)
    save_voice(StoredVoice(config, tacotron2, waveglow), folder / name)
    return str(folder / name)


@pytest.fixture(scope="module")
def published_voice(folder: Path) -> str:
    """It speaks each sentence for 24 frames."""
    return small_voice(folder, "small", DecodingOptions(max_frames=24))


@pytest.fixture(scope="module")
def monotonic_voice(folder: Path) -> str:
    """It reads on, and gives sound inside a sentence."""
    return small_voice(folder, "reader", DecodingOptions(monotonic=True, max_dwell=12, max_sound_dwell=8))


def assert_whole(result: dict[str, Any], *more: str) -> None:
    """Names, units that fit together, and values that JSON knows."""
    assert set(result) >= COMMON | set(more)
    json.dumps(result, allow_nan=False)
    seconds = result["seconds"]
    assert seconds["fastest"] <= seconds["median"] <= seconds["slowest"]
    assert len(seconds["each"]) == 2
    assert 0 < result["loaded_memory_gb"] <= result["peak_memory_gb"] < 4
    assert sum(result["parts"].values()) == pytest.approx(1, abs=1e-6)
    assert all(share >= 0 for share in result["parts"].values())
    assert as_table(result).startswith(f"| {result['what']}: {result['model']} | glowtron | plain |")
    if isinstance(result["plain"], dict):
        key = "first_sounds_s" if result["what"] == "stream" else "seconds"
        plain = result["plain"]["first_sound_s"] if result["what"] == "stream" else result["plain"][key]["median"]
        assert result["ratio_to_plain"] == pytest.approx(plain / result[key]["median"])
        assert (result["plain"]["precision"], result["plain"]["why"]) == ("fp32", "the textbook of glowtron.models")
    else:
        assert result["ratio_to_plain"] == result["plain"]
        assert result["plain"].startswith("not measured: ")


def test_vocoder(published_voice: str) -> None:
    result = bench_vocoder(VocoderWork(published_voice, seconds=0.2, batch=2), SETTINGS._replace(precision="bf16"))
    assert_whole(result, "rtf", "khz", "audio_s")
    assert result["precision"] == "bf16"
    assert result["audio_s"] == pytest.approx(17 * 256 / 22_050)
    # Both conventions tell the same: samples of the batch a second, and the time they take.
    assert result["khz"] * result["rtf"] == pytest.approx(22.05)
    assert 20 < result["error"]["snr_db"] < 80
    assert result["share_of_limit"] > 0
    assert result["limit"]["matrix_gflops"] > 0
    assert min(result["parts"][name] for name in ("conditioning", "layers")) > 0


def test_a_wavenet_beside_its_textbook(tmp_path: Path) -> None:
    sizes = WaveNetConfig(n_layers=3, residual_channels=8, gate_channels=16, skip_channels=8)
    torch.manual_seed(0)
    wavenet = realistic_wavenet_weights(WaveNet(sizes), torch.Generator().manual_seed(0)).eval()
    save_voice(StoredVoice(VoiceFile(name="tiny", wavenet=sizes), wavenet=wavenet), tmp_path / "v")
    work = VocoderWork(str(tmp_path / "v"), seconds=0.05, batch=2)
    result = bench_vocoder(work, SETTINGS._replace(precision="fp32"))
    assert (result["precision"], result["batch"]) == ("fp32", 2)
    assert result["khz"] * result["rtf"] == pytest.approx(22.05)
    assert result["ratio_to_plain"] == pytest.approx(result["plain"]["seconds"]["median"] / result["seconds"]["median"])
    assert result["error"]["snr_db"] > 60
    assert bench_vocoder(work, SETTINGS._replace(precision="int8", plain=False))["error"]["snr_db"] > 15


def test_acoustic(published_voice: str) -> None:
    result = bench_acoustic(AcousticWork(published_voice, seconds=0.3, batch=2), SETTINGS._replace(precision="fp32"))
    assert_whole(result, "rtf", "mel_frames_per_s", "symbols")
    assert result["mel_frames_per_s"] * result["rtf"] == pytest.approx(22_050 / 256)
    assert result["error"]["log_mel_l1"] < 1e-4
    assert min(result["parts"][name] for name in ("encoder", "decoder steps", "postnet")) > 0


def test_the_textbook_can_be_left_out(tiny_voice: Path) -> None:
    result = bench_vocoder(VocoderWork(str(tiny_voice), seconds=0.1), SETTINGS._replace(plain=False))
    assert_whole(result, "rtf")
    assert result["plain"] == "not measured: not asked for"
    assert result["error"]["log_mel_l1"] < 1e-2


def test_a_voice_of_several_speakers_takes_turns_with_the_textbook(tiny_voice: Path) -> None:
    result = bench_acoustic(AcousticWork(str(tiny_voice), seconds=0.3), SETTINGS._replace(precision="fp32"))
    assert_whole(result, "rtf")
    assert isinstance(result["ratio_to_plain"], float)
    assert result["error"]["log_mel_l1"] < 1e-4


@pytest.mark.parametrize(
    ("config", "unit"),
    [
        ({"type": "vocoder", "vocoder": to_dict(VOCODER)}, "samples_per_s"),
        ({"type": "acoustic", "acoustic": to_dict(ACOUSTIC)}, "mel_frames_per_s"),
    ],
    ids=["vocoder", "acoustic"],
)
def test_training(config: dict[str, Any], unit: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    work = TrainingWork(str(file), batch=2, segment=1000, frames=6)
    result = bench_training(work, SETTINGS)
    assert_whole(result, unit, "steps_per_s")
    assert result[unit] / result["steps_per_s"] == pytest.approx(2000 if unit == "samples_per_s" else 12)
    assert result["error"]["gradient_snr_db"] == "no difference" or result["error"]["gradient_snr_db"] > 10
    assert result["memory_ratio_to_plain"] == result["peak_memory_gb"] / result["plain"]["peak_memory_gb"]


@pytest.mark.parametrize("supervision", [pytest.param("guided", marks=pytest.mark.slow), "forced_alignment"])
def test_training_with_guided_attention(supervision: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    run = {"type": "acoustic", "acoustic": to_dict(ACOUSTIC), "attention_supervision": supervision}
    file.write_text(json.dumps(run), encoding="utf-8")
    result = bench_training(TrainingWork(str(file), batch=2, frames=20), SETTINGS._replace(precision="fp32"))
    assert_whole(result, "mel_frames_per_s")
    assert result["attention_supervision"] == supervision
    assert isinstance(result["ratio_to_plain"], float)
    assert result["error"]["loss_difference"] < 1e-4
    assert result["error"]["gradient_snr_db"] > 60


def test_attention_is_taught_by_durations_that_fill_the_clip() -> None:
    config = find_run("compact-acoustic")
    assert isinstance(config, AcousticRun)
    batch = with_alignment(config, *clips(config, 3, 31, seed=0))
    assert batch.durations is not None
    assert batch.durations.sum(1).tolist() == batch.mel_lengths.tolist() == [32] * 3
    assert batch.durations.min() > 0
    assert batch.speaker.tolist() == [0, 1, 0]


@pytest.mark.slow
def test_processes_share_a_batch_and_learn_what_one_does(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"type": "vocoder", "vocoder": to_dict(VOCODER)}), encoding="utf-8")
    work = TrainingWork(str(file), batch=4, segment=1000)
    result = bench_processes(work, 2, SETTINGS._replace(threads=2, precision="fp32"))
    json.dumps(result, allow_nan=False)
    one = result["one_process"]
    assert (result["processes"], result["threads"], one["threads"]) == (2, 1, 2)
    assert result["samples_per_s"] * result["seconds"]["median"] == pytest.approx(4000)
    assert result["scaling"] == pytest.approx(result["samples_per_s"] / one["samples_per_s"])
    assert len(result["seconds"]["each"]) == len(one["seconds"]["each"]) == SETTINGS.runs
    # After four steps of Adam on the same batch; not the same would be half a batch, or weights that drift apart.
    assert result["error"]["loss_differs_by"] < 1e-4
    assert "| scaling |" in as_table(result)


@pytest.mark.parametrize(
    ("batch", "settings", "message"),
    [
        (3, SETTINGS._replace(threads=2), "`batch` 3"),
        (2, SETTINGS, "`threads` 1"),
        (2, SETTINGS._replace(threads=2, clock="cpu"), "leave `clock` out"),
    ],
)
def test_what_processes_cannot_share(batch: int, settings: Settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        bench_processes(TrainingWork("waveglow-256", batch), 2, settings)


def test_flows_computed_again_are_told_with_their_gradient(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"type": "vocoder", "vocoder": to_dict(VOCODER)}), encoding="utf-8")
    result = bench_training(
        TrainingWork(str(file), batch=1, segment=1000, activation_checkpointing=True), SETTINGS._replace(plain=False)
    )
    assert_whole(result)
    assert result["activation_checkpointing"] is True
    assert result["error"]["recomputed_gradient_differs_by"] == 0
    with pytest.raises(InputError, match="leave `activation_checkpointing` out"):
        bench_training(TrainingWork("tacotron2", activation_checkpointing=True), SETTINGS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "known: waveglow-256"),
        ('{"type": "postnet"}', "only runs of type vocoder or acoustic"),
        ("[]", "only runs of type vocoder or acoustic"),
        ('{"type": "vocoder", "colour": 1}', "colour"),
    ],
)
def test_a_run_that_cannot_be_measured(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        bench_training(TrainingWork(str(file)), SETTINGS)


def test_say(published_voice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "COLD_STARTS", 1)
    result = bench_saying(SayingWork(published_voice, "Hello. Again."), SETTINGS._replace(precision="fp32"))
    assert_whole(result, "rtf", "first_sentence_s", "cold_start_s")
    assert 0 < result["first_sentence_s"] < result["seconds"]["slowest"]
    assert result["cold_start_s"] > 0
    assert isinstance(result["ratio_to_plain"], float)
    assert result["error"]["snr_db"] == "no difference"
    # Two sentences and the pause between them.
    assert result["audio_s"] == pytest.approx(2 * 24 * 256 / 22_050 + 0.4, abs=1e-3)
    assert min(result["parts"][name] for name in ("reading of the text", "acoustic model", "vocoder")) > 0


def test_stream_inside_sentences(monotonic_voice: str) -> None:
    text = f"A sentence that goes on{' and on' * 20}, for as long as it takes. And so on."
    result = bench_streaming(SayingWork(monotonic_voice, text), SETTINGS._replace(precision="fp32"))
    assert_whole(result, "rtf", "first_sound_s", "least_ahead_s", "stream_differs_by")
    assert result["pieces"] > 5
    assert result["stream_differs_by"] < 1e-4
    assert result["error"]["snr_db"] == "no difference"
    assert result["first_sound_s"] == result["first_sounds_s"]["median"] < result["seconds"]["slowest"]
    assert -result["seconds"]["slowest"] < result["least_ahead_s"] < result["audio_s"]
    assert isinstance(result["ratio_to_plain"], float)
    names = ("reading of the text", "acoustic model", "silence", "vocoder")
    assert min(result["parts"][name] for name in names) > 0


def test_stream_of_a_published_voice(published_voice: str) -> None:
    """A sentence at a time, by the textbook as well."""
    result = bench_streaming(SayingWork(published_voice, "Hello."), SETTINGS._replace(clock="cpu"))
    assert_whole(result, "rtf", "first_sound_s")
    assert result["pieces"] == 1
    assert result["least_ahead_s"] == "not measured: all came in one piece"
    assert result["plain"]["first_sound_s"] <= result["plain"]["seconds"]["slowest"]


@pytest.mark.parametrize(
    ("arrivals", "ahead_s"),
    [
        ([(0.1, 1.0), (0.2, 1.0), (0.3, 1.0)], 0.9),  # Ever more in hand: the second piece is the closest.
        ([(5.0, 1.0), (5.9, 0.2), (6.1, 3.0)], 0.1),  # The first may take its time.
        ([(0.0, 1.0), (1.5, 1.0), (1.6, 1.0)], -0.5),
        ([(0.0, 1.0), (1.5, 1.0), (3.0, 1.0)], -1.0),  # Waits add up.
    ],
)
def test_what_is_in_hand(arrivals: list[tuple[float, float]], ahead_s: float) -> None:
    assert least_ahead_s([Arrival(*arrival) for arrival in arrivals]) == pytest.approx(ahead_s)


def test_the_command_writes_figures_and_prints_a_table(published_voice: str, tmp_path: Path) -> None:
    """As a program, whose processes find their way into it."""
    file = tmp_path / "new" / "out.json"
    options = ("--seconds", "0.1", "--runs", "1", "--warm-up", "0", "--threads", "1", "--json", str(file))
    command = [sys.executable, "-m", "glowtron", "bench", "vocoder", "--model", published_voice, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["command"].endswith("--seconds 0.1 --threads 1 --runs 1 --warm-up 0")
    assert {"settings", "machine", "power"} <= set(result)
    assert result["settings"] == {"runs": 1, "warm_up": 0, "seed": 0, "clock": "wall"}
    assert result["power"]["gpu_w"].startswith("not measured: ")
    assert result["threads"] == 1
    assert isinstance(result["ratio_to_plain"], float)
    assert "| rtf |" in done.stdout
    assert [path.name for path in file.parent.iterdir()] == ["out.json"]


def test_the_command_hands_its_options_on(
    monotonic_voice: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stream.json"
    options = ("--runs", "3", "--warm-up", "0", "--seed", "7", "--clock", "cpu", "--precision", "fp32", "--no-plain")
    with pytest.raises(SystemExit) as exit_:
        main(["bench", "stream", "--model", monotonic_voice, "--text", "Hm.", *options, "-q", "--json", str(file)])
    assert (exit_.value.code, *capfd.readouterr()) == (0, "", "")
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["settings"] == {"runs": 3, "warm_up": 0, "seed": 7, "clock": "cpu"}
    assert (result["characters"], result["plain"]) == (3, "not measured: not asked for")
    assert result["precision"] == "fp32 and fp32"
    assert len(result["seconds"]["each"]) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vocoder", "--model", "waveglow-257"), "waveglow-256"),
        (("train", "--model", "nothing"), "known: waveglow-256"),
        (("say", "--text", " "), "empty"),
        (("stream", "--text", "..."), "speakable"),
        (("stream", "--model", "nobody"), "known: compact, full-size"),
        (("vocoder", "--json", "."), "is a folder"),
        (("vocoder", "--runs", "0"), "--runs"),
        (("vocoder", "--device", "cuda:99"), "no device 'cuda:99' here"),
        (("acoustic", "--device", "gpu"), "unknown device 'gpu'"),
        (("say", "--device", "cuda:99"), "no device 'cuda:99' here"),
    ],
)
def test_the_command_refuses(arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["bench", *arguments])
    out, err = capfd.readouterr()
    assert (exit_.value.code, out) == (2, "")
    assert err.startswith("glowtron: error: ")
    assert message in err
    assert err.count("\n") == 1, err
