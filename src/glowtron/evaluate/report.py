"""The report on a voice, for people: tables of what `evaluate` measured, every figure beside its neighbours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_VOCODER_ROWS = (
    ("words recognised", "words_recognised", ".1%"),
    ("MOS estimate P.808", "mos_p808", ".2f"),
    ("MOS estimate P.835 signal", "mos_signal", ".2f"),
    ("MOS estimate P.835 background", "mos_background", ".2f"),
    ("MOS estimate P.835 overall", "mos_overall", ".2f"),
    ("log-mel L1", "mel_l1", ".3f"),
    ("multi-resolution STFT distance", "multi_resolution_stft", ".3f"),
    ("mel-cepstral distortion, dB", "mel_cepstral_distortion_db", ".2f"),
    ("PESQ, wide band", "pesq", ".2f"),
    ("STOI", "stoi", ".3f"),
    ("F0 error, cents", "f0_cents", ".0f"),
    ("gross F0 errors", "gross_share", ".1%"),
    ("voicing errors", "voicing_share", ".1%"),
    ("log-likelihood, nats a sample", "log_likelihood", ".3f"),
)
_SPEAKING_ROWS = (
    ("sentences", "n", "d"),
    ("words recognised", "words_recognised", ".1%"),
    ("the same, relative to the real recordings", "relative_words", ".1%"),
    ("word error rate", "word_error_rate", ".1%"),
    ("MOS estimate P.808", "mos_p808", ".2f"),
    ("MOS estimate P.835 overall", "mos_overall", ".2f"),
    ("letters a second of speech", "letters_per_s", ".1f"),
    ("words a minute", "words_per_min", ".0f"),
    ("pauses in 10 words", "pauses_per_10_words", ".2f"),
    ("mean pause, s", "mean_pause_s", ".2f"),
)
_ATTENTION_ROWS = (
    ("sentences", "n", "d"),
    ("complete: to the end, no fault", "complete", ".1%"),
    ("stopped by themselves", "stopped_by_themselves", ".1%"),
    ("reached the end", "reach_the_end", ".1%"),
    ("skipped", "skip", ".1%"),
    ("repeated", "repeat", ".1%"),
    ("raced", "race", ".1%"),
    ("endless", "endless", ".1%"),
    ("stuck", "stuck", ".1%"),
    ("said again or in parts", "said_again", ".1%"),
)
_NAMES = {
    "real": "real",
    "waveglow": "WaveGlow",
    "griffin-lim": "Griffin-Lim",
    "held_out_texts": "spoken, texts of these clips",
    "unseen_sentences": "spoken, unseen sentences",
    "hard_sentences": "spoken, hard texts",
}
_NOTES = """\
Words recognised: 1 - (S + D) / N against an offline recogniser (PocketSphinx), numbers and abbreviations spelled out;
what it hears of the real recordings is the measure of what can be heard. MOS estimates: DNSMOS, which hears noise and
distortion, not wrong words. In brackets: 95 % intervals from resampling the recordings. PESQ and STOI compare
waveforms: a vocoder that draws its own phases, as WaveGlow does, scores low there however it sounds. Attention: a skip
or a repeat is a step of more than 4 symbols, endless is a tail of more than 1 s or none of its own accord; an
attention that may only move forward cannot repeat, so read its shares beside the words recognised."""


def markdown(report: Mapping[str, Any]) -> str:
    """The report, from what `report.json` holds."""
    lines = [f"# How good is the voice {report['voice']}?", "", _made(report), "", _NOTES, ""]
    for speaker, measured in report["speakers"].items():
        lines += [f"## {speaker}", "", *_vocoders(measured), *_speaking(measured), *_pictures(measured)]
    return "\n".join(lines).rstrip() + "\n"


def _made(report: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    size = "Quick set" if report["quick"] else "Full set"
    unknown = " The voice does not say which clips its training kept out: it may have heard these."
    return (
        f"{size}, seed {report['seed']}, sigma {report['sigma']}, "
        f"{report['correction']} rounds of correction, in {report['minutes']:.1f} minutes; {versions}."
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
    yield from ("### Attention", "")
    yield from _table(_ATTENTION_ROWS, measured["attention"])
    failed = [text for column in measured["attention"].values() for text in column["incomplete_sentences"]]
    if failed:
        yield from ("Not spoken whole:", "")
        yield from (f"- {text}" for text in failed[:20])
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
