"""The report of an evaluation as Markdown: tables in which every figure stands beside its neighbours."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glowtron.errors import InputError

FORMAT = 2
"""Version of `report.json`. Version 1, which bears no number, is read too."""
_VOCODER_ROWS = (
    ("word error rate", "word_error_rate", ".1%"),
    ("MOS estimate DistillMOS", "mos_distill", ".2f"),
    ("MOS estimate P.835 overall", "mos_overall", ".2f"),
    ("MOS estimate P.835 signal", "mos_signal", ".2f"),
    ("MOS estimate P.835 background", "mos_background", ".2f"),
    ("MOS estimate P.808", "mos_p808", ".2f"),
    ("log-mel L1", "mel_l1", ".3f"),
    ("multi-resolution STFT distance", "multi_resolution_stft", ".3f"),
    ("mel-cepstral distortion, dB", "mel_cepstral_distortion_db", ".2f"),
    ("PESQ, wide band", "pesq", ".2f"),
    ("STOI", "stoi", ".3f"),
    ("F0 error, cents", "f0_cents", ".0f"),
    ("gross F0 errors", "gross_share", ".1%"),
    ("voicing errors", "voicing_share", ".1%"),
    ("speaker similarity", "speaker_similarity", ".3f"),
    ("log-likelihood, nats a sample", "log_likelihood", ".3f"),
)
_SPEAKING_ROWS = (
    ("sentences", "n", "d"),
    ("word error rate", "word_error_rate", ".1%"),
    ("the same, above the real recordings", "word_error_rate_above_real", "+.1%"),
    ("words correct", "words_correct", ".1%"),
    ("MOS estimate DistillMOS", "mos_distill", ".2f"),
    ("MOS estimate P.835 overall", "mos_overall", ".2f"),
    ("MOS estimate P.835 signal", "mos_signal", ".2f"),
    ("MOS estimate P.835 background", "mos_background", ".2f"),
    ("MOS estimate P.808", "mos_p808", ".2f"),
    ("speaker similarity", "speaker_similarity", ".3f"),
    ("that of another reader", "other_speaker_similarity", ".3f"),
    ("F0 median, Hz", "f0_median_hz", ".0f"),
    ("F0 standard deviation, semitones", "f0_sd_semitones", ".2f"),
    ("letters a second of speech", "letters_per_s", ".1f"),
    ("words a minute", "words_per_min", ".0f"),
    ("pauses in 10 words", "pauses_per_10_words", ".2f"),
    ("mean pause, s", "mean_pause_s", ".2f"),
    ("median pause, s", "median_pause_s", ".2f"),
)
_ALIGNMENT_ROWS = (
    ("sentences", "n", "d"),
    ("complete by their sound", "complete", ".1%"),
    ("word error rate", "word_error_rate", ".1%"),
    ("aligned to the end, no failure", "aligned", ".1%"),
    ("stopped by themselves", "stopped", ".1%"),
    ("reached the end", "reached_end", ".1%"),
    ("skipping", "skipping", ".1%"),
    ("repeating", "repeating", ".1%"),
    ("too fast", "too_fast", ".1%"),
    ("no stop", "no_stop", ".1%"),
    ("stuck", "stuck", ".1%"),
    ("retried or split", "retried", ".1%"),
)
_NAMES = {
    "real": "real",
    "waveglow": "WaveGlow",
    "wavenet": "WaveNet",
    "waveglow-uncorrected": "flow alone, no correction",
    "noise-corrected": "white noise, as much correction",
    "mel-inversion": "white noise, 60 rounds of correction",
    "griffin-lim": "Griffin-Lim, 60 iterations",
    "held_out_texts": "spoken, texts of these clips",
    "unseen_sentences": "spoken, unseen sentences",
    "hard_sentences": "spoken, hard texts",
}
_RECOGNISERS = {
    "pocketsphinx": "PocketSphinx, which errs on a quarter of a clear reader's words",
    "whisper": "Whisper, which knows the language well and writes what was probably meant",
}
_NOTES = """\
Word error rate: (S + D + I) / N by an offline recogniser ({recogniser}). Numbers and abbreviations are spelled
out on both sides, and other spellings of the same sound are right. The rate on real recordings is the floor.
MOS estimates are networks' guesses of listeners' opinions, from 1 to 5, and do not check words: DistillMOS first, then
DNSMOS P.835 and P.808. In brackets: 95 % intervals from resampling the recordings. Speaker similarity: the cosine to
the mean embedding of the reader's recordings; another reader's shows what a stranger gets. PESQ and STOI compare
waveforms: a vocoder that draws its own phases, as WaveGlow does, scores low there however it sounds. Complete by their
sound: under half of the words wrong, and a length within the reader's range of speaking rates. Alignment: skipping and
repeating are steps of more than 4 symbols, no stop is a tail of more than 1 s or the limit of frames; an attention that
may only move forward cannot repeat, so read these shares beside the word error rate."""

_KEYS_OF_FORMAT_1 = {
    "words_recognised": "words_correct",
    "words_recognised_interval": "words_correct_interval",
    "complete": "aligned",
    "stopped_by_themselves": "stopped",
    "reach_the_end": "reached_end",
    "skip": "skipping",
    "repeat": "repeating",
    "race": "too_fast",
    "endless": "no_stop",
    "said_again": "retried",
}


def read_report(path: Path) -> dict[str, Any]:
    """The contents of a `report.json` of this version or an older one, under the names of this version.

    Raises InputError for a file that is no report, or is of a later version.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read as a report: {error}; give a report.json of `glowtron evaluate`"
        ) from error
    if not isinstance(report, dict) or "speakers" not in report:
        raise InputError(f"{path}: is not a report; give a report.json of `glowtron evaluate`")
    version = report.get("format", 1)
    if version > FORMAT:
        raise InputError(f"{path}: is of version {version}, this program reads up to {FORMAT}; use a newer glowtron")
    return report if version == FORMAT else _from_format_1(report)


