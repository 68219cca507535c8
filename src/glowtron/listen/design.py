"""Which rater hears what, and in which order: drawn from a seed, balanced by construction.

Each session has every system equally often. Items go round: over any number of sessions one item is heard about as
often as another. Within a session, systems follow a Latin square: in each block every system comes once, and over the
blocks each system meets each of the session's items once, so the same rater judges all systems on the same items, and
differences of systems are free of what is peculiar to raters and items. Where there is a choice, one item does not come
twice in a row.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from glowtron.errors import InputError


class Cell(NamedTuple):
    """Content of a trial: an item, and the systems to hear, in the order in which they are shown."""

    item: int
    systems: tuple[int, ...]


def single_sessions(n_items: int, n_systems: int, n_sessions: int, n_trials: int, seed: int) -> list[list[Cell]]:
    """Sessions of one clip a trial. n_trials: at most, a session; fewer make whole Latin squares."""
    choices = [(system,) for system in range(n_systems)]
    return _latin_sessions(n_items, choices, n_sessions, n_trials, seed)


def pair_sessions(
    n_items: int, pairs: Sequence[tuple[int, int]], n_sessions: int, n_trials: int, seed: int
) -> list[list[Cell]]:
    """Sessions of two clips a trial; each pair is shown in both orders equally often, within one at any time."""
    sessions = _latin_sessions(n_items, pairs, n_sessions, n_trials, seed)
    turned: dict[tuple[int, ...], int] = {}
    result = []
    for session in sessions:
        cells = []
        for item, pair in session:
            turned[pair] = turned.get(pair, 0) + 1
            cells.append(Cell(item, pair if turned[pair] % 2 else pair[::-1]))
        result.append(cells)
    return result


def page_sessions(n_items: int, n_systems: int, n_sessions: int, n_trials: int, seed: int) -> list[list[Cell]]:
    """Sessions of all systems a trial, each page in an order of its own."""
    draw = random.Random(f"{seed} pages")
    deck = _Deck(n_items, draw)
    sessions = []
    for _ in range(n_sessions):
        items = deck.take(min(n_trials, n_items))
        draw.shuffle(items)
        sessions.append([Cell(item, tuple(draw.sample(range(n_systems), n_systems))) for item in items])
    return sessions


def all_pairs(n_systems: int, against: int | None = None) -> list[tuple[int, int]]:
    """Pairs of different systems; those with `against` alone, if it is given."""
    pairs = list(combinations(range(n_systems), 2))
    return pairs if against is None else [pair for pair in pairs if against in pair]


class _Deck:
    """Items in shuffled rounds: all are dealt before one is dealt again, but for what a hand has already."""

    def __init__(self, n_items: int, draw: random.Random) -> None:
        self._n_items, self._draw = n_items, draw
        self._cards: list[int] = []

    def take(self, n: int) -> list[int]:
        hand: list[int] = []
        while len(hand) < n:
            card = next((card for card in self._cards if card not in hand), None)
            if card is None:
                self._cards += self._draw.sample(range(self._n_items), self._n_items)
                continue
            self._cards.remove(card)
            hand.append(card)
        return hand


def _latin_sessions(
    n_items: int, choices: Sequence[tuple[int, ...]], n_sessions: int, n_trials: int, seed: int
) -> list[list[Cell]]:
    if n_trials < 1:
        raise InputError(f"a session needs 1 trial at least, got {n_trials}")
    draw = random.Random(f"{seed} latin")
    deck = _Deck(n_items, draw)
    n = len(choices)
    sessions = []
    for number in range(n_sessions):
        if n_trials < n:
            # Too few for every choice: sessions take turns, each trial another item.
            which = [(number * n_trials + k) % n for k in range(n_trials)]
            items = _repeated(deck.take(min(n_items, n_trials)), n_trials)
            cells = [Cell(item, choices[c]) for item, c in zip(items, which, strict=True)]
            draw.shuffle(cells)
        else:
            items = deck.take(min(n_items, n_trials // n))
            cells = _latin_square(items, choices, number, draw)
        sessions.append(_apart(cells))
    return sessions


def _repeated(items: list[int], n: int) -> list[int]:
    return [items[k % len(items)] for k in range(n)]


def _latin_square(
    items: Sequence[int], choices: Sequence[tuple[int, ...]], number: int, draw: random.Random
) -> list[Cell]:
    """Blocks with each choice once; choice s meets item b + s in block b."""
    n_items, n = len(items), len(choices)
    cells = []
    for block in range(n_items):
        for place in range(n):
            s = _williams(n, number + block, place)
            cells.append(Cell(items[(block + s) % n_items], choices[s]))
    return cells


def _williams(n: int, row: int, place: int) -> int:
    """Row of a Latin square in which each neighbourhood comes equally often (Williams 1949), for an even n."""
    zigzag = (place + 1) // 2 if place % 2 else (n - place // 2) % n
    return (zigzag + row) % n


def _apart(cells: list[Cell]) -> list[Cell]:
    """The cells, those that repeat the item before them exchanged with a later one, where there is one that fits."""
    cells = list(cells)
    for k in range(1, len(cells)):
        if cells[k].item != cells[k - 1].item:
            continue
        for other in range(k + 1, len(cells)):
            follows = cells[other + 1].item if other + 1 < len(cells) else None
            if cells[other].item != cells[k - 1].item and cells[k].item not in (cells[other - 1].item, follows):
                cells[k], cells[other] = cells[other], cells[k]
                break
    return cells
