"""Synthesis options have one documentation; `python tests/test_synthesis_options.py` renews the table in docs/."""

import re
from dataclasses import fields
from math import inf
from pathlib import Path

import click
import pytest

from glowtron.cli import glowtron as command
from glowtron.cli.options import SynthesisOption
from glowtron.config.documentation import field_texts
from glowtron.config.synthesis import DEFAULTS, LIMITS, VOCODERS, SynthesisOptions
from glowtron.errors import InputError

PAGE = Path(__file__).parents[1] / "docs" / "voices.md"
BEGIN, END = "<!-- options -->\n", "<!-- /options -->"
NAMES = [field.name for field in fields(SynthesisOptions)]


def table():
    """The options as they stand in the documentation."""
    texts = field_texts(SynthesisOptions)
    lines = ["| option | default | range | |", "|---|---|---|---|"]
    for name in NAMES:
        text, default = texts[name]
        low, high = LIMITS.get(name, (None, None))
        allowed = "" if low is None else f"{low} or more" if high == inf else f"{low} to {high}"
        if name == "vocoder":
            allowed = ", ".join(VOCODERS)
        lines.append(f"| `{name}` | {default or getattr(DEFAULTS, name)} | {allowed} | {text} |")
    return "\n".join(lines) + "\n"


def test_the_documentation_is_that_of_the_fields():
    page = PAGE.read_text("utf-8")
    assert page.split(BEGIN)[1].split(END)[0] == table(), "renew it: python tests/test_synthesis_options.py"


@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_documented_and_none_is_explained(name):
    text, default = field_texts(SynthesisOptions)[name]
    assert text.endswith(".")
    assert (default is None) == (getattr(DEFAULTS, name) is not None)


def options_of(name):
    return {o.name: o for o in command.commands[name].params if isinstance(o, click.Option)}


@pytest.mark.parametrize("name", NAMES)
def test_help_of_the_command_line_is_that_of_the_field(name):
    text, default = field_texts(SynthesisOptions)[name]
    for of in ("say", "book", "vocode"):
        option = options_of(of).get(name)
        if option is None:
            assert of != "say"
            continue
        assert isinstance(option, SynthesisOption)
        shown = option.get_help_record(click.Context(command.commands[of]))[1]
        assert shown.startswith(text)
        assert f"default: {default or getattr(DEFAULTS, name)}" in shown


@pytest.mark.parametrize("name", LIMITS)
def test_python_and_the_command_line_have_the_same_limits(name):
    option, (low, high) = options_of("say")[name], LIMITS[name]
    for value in (low, high):
        if value < inf:
            assert option.type.convert(str(value), option, None) == value
            SynthesisOptions(**{name: option.type.convert(str(value), option, None)})
    for value in (low - 1, high + 1):
        if value < inf:
            with pytest.raises(click.BadParameter):
                option.type.convert(str(value), option, None)
            with pytest.raises(InputError, match=f"{name} must be"):
                SynthesisOptions(**{name: value})


if __name__ == "__main__":
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + re.split(END, rest)[1], "utf-8")
