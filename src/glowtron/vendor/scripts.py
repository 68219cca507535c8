"""The small programs that give a folder the commands of a project's page, and what else these need."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from glowtron.errors import InputError, nearest
from glowtron.files import write_text

MADE_BY = "Made by `glowtron vendor scripts`"
"""Words that every such program has, by which it is known again."""


class Script(NamedTuple):
    """A program to write: `path` in the folder, calling a function of a module."""

    path: str
    module: str
    call: str


PROJECTS: dict[str, tuple[Script, ...]] = {
    "flagperf": (
        Script("benchmarks/WaveGlow/pytorch/run_pretraining.py", "flagperf", 'main("WaveGlow")'),
        Script("benchmarks/tacotron2/pytorch/run_pretraining.py", "flagperf", 'main("tacotron2")'),
    ),
    "deepspark-tacotron2": (
        Script("train.py", "tacotron2", 'main("deepspark")'),
        Script("multiproc.py", "launching", 'multiproc("deepspark")'),
    ),
    "deepspark-waveglow": (
        Script("train.py", "waveglow", 'main("deepspark")'),
        Script("distributed.py", "launching", "distributed()"),
    ),
    "tacotron2": (
        Script("train.py", "tacotron2", 'main("nvidia")'),
        Script("multiproc.py", "launching", 'multiproc("nvidia")'),
    ),
    "waveglow": (
        Script("train.py", "waveglow", 'main("nvidia")'),
        Script("distributed.py", "launching", "distributed()"),
    ),
    "examples": (
        Script("train.py", "examples", "main()"),
        Script("multiproc.py", "launching", 'multiproc("examples")'),
    ),
}
"""The programs of each project."""

_CONFIG = {
    "waveglow": {"fp16_run": True, "batch_size": 12},
    "deepspark-waveglow": {"fp16_run": False, "batch_size": 16},
}
"""Differences of `train_config` of the projects' `config.json`."""


def write_scripts(project: str, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write the programs of a project, and the settings that its page names, and return their paths.

    Settings that are there already stay. Raises InputError, and writes nothing, for a program of somebody else that is
    there, unless it is to be replaced.
    """
    if project not in PROJECTS:
        raise InputError(f"no project '{project}'{nearest(project, list(PROJECTS))}")
    scripts = PROJECTS[project]
    for script in scripts:
        path = folder / script.path
        if path.exists() and not replace and MADE_BY not in path.read_text(encoding="utf-8", errors="replace"):
            raise InputError(f"{path}: is there already; give another folder, or `replace` to write over it")
    written = []
    for script in scripts:
        path = folder / script.path
        write_text(path, _text(project, script))
        written.append(path)
    config = folder / "config.json"
    if project in _CONFIG and not config.exists():
        from glowtron.vendor.waveglow import SECTIONS

        content = {**SECTIONS, "train_config": {**SECTIONS["train_config"], **_CONFIG[project]}}
        write_text(config, json.dumps(content, indent=4) + "\n")
        written.append(config)
    return written


def _text(project: str, script: Script) -> str:
    name = script.call.partition("(")[0]
    return (
        f'"""{Path(script.path).name} as `{project}` calls it. {MADE_BY} {project}."""\n\n'
        "import sys\n\n"
        f"from glowtron.vendor.{script.module} import {name}\n\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({script.call})\n"
    )
