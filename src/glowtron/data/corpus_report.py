"""What became of a folder of recordings: which make clips, which do not and why, and what the clips are like."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any, NamedTuple

from glowtron.data.quality import Rules
from glowtron.data.statistics import Statistics, clock, markdown_table, statistics, table

KIND = "prepared recordings"
"""By this the report says that a folder is this program's own, to be written over."""

_ODD = 2.0
"""Times the speaker's median rate of speech, or one over it, from which on a text may not be what is said."""
_FEWEST = 10
"""Clips of a speaker under which a median says nothing."""


class KeptClip(NamedTuple):
    """A recording that has become a clip."""

    id: str
    speaker: str
    source: str
    """Where it came from, in the folder of recordings."""
    raw: str
    text: str
    seconds: float
    recorded_s: float
    """Seconds, before trimming."""
    loudness: float
    """LUFS, before levelling."""
    gain_db: float
    limited: bool
    """Whether a peak kept it from the loudness that was asked for."""

    @property
    def rate(self) -> float:
        """Characters a second."""
        return len(self.text) / self.seconds


class LeftOut(NamedTuple):
    """A recording, or a text, that has not."""

    name: str
    speaker: str
    reason: str
    detail: str


class CorpusReport(NamedTuple):
    """All of them: clips in the order in which they were found, what lacks sound or text before what has a fault."""

    rules: Rules
    kept: tuple[KeptClip, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def speakers(self) -> list[str]:
        """Of the kept clips, in the order of their first."""
        return list(dict.fromkeys(clip.speaker for clip in self.kept))

    def statistics(self) -> dict[str, Statistics]:
        """Over all clips, and where there are several speakers over each one's."""
        groups = {"all": list(self.kept)}
        if len(self.speakers) > 1:
            groups |= {name: [clip for clip in self.kept if clip.speaker == name] for name in self.speakers}
        return {
            name: statistics([clip.text for clip in clips], [clip.seconds for clip in clips])
            for name, clips in groups.items()
        }

    def odd(self) -> dict[str, str]:
        """Clips whose text may not be what is said, by id, with the reason."""
        found = {}
        for speaker in self.speakers:
            clips = [clip for clip in self.kept if clip.speaker == speaker]
            usual = median(clip.rate for clip in clips)
            for clip in clips if len(clips) >= _FEWEST else ():
                if not usual / _ODD < clip.rate < usual * _ODD:
                    found[clip.id] = f"{clip.rate:.1f} characters a second, {speaker}'s median is {usual:.1f}"
        return found

    def json(self) -> str:
        """All there is to know."""
        value = {
            "kind": KIND,
            "rules": asdict(self.rules),
            "statistics": {name: asdict(group) for name, group in self.statistics().items()},
            "kept": [_rounded(clip._asdict()) for clip in self.kept],
            "left_out": [one._asdict() for one in self.left_out],
            "odd": self.odd(),
        }
        return json.dumps(value, indent=1, ensure_ascii=False) + "\n"

    def markdown(self, pictures: Sequence[str]) -> str:
        """The same for people, with `pictures` by their file names."""
        parts = [
            f"# Recordings\n{len(self.kept)} of {len(self.kept) + len(self.left_out)} make clips.\n",
            table(self.statistics()),
            self._treatment(),
            *(f"![durations, rates of speech, levels and symbols]({name})\n" for name in pictures),
        ]
        if self.left_out:
            counted = Counter(one.reason for one in self.left_out).most_common()
            parts += [
                "## Left out\n" + markdown_table([["reason", "recordings"], *([name, str(n)] for name, n in counted)]),
                "".join(f"- {_literal(one.name)}: {one.reason}: {_literal(one.detail)}\n" for one in self.left_out),
            ]
        if odd := self.odd():
            parts.append(
                "## Kept, but listen to them\n" + "".join(f"- {_literal(i)}: {why}\n" for i, why in odd.items())
            )
        return "\n".join(parts)

    def _treatment(self) -> str:
        rules = self.rules
        trimmed_s = sum(clip.recorded_s - clip.seconds for clip in self.kept)
        gains = [clip.gain_db for clip in self.kept]
        limited = sum(clip.limited for clip in self.kept)
        return (
            f"Clips are mono, {rules.sample_rate} Hz, 16 bits, from {rules.shortest_s:g} to {rules.longest_s:g} s long "
            f"and {rules.loudness:g} LUFS loud. {clock(trimmed_s)} of silence were taken off their ends, and levels "
            f"changed by {min(gains):+.1f} to {max(gains):+.1f} dB; {limited} stay quieter, since their "
            "peaks reach -1 dB of full scale.\n"
        )

    def summary(self) -> str:
        """Reasons for what is left out, in one line."""
        counted = Counter(one.reason for one in self.left_out).most_common()
        return ", ".join(f"{n} {reason}" for reason, n in counted)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 3) if isinstance(value, float) else value for name, value in values.items()}


def _literal(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>#|" else letter for letter in text)
