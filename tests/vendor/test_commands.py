"""The commands of the projects' pages, word for word, on a small corpus, read back by the projects' own patterns.

`2>&1 | tee` and the folders are as FlagPerf's starter has them. Settings make networks small, as its users may: in
`hparams.py`, `config.json` and the vendor's file.
"""

import json
import re
from pathlib import Path

import pytest
import torch
from suites import N_TRAINING, SMALL_TACOTRON2, SMALL_WAVEGLOW, shell, shrink_config, write_corpus, write_hparams

from glowtron.importers.voices import import_voice
from glowtron.vendor import flagperf, tacotron2, waveglow
from glowtron.vendor.row import as_markdown, make_row
from glowtron.vendor.scripts import write_scripts

NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"
EVENT = re.compile(r"^\[PerfLog\] (\{.*\})$", re.M)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the small corpus."""
    write_corpus(tmp_path)
    return tmp_path


def events(text: str) -> list[dict]:
    return [json.loads(found) for found in EVENT.findall(text)]


def flagperf_line(case: str, out: str) -> str:
    """What FlagPerf's starter runs in each process."""
    return (
        f"python3 -u benchmarks/{case}/pytorch/run_pretraining.py --extern_config_dir nvidia/{case}-pytorch/config "
        f"--extern_config_file config_A100x1x8.py --vendor nvidia --data_dir {out} --enable_extern_config "
        f"--extern_module_dir nvidia/{case}-pytorch/extern 2>&1 | tee rank0.out.log"
    )


def vendor_file(folder: Path, case: str, **values: object) -> None:
    config = folder / "nvidia" / f"{case}-pytorch" / "config"
    config.mkdir(parents=True)
    (config / "config_common.py").write_text('vendor: str = "nvidia"\ndist_backend = "nccl"\n')
    lines = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    (config / "config_A100x1x8.py").write_text(f"from config_common import *\n{lines}warmup = 0.2\n")


def test_flagperf_tacotron2(place: Path) -> None:
    write_scripts("flagperf", place)
    vendor_file(place, "tacotron2", train_batch_size=2, eval_batch_size=2, max_epochs=2, seed=23333, **SMALL_TACOTRON2)
    told = shell(flagperf_line("tacotron2", "."), place, RANK="0", WORLD_SIZE="1", LOCAL_RANK="0").stdout
    steps = N_TRAINING // 2
    named = [event["event"] for event in events(told)]
    an_epoch = ["EPOCH_BEGIN", *["STEP_END"] * steps, "EPOCH_END"]
    assert named == ["INIT_START", "INIT_END", "TRAIN_START", *an_epoch * 2, "TRAIN_END", "FINISHED"]
    assert "warmup is no setting of this case" in told
    step_lines = re.findall(
        rf"^step_info:\{{'step': (\d+), 'train_loss': {NUMBER}, 'num_trained_samples': (\d+)\}}$", told, re.M
    )
    assert [int(step) for step, _ in step_lines] == list(range(1, 2 * steps + 1))
    validations = re.findall(
        rf"^\{{'val_loss': ({NUMBER}), 'epoch': (\d+), 'global_steps': (\d+), 'num_trained_samples': (\d+), "
        r"'timestamp': \d+\}$",
        told,
        re.M,
    )
    assert [(int(epoch), int(step)) for _, epoch, step, _ in validations] == [(1, steps), (2, 2 * steps)]
    last = events(told)[-1]
    assert list(last) == ["event", "value", "metadata"]
    assert list(last["metadata"]) == ["file", "lineno", "time_ms", "rank"]
    value = last["value"]
    assert list(value) == [
        "e2e_time", "converged", "raw_train_time", "init_time", "epoch", "global_steps", "train_loss", "val_loss",
        "num_trained_samples", "pure_training_computing_time", "throughput(ips)_raw", "throughput(ips)_no_eval",
        "throughput(ips)_pure_compute",
    ]  # fmt: skip
    assert value["converged"] is False
    assert value["val_loss"] == float(validations[-1][0])
    assert value["num_trained_samples"] == int(step_lines[-1][1])
    assert value["throughput(ips)_raw"] <= value["throughput(ips)_no_eval"] <= value["throughput(ips)_pure_compute"]
    assert value["e2e_time"] >= value["raw_train_time"] > 0
    row = make_row([place / "rank0.out.log"])
    assert list(row.own) == ["precision", "fix_hp", "e2e_time", "p_whole", "p_train", "p_core", "val_loss", "mem"]
    assert row.own["p_whole"] == f"{value['throughput(ips)_raw']:.5g}"
    assert row.cells["Stability"] == "1 (1 of 1)"


