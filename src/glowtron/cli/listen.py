"""`glowtron listen`: listening tests, from folders of clips to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glowtron.cli.output import check_folder, progress_bar
from glowtron.errors import InputError

METHODS = ("mos", "cmos", "ab", "mushra", "mushra-no-reference")

database_option = click.option(
    "--database",
    metavar="URL",
    help="Where answers are kept, e.g. postgresql://user:password@host/database.  [default: a file in the test]",
)


@click.group()
def listen() -> None:
    """Make a listening test, have it taken in browsers, and report it.

    \b
    Examples:
      glowtron listen make griffin-lim waveglow real -o test
      glowtron listen serve test
      glowtron listen report test -o report
    """


@listen.command()
@click.argument("systems", metavar="[NAME=]FOLDER...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FOLDER", required=True, help="The test; it must not be there yet.")
@click.option("--method", type=click.Choice(METHODS), default="mos", show_default=True)
@click.option("--title", metavar="TEXT", default="Listening test", show_default=True)
@click.option("--question", metavar="TEXT", help="What is asked.  [default: the method's own]")
@click.option("--instructions", metavar="FILE", help="A text that greets raters.  [default: headphones, a quiet room]")
@click.option("--raters", type=click.IntRange(1), default=32, show_default=True, help="Raters who are expected.")
@click.option(
    "--trials", type=click.IntRange(1), help="At most, a rater.  [default: all, up to 60 clips, 40 pairs, 15 pages]"
)
@click.option("--reference", metavar="NAME", help="The system of the recordings (MUSHRA).")
@click.option("--no-anchors", is_flag=True, help="MUSHRA without recordings low-passed at 3.5 and 7 kHz.")
@click.option("--against", metavar="NAME", help="The system that all others are paired with.  [default: all pairs]")
@click.option(
    "--rate", "sample_rate", type=click.IntRange(8000, 96_000), help="Hz of all clips.  [default: the lowest]"
)
@click.option(
    "--loudness", "loudness_lufs", type=click.FloatRange(-50, -10), default=-23.0, show_default=True, help="LUFS."
)
@click.option("--trim", is_flag=True, help="Take silence off both ends of each clip.")
@click.option(
    "--attention", type=click.IntRange(0, 5), default=1, show_default=True, help="Spoken checks in ten trials."
)
@click.option("--repeats", type=click.IntRange(0), default=1, show_default=True, help="Trials that come twice.")
@click.option("--training", type=click.IntRange(0), default=3, show_default=True, help="Trials that do not count.")
@click.option("--no-headphone-check", is_flag=True, help="Let loudspeakers do.")
@click.option("--no-volume", is_flag=True, help="Do not have the volume set first.")
@click.option("--code", "completion_code", metavar="TEXT", help="Shown at the end.  [default: drawn]")
@click.option("--screening", metavar="RULE=VALUE", multiple=True, help="Change a rule of screening; none: off.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the design.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def make(
    systems: tuple[str, ...],
    output: str,
    instructions: str | None,
    no_anchors: bool,
    no_headphone_check: bool,
    no_volume: bool,
    screening: tuple[str, ...],
    quiet: bool,
    **options: Any,
) -> None:
    """Make a test of systems, each a folder of clips; equally named clips are the same item.

    Clips are brought to one rate and one loudness (ITU-R BS.1770) and get names that tell nothing. Who hears what is
    drawn from the seed and balanced. The rules by which raters will be left out are fixed now.

    \b
    Examples:
      glowtron listen make griffin-lim waveglow real -o test
      glowtron listen make a=out/a b=out/b --method cmos -o test
      glowtron listen make wavenet waveglow real --method mushra --reference real -o test
      glowtron listen make a b --screening least_correlation=none -o test
    """
    from glowtron.listen.make import Settings, make_test, matched, system_folders

    folders = system_folders(systems)
    items, _ = matched(folders)
    if instructions is not None:
        options["instructions"] = _text(Path(instructions))
    settings = Settings(
        **options,
        anchors=not no_anchors,
        headphones=not no_headphone_check,
        volume=not no_volume,
        screening=dict(map(_rule, screening)),
    )
    with progress_bar(len(items) * len(folders), "clip", hidden=quiet) as bar:
        test = make_test(folders, Path(output), settings, progress=bar.update)
    if not quiet:
        longest = max(map(len, test.file.sessions))
        click.echo(
            f"{output}: {len(test.key.items)} items of {len(test.key.systems)} systems at {test.file.sample_rate} Hz "
            f"and {test.file.loudness_lufs:.1f} LUFS; {longest} trials a rater. Take it: glowtron listen serve {output}"
        )


@listen.command()
@click.argument("test", metavar="TEST")
@database_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: every one.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8990, show_default=True, help="0: any that is free.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def serve(test: str, database: str | None, host: str, port: int, quiet: bool) -> None:
    """Serve a test to browsers. Each answer is saved at once; Control-C ends it, and it may be served again.

    \b
    Examples:
      glowtron listen serve test
      glowtron listen serve test --host 0.0.0.0 --database postgresql://me@localhost/listening
    """
    from glowtron.listen.listening_test import ListeningTest

    opened = ListeningTest(Path(test))
    server, store = _web("server"), _open_store(opened, database)
    try:
        server.serve(
            opened, store, host, port, lambda place: None if quiet else click.echo(f"{place}: Control-C ends it")
        )
    finally:
        store.close()


@listen.command()
@click.argument("test", metavar="TEST")
@click.option("-o", "--output", metavar="FILE.html", required=True)
def page(test: str, output: str) -> None:
    """Write a test as one file that needs no server. Each listener sends back a file of answers.

    \b
    Examples:
      glowtron listen page test -o test.html
      glowtron listen report test --answers returned -o report
    """
    from glowtron.listen.listening_test import ListeningTest
    from glowtron.listen.page import write_page

    write_page(ListeningTest(Path(test)), Path(output))
    click.echo(f"{output}: written")


@listen.command()
@click.argument("source", metavar="TEST|RATINGS.csv")
@click.option("-o", "--output", metavar="FOLDER", required=True, help="Where report, plots and ratings go.")
@database_option
@click.option("--answers", metavar="FILE|FOLDER", multiple=True, help="Answers that came back as files.")
@click.option("--method", type=click.Choice(METHODS), default="mos", show_default=True, help="Of a table of ratings.")
@click.option("--reference", metavar="NAME", help="System of the recordings, in a table of ratings of MUSHRA.")
@click.option(
    "--margin",
    type=click.FloatRange(0, min_open=True),
    help="Difference too small to matter.  [default: 0.2 of MOS, 5 of MUSHRA]",
)
@click.option("--measures", metavar="FILE", help="A compare.json, whose measures are correlated with the ratings.")
@click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
def report(
    source: str,
    output: str,
    database: str | None,
    answers: tuple[str, ...],
    method: str,
    reference: str | None,
    margin: float | None,
    measures: str | None,
    quiet: bool,
) -> None:
    """Report a test: means with intervals that hold, differences, equivalence, power, plots and a paragraph.

    Writes report.md, report.json, ratings.csv and plots.

    \b
    Examples:
      glowtron listen report test -o report
      glowtron listen report test --answers returned -o report
      glowtron listen report ratings.csv --method mushra -o report
    """
    check_folder(Path(output))
    from glowtron.listen.listening_test import ListeningTest
    from glowtron.listen.ratings import read_ratings

    reporting = _web("report")
    if Path(source).is_file():
        if answers or database:
            raise InputError("--answers and --database are of a test, not of a table of ratings")
        collected = reporting.Source.of_table(read_ratings(Path(source)), method, reference)
    else:
        test = ListeningTest(Path(source))
        collected = reporting.Source.of_test(test, *_everything(test, database, answers))
    reporting.report_ratings(
        collected, Path(output), margin=margin, measures=None if measures is None else Path(measures)
    )
    if not quiet:
        click.echo(f"{Path(output) / 'report.md'}: written")


@listen.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("-o", "--output", metavar="RATINGS.csv", required=True)
@click.option(
    "--from", "layout", type=click.Choice(["webmushra", "p808"]), help="Whose files.  [default: by their heads]"
)
@click.option(
    "--pattern", metavar="REGEX", help="Groups `system` and `item` in names of clips, where no column tells them."
)
def import_(files: tuple[str, ...], output: str, layout: str | None, pattern: str | None) -> None:
    """Turn results of webMUSHRA or of the P.808 toolkit into a table of ratings. Names of participants are dropped.

    \b
    Examples:
      glowtron listen import results/mushra.csv -o ratings.csv
      glowtron listen import batch_votes_per_worker.csv --pattern '(?P<system>.+)_(?P<item>.+)' -o ratings.csv
    """
    from glowtron.listen.imports import import_ratings
    from glowtron.listen.ratings import write_ratings

    ratings = import_ratings([Path(file) for file in files], layout, pattern)
    write_ratings(Path(output), ratings)
    click.echo(f"{output}: {len(ratings)} ratings of {len({rating.rater for rating in ratings})} raters")


@listen.command()
@click.argument("test", metavar="TEST")
@click.argument("rater", metavar="ID")
@database_option
def forget(test: str, rater: str, database: str | None) -> None:
    """Delete all answers of a rater, by the id that the test showed them.

    \b
    Examples:
      glowtron listen forget test y0XK3iRrB5pZ_w1c
    """
    from glowtron.listen.listening_test import ListeningTest

    store = _open_store(ListeningTest(Path(test)), database)
    try:
        if not store.forget(rater):
            raise InputError(f"no rater '{rater}' in this test; ids are on the page and in ratings.csv")
    finally:
        store.close()
    click.echo(f"{rater}: deleted")


def _web(module: str) -> Any:
    """A module that needs the extra. Raises InputError that names it where it is missing."""
    from importlib import import_module

    try:
        return import_module(f"glowtron.listen.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("glowtron"):
            raise
        raise InputError(f"this needs '{error.name}': pip install 'glowtron[listen]'") from error


def _open_store(test: Any, database: str | None) -> Any:
    from glowtron.listen.listening_test import ANSWERS

    store = _web("store")
    return store.Store(database or store.sqlite_url(test.folder / ANSWERS), test.file.id)


def _everything(test: Any, database: str | None, answers: tuple[str, ...]) -> tuple[list[Any], list[Any]]:
    """Raters and answers, of the database and of files."""
    from glowtron.listen.answers import read_answer_file
    from glowtron.listen.listening_test import ANSWERS

    raters: list[Any] = []
    stored: list[Any] = []
    if database or (test.folder / ANSWERS).exists():
        store = _open_store(test, database)
        try:
            raters, stored = store.raters(), store.answers()
        finally:
            store.close()
    known = {rater.id for rater in raters}
    for entry in map(Path, answers):
        for path in sorted(entry.glob("*.json")) if entry.is_dir() else [entry]:
            rater, own = read_answer_file(test, path)
            if rater.id not in known:  # Somebody may send a file twice.
                known.add(rater.id)
                raters.append(rater)
                stored += own
    if not stored:
        raise InputError(f"{test.folder}: nobody has answered yet")
    return raters, stored


def _rule(entry: str) -> tuple[str, Any]:
    import json

    name, equals, value = entry.partition("=")
    if not equals:
        raise InputError(f"--screening {entry}: give RULE=VALUE")
    if value == "none":
        return name, None
    try:
        return name, json.loads(value)
    except ValueError as error:
        raise InputError(f"--screening {entry}: the value is a number, true, false or none") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text: {error}") from error
