"""Statistics of a corpus: clips, words and hours, as LJSpeech's own README counts them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Sums over a corpus."""

    clips: int
    words: int
    """Runs of letters and digits."""
    characters: int
    """With spaces and punctuation."""
    distinct_words: int
    """In lower case."""
    total_s: float
    """Seconds."""
    shortest_s: float
    longest_s: float

    @property
    def mean_s(self) -> float:
        """Seconds of a clip."""
        return self.total_s / self.clips

    @property
    def words_per_clip(self) -> float:
        return self.words / self.clips

    def rows(self) -> dict[str, str]:
        """Every figure for people, by what it is called."""
        return {
            "clips": f"{self.clips:,}",
            "words": f"{self.words:,}",
            "characters": f"{self.characters:,}",
            "distinct words": f"{self.distinct_words:,}",
            "words a clip": f"{self.words_per_clip:.2f}",
            "total": clock(self.total_s),
            "mean clip": f"{self.mean_s:.2f} s",
            "shortest clip": f"{self.shortest_s:.2f} s",
            "longest clip": f"{self.longest_s:.2f} s",
        }


LJSPEECH = Statistics(
    clips=13_100,
    words=225_715,
    characters=1_308_678,
    distinct_words=13_821,
    total_s=23 * 3600 + 55 * 60 + 17,
    shortest_s=1.11,
    longest_s=10.10,
)
"""Published with LJSpeech 1.1, without its rule for words; ours finds 225,961, of them 13,771 distinct."""


def statistics(texts: Sequence[str], seconds: Sequence[float]) -> Statistics:
    """Over clips, at least one, by their texts and lengths."""
    words = [word for text in texts for word in _WORD.findall(text.lower())]
    return Statistics(
        clips=len(texts),
        words=len(words),
        characters=sum(map(len, texts)),
        distinct_words=len(set(words)),
        total_s=sum(seconds),
        shortest_s=min(seconds),
        longest_s=max(seconds),
    )


def table(columns: dict[str, Statistics]) -> str:
    """Statistics side by side, a Markdown table."""
    rows = {name: column.rows() for name, column in columns.items()}
    names = list(next(iter(rows.values())))
    cells = [["", *rows], *([name, *(column[name] for column in rows.values())] for name in names)]
    return markdown_table(cells)


def markdown_table(cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table that reads well as it is; the first row is the head, columns but the first are figures."""
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(cells[0]))]
    lines = [
        [cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]
    lines.insert(1, ["-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: `23:55:17`."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