@pytest.mark.slow
def test_flagperf_waveglow(place: Path) -> None:
    write_scripts("flagperf", place)
    vendor_file(place, "WaveGlow", batch_size=2, epochs=2, amp=False, segment_length=2048, **SMALL_WAVEGLOW)
    told = shell(flagperf_line("WaveGlow", "."), place, RANK="0", WORLD_SIZE="1", LOCAL_RANK="0").stdout
    assert [event["event"] for event in events(told)] == [
        "INIT_START", "INIT_END", "TRAIN_START", "TRAIN_END", "FINISHED"
    ]  # fmt: skip
    assert events(told)[1]["other"] == "Finish initialization"
    dll = r"^DLL \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6} - "
    steps = N_TRAINING // 2
    for i in range(2 * steps):
        step = rf"\({i // steps}, {i % steps}\)"
        for line in (
            rf"glob_iter/iters_per_epoch : {i}/{steps} ",
            rf"train_loss : {NUMBER} None",
            rf"train_items_per_sec : {NUMBER} items/s",
            rf"train_iter_time : {NUMBER} s",
        ):
            assert re.search(rf"{dll}{step} {line}$", told, re.M), (step, line)
    assert len(re.findall(rf"{dll}\(\d,\) val_loss : {NUMBER} None$", told, re.M)) == 2
    value = events(told)[-1]["value"]
    assert list(value) == [
        "e2e_time", "training_items_per_second", "val_items_per_sec", "converged", "final_loss", "raw_train_time",
        "init_time",
    ]  # fmt: skip
    lines = [json.loads(line.removeprefix("DLLL ")) for line in (place / "result/nvlog.json").read_text().splitlines()]
    assert {line["type"] for line in lines} == {"METADATA", "LOG"}
    assert [line["data"]["val_loss"] for line in lines if "val_loss" in line.get("data", {})][-1] == value["final_loss"]
    row = make_row([place / "rank0.out.log"])
    assert row.own["samples/s"] == f"{value['training_items_per_second']:.5g}"
    assert make_row([place / "result/nvlog.json"]).cells["FPS"] == "-"
    import_voice([place / "result/checkpoint_WaveGlow_0.pt"], place / "voice")


