"""What is made when the package is built or installed: the kernels in C, which are done without where there is no
compiler, and the dictionary, the two files that are needed of a package of nineteen megabytes.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ENGINES = Path("src/glowtron/engines")
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math"]
MORE = [["-fopenmp", "-mprefer-vector-width=512"], ["-fopenmp"], []]
"""What only some compilers know: the first that is understood is taken."""

_AVX512 = "-DWIDE -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma"
LEVELS = {
    "plain": "",
    "dotprod": "-march=armv8.2-a+dotprod",
    "avx2": "-DMIDDLE -mavx2 -mfma",
    "avxvnni": "-DMIDDLE -DHAS_VNNI -mavx2 -mfma -mavxvnni",
    "avx512": _AVX512,
    "avx512vnni": f"{_AVX512} -DHAS_VNNI -mavx512vnni",
    "avx512bf16": f"{_AVX512} -DHAS_BF16 -mavx512bf16",
    "amx": f"{_AVX512} -DHAS_AMX -mamx-tile -mamx-int8 -mamx-bf16",
}
"""The sets of instructions that `wn_level.c` is compiled for; those that a compiler does not know are left out."""

OF_ONE_SOURCE = {"decoder_step": (), "wavenet_step": ("-fno-tree-pre",)}
"""Libraries of one source each, and with what it is compiled besides: thus GCC 12 keeps all sums of 16-bit products in
registers, which takes a quarter less time."""


DICTIONARY = Path("src/glowtron/text/dictionary")
DICTIONARY_FILES = ("us_gold.json", "us_silver.json")
DICTIONARY_NOTICE = """us_gold.json and us_silver.json are data files of misaki {version}
(https://github.com/hexgrad/misaki), unchanged, under the Apache License, Version 2.0,
which Glowtron is under, too.
"""


class KernelHook(BuildHookInterface[Any]):
    """Adds the compiled kernels to a wheel, or puts them beside their sources for an installation in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        if self.target_name != "wheel":
            return
        copy_dictionary(Path(self.root) / DICTIONARY)
        build_data["artifacts"].append(f"/{DICTIONARY}/*")
        engines = Path(self.root) / ENGINES
        layers = engines / "wn.so"
        compiled = {
            **{
                engines / f"{name}.so": compile_library(engines / f"{name}.c", engines / f"{name}.so", arguments)
                for name, arguments in OF_ONE_SOURCE.items()
            },
            layers: compile_levels(engines, layers),
        }
        for library, done in compiled.items():
            if done:
                build_data["artifacts"].append(f"/{ENGINES}/{library.name}")
                continue
            library.unlink(missing_ok=True)
            self.app.display_warning(f"no C compiler made {library.name}: Glowtron will take about twice as long")
        if not any(compiled.values()):
            return
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def copy_dictionary(folder: Path) -> None:
    """Put misaki's American English beside the sources; each file is there whole or not at all."""
    folder.mkdir(exist_ok=True)
    contents = {name: resources.files("misaki.data").joinpath(name).read_bytes() for name in DICTIONARY_FILES}
    contents["NOTICE"] = DICTIONARY_NOTICE.format(version=metadata.version("misaki")).encode()
    for name, data in contents.items():
        partly = folder / f"{name}.{os.getpid()}.tmp"
        partly.write_bytes(data)
        partly.replace(folder / name)


def compile_library(source: Path, library: Path, more_arguments: Sequence[str] = ()) -> bool:
    """Whether it could be compiled; written under another name first, as the old one may be in use."""
    partly = library.with_suffix(f".{os.getpid()}.tmp")
    try:
        for more in MORE:
            if _compile([*FLAGS, "-shared", *more, "-o", str(partly), str(source), *more_arguments, "-lm"]):
                partly.replace(library)
                return True
    finally:
        partly.unlink(missing_ok=True)
    return False


def compile_levels(engines: Path, library: Path) -> bool:
    """`wn_level.c` for each level that the compiler knows, and `wn.c` that chooses among them, as one library."""
    with tempfile.TemporaryDirectory() as scratch:
        objects = []
        for level, flags in LEVELS.items():
            path = Path(scratch) / f"{level}.o"
            command = [*FLAGS, f"-DLEVEL={level}", *flags.split(), "-c", str(engines / "wn_level.c"), "-o", str(path)]
            if any(_compile([*command, *more]) for more in MORE):
                objects.append(str(path))
        return bool(objects) and compile_library(engines / "wn.c", library, objects)


def _compile(arguments: list[str]) -> bool:
    if sys.platform == "win32":
        return False
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[:1]
    try:
        return subprocess.run([*compiler, *arguments], capture_output=True, check=False).returncode == 0
    except OSError:
        return False
