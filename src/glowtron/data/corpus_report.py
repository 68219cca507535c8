"""Report on a folder of recordings: those that make clips, those that do not and why, and figures of the clips."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from glowtron.data.quality import PEAK_DB, Rules
from glowtron.data.statistics import clock, markdown_table, statistics

KIND = "prepared recordings"
"""By this the report says that a folder is this program's own, to be written over."""

_ODD = 2.0
"""Times the speaker's median rate of speech, or one over it, from which on a text may not be what is said."""
_FEWEST = 10
"""A median over fewer clips of a speaker is not used."""
_QUIET_DB = 20.0
"""With more gain than this, the background noise is raised too."""
_MOST_NAMED = 200
"""Recordings listed one by one in a section; report.json has all."""


class KeptClip(NamedTuple):
    """A recording that has become a clip."""

    id: str
    speaker: str
    file: str
    """Path in the corpus."""
    source: str
    """Path of the recording in its folder."""
    raw: str
    text: str
    seconds: float
    recorded_s: float
    """Seconds, before trimming."""
    recorded_rate: int
    """Hz."""
    loudness: float
    """LUFS, before levelling."""
    gain_db: float
    limited: bool
    """True if the true peak limited the gain."""

    @property
    def rate(self) -> float:
        """Characters a second."""
        return len(self.text) / self.seconds


class LeftOut(NamedTuple):
    """A recording, or a text, that has not."""

    name: str
    """Path in the folder of recordings."""
    speaker: str
    reason: str
    detail: str


class CorpusReport(NamedTuple):
    """All of them: clips in the order in which they were found, what lacks sound or text before what has a fault."""

    rules: Rules
    kept: tuple[KeptClip, ...]
    """At least one, or there is only `summary`."""
    left_out: tuple[LeftOut, ...]

    @property
    def speakers(self) -> list[str]:
        """Of the kept clips, in the order of their first."""
        return list(dict.fromkeys(clip.speaker for clip in self.kept))

    def clips_of(self, speaker: str) -> list[KeptClip]:
        """A speaker's kept clips."""
        return [clip for clip in self.kept if clip.speaker == speaker]

    @property
    def total_s(self) -> float:
        """Seconds of all kept clips."""
        return sum(clip.seconds for clip in self.kept)

    def symbols(self) -> Counter[str]:
        """Counts of letters and signs in the texts; capitals count as small letters."""
        return Counter(letter for clip in self.kept for letter in clip.text.lower())

    def figures(self) -> dict[str, dict[str, Any]]:
        """Sums, rates and levels over all clips, and where there are several speakers over each one's."""
        groups = {"all": list(self.kept)}
        if len(self.speakers) > 1:
            groups |= {f"{name} alone" if name == "all" else name: self.clips_of(name) for name in self.speakers}
        return {name: _figures(clips) for name, clips in groups.items()}

    def doubts(self) -> dict[str, str]:
        """Kept clips that someone should listen to, by id, with the reasons."""
        found: dict[str, str] = {}
        for speaker in self.speakers:
            clips = self.clips_of(speaker)
            usual = float(np.median([clip.rate for clip in clips])) if len(clips) >= _FEWEST else None
            for clip in clips:
                if reasons := self._doubts(clip, usual):
                    found[clip.id] = "; ".join(reasons)
        return found

    def _doubts(self, clip: KeptClip, usual: float | None) -> list[str]:
        """`usual`: characters a second of this speaker, if known."""
        reasons = []
        if usual is not None and not usual / _ODD < clip.rate < usual * _ODD:
            median = f"{clip.speaker}'s median is {usual:.1f}"
            reasons.append(f"{clip.rate:.1f} characters a second, where {median}: is that its text?")
        if clip.gain_db > _QUIET_DB:
            reasons.append(f"very quiet: raised by {clip.gain_db:.0f} dB, and its background with it")
        if clip.recorded_rate < self.rules.sample_rate:
            reasons.append(f"recorded at {clip.recorded_rate} Hz: there is nothing over {clip.recorded_rate // 2} Hz")
        return reasons

    def json(self, owned: Sequence[str]) -> str:
        """All there is to know; `owned` are the files that the next run may write over or take away."""
        value = {
            "kind": KIND,
            "rules": asdict(self.rules),
            "figures": {name: _rounded(group) for name, group in self.figures().items()},
            "symbols": dict(self._counted_symbols()),
            "kept": [_rounded(clip._asdict()) for clip in self.kept],
            "left_out": [one._asdict() for one in self.left_out],
            "doubts": self.doubts(),
            "owned": list(owned),
        }
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    def markdown(self, pictures: Sequence[str]) -> str:
        """The same for people, with `pictures` by their file names."""
        parts = [f"# Recordings\n{len(self.kept)} of {len(self.kept) + len(self.left_out)} make clips.\n"]
        parts += [_table(self.figures()), self._treatment()]
        parts += [f"![Durations, rates of speech, levels and symbols]({name})\n" for name in pictures]
        if self.left_out:
            counts = [[reason, str(n)] for reason, n in self._reasons()]
            parts += [
                "## Left out\n" + markdown_table([["reason", "recordings"], *counts]),
                _listed([(one.name, f"{one.reason}: {_literal(one.detail)}") for one in self.left_out]),
            ]
        if doubts := self.doubts():
            parts.append(f"## Kept, but listen to them\n{_listed(list(doubts.items()))}")
        symbols = ", ".join(f"{_code(shown(symbol))} {n:,}" for symbol, n in self._counted_symbols())
        parts.append(f"## Symbols\nHow often each is in the texts: {symbols}.\n")
        return "\n".join(parts)

    def summary(self) -> str:
        """Reasons for what is left out, in one line."""
        return ", ".join(f"{n} {reason}" for reason, n in self._reasons())

    def _reasons(self) -> list[tuple[str, int]]:
        return Counter(one.reason for one in self.left_out).most_common()

    def _counted_symbols(self) -> list[tuple[str, int]]:
        return sorted(self.symbols().items(), key=lambda item: (-item[1], item[0]))

    def _treatment(self) -> str:
        rules = self.rules
        trimmed_s = sum(clip.recorded_s - clip.seconds for clip in self.kept)
        gains = [clip.gain_db for clip in self.kept]
        n_limited = sum(clip.limited for clip in self.kept)
        limited = (
            f"{n_limited} of them would have reached over {PEAK_DB:g} dB of full scale and stay quieter."
            if n_limited
            else f"None reaches over {PEAK_DB:g} dB of full scale."
        )
        return (
            f"Clips are mono, {rules.sample_rate} Hz, 16 bits, {rules.shortest_s:g} to {rules.longest_s:g} s long and "
            f"brought to {rules.loudness:g} LUFS, by {min(gains):+.1f} to {max(gains):+.1f} dB. {limited} "
            f"{clock(trimmed_s)} of silence were taken off the ends.\n"
        )


