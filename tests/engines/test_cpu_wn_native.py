"""The compiled WN is the textbook's on every level that this processor has, and, emulated, on those that it lacks."""

import ctypes
import itertools
import os
import shutil
import struct
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from native_levels import FOUND, HERE, every_way_here, needs_compiled
from small_models import GROUPED, LAPPED, grouped_and_lapped, signal_to_noise, small_waveglow, speech
from torch import Tensor

from glowtron.config import WaveGlowConfig, WNConfig
from glowtron.engines import cpu_wn_native
from glowtron.engines.cpu_waveglow import Way, accelerate_waveglow, choose_way, find_ways
from glowtron.engines.cpu_wn_native import (
    LEVEL_VARIABLE,
    LIBRARY,
    Found,
    Kind,
    Level,
    NativeWN,
    allowed_levels,
    find_levels,
)
from glowtron.errors import InputError
from glowtron.models.waveglow import WN

ROOT = Path(__file__).parents[2]
ENGINES = ROOT / "src/glowtron/engines"
HARNESS = Path(__file__).with_name("wn_harness.c")

EXACT = {"fp32": 100, "int16": 55, "bf16": 35, "int8": 22}
"""Decibels over the error of a WN of three layers."""


def small_wn(n_in: int, n_out: int, n_conditioning: int, config: WNConfig, seed: int = 0) -> WN:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        net = WN(n_in, n_out, n_conditioning, config).requires_grad_(False)
        net.end.weight.normal_(std=0.3)
        net.end.bias.normal_()
        for layer in net.dilated:
            layer.bias.normal_(std=0.3)
    return net


