"""`glowtron phonemes`: what will be said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glowtron.cli.options import lexicon_option, voice_option
from glowtron.cli.script import read_script
from glowtron.errors import InputError

if TYPE_CHECKING:
    from glowtron.text.frontend import Encoded
    from glowtron.text.phonemes import Word


@click.command()
@click.argument("text", nargs=-1)
@click.option("-f", "--file", metavar="FILE", help="Read the text from a UTF-8 file; - is standard input.")
@voice_option
@lexicon_option
@click.option(
    "--unknown", is_flag=True, help="List the words that were guessed, the most frequent first, as a lexicon."
)
@click.option("--explain", is_flag=True, help="Tell which pass made which words of which characters.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def phonemes(
    text: tuple[str, ...],
    file: str | None,
    voice: str | None,
    lexicon: str | None,
    unknown: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Show how a text will be read.

    TEXT is the text; if it is - or missing, standard input is.

    Of each sentence its words with all figures and abbreviations written out, and the phones of each word. What is
    not simply in the dictionary says where it is from: your lexicon, a homograph (chosen by its neighbours), the weak
    form of a function word, the name of a letter, derived from other words, inline {HH AH0 L OW1}, or guessed from its
    letters.

    Guesses are worth a look: list them with --unknown, mend them, and give the file to say as --lexicon. A lexicon has
    a word and its ARPAbet phones a line, every vowel with its stress (1 main, 2 lesser, 0 none).

    \b
    Examples:
      glowtron phonemes "Dr. Nguyen read 3 records."
      glowtron phonemes --explain "On 3/5 he ran 10 km."
      glowtron phonemes --file chapter.txt --unknown > words.txt
      glowtron phonemes --file chapter.txt --lexicon words.txt
    """
    script = read_script(text, file, 'glowtron phonemes "Hello."')

    if explain:
        _explain(script)
        return
    from glowtron.text.frontend import make_frontend
    from glowtron.voice_folder import read_voice_file
    from glowtron.voices import find_voice

    folder = find_voice(voice)
    acoustic = read_voice_file(folder).acoustic
    if acoustic is None:
        raise InputError(f"{folder}: this voice has no acoustic model and reads nothing; choose another")
    if unknown and not acoustic.text.phonemes:
        raise InputError(
            f"{folder}: this voice reads letters and looks no words up; --unknown needs one that reads phones"
        )
    frontend = make_frontend(acoustic.text, Path(lexicon) if lexicon else None)
    readings = (frontend.encode(sentence) for sentence in frontend.split(script))
    if unknown:
        _print_unknown(readings)
    elif as_json:
        click.echo(json.dumps([_json(reading) for reading in readings], indent=2, ensure_ascii=False))
    else:
        _print_table(readings)


def _explain(script: str) -> None:
    """Print of each sentence what every pass wrote in place of what."""
    from glowtron.text.english import NothingToSayError, explain, unspeakable
    from glowtron.text.sentences import split_sentences

    told = 0
    for sentence in split_sentences(script):
        try:
            found = explain(sentence)
        except NothingToSayError:
            continue
        click.echo(("\n" if told else "") + found.text)
        told += 1
        rows = [
            (f"{edit.span[0]}-{edit.span[1]}", edit.name, f"{_shown(edit.before)} -> {_shown(edit.after)}")
            for edit in found.edits
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        for place, name, change in rows:
            click.echo(f"  {place:>{widths[0]}}  {name:{widths[1]}}  {change}".rstrip())
    if not told:
        raise unspeakable(script)


def _shown(text: str) -> str:
    """Input or output of a pass, without the marks that passes leave for each other."""
    return "'" + " ".join(text.replace("\ue000", "{}").replace("\ue001", "").split()) + "'"


def _print_table(readings: Iterable[Encoded]) -> None:
    guessed: dict[str, None] = {}
    for i, reading in enumerate(readings):
        click.echo(("\n" if i else "") + reading.normalized.strip())
        rows = [
            ("{}" if word.source == "inline" else word.text, " ".join(word.phones), _note(word))
            for word in _words(reading)
        ]
        widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
        for name, phones, note in rows:
            click.echo(f"  {name:{widths[0]}}  {phones:{widths[1]}}  {note}".rstrip())
        guessed |= dict.fromkeys(guess for word in _words(reading) for guess, _ in word.guessed)
    if guessed:
        words = (
            f"1 word was guessed: {next(iter(guessed))}" if len(guessed) == 1 else f"{len(guessed)} words were guessed"
        )
        click.echo(f"glowtron: {words} (--unknown lists guesses for a lexicon)", err=True)


def _words(reading: Encoded) -> list[Word]:
    """The words of a sentence; none for a voice that reads letters."""
    return [word.pronunciation for word in reading.words if word.pronunciation is not None]


def _note(word: Word) -> str:
    """Source of a pronunciation; empty for words of the dictionary."""
    if word.source == "dictionary":
        return ""
    guesses = tuple(guess for guess, _ in word.guessed)
    details = {
        "homograph": word.part,
        "derived": " + ".join(word.made_of),
        "guessed": "" if guesses == (word.text,) else ", ".join(guesses),
    }.get(word.source)
    return f"{word.source}: {details}" if details else word.source


def _print_unknown(readings: Iterable[Encoded]) -> None:
    times: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for reading in readings:
        times.update(guess for word in _words(reading) for guess in word.guessed)
    for (word, phones), _ in times.most_common():
        click.echo(f"{word} {' '.join(phones)}")
    if not times:
        click.echo("glowtron: no word was guessed", err=True)


def _json(reading: Encoded) -> dict[str, Any]:
    return {
        "text": reading.text,
        "clean": reading.normalized,
        "symbols": reading.symbols,
        "words": list(map(_json_word, _words(reading))),
    }


def _json_word(word: Word) -> dict[str, Any]:
    return {
        "word": word.text,
        "phones": " ".join(word.phones),
        "source": word.source,
        "part": word.part,
        "made_of": list(word.made_of),
        "guessed": {guess: " ".join(phones) for guess, phones in word.guessed},
    }
