"""What ends a run, what its result says, and what its report makes of that."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import toy
from toy import CONFIG, Toy, Uneven, changed

from glowtron.errors import InputError
from glowtron.train import checkpoints, loop, precision, state
from glowtron.train.loop import Outcome, train
from glowtron.train.report import as_table, read_metrics, read_result, write_report
from glowtron.train.state import StoppingCriteria


def go(run, config=CONFIG, **given):
    return train(Toy(config), run, device="cpu", quiet=True, **given)


def weights(run, name="model"):
    return checkpoints.read_tensors(checkpoints.folder(run, checkpoints.steps(run)[-1]), name)


def same(run, other, name="model"):
    one, two = weights(run, name), weights(other, name)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    go(run)
    return run


def test_a_target_ends_the_run_where_it_is_first_reached(whole, tmp_path):
    losses = {line["step"]: line["loss"] for line in read_metrics(whole) if line["split"] == "validation"}
    target = losses[15] + 1e-6
    reached = min(step for step, loss in losses.items() if loss <= target)
    assert go(tmp_path / "run", stopping=StoppingCriteria(target_val_loss=target)) == Outcome(
        reached, True, "target_val_loss"
    )
    result = read_result(tmp_path / "run")
    assert (result["ended_by"], result["finished"], result["step"]) == ("target_val_loss", True, reached)
    assert result["best_validation_loss"] <= target == result["target_val_loss"]
    assert checkpoints.steps(tmp_path / "run")[-1] == reached
    # Asked again it is content, and asked for more it goes on as if it had never stopped.
    assert go(tmp_path / "run", stopping=StoppingCriteria(target_val_loss=target)).step == reached
    assert go(tmp_path / "run").ended_by == "max_steps"
    assert same(tmp_path / "run", whole)
    assert read_result(tmp_path / "run")["starts"] == 3


def test_hours_end_a_run_with_a_validation_and_more_of_them_go_on(whole, tmp_path):
    run = tmp_path / "run"
    assert go(run, stopping=StoppingCriteria(max_hours=1e-9)) == Outcome(1, True, "max_hours")
    assert read_metrics(run)[-1]["split"] == "validation"
    assert go(run, stopping=StoppingCriteria(max_hours=1e-9)).step == 1  # They are spent.
    assert go(run, stopping=StoppingCriteria(max_hours=9)) == Outcome(20, True, "max_steps")
    assert same(run, whole) and same(run, whole, "average") and same(run, whole, "optimizer")
    result = read_result(run)
    assert result["hours"] >= result["training_hours"] > 0 and result["vectors"] == 80


def test_epochs_end_a_run_and_the_cosine_with_it(tmp_path):
    assert go(tmp_path / "run", changed(max_steps=None, max_epochs=0.75)) == Outcome(8, True, "max_epochs")
    go(tmp_path / "same", changed(max_steps=8))
    assert same(tmp_path / "run", tmp_path / "same")
    assert read_result(tmp_path / "run")["epochs"] == 0.8


def test_a_loss_that_breaks_leaves_a_result_that_says_so(tmp_path):
    with pytest.raises(InputError, match="not finite on the clips"):
        train(Toy(broken_at=6), tmp_path, device="cpu", quiet=True)
    result = read_result(tmp_path)
    assert (result["ended_by"], result["finished"]) == ("not finite", False)
    assert "clip6-0" in result["error"]


@pytest.mark.parametrize("stop_at", [2, 11])
def test_parts_of_a_batch_resumed_anywhere_end_with_the_same_bits(tmp_path, stop_at):
    config = changed(gradient_accumulation_steps=2)

    go(tmp_path / "whole", config)
    assert not train(Toy(config, stop_at=stop_at), tmp_path / "cut", device="cpu", quiet=True).finished
    assert go(tmp_path / "cut", config).finished
    assert all(same(tmp_path / "cut", tmp_path / "whole", name) for name in ("model", "average", "optimizer"))


@pytest.mark.parametrize("parts", [2, 4])
def test_parts_of_different_size_learn_what_the_whole_batch_does(tmp_path, parts):
    for n in (1, parts):
        task = Uneven(changed(gradient_accumulation_steps=n, precision="fp32"))
        train(task, tmp_path / str(n), device="cpu", quiet=True)
    one, two = (weights(tmp_path / str(n)) for n in (1, parts))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    lines = [[line for line in read_metrics(tmp_path / str(n)) if line["split"] == "train"] for n in (1, parts)]
    for whole, cut in zip(*lines, strict=True):
        assert cut["loss"] == pytest.approx(whole["loss"], rel=1e-5)
        assert cut["grad_norm"] == pytest.approx(whole["grad_norm"], rel=1e-4)


@pytest.mark.parametrize("name", ["fp16", "tf32"])
def test_precisions_of_gpus_are_refused_elsewhere(tmp_path, name):
    with pytest.raises(InputError, match=f"training.precision {name} needs a CUDA device, this is cpu"):
        go(tmp_path / "run", changed(precision=name))
    assert not (tmp_path / "run").exists()


def test_what_a_gpu_may_round_is_set_for_the_run_only():
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    for name, expected in (("tf32", ("high", True)), ("fp32", ("highest", False)), ("bf16", before)):
        with precision.matmul_precision(name):
            assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == expected
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == before


@pytest.fixture
def half(monkeypatch):
    """Half precision with a scaled loss, on a CPU; the first scale is too high."""
    monkeypatch.setattr(loop, "check_precision", lambda *_: None)
    monkeypatch.setattr(state, "make_scaler", lambda *_: torch.amp.GradScaler("cpu", init_scale=2.0**24))
    return changed(precision="fp16")


def test_an_overflow_lowers_the_scale_and_moves_nothing(half, tmp_path):
    go(tmp_path / "run", half)
    lines = [line for line in read_metrics(tmp_path / "run") if line["split"] == "train"]
    assert lines[0]["skipped_share"] > 0 and lines[-1]["skipped_share"] == 0
    assert lines[-1]["loss_scale"] < lines[0]["loss_scale"]
    assert all(line["grad_norm"] > 0 for line in lines if line["skipped_share"] < 1)
    assert all("grad_norm" not in line for line in lines if line["skipped_share"] == 1)
    assert all(bool(tensor.isfinite().all()) for tensor in weights(tmp_path / "run").values())


def test_a_scaled_run_goes_on_with_its_scale(half, tmp_path):
    go(tmp_path / "whole", half)
    go(tmp_path / "cut", half, stopping=StoppingCriteria(max_hours=1e-9))
    go(tmp_path / "cut", half)
    assert all(same(tmp_path / "cut", tmp_path / "whole", name) for name in ("model", "average", "optimizer"))


def test_gradients_that_overflow_at_any_scale_end_the_run(half, tmp_path):
    class Endless(Toy):
        def losses(self, model, batch, generator):
            steep = (model[0].weight.sum() * 0).sqrt()  # 0, with a gradient that is no number.
            return {"loss": super().losses(model, batch, generator)["loss"] + steep}

    config = replace(half, training=replace(half.training, max_steps=500, validate_every=500))
    with pytest.raises(InputError, match="grad_norm not finite on the clips"):
        train(Endless(config), tmp_path, device="cpu", quiet=True)


def limited(n_bytes: int):
    """What makes writing fail in a process as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, n_bytes))


