"""`glowtron export`: a run's weights to a voice folder, a voice to ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glowtron.cli.output import check_folder
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.onnx.export import Form


@click.command()
@click.argument("sources", metavar="RUN|VOICE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The folder to write.")
@click.option(
    "--store",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float16",
    show_default=True,
    help="How matrices are stored: float16 halves the folder, int8 with a scale for each row quarters it. ONNX files "
    "have float32, or int8.",
)
@click.option("--onnx", is_flag=True, help="Write ONNX files of one VOICE for other programs.")
@click.option(
    "--form",
    type=click.Choice(["whole", "parts", "sherpa-matcha", "sherpa-vits"]),
    default="whole",
    show_default=True,
    help="With --onnx: symbols to sound in one graph; acoustic model and vocoder apart; or what sherpa-onnx reads, "
    "from 2.0 on (matcha) or before (vits).",
)
@click.option(
    "--noise",
    type=click.Choice(["input", "inside"]),
    default="input",
    show_default=True,
    help="With --onnx: noise is given to the graph, or drawn in it (as always for sherpa-onnx).",
)
@click.option(
    "--correction",
    type=click.IntRange(0, 100),
    metavar="ROUNDS",
    default=None,
    help="With --onnx: rounds that bring the sound back to its mel, in the graph.  [default: the voice's own]",
)
def export(
    sources: tuple[str, ...], output: str, store: str, onnx: bool, form: Form, noise: str, correction: int | None
) -> None:
    """Turn training runs into a voice folder, or a voice into ONNX files.

    RUN is a run folder: one of an acoustic model, one of a vocoder, or one of each. A VOICE, one that ships or a
    folder, gives the model of which there is no run.

    \b
    Examples:
      glowtron export runs/acoustic runs/vocoder -o my-voice
      glowtron export runs/acoustic duet -o my-voice
      glowtron export duet --onnx -o duet-onnx
      glowtron export duet --onnx --form sherpa-matcha --store int8 -o duet-sherpa
      glowtron say "Trained at home." --voice my-voice
    """
    folder = Path(output)
    check_folder(folder)

    from glowtron.voices import find_voice, shipped

    # A folder here comes first; only a name that means none here is a shipped voice's.
    places = [find_voice(one) if one in shipped() and not Path(one).exists() else Path(one) for one in sources]
    if onnx:
        _export_onnx(places, folder, form, noise == "inside", store, correction)
        return
    given = click.get_current_context().get_parameter_source
    for name in ("form", "noise", "correction"):
        if given(name) is not click.core.ParameterSource.DEFAULT:
            raise InputError(f"--{name} is for ONNX files; add --onnx, or leave it out")

    from glowtron.train.export import export as export_runs

    export_runs(places, folder, store=store)
    click.echo(f"{folder}: exported; try: glowtron voices {folder}")


def _export_onnx(
    places: list[Path], folder: Path, form: Form, noise_inside: bool, store: str, correction: int | None
) -> None:
    from glowtron.onnx.export import GraphOptions, export_onnx

    if len(places) > 1:
        raise InputError("--onnx takes one voice; export the runs to a voice folder first")
    options = GraphOptions(noise_inside=noise_inside, int8=store == "int8", correction=correction)
    names = export_onnx(places[0], folder, form, options)
    sizes = ", ".join(f"{name} {(folder / name).stat().st_size / 1e6:.1f} MB" for name in names)
    click.echo(f"{folder}: {sizes}")
