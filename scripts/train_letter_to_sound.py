"""Trains the network of `letter_to_sound` on the dictionaries: `python scripts/train_letter_to_sound.py`.

Letters are first aligned with phones by expectation maximisation in its hard form (Viterbi), each letter taking none,
one or two phones; then a small convolutional network learns what each letter says from the letters around it. Besides
the dictionary of `lexicon`, it learns from the pronouncing dictionary in PocketSphinx's package (extra `align`; it has
many more names, but no stress, so it teaches phones only). About every fiftieth word is held out and tells the
accuracy. Takes some six minutes of one core.
"""

from __future__ import annotations

import argparse
import math
import random
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glowtron.errors import InputError
from glowtron.text.letter_to_sound import ALPHABET, DILATIONS, KERNEL, WEIGHTS, LetterToSound, save
from glowtron.text.lexicon import Lexicon, Phones
from glowtron.text.symbols import VOWELS

Chunks = tuple[str, ...]
"""What each letter of a word says: phones without stress, joined by spaces; empty for a silent letter."""

CHANNELS = 128
MAX_LETTERS = 22
IGNORED = -100
UNSEEN = -12.0
"""Log-probability of a letter saying what it never said."""


def words_without_stress() -> dict[str, Phones]:
    """Words of PocketSphinx's dictionary, first pronunciations."""
    try:
        import pocketsphinx
    except ImportError as error:
        raise InputError("the names' dictionary needs PocketSphinx: pip install 'glowtron[align]'") from error
    path = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"))
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return {word: tuple(phones) for word, *phones in lines if word.isalpha() and word.isascii()}


def align(words: Sequence[tuple[str, Phones]], rounds: int = 4) -> dict[str, Chunks]:
    """What each letter of each word says; words that do not fit (two phones a letter at most) are left out."""
    sample = random.Random(0).sample(list(words), min(20_000, len(words)))
    scores: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        counts: Counter[tuple[str, str]] = Counter()
        for word, phones in sample:
            counts.update(zip(word, best_path(word, phones, scores) or (), strict=False))
        totals: dict[str, int] = defaultdict(int)
        for (letter, _chunk), count in counts.items():
            totals[letter] += count
        scores = {key: math.log(count / totals[key[0]]) for key, count in counts.items()}
    paths = ((word, best_path(word, phones, scores)) for word, phones in words)
    return {word: path for word, path in paths if path}


def best_path(word: str, phones: Phones, scores: dict[tuple[str, str], float]) -> Chunks | None:
    """The likeliest chunks; before there are scores, those nearest to the diagonal."""
    n_letters, n_phones = len(word), len(phones)
    if n_phones > 2 * n_letters:
        return None
    best: dict[int, tuple[float, tuple[Any, ...]]] = {
        0: (0.0, ())
    }  # phones said so far -> (score, chunks as a linked list)
    for i, letter in enumerate(word):
        reached: dict[int, tuple[float, tuple[Any, ...]]] = {}
        for said, (score, path) in best.items():
            for size in (0, 1, 2):
                end = said + size
                if end > n_phones or n_phones - end > 2 * (n_letters - i - 1):
                    continue
                chunk = " ".join(phones[said:end])
                off = abs(end / n_phones - (i + 1) / n_letters)
                total = score + (scores.get((letter, chunk), UNSEEN) if scores else -off - 0.2 * (size == 2))
                if end not in reached or total > reached[end][0]:
                    reached[end] = (total, (path, chunk))
        best = reached
    if n_phones not in best:
        return None
    chunks: list[str] = []
    path = best[n_phones][1]
    while path:
        path, chunk = path
        chunks.append(chunk)
    return tuple(reversed(chunks))