def shown(symbol: str) -> str:
    """A symbol for people: those that cannot be seen by name or number."""
    if symbol == " ":
        return "space"
    return symbol if symbol.isprintable() else f"U+{ord(symbol):04X}"


def _figures(clips: Sequence[KeptClip]) -> dict[str, Any]:
    sums = statistics([clip.text for clip in clips], [clip.seconds for clip in clips])
    return {
        **asdict(sums),
        "distinct_symbols": len({letter for clip in clips for letter in clip.text.lower()}),
        # 5th percentile, median and 95th.
        "characters_per_s": np.percentile([clip.rate for clip in clips], [5, 50, 95]).tolist(),
        "loudness_before": np.percentile([clip.loudness for clip in clips], [5, 50, 95]).tolist(),
    }


def _table(groups: dict[str, dict[str, Any]]) -> str:
    def spread(values: Sequence[float]) -> str:
        low, middle, high = values
        return f"{middle:.1f} ({low:.1f} to {high:.1f})"

    rows: list[tuple[str, Any]] = [
        ("clips", lambda group: f"{group['clips']:,}"),
        ("total", lambda group: clock(group["total_s"])),
        ("mean clip, s", lambda group: f"{group['total_s'] / group['clips']:.2f}"),
        ("shortest and longest, s", lambda group: f"{group['shortest_s']:.2f}, {group['longest_s']:.2f}"),
        ("words", lambda group: f"{group['words']:,}"),
        ("distinct words", lambda group: f"{group['distinct_words']:,}"),
        ("characters", lambda group: f"{group['characters']:,}"),
        ("distinct symbols", lambda group: str(group["distinct_symbols"])),
        ("characters a second", lambda group: spread(group["characters_per_s"])),
        ("LUFS before levelling", lambda group: spread(group["loudness_before"])),
    ]
    cells = [["", *map(_literal, groups)], *([name, *map(cell, groups.values())] for name, cell in rows)]
    return markdown_table(cells) + "\nIn brackets: 5th to 95th percentile.\n"


def _listed(items: Sequence[tuple[str, str]]) -> str:
    lines = [f"- {_literal(name)}: {why}\n" for name, why in items[:_MOST_NAMED]]
    more = [f"- and {len(items) - _MOST_NAMED:,} more, in report.json\n"] if len(items) > _MOST_NAMED else []
    return "".join(lines + more)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    def rounded(value: Any) -> Any:
        if isinstance(value, list):
            return [rounded(one) for one in value]
        return round(value, 3) if isinstance(value, float) else value

    return {name: rounded(value) for name, value in values.items()}


def _code(symbol: str) -> str:
    """One symbol in quotation marks."""
    return symbol if len(symbol) > 1 else f"`` {symbol} ``" if symbol == "`" else f"`{symbol}`"


def _literal(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*[]<>#|" else letter for letter in text)
