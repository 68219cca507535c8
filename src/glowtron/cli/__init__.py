"""The command line: one file a command, all of them thin. Nothing here imports torch before a command needs it."""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from glowtron import __version__
from glowtron.cli.align import align
from glowtron.cli.bench import bench
from glowtron.cli.book import book
from glowtron.cli.bulk import bulk
from glowtron.cli.compare import compare
from glowtron.cli.evaluate import evaluate
from glowtron.cli.export import export
from glowtron.cli.import_ import import_
from glowtron.cli.listen import listen
from glowtron.cli.mcp import mcp
from glowtron.cli.mels import mels
from glowtron.cli.options import with_new_names
from glowtron.cli.phonemes import phonemes
from glowtron.cli.prepare import prepare
from glowtron.cli.push import push
from glowtron.cli.say import say
from glowtron.cli.serve import serve
from glowtron.cli.train import train
from glowtron.cli.vendor import vendor
from glowtron.cli.vocode import vocode
from glowtron.cli.voices import voices
from glowtron.errors import InputError, nearest, reason

USER_FAULT = 2
"""Exit status after a fault that the user can mend."""


class Commands(click.Group):
    """A group that names the command nearest to a misspelt one, in the order in which they were given."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            raise click.UsageError(f"no command '{name}'{nearest(name, list(self.commands))}", ctx)
        return super().resolve_command(ctx, [name, *with_new_names(name, args[1:])])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of standard output has had enough; click would call that a failure.
            _drop_output()
            return 0


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.pass_context
def glowtron(context: click.Context) -> None:
    """Text to speech by Tacotron 2 and WaveGlow.

    \b
    Examples:
      glowtron say "Hello, world." -o hello.wav
      glowtron voices
      glowtron say --help
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    say,
    book,
    bulk,
    serve,
    mcp,
    phonemes,
    vocode,
    voices,
    import_,
    prepare,
    train,
    align,
    mels,
    export,
    push,
    evaluate,
    listen,
    compare,
    vendor,
    bench,
):
    glowtron.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `glowtron` with `arguments` (the command line's by default) and exit.

    A fault of the user ends with one line on standard error and exit status 2; any other exception is a fault of this
    program and keeps its traceback. A reader of standard output that has had enough (`| head`) ends it quietly.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # Names that an old terminal cannot show must not end the program.
        sys.stdout.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        sys.exit(_status(arguments))


def _status(arguments: Sequence[str] | None) -> int:
    """Run a command and return the exit status."""
    try:
        status = glowtron.main(args=arguments, prog_name="glowtron", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        return _fault(_one_line(error))
    except BrokenPipeError:
        _drop_output()
        return 0
    except InputError as error:
        return _fault(with_flags(str(error)))
    except OSError as error:
        # A file of the user's that no reader of ours has named: no permission, a full disk.
        return _fault(f"{error.filename}: {reason(error)}" if error.filename else reason(error))
    except (KeyboardInterrupt, click.Abort):
        click.echo("glowtron: interrupted", err=True)
        return 130
    return status if isinstance(status, int) else 0


def with_flags(message: str) -> str:
    """A message of the library for the command line: parameters become options.

    The library names a parameter in backticks, as in `init_from`, and a key of the configuration with its value, as in
    `training.precision=bf16`.
    """
    message = re.sub(r"`(\w+(?:\.\w+)*=[^`]*)`", r"--set \1", message)
    flags = parameter_flags(glowtron)
    return re.sub(r"`(\w+)`", lambda found: flags.get(found[1], found[0]), message)


def parameter_flags(command: click.Command) -> dict[str, str]:
    """The option for each parameter of a command and of all its subcommands: the one table from name to flag."""
    flags = {str(one.name): max(one.opts, key=len) for one in command.params if isinstance(one, click.Option)}
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        flags |= parameter_flags(inner)
    return flags


def _drop_output() -> None:
    # Python flushes standard output once more on its way out, which must not fail again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fault(message: str) -> int:
    click.echo(f"glowtron: error: {' '.join(message.split())}", err=True)
    return USER_FAULT


def _one_line(error: click.ClickException) -> str:
    """Click's message and where to read more."""
    message = error.format_message()
    context = getattr(error, "ctx", None)
    return f"{message} (see: {context.command_path} --help)" if context else message


def _show_warning(message: Any, *_: Any, **__: Any) -> None:
    """A warning is a line like an error's, without the place in the program."""
    click.echo(f"glowtron: warning: {with_flags(str(message))}", err=True)