class Network(nn.Module):
    """Gated convolutions over letters; `letter_to_sound.LetterToSound` computes the same in numpy."""

    def __init__(self, n_chunks: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET), CHANNELS)
        self.layers = nn.ModuleList(nn.Linear(KERNEL * CHANNELS, 2 * CHANNELS) for _ in DILATIONS)
        self.out = nn.Linear(CHANNELS, n_chunks + 3)

    def forward(self, letters: Tensor) -> tuple[Tensor, Tensor]:
        """Letters (B, N) to logits of what each says (B, N, chunks) and of its stress (B, N, 3)."""
        x = self.embedding(letters)
        n = letters.shape[1]
        for layer, dilation in zip(self.layers, DILATIONS, strict=True):
            reach = dilation * (KERNEL // 2)
            padded = F.pad(F.dropout(F.rms_norm(x, (CHANNELS,)), 0.1, self.training), (0, 0, reach, reach))
            views = [padded[:, k * dilation : k * dilation + n] for k in range(KERNEL)]
            value, gate = layer(torch.cat(views, -1)).chunk(2, -1)  # (B, N, K C) -> (B, N, 2 C)
            x = x + value * torch.sigmoid(gate)
        logits = self.out(F.rms_norm(x, (CHANNELS,)))
        return logits[..., :-3], logits[..., -3:]


class Example(NamedTuple):
    """One word, as numbers; each list has an entry a letter."""

    letters: list[int]
    chunks: list[int]
    stresses: list[int]
    """0, 1, 2, or `IGNORED` where the letter says no vowel or the stress is not known."""


def examples(aligned: dict[str, Chunks], said: dict[str, Phones], chunk_ids: dict[str, int]) -> list[Example]:
    """Numbers of the words all of whose chunks are known; `said` has the phones of words, with stress or without."""
    found = []
    for word, chunks in aligned.items():
        if all(chunk in chunk_ids for chunk in chunks):
            digits = iter(phone[-1] for phone in said[word] if phone.rstrip("012") in VOWELS)
            stresses = []
            for chunk in chunks:
                vowels = [next(digits) for phone in chunk.split() if phone in VOWELS]
                stresses.append(int(vowels[0]) if vowels and vowels[0].isdigit() else IGNORED)
            found.append(Example([ALPHABET.index(c) for c in word], [chunk_ids[c] for c in chunks], stresses))
    return found


def batches(words: Sequence[Example], letters_a_batch: int, chance: random.Random) -> Iterator[list[Tensor]]:
    """Letters, chunks and stresses (B, N) of words of one length each, in random order; one pass over the words."""
    by_length: dict[int, list[Example]] = defaultdict(list)
    for word in words:
        by_length[len(word.letters)].append(word)
    groups = []
    for length, same in by_length.items():
        chance.shuffle(same)
        size = max(1, letters_a_batch // length)
        groups += [same[i : i + size] for i in range(0, len(same), size)]
    chance.shuffle(groups)
    for group in groups:
        yield [torch.tensor(part) for part in zip(*group, strict=True)]


def fit(network: Network, words: Sequence[Example], epochs: int, letters_a_batch: int, lr: float) -> None:
    """Train the network, printing the loss after each epoch."""
    optimizer = torch.optim.AdamW(network.parameters(), lr, weight_decay=0.01)
    chance = random.Random(0)
    steps = epochs * sum(1 for _ in batches(words, letters_a_batch, random.Random(0)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, pct_start=0.1)
    network.train()
    for epoch in range(epochs):
        started, total, count = time.perf_counter(), 0.0, 0
        for letters, chunks, stresses in batches(words, letters_a_batch, chance):
            with torch.autocast("cpu", torch.bfloat16):
                said, stress = network(letters)
            loss = F.cross_entropy(said.float().flatten(0, 1), chunks.flatten())
            if (stresses != IGNORED).any():
                loss = loss + F.cross_entropy(stress.float().flatten(0, 1), stresses.flatten(), ignore_index=IGNORED)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total, count = total + loss.item(), count + 1
        print(f"epoch {epoch + 1}: loss {total / count:.4f}, {time.perf_counter() - started:.0f} s", flush=True)


def report(name: str, reader: LetterToSound, words: dict[str, Phones], stress: bool) -> None:
    """Print the share of `words` read as the dictionary has them, and the share of phones that are wrong."""

    def bare(phones: Phones) -> Phones:
        return phones if stress else tuple(phone.rstrip("012") for phone in phones)

    right = wrong = total = 0
    for word, phones in words.items():
        read, wanted = bare(reader.read(word)), bare(phones)
        right += read == wanted
        wrong += distance(read, wanted)
        total += len(wanted)
    kind = "with" if stress else "without"
    print(f"{name}, {kind} stress: {right / len(words):.1%} of {len(words)} words, {wrong / total:.1%} phone errors")


def distance(a: Phones, b: Phones) -> int:
    """Fewest phones to change, add or leave out between a and b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def held_out(word: str) -> bool:
    """Whether a word is kept from training: by its beginning, so that words of one stem stay together."""
    return zlib.crc32(word[:5].encode()) % 50 == 0


def main() -> None:
    """Align, train, save, and report the accuracy on the words held out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.manual_seed(0)
    plain = Lexicon().words()
    names = {word: phones for word, phones in words_without_stress().items() if word not in plain}
    said = {word: phones for word, phones in (plain | names).items() if 1 < len(word) <= MAX_LETTERS}
    bare = [(word, tuple(phone.rstrip("012") for phone in phones)) for word, phones in said.items()]
    aligned = align(bare)
    counts = Counter(chunk for chunks in aligned.values() for chunk in chunks)
    chunks = [chunk for chunk, count in counts.most_common() if count >= 20]
    print(f"{len(aligned)} of {len(said)} words aligned, {len(chunks)} chunks")
    training = {word: found for word, found in aligned.items() if not held_out(word)}
    network = Network(len(chunks))
    fit(network, examples(training, said, {chunk: i for i, chunk in enumerate(chunks)}), options.epochs, 4096, 3e-3)
    save(options.out, {name: value.detach().numpy() for name, value in network.state_dict().items()}, chunks)
    reader = LetterToSound(options.out)
    unseen = {word: phones for word, phones in said.items() if held_out(word)}
    report("dictionary", reader, {word: phones for word, phones in unseen.items() if word in plain}, True)
    report("dictionary", reader, {word: phones for word, phones in unseen.items() if word in plain}, False)
    report("names", reader, {word: phones for word, phones in unseen.items() if word in names}, False)


if __name__ == "__main__":
    main()
