"""What the machine tells."""

import torch

from glowtron.machine import Power, describe, peak_memory_gb

CPU = torch.device("cpu")


def package(folder, name, energy_uj, most=10_000_000):
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


def test_power_is_the_energy_of_whole_packages_over_the_time(tmp_path):
    package(tmp_path, "intel-rapl:0", 1_000_000)
    package(tmp_path, "intel-rapl:1", 9_000_000)
    part = package(tmp_path, "intel-rapl:0:0", 0)
    power = Power(CPU, tmp_path)
    power._last_s -= 2  # Two seconds ago.
    power._start_s -= 2
    package(tmp_path, "intel-rapl:0", 3_000_000)
    package(tmp_path, "intel-rapl:1", 1_000_000)  # It has begun anew at 10 J.
    (part / "energy_uj").write_text("99000000")
    told = power.read()
    assert told.keys() == {"cpu_w"}
    assert 1.9 < told["cpu_w"] <= 2.0  # (2 J + 2 J) / 2 s, and a little longer
    mean = power.mean()
    assert 1.8 < mean["cpu_w"] <= 2.0 and mean["gpu_w"] == "no GPU takes part"


def test_where_nothing_can_be_read_the_reason_is_told(tmp_path):
    power = Power(CPU, tmp_path / "missing")
    assert power.read() == {}
    assert power.mean() == {"cpu_w": f"no energy counter that may be read in {tmp_path / 'missing'}",
                            "gpu_w": "no GPU takes part"}  # fmt: skip


def test_figures_have_a_machine_and_memory_grows_by_what_is_held():
    assert {"device", "torch", "python"} <= describe(CPU).keys() and describe(CPU)["cuda"] is None
    before = peak_memory_gb(CPU)
    held = torch.ones(60_000_000)
    assert held.sum() > 0
    assert before > 0.05 and peak_memory_gb(CPU) >= before