def test_flagperf_stops_at_the_target(place: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(place)
    vendor_file(
        place, "WaveGlow", batch_size=2, epochs=9, amp=False, segment_length=2048, target_val_loss=100, **SMALL_WAVEGLOW
    )
    told = ["--extern_config_dir", "nvidia/WaveGlow-pytorch/config", "--extern_config_file", "config_A100x1x8.py"]
    assert flagperf.main("WaveGlow", [*told, "--vendor", "nvidia", "--data_dir", ".", "--enable_extern_config"]) == 0
    out, err = capfd.readouterr()
    assert re.search(rf"^converged_success\. eval_val_loss: {NUMBER}, target_val_loss: 100.0$", out, re.M)
    assert events(err)[-1]["value"]["converged"] is True
    assert "(0, 0)" in out and "(1, 0)" not in out


def test_deepspark_tacotron2(place: Path, monkeypatch, capfd) -> None:
    write_scripts("deepspark-tacotron2", place)
    write_hparams(place, epochs=2, batch_size=2, iters_per_checkpoint=3)
    shell("mkdir outdir logdir", place)
    line = "python3 train.py --output_directory=outdir --log_directory=logdir --target_val_loss=0.5"
    done = shell(f"{line} 2>log.err | tee log", place)
    lines = done.stdout.splitlines()
    assert lines[:6] == [
        "FP16 Run: False", "Dynamic Loss Scaling: True", "Distributed Run: False", "cuDNN Enabled: True",
        "cuDNN Benchmark: False", "Epoch: 0",
    ]  # fmt: skip
    steps = re.findall(r"^Train loss (\d+) \d+\.\d{6} Grad Norm \d+\.\d{6} \d+\.\d\ds/it$", done.stdout, re.M)
    assert [int(step) for step in steps] == [0, 1, 2, 3]
    assert re.findall(r"^Validation loss (\d+): +[\d.]+  $", done.stdout, re.M) == ["0", "3", "4"]
    assert "Saving model and optimizer state at iteration 3 to outdir/checkpoint_3" in lines
    assert lines[-1] == "Traning Status: aborted"
    assert list((place / "outdir" / "logdir").rglob("events.out.tfevents*"))
    # The checkpoint is theirs: its own keys, read by our importer, and gone on from.
    stored = torch.load(place / "outdir" / "checkpoint_3", weights_only=True)
    assert list(stored) == ["iteration", "state_dict", "optimizer", "learning_rate"]
    import_voice([place / "outdir" / "checkpoint_3"], place / "voice")
    monkeypatch.chdir(place)
    again = ["--output_directory=outdir", "--log_directory=logdir", "-c", "outdir/checkpoint_3"]
    assert tacotron2.main("deepspark", [*again, "--hparams=epochs=3"]) == 0
    further = capfd.readouterr().out
    assert "Loaded checkpoint 'outdir/checkpoint_3' from iteration 3\n" in further
    assert re.findall(r"^Train loss (\d+) ", further, re.M) == ["4", "5"]
    assert tacotron2.main("deepspark", [*again, "--warm_start", "--hparams=epochs=1"]) == 0
    warm = capfd.readouterr().out
    assert "Warm starting model from checkpoint 'outdir/checkpoint_3'\n" in warm
    text = as_markdown(make_row([place / "log"], mos=4.46))
    assert text.startswith("| Convergence criteria | Configuration | FPS | MOS | Performance | Power (W) |")
    assert "| score(MOS): 4.46 | - | - | 4.46 |" in text


def test_a_target_that_is_reached_is_a_success(place: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(place)
    write_hparams(place, epochs=2, batch_size=2, iters_per_checkpoint=3)
    flags = ["--output_directory=outdir", "--log_directory=logdir", "--target_val_loss=1000"]
    assert tacotron2.main("deepspark", flags) == 0
    out, err = capfd.readouterr()
    assert out.endswith("\nTraning Status: success\n")
    (place / "log").write_text(out + err)
    row = make_row([place / "log"])
    assert row.cells["Convergence criteria"].startswith("val_loss 1000: reached")
    assert all(row.cells[name] != "-" for name in ("Configuration", "FPS", "Performance", "Memory (GB)"))


@pytest.mark.slow
def test_deepspark_waveglow(place: Path) -> None:
    write_scripts("deepspark-waveglow", place)
    shrink_config(place, epochs=2, batch_size=2, iters_per_checkpoint=3)
    done = shell("python3 train.py -c config.json", place)
    lines = done.stdout.splitlines()
    assert lines[:2] == ["output directory checkpoints", "Epoch: 0"]
    steps = re.findall(
        r"^(\d+):\tloss:-?\d+\.\d{3}; \tdur_time:\d+\.\d{3}s; \tthroughput:(\d+\.\d{3});$", done.stdout, re.M
    )
    assert [int(step) for step, _ in steps] == [0, 1, 2, 3]
    assert "Saving model and optimizer state at iteration 3 to checkpoints/waveglow_3" in lines
    assert lines[-1].startswith("3:\t") or lines[-1].endswith("waveglow_3")
    import_voice([place / "checkpoints" / "waveglow_3"], place / "voice")
    (place / "log").write_text(done.stdout + done.stderr)
    assert make_row([place / "log"]).cells["FPS"] != "-"


def test_nvidia_waveglow_goes_on_from_its_checkpoint(place: Path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(place)
    write_scripts("waveglow", place)
    shrink_config(place, epochs=2, batch_size=2, iters_per_checkpoint=1, fp16_run=False)
    assert waveglow.main("nvidia", ["-c", "config.json"]) == 0
    whole = capfd.readouterr().out
    losses = dict(re.findall(r"^(\d+):\t(-?\d+\.\d{9})$", whole, re.M))
    assert list(losses) == ["0", "1", "2", "3"]
    shrink_config(place, checkpoint_path="checkpoints/waveglow_1")
    assert waveglow.main("nvidia", ["-c", "config.json"]) == 0
    rest = capfd.readouterr().out
    assert "Loaded checkpoint 'checkpoints/waveglow_1' (iteration 1)\n" in rest
    # The same weights, moments and data: the same losses to the last digit that is printed.
    assert dict(re.findall(r"^(\d+):\t(-?\d+\.\d{9})$", rest, re.M)) == {key: losses[key] for key in ("2", "3")}


@pytest.mark.slow
def test_several_processes(place: Path) -> None:
    write_scripts("deepspark-tacotron2", place)
    write_hparams(place, epochs=2, batch_size=1, iters_per_checkpoint=3)
    shell("mkdir outdir logdir", place)
    line = (
        "python3 -m multiproc train.py --output_directory=outdir --log_directory=logdir "
        "--hparams=distributed_run=True --target_val_loss=0.5"
    )
    told = shell(f"{line} --set-world-size 2 2>&1 | tee log", place).stdout
    assert re.findall(r"^Train loss (\d+) ", told, re.M) == ["0", "1", "2", "3"]
    assert "\nTraning Status: aborted\n" in told
    assert [path.name.endswith("_GPU_1.log") for path in (place / "logdir").iterdir()] == [True]
    alone = shell(f"{line} 2>&1 | tee alone", place).stdout
    assert "Distributed Run: True" in alone
    row = make_row([place / "log"], single=place / "alone")
    assert ", 2x, " in row.cells["Configuration"] and float(row.cells["Scalability"]) > 0


@pytest.mark.slow
def test_the_pages_commands_in_half_precision(place: Path) -> None:
    write_scripts("tacotron2", place)
    write_hparams(place, epochs=1, batch_size=2)
    told = shell(
        "python -m multiproc train.py --output_directory=outdir --log_directory=logdir "
        "--hparams=distributed_run=True,fp16_run=True",
        place,
    )
    assert "FP16 Run: True" in told.stdout and "Validation loss 0:" in told.stdout
    assert "half precision needs CUDA" in told.stderr
    other = place / "waveglow"
    write_corpus(other)
    write_scripts("waveglow", other)
    shrink_config(other, epochs=1, batch_size=2)
    told = shell("mkdir checkpoints && python distributed.py -c config.json", other)
    assert re.findall(r"^(\d+):\t", told.stdout, re.M) == ["0", "1"]


EXAMPLES = {
    "Tacotron2": "-lr 1e-3 --epochs 2 -bs 2 --weight-decay 1e-6 --grad-clip-thresh 1.0 --cudnn-enabled "
    "--log-file nvlog.json --anneal-steps 500 1000 1500 --anneal-factor 0.1",
    "WaveGlow": "-lr 1e-4 --epochs 2 -bs 2 --segment-length 2048 --weight-decay 0 --grad-clip-thresh 65504.0 "
    "--cudnn-enabled --cudnn-benchmark --log-file nvlog.json",
}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["Tacotron2", "WaveGlow"])
def test_deep_learning_examples(place: Path, model: str) -> None:
    """The lines of its scripts, with fewer epochs and clips, and the network's flags."""
    write_scripts("examples", place)
    sizes = SMALL_TACOTRON2 if model == "Tacotron2" else SMALL_WAVEGLOW
    small = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in sizes.items())
    line = f"mkdir -p output && python -m multiproc train.py -m {model} -o ./output/ {EXAMPLES[model]} {small}"
    told = shell(line, place).stdout
    assert re.search(rf"^DLL [-\d]+ [:.\d]+ - PARAMETER model_name : {model}_PyT $", told, re.M)
    assert re.search(rf"^DLL \S+ \S+ - \(\) val_items_per_sec : {NUMBER} items/s$", told.splitlines()[-1])
    assert (place / "output" / f"checkpoint_{model}_last.pt").resolve().name == f"checkpoint_{model}_0.pt"
    import_voice([place / "output" / f"checkpoint_{model}_0.pt"], place / "voice")
    further = shell(f"{line} --resume-from-last", place).stdout
    assert " (1, 0) train_loss : " in further and " (0, 0) train_loss : " not in further
    assert make_row([place / "output" / "nvlog.json"]).cells["Stability"] == "1 (1 of 1)"
