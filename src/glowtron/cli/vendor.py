"""`glowtron vendor`: the commands by which vendors' benchmark suites train, and the rows of their tables."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from glowtron.vendor.scripts import PROJECTS, write_scripts


@click.group()
def vendor() -> None:
    """Train as vendors' benchmark suites do, and report what they report.

    FlagPerf and DeepSparkHub measure accelerators by training Tacotron 2 and WaveGlow, with NVIDIA's programs or
    changes of them. `scripts` gives a folder the same commands over Glowtron's training, which take the same flags,
    print the same lines and write the same checkpoints. `row` makes a table's row of such a log.

    \b
    Examples:
      glowtron vendor scripts deepspark-tacotron2 .
      python3 train.py --output_directory=outdir --log_directory=logdir 2>&1 | tee log
      glowtron vendor row log
    """


@vendor.command()
@click.argument("project", type=click.Choice(list(PROJECTS)))
@click.argument("folder", metavar="FOLDER")
@click.option("--replace", is_flag=True, help="Write over the project's own programs that are there.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def scripts(project: str, folder: str, replace: bool, quiet: bool) -> None:
    """Write a project's commands into FOLDER.

    \b
    flagperf             benchmarks/*/pytorch/run_pretraining.py, in its folder training/
    deepspark-tacotron2  train.py, multiproc.py
    deepspark-waveglow   train.py, distributed.py, config.json
    tacotron2            train.py, multiproc.py        (github.com/NVIDIA/tacotron2)
    waveglow             train.py, distributed.py, config.json    (github.com/NVIDIA/waveglow)
    examples             train.py, multiproc.py        (NVIDIA's DeepLearningExamples)

    \b
    Examples:
      glowtron vendor scripts waveglow my-waveglow
      cd FlagPerf/training && glowtron vendor scripts flagperf . --replace
    """
    for path in write_scripts(project, Path(folder), replace=replace):
        if not quiet:
            click.echo(f"{path}: written")


@vendor.command()
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option("--single", metavar="LOG", help="The same run by one process: tells how this one scales.")
@click.option("--monitor", metavar="FILE", help="What FlagPerf's nvidia_monitor wrote beside the run.")
@click.option(
    "--mos", type=click.FloatRange(1, 5), metavar="SCORE", help="Mean opinion score of what the model speaks."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def row(logs: tuple[str, ...], single: str | None, monitor: str | None, mos: float | None, as_json: bool) -> None:
    """Make a table's row of the LOG of a run; of several LOGs of the same run, for their stability.

    A log is what a command of `scripts` printed, best with standard error (2>&1), which tells device, power and memory.
    FPS are mel frames a second, performance clips a second, both over all processes, without validation and
    checkpoints. A cell of which the log knows nothing has the reason below the table.

    \b
    Examples:
      glowtron vendor row rank0.out.log
      glowtron vendor row log-1 log-2 log-3 --single log-of-one --mos 4.46
    """
    from glowtron.vendor.row import as_markdown, make_row

    made = make_row(
        [Path(log) for log in logs],
        single=Path(single) if single else None,
        monitor=Path(monitor) if monitor else None,
        mos=mos,
    )
    click.echo(json.dumps(asdict(made), indent=1) if as_json else as_markdown(made), nl=as_json)
