"""Compile the decoder step when the package is built or installed; without a compiler, it is done without."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FAST = Path("src/glowtron/engines")
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math"]
MORE = [["-fopenmp", "-mprefer-vector-width=512"], ["-fopenmp"], []]
"""What only some compilers know: the first that is understood is taken."""


class KernelHook(BuildHookInterface[Any]):
    """Adds `decoder_step.so` to a wheel, or puts it beside its source for an installation in place."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files."""
        if self.target_name != "wheel":
            return
        library = Path(self.root) / FAST / "decoder_step.so"
        if not compile_library(library.with_suffix(".c"), library):
            library.unlink(missing_ok=True)
            self.app.display_warning("no C compiler: Glowtron's decoder will take about twice as long")
            return
        build_data["artifacts"].append(f"/{FAST}/{library.name}")
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def compile_library(source: Path, library: Path) -> bool:
    """Whether it could be compiled; written under another name first, as the old one may be in use."""
    if sys.platform == "win32":
        return False
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    partly = library.with_suffix(f".{os.getpid()}.tmp")
    try:
        for more in MORE:
            command = [*compiler[:1], *FLAGS, *more, "-o", str(partly), str(source), "-lm"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                partly.replace(library)
                return True
    except OSError:
        pass
    finally:
        partly.unlink(missing_ok=True)
    return False