@pytest.mark.slow
def test_a_disk_that_fills_up_ends_the_run_with_whole_checkpoints(whole, tmp_path):
    run = tmp_path / "run"
    limit = max(path.stat().st_size for path in (whole / "step-0000020").iterdir()) + 2000
    process = subprocess.run(
        [sys.executable, toy.__file__, str(run)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limited(limit),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert "no space is left" in process.stderr and "make room and give the same command again" in process.stderr
    assert checkpoints.steps(run) == [4] and not list(run.glob(".step*"))
    go(run)
    assert same(run, whole) and same(run, whole, "average")


def test_a_report_has_a_figure_or_a_reason_in_every_row(whole, tmp_path):
    report = write_report(whole)
    assert report == json.loads((whole / "report.json").read_text())
    table = (whole / "report.md").read_text()
    for row in (
        "| convergence: criterion | none was given |",
        "| configuration: precision | auto |",
        "| hours: to target | no target was given |",
        "| scaling | not measured: no run of one process was given to compare with (`single`) |",
        "| stability: runs finished | 1 |",
    ):
        assert row in table
    assert all(line.count("|") == 3 and "||" not in line.replace(" ", "") for line in table.splitlines()[2:])
    assert report["performance"]["vectors_per_s"] == pytest.approx(80 / report["hours"]["training"] / 3600)
    assert report["power"]["gpu_w"] == "not measured: no GPU takes part"


def test_a_report_compares_with_a_run_of_one_process_and_with_nothing_else(whole, tmp_path):
    result = read_result(whole)
    (whole / "result.json").write_text(json.dumps({**result, "processes": 2, "vectors_per_s": 150.0}))
    single = tmp_path / "single"
    single.mkdir()
    (single / "result.json").write_text(json.dumps({**result, "vectors_per_s": 100.0}))
    report = write_report(whole, single)
    assert report["scaling"]["ratio_to_one_process"] == 1.5 and report["scaling"]["efficiency"] == 0.75
    assert "| scaling: ratio to one process | 1.5 |" in as_table(report)
    with pytest.raises(InputError, match="is no run of one process that counts vectors_per_s"):
        write_report(whole, whole)
    with pytest.raises(InputError, match=r"result.json: cannot be read"):
        write_report(tmp_path)
