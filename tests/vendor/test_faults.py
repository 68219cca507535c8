"""What users of these commands may get wrong, and what they are told."""

from pathlib import Path

import pytest
from suites import shrink_config, write_corpus, write_hparams

from glowtron.cli import main
from glowtron.errors import InputError
from glowtron.vendor import flagperf, launching, tacotron2, waveglow
from glowtron.vendor.hyperparameters import optimizer
from glowtron.vendor.row import make_row, read_log, read_monitor
from glowtron.vendor.scripts import PROJECTS, write_scripts

FLAGS = ["--output_directory=outdir", "--log_directory=logdir"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch) -> Path:
    write_corpus(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_unknown_hyperparameters_and_types_are_named(tmp_path: Path) -> None:
    path = tmp_path / "hparams.py"
    with pytest.raises(InputError, match=r"unknown hyperparameter 'batchsize'.*batch_size"):
        tacotron2.read_hparams(path, "batchsize=3")
    with pytest.raises(InputError, match="batch_size is 'many', and has to be of type int"):
        tacotron2.read_hparams(path, "batch_size=many")
    told = tacotron2.read_hparams(path, "fp16_run=True,learning_rate=1,ignore_layers=[a,b],dist_url=tcp://localhost:1")
    assert (told["fp16_run"], told["learning_rate"], told["ignore_layers"]) == (True, 1.0, ["a", "b"])


@pytest.mark.parametrize(
    ("hparams", "why"),
    [
        ({"batch_size": 64}, "5 clips are fewer than a batch of 64"),
        ({"batch_size": 2, "n_frames_per_step": 2}, "n_frames_per_step 2"),
        ({"batch_size": 2, "text_cleaners": ["basic_cleaners"]}, "text_cleaners basic_cleaners"),
        ({"batch_size": 2, "encoder_kernel_size": 4}, "encoder_kernel must be odd"),
        ({"batch_size": 2, "training_files": "none.txt"}, "none.txt"),
    ],
)
def test_one_line_and_status_2(place: Path, capsys, hparams: dict, why: str) -> None:
    write_hparams(place, **hparams)
    assert tacotron2.main("deepspark", FLAGS) == 2
    told = capsys.readouterr().err.strip().splitlines()
    assert why in told[-1] and "Traceback" not in told
    assert not (place / "outdir").exists()


def test_a_folder_of_something_else_is_left_alone(place: Path, capsys) -> None:
    write_hparams(place, batch_size=2)
    mine = place / "outdir" / "logdir" / "glowtron" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    assert tacotron2.main("nvidia", FLAGS) == 2
    assert "holds something else than a run" in capsys.readouterr().err and mine.exists()


def test_several_processes_that_would_not_train_together_are_refused(place: Path, capsys) -> None:
    write_hparams(place, batch_size=1)
    assert tacotron2.main("nvidia", [*FLAGS, "--n_gpus=2"]) == 2
    assert "distributed_run=True" in capsys.readouterr().err


def test_a_configuration_of_waveglow_is_checked(place: Path, capsys) -> None:
    write_scripts("waveglow", place)
    shrink_config(place, epoch=3)
    assert waveglow.main("nvidia", ["-c", "config.json"]) == 2
    assert "unknown key train_config.epoch (did you mean 'epochs'?)" in capsys.readouterr().err
    assert waveglow.main("nvidia", ["-c", "other.json"]) == 2


def test_settings_of_flagperf_come_from_file_then_command_line(tmp_path: Path) -> None:
    (tmp_path / "config_A100x1x8.py").write_text("batch_size = 24\nlearning_rate = 1\nseed = None\nepochs = 7\n")
    told = flagperf.read_case(
        "WaveGlow",
        ["--extern_config_dir", str(tmp_path), "--extern_config_file", "config_A100x1x8.py", "--vendor", "iluvatar",
         "--data_dir", "data", "--enable_extern_config", "--epochs", "9", "--wn-channels", "16"],
    )  # fmt: skip
    assert (told["batch_size"], told["epochs"], told["wn_channels"], told["seed"]) == (24, 9, 16, 1234)
    assert told["learning_rate"] == 1.0 and told["vendor"] == "iluvatar" and told["target_val_loss"] == -5.72
    # Without --enable_extern_config the file does not count.
    assert flagperf.read_case("WaveGlow", ["--extern_config_dir", str(tmp_path)])["batch_size"] == 10


def test_the_learning_rate_falls_as_the_published_programs_have_it() -> None:
    shares = [share for _, share in optimizer(1e-3, anneal_steps=[500, 1000, 1500], anneal_factor=0.3).lr_milestones]
    assert shares == pytest.approx([0.3, 0.1, 0.03])
    told = optimizer(1e-3, anneal_steps=[500, 1000], anneal_factor=0.1, steps_per_epoch=3).lr_milestones
    assert [at for at, _ in told] == [1500, 3000] and [share for _, share in told] == pytest.approx([0.1, 0.01])


def test_a_worker_that_fails_ends_the_others(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text("import sys, time\nsys.exit(3) if '--rank=1' in sys.argv else time.sleep(600)\n")
    told = [str(program), f"--log_directory={tmp_path / 'logs'}", "--set-world-size", "2"]
    assert launching.multiproc("deepspark", told) == 1
    assert launching.multiproc("deepspark", ["--set-world-size", "none"]) == 2


@pytest.mark.parametrize("project", PROJECTS)
def test_programs_of_somebody_else_are_not_written_over(tmp_path: Path, project: str) -> None:
    paths = write_scripts(project, tmp_path)
    assert all(path.is_file() for path in paths) and write_scripts(project, tmp_path)
    program = tmp_path / PROJECTS[project][0].path
    program.write_text("print('mine')\n")
    with pytest.raises(InputError, match="is there already"):
        write_scripts(project, tmp_path)
    assert program.read_text() == "print('mine')\n"
    write_scripts(project, tmp_path, replace=True)
    assert "glowtron vendor scripts" in program.read_text()


def test_a_row_has_what_monitors_and_other_runs_tell(tmp_path: Path) -> None:
    machine = (
        '[Glowtron] {"ended_by": "max_steps", "finished": true, "samples_per_s": %d, "clips_per_s": 77, '
        '"hop_length": 256, "processes": %d, "precision": "fp16", "batch_per_process": 10, "target_val_loss": -5.72, '
        '"machine": {"device": "Card"}, "memory_gb": [18.4], "power": {"gpu_w": "unknown"}}\n'
    )
    for name, speed, processes in (("many", 256 * 800 * 96, 8), ("one", 256 * 100 * 100, 1)):
        (tmp_path / name).write_text("0:\t-1.5\n" + machine % (speed, processes))
    (tmp_path / "failed").write_text("0:\t-1.5\n1:\tnan\n")
    card = "45 128 18000 32768 98\n"
    (tmp_path / "monitor").write_text(f"2026-11-28-10:00:00\n{card * 8}2026-11-28-10:00:05\n{card * 8}")
    row = make_row(
        [tmp_path / "many", tmp_path / "failed"], single=tmp_path / "one", monitor=tmp_path / "monitor", mos=4.46
    )
    assert row.cells == {
        "Convergence criteria": "score(MOS): 4.46",
        "Configuration": "Card, bs:10, 8x, AMP",
        "FPS": "76800",
        "MOS": "4.46",
        "Performance": "77",
        "Power (W)": r"128\*8",
        "Scalability": "0.96",
        "Memory (GB)": r"18.9\*8",
        "Stability": "0.5 (1 of 2)",
    }
    assert row.notes == []
    bare = make_row([tmp_path / "failed"])
    assert bare.cells["Power (W)"] == "-" and any(note.startswith("Power: ") for note in bare.notes)


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "poem").write_text("Shall I compare thee\n")
    for read in (read_log, read_monitor):
        for name in ("poem", "missing"):
            with pytest.raises(InputError, match=name):
                read(tmp_path / name)


def test_the_command_line_prints_tables_or_json(tmp_path: Path, capsys) -> None:
    log = tmp_path / "log"
    log.write_text("Train loss 0 1.500000 Grad Norm 2.000000 0.50s/it\nTraning Status: success\n")
    for flags, begins in (([], "| Convergence criteria |"), (["--json"], "{")):
        with pytest.raises(SystemExit) as ended:
            main(["vendor", "row", str(log), *flags])
        assert ended.value.code == 0 and capsys.readouterr().out.startswith(begins)
    with pytest.raises(SystemExit) as ended:
        main(["vendor", "scripts", "waveglow", str(tmp_path / "new"), "--quiet"])
    assert ended.value.code == 0 and (tmp_path / "new" / "distributed.py").is_file()