def inputs(net: WN, n_groups: int, n_batch: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n_in, n_conditioning = net.start.weight_v.shape[1], net.condition.weight_v.shape[1]
    return (
        torch.randn(n_groups, n_batch, n_in, generator=generator),
        3 * torch.randn(n_groups, n_batch, n_conditioning, generator=generator),
    )


def run(net: NativeWN, x: Tensor, conditioning: Tensor) -> Tensor:
    return net(x, net.pack_conditioning(conditioning), net.reserve(x.shape[0] * x.shape[1], x.shape[1]))


def textbook(net: WN, x: Tensor, conditioning: Tensor) -> Tensor:
    return net(x.transpose(0, 1), conditioning.transpose(0, 1)).transpose(0, 1)


@every_way_here
def test_is_the_textbook(level: Level, kind: Kind) -> None:
    @given(
        n_channels=st.integers(1, 70),
        n_in=st.integers(1, 9),
        n_out=st.integers(1, 40),
        n_conditioning=st.integers(1, 30),
        n_layers=st.integers(1, 3),
        kernel_size=st.sampled_from([1, 3, 5]),
        n_groups=st.sampled_from([1, 2, 5, 11, 13, 97, 211]),
        n_batch=st.integers(1, 3),
    )
    @settings(max_examples=15)
    def holds(
        n_channels: int,
        n_in: int,
        n_out: int,
        n_conditioning: int,
        n_layers: int,
        kernel_size: int,
        n_groups: int,
        n_batch: int,
    ) -> None:
        config = WNConfig(n_layers=n_layers, n_channels=n_channels, kernel_size=kernel_size, dilation_cycle=3)
        net = small_wn(n_in, n_out, n_conditioning, config)
        x, conditioning = inputs(net, n_groups, n_batch)
        got = run(NativeWN(net, kind, level), x, conditioning)
        assert signal_to_noise(textbook(net, x, conditioning), got) > EXACT[kind]

    holds()


@every_way_here
def test_a_published_width(level: Level, kind: Kind) -> None:
    net = small_wn(4, 8, 640, WNConfig(n_layers=2))
    x, conditioning = inputs(net, 150, 1)
    got = run(NativeWN(net, kind, level), x, conditioning)
    assert signal_to_noise(textbook(net, x, conditioning), got) > EXACT[kind]


@every_way_here
def test_rows_do_not_meet(level: Level, kind: Kind) -> None:
    """What stands beside a row in its block, and in which thread, changes no bit of it."""
    net = NativeWN(small_wn(3, 6, 10, WNConfig(n_layers=3, n_channels=24, dilation_cycle=3)), kind, level)
    x, conditioning = torch.randn(400, 1, 3), torch.randn(400, 1, 10)
    whole, before = run(net, x, conditioning), torch.get_num_threads()
    part = run(net, x[100:333], conditioning[100:333])
    assert torch.equal(part[net.reach : -net.reach], whole[100 + net.reach : 333 - net.reach])
    both = run(net, torch.cat((x, x.flip(0)), 1), torch.cat((conditioning, conditioning.flip(0)), 1))
    assert torch.equal(both[:, :1], whole)
    try:
        torch.set_num_threads(3)
        assert torch.equal(run(net, x, conditioning), whole)
    finally:
        torch.set_num_threads(before)


@every_way_here
@pytest.mark.parametrize("loud", [0.0, 1e-30, 1e4, 1e30])
def test_values_of_any_size(level: Level, kind: Kind, loud: float) -> None:
    net = small_wn(3, 6, 10, WNConfig(n_layers=2, n_channels=24))
    x, conditioning = inputs(net, 20, 1)
    got = run(NativeWN(net, kind, level), x * loud, conditioning)
    assert got.isfinite().all()
    if loud < 1:
        assert signal_to_noise(textbook(net, x * loud, conditioning), got) > EXACT[kind]


@every_way_here
@grouped_and_lapped
def test_pieces_are_the_whole(config: WaveGlowConfig, level: Level, kind: Kind) -> None:
    model, (z, mel) = small_waveglow(config), speech(config, 2, 40)
    fast = accelerate_waveglow(model, way=Way(kind, level))
    whole, stream, waves = fast.inverse(z, mel), fast.stream(), []
    per_frame = config.mel.hop_length // config.n_channels
    for start, stop in itertools.pairwise([0, 1, 2, 9, 25, 40]):
        part = z[..., start * per_frame : stop * per_frame]
        waves.append(stream.push(part, mel[..., start:stop], last=stop == 40))
    # The conditioning comes from torch, whose last bit depends on company: it may fall on a rounding's other side.
    assert signal_to_noise(whole, torch.cat(waves, 1)) > EXACT[kind]
    assert signal_to_noise(model.inverse(z, mel).detach(), whole) > EXACT[kind] - 10


@needs_compiled
def test_weights_of_zero_and_rows_of_zero() -> None:
    net = small_wn(3, 6, 10, WNConfig(n_layers=2, n_channels=8))
    for parameter in net.parameters():
        parameter.zero_()
    net.condition.weight_g.fill_(1)
    for layer in (net.start, net.condition, *net.dilated, *net.res_skip):
        layer.weight_v.fill_(1e-20)
    for level, kind in HERE:
        got = run(NativeWN(net, kind, level), torch.zeros(9, 1, 3), torch.zeros(9, 1, 10))
        assert torch.equal(got, torch.zeros(9, 1, 6))


def test_levels_are_forbidden_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert allowed_levels(None) == allowed_levels("") == cpu_wn_native.LEVELS
    assert allowed_levels("plain") == ("plain",)
    assert allowed_levels("none") == ()
    with pytest.raises(InputError, match="did you mean 'avx512'"):
        allowed_levels("avx51")
    monkeypatch.setenv(LEVEL_VARIABLE, "none")
    assert find_levels() == Found((), f"{LEVEL_VARIABLE} is none")


@needs_compiled
def test_a_process_is_told_its_level(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, (z, mel) = small_waveglow(GROUPED), speech(GROUPED, 1, 9)
    for name in ("none", *(level.name for level in FOUND.levels)):
        monkeypatch.setenv(LEVEL_VARIABLE, name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))
        fast = accelerate_waveglow(model)
        assert (fast.way.level.name if fast.way.level else "torch") in ("torch", *allowed_levels(name))
        assert signal_to_noise(model.inverse(z, mel).detach(), fast.inverse(z, mel)) > EXACT[fast.precision] - 5
        assert ("not compiled" in fast.why) == (name == "none")


@needs_compiled
def test_a_level_that_never_ran_is_tried_before_it_is_used_and_says_so() -> None:
    model, plain = small_waveglow(GROUPED), FOUND.levels[0]
    untried = Level("amx", plain.native)
    with pytest.warns(UserWarning, match="amx.*experimental.*GLOWTRON_CPU_LEVEL"):
        accelerate_waveglow(model, way=Way("fp32", untried))
    assert choose_way(model, "fp32", Found((untried,)))[0].level in (untried, None)

    def run(*arguments: int) -> None:
        """Computes nothing."""

    wrong = SimpleNamespace(**{name: getattr(plain.native, name) for name in ("lanes", "kinds", "zero", "most_weight")})
    wrong.run, wrong.scratch, wrong.write_rows = run, plain.native.scratch, plain.native.write_rows
    way, why = choose_way(model, "fp32", Found((Level("amx", wrong),)))
    assert way == Way("fp32")
    assert "amx left out: it computes something else here" in why


def test_what_no_level_multiplies_becomes_float32() -> None:
    way, why = choose_way(small_waveglow(GROUPED), "int8", Found((), "no compiler"))
    assert way == Way("fp32")
    assert "no way to multiply int8" in why
    assert "no compiler" in why
    assert find_ways(("int8", "int16"), Found(())) == []


@needs_compiled
def test_int8_is_for_auto_only_where_it_is_near_float32(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not any("int8" in level.kinds for level in FOUND.levels):
        pytest.skip("this processor has no int8")
    from glowtron.engines import cpu_waveglow as module

    def fastest(ways: list[Way], *_: object) -> tuple[Way, str]:
        return ways[-1], "a test"

    monkeypatch.setattr(module, "_fastest", fastest)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model = small_waveglow(LAPPED)
    for limit, wanted in ((1e9, "int8"), (0.0, "bf16")):
        monkeypatch.setattr(module, "EXACT_LOG_MEL_L1", limit)
        way, why = choose_way(model, "auto")
        assert way.precision == wanted
        assert "log-mel L1" in why
    assert choose_way(model, "int8")[0].precision == "int8"  # Who asks for it has it.


@pytest.mark.slow
def test_it_compiles_and_loads(hook: ModuleType, tmp_path: Path) -> None:
    sources = [shutil.copy(path, tmp_path) for name in ("wn.c", "wn.h", "wn_level.c") for path in [ENGINES / name]]
    assert hook.compile_levels(tmp_path, tmp_path / "new.so")
    assert len(list(tmp_path.iterdir())) == len(sources) + 1
    names = [level.name for level in cpu_wn_native._compiled(tmp_path / "new.so").levels]
    assert names == [level.name for level in cpu_wn_native._compiled(LIBRARY).levels]


@pytest.mark.parametrize("compiler", ["no-such-compiler", "false"])
def test_without_a_compiler_it_is_left_out(
    compiler: str, hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert not hook.compile_levels(ENGINES, tmp_path / "new.so")
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_library(tmp_path: Path) -> None:
    assert "without a C compiler" in cpu_wn_native._compiled(tmp_path / "missing.so").why_not
    path = tmp_path / "broken.so"
    path.write_bytes(b"\x7fELF, or so it says")
    assert "cannot be loaded" in cpu_wn_native._compiled(path).why_not


class Program:
    """`wn_harness.c` with one level, as a program."""

    def __init__(self, folder: Path, level: str, flags: list[str], compiler: str = "gcc", runner: tuple[str, ...] = ()):
        path = folder / level
        common = [compiler, "-std=gnu11", "-O1", f"-DLEVEL={level}", f"-I{ENGINES}", *flags]
        sources = [str(HARNESS), str(ENGINES / "wn_level.c")]
        subprocess.run([*common, *sources, "-o", str(path), "-lm"], check=True)
        self.command = [*runner, str(path)]
        told = subprocess.run([*self.command, "tell"], capture_output=True, check=True).stdout.split()
        names = ("lanes", "kinds", "zero", "most", "most_weight")
        native = SimpleNamespace(**dict(zip(names, map(int, told), strict=True)), scratch=lambda _: 0)
        self.level = Level(level, native)

    def run(self, net: WN, kind: Kind, x: Tensor, conditioning: Tensor) -> Tensor:
        """What `NativeWN` gives, computed by the program."""
        laid_out = NativeWN(net, kind, self.level)
        n_rows, n_batch = x.shape[0] * x.shape[1], x.shape[1]
        native: Any = laid_out._native
        width, panel = native.width, 2 * self.level.lanes
        numbers = (native.kind, native.n_layers, native.n_taps, width, native.n_skip)
        sizes = (n_rows, x.shape[2], conditioning.shape[2], n_batch, laid_out.margin * n_batch)
        parts = [struct.pack("10i", *numbers, *sizes), told_matrix(native.start, width)]
        parts.append(told_floats(native.start_bias, width))
        layers = ctypes.cast(native.layers, ctypes.POINTER(cpu_wn_native.NativeLayer))
        for i in range(native.n_layers):
            layer = layers[i]
            n_out = layer.has_residual * width + -(-native.n_skip // panel) * panel
            taps = ctypes.cast(layer.taps, ctypes.POINTER(cpu_wn_native.NativeMatrix))
            parts.append(struct.pack("2i", layer.dilation, layer.has_residual))
            parts.append(told_matrix(layer.condition, 2 * width))
            parts += [told_matrix(taps[tap], 2 * width) for tap in range(native.n_taps)]
            parts += [told_matrix(layer.out, n_out), told_floats(layer.bias, 2 * width)]
            parts.append(told_floats(layer.out_bias, n_out))
        parts += [tensor.contiguous().numpy().tobytes() for tensor in (x, conditioning)]
        # What the program itself allocates is freed by its end; the code that it tests allocates nothing.
        environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(self.command, input=b"".join(parts), env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        skip = torch.frombuffer(bytearray(done.stdout), dtype=torch.float32).view(n_rows, native.n_skip)
        output = skip + laid_out.end_bias if laid_out.end is None else skip @ laid_out.end + laid_out.end_bias
        return output.view(*x.shape[:2], -1)


def told_matrix(matrix: Any, n_out: int) -> bytes:
    parts = [ctypes.string_at(matrix.weight, 4 * n_out * matrix.n_words)]
    parts += [ctypes.string_at(at, 4 * n_out) for at in (matrix.scale, matrix.zero)]
    return struct.pack("2i", matrix.n_words, n_out) + b"".join(parts)


def told_floats(at: int, n: int) -> bytes:
    return struct.pack("i", n) + ctypes.string_at(at, 4 * n)


def holds_for(program: Program) -> None:
    """Odd sizes in every kind that the level has."""
    for n_channels, n_in, n_out, n_layers, kernel_size, n_groups, n_batch in (
        (24, 2, 8, 3, 3, 53, 2),
        (17, 3, 30, 3, 3, 1, 1),
        (21, 5, 6, 2, 5, 101, 3),
        (1, 1, 1, 1, 1, 7, 1),
        (64, 4, 8, 2, 3, 230, 1),
    ):
        config = WNConfig(n_layers=n_layers, n_channels=n_channels, kernel_size=kernel_size, dilation_cycle=3)
        net = small_wn(n_in, n_out, 13, config)
        x, conditioning = inputs(net, n_groups, n_batch)
        for kind in program.level.kinds:
            got = program.run(net, kind, x, conditioning)
            assert signal_to_noise(textbook(net, x, conditioning), got) > EXACT[kind], kind


has_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
EMULATED = {
    "avx2": ["-DMIDDLE"],
    "avxvnni": ["-DMIDDLE", "-DHAS_VNNI"],
    "avx512": ["-DWIDE"],
    "avx512vnni": ["-DWIDE", "-DHAS_VNNI"],
    "avx512bf16": ["-DWIDE", "-DHAS_BF16"],
}


@pytest.mark.slow
@has_gcc
@pytest.mark.skipif(not Path("/usr/include/simde").exists(), reason="needs SIMDe (Debian's libsimde-dev)")
@pytest.mark.parametrize("level", EMULATED)
def test_levels_that_this_processor_lacks(level: str, tmp_path: Path) -> None:
    program = Program(tmp_path, level, ["-DEMULATED", "-Wno-psabi", "-mavx2", "-mfma", *EMULATED[level]])
    assert set(program.level.kinds) - {"fp32"} or level == "avx512"
    holds_for(program)


SANITIZERS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


@pytest.mark.slow
@has_gcc
@pytest.mark.parametrize("sanitizers", [[], SANITIZERS], ids=["plain", "sanitized"])
def test_amx_whose_tiles_are_emulated(sanitizers: list[str], tmp_path: Path) -> None:
    """Neither SIMDe nor qemu knows AMX; `amx_emulated.h` also ends the program where a processor would fault."""
    tiles = ["-DWIDE", "-DHAS_AMX", "-Wno-psabi", "-include", str(HARNESS.with_name("amx_emulated.h"))]
    program = Program(tmp_path, "amx", [*tiles, *sanitizers])
    assert program.level.kinds == ("bf16", "int8")
    holds_for(program)
    net = small_wn(3, 6, 10, WNConfig(n_layers=3, n_channels=24, dilation_cycle=3))
    x, conditioning = inputs(net, 300, 1)
    for kind in program.level.kinds:
        reach = NativeWN(net, kind, program.level).reach
        whole, part = program.run(net, kind, x, conditioning), program.run(net, kind, x[90:217], conditioning[90:217])
        assert torch.equal(part[reach:-reach], whole[90 + reach : 217 - reach])  # Whatever tile a row is in.


@has_gcc
def test_what_amx_faults_at_ends_the_emulation(tmp_path: Path) -> None:
    """So that the test above can fail."""
    used = "_tile_zero(0);", "_tile_loadconfig(config); _tile_dpbssd(1, 1, 2);", "_tile_loadconfig(config + 1);"
    for number, code in enumerate(used):
        source, program = tmp_path / f"{number}.c", tmp_path / str(number)
        config = "uint8_t config[65] = {1}; config[16] = 64; config[48] = 16;"
        source.write_text(f"int main(void) {{ {config} (void)config; {code} return 0; }}\n")
        header = str(HARNESS.with_name("amx_emulated.h"))
        subprocess.run(["gcc", "-include", header, str(source), "-o", str(program)], check=True)
        done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.startswith("AMX: ")


@pytest.mark.slow
@has_gcc
def test_int8_by_amx_is_int8_by_vnni(tmp_path: Path) -> None:
    """The same scales and exact sums: the same to the bit."""
    if not Path("/usr/include/simde").exists():
        pytest.skip("needs SIMDe (Debian's libsimde-dev)")
    tiles = ["-DWIDE", "-DHAS_AMX", "-Wno-psabi", "-include", str(HARNESS.with_name("amx_emulated.h"))]
    words = ["-DEMULATED", "-Wno-psabi", "-mavx2", "-mfma", *EMULATED["avx512vnni"]]
    amx, vnni = (
        Program(tmp_path, level, [*flags, "-ffp-contract=off"])
        for level, flags in (("amx", tiles), ("avx512vnni", words))
    )
    net = small_wn(3, 6, 10, WNConfig(n_layers=3, n_channels=40))
    x, conditioning = inputs(net, 77, 2)
    assert torch.equal(amx.run(net, "int8", x, conditioning), vnni.run(net, "int8", x, conditioning))


@pytest.mark.slow
@has_gcc
@pytest.mark.parametrize("level", [level.name for level in FOUND.levels])
def test_sanitizers_see_nothing(level: str, hook: ModuleType, tmp_path: Path) -> None:
    holds_for(Program(tmp_path, level, [*SANITIZERS, *hook.LEVELS[level].split()]))


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64-static")),
    reason="needs aarch64-linux-gnu-gcc and qemu-aarch64-static",
)
@pytest.mark.parametrize("level", ["plain", "dotprod"])
def test_arm(level: str, hook: ModuleType, tmp_path: Path) -> None:
    flags = ["-static", *hook.LEVELS[level].split()]
    program = Program(tmp_path, level, flags, "aarch64-linux-gnu-gcc", ("qemu-aarch64-static", "-cpu", "max"))
    assert ("int8" in program.level.kinds) == (level == "dotprod")
    holds_for(program)