def _from_format_1(report: Mapping[str, Any]) -> dict[str, Any]:
    speakers = {}
    for name, measured in report["speakers"].items():
        new = {key: value for key, value in measured.items() if key != "attention"}
        for table, old in (("vocoders", "vocoders"), ("speaking", "speaking"), ("alignment", "attention")):
            if old in measured:
                new[table] = {column: _renamed(values) for column, values in measured[old].items()}
        real = measured["vocoders"]["real"]
        same = new.get("speaking", {}).get("held_out_texts")
        if same is not None:
            same["word_error_rate_above_real"] = same["word_error_rate"] - real["word_error_rate"]
        speakers[name] = new
    return {**report, "format": FORMAT, "recogniser": "pocketsphinx", "not_measured": [], "speakers": speakers}


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {_KEYS_OF_FORMAT_1.get(key, key): value for key, value in values.items() if key != "relative_words"}
    if "incomplete_sentences" in renamed:
        renamed["incomplete_sentences"] = [{"text": text} for text in renamed["incomplete_sentences"]]
    return renamed


def markdown(report: Mapping[str, Any]) -> str:
    """The report, from what `report.json` holds."""
    notes = _NOTES.format(recogniser=_RECOGNISERS[report["recogniser"]])
    lines = [f"# Evaluation of the voice {report['voice']}", "", _made(report), "", notes, ""]
    for speaker, measured in report["speakers"].items():
        lines += [f"## {speaker}", "", *_vocoders(measured), *_speaking(measured), *_pictures(measured)]
    return "\n".join(lines).rstrip() + "\n"


def _made(report: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    size = "Quick set" if report["quick"] else "Full set"
    unknown = " The voice does not say which clips its training kept out: it may have heard these."
    missing = "".join(f" Not measured, install it by: `{command}`." for command in report["not_measured"])
    return (
        f"{size}, seed {report['seed']}, sigma {report['sigma']}, "
        f"{report['correction']} rounds of correction, in {report['minutes']:.1f} minutes; {versions}."
        + missing
        + ("" if report["held_out_known"] else unknown)
    )


def _vocoders(measured: Mapping[str, Any]) -> Iterable[str]:
    columns = measured["vocoders"]
    yield f"### Vocoders: {columns['real']['n']} real clips through mel and back"
    yield ""
    yield from _table(_VOCODER_ROWS, columns)


def _speaking(measured: Mapping[str, Any]) -> Iterable[str]:
    if "speaking" not in measured:
        return
    yield from ("### Speaking", "")
    yield from _table(_SPEAKING_ROWS, measured["speaking"])
    yield from ("### Completeness and alignment", "")
    yield from _table(_ALIGNMENT_ROWS, measured["alignment"])
    failed = [one for column in measured["alignment"].values() for one in column["incomplete_sentences"]]
    if failed:
        yield from ("Not spoken whole, and what was heard:", "")
        yield from (f"- {one['text']}" + (f" ({one['heard']})" if "heard" in one else "") for one in failed[:20])
        if len(failed) > 20:
            yield f"- and {len(failed) - 20} more, in report.json"
        yield ""


def _pictures(measured: Mapping[str, Any]) -> Iterable[str]:
    for name in measured["pictures"]:
        yield from (f"![{name}]({name})", "")


def _table(rows: Sequence[tuple[str, str, str]], columns: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Rows that at least one column has, and an empty line."""
    yield "| | " + " | ".join(_NAMES[name] for name in columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for label, key, form in rows:
        if any(values.get(key) is not None for values in columns.values()):
            yield f"| {label} | " + " | ".join(_cell(values, key, form) for values in columns.values()) + " |"
    yield ""


def _cell(values: Mapping[str, Any], key: str, form: str) -> str:
    if values.get(key) is None:
        return ""
    shown = format(values[key], form)
    if f"{key}_interval" in values:
        low, high = values[f"{key}_interval"]
        shown += f" ({format(low, form)} to {format(high, form)})"
    return shown.replace("%", " %")
