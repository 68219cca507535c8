"""Words that no dictionary has, read letter by letter.

A small convolutional network tells for each letter, from the letters around it, what it says: none, one or two phones,
and how the vowel among them is stressed. `scripts/train_letter_to_sound.py` made its weights, which are this project's
own; here it runs in numpy, about a millisecond a word. Of dictionary words kept from training, with all that begin like
them, it reads 68 % as the dictionary does (5.9 % of phones wrong; 62 % with every stress too), of names 56 % (10.8 %).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glowtron.files import write_atomic
from glowtron.text.lexicon import LETTER_NAMES, Phones
from glowtron.text.symbols import VOWELS

Array = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("letter_to_sound.npz")
"""The weights that come with the package."""
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
DILATIONS = (1, 2, 1, 3)
"""Letters between the views of each layer's convolution; together they see 14 letters to either side."""
KERNEL = 5


class LetterToSound:
    """Reads unknown words."""

    def __init__(self, weights: Path = WEIGHTS) -> None:
        """The weights are read when first needed."""
        self._path = weights
        self._weights: dict[str, Array] = {}
        self._chunks: list[Phones] = []

    def read(self, word: str) -> Phones:
        """Phones of a word, of which only the letters a to z count; alone or without a vowel they are named."""
        letters = [ALPHABET.index(letter) for letter in word if letter in ALPHABET]
        assert letters, f"no letters in {word!r}"
        if len(letters) == 1 or not set(word) & set("aeiouy"):
            return tuple(phone for letter in letters for phone in LETTER_NAMES[ALPHABET[letter]])
        said, stress = self._logits(letters)
        chunks = [self._chunks[i] for i in said.argmax(-1)]
        phones = [(phone, stress[i]) for i, chunk in enumerate(chunks) for phone in chunk]
        if not any(phone in VOWELS for phone, _ in phones):
            return tuple(phone for letter in letters for phone in LETTER_NAMES[ALPHABET[letter]])
        return _stressed(phones)

    def _logits(self, letters: Sequence[int]) -> tuple[Array, Array]:
        """Of what each letter says (N, chunks), and of its stress (N, 3)."""
        if not self._weights:
            self._load()
        w = self._weights
        x = w["embedding.weight"][letters]  # (N, C)
        for i, dilation in enumerate(DILATIONS):
            reach = dilation * (KERNEL // 2)
            padded = np.pad(_normal(x), ((reach, reach), (0, 0)))
            views = np.concatenate([padded[k * dilation : k * dilation + len(x)] for k in range(KERNEL)], -1)
            value, gate = np.split(views @ w[f"layers.{i}.weight"].T + w[f"layers.{i}.bias"], 2, -1)
            x = x + value / (1 + np.exp(-gate))
        logits = _normal(x) @ w["out.weight"].T + w["out.bias"]
        return logits[:, :-3], logits[:, -3:]

    def _load(self) -> None:
        with np.load(self._path, allow_pickle=False) as file:
            self._weights = {name: file[name].astype(np.float32) for name in file.files if name != "chunks"}
            self._chunks = [tuple(chunk.split()) for chunk in file["chunks"].tolist()]


def save(path: Path, weights: Mapping[str, Array], chunks: Sequence[str]) -> None:
    """Write weights, in half precision, and what letters can say, as `LetterToSound` reads them."""
    arrays: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    with write_atomic(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, chunks=np.array(chunks), **arrays)


def _normal(x: Array) -> Array:
    scale: Array = np.sqrt(np.mean(x * x, -1, keepdims=True) + np.finfo(np.float32).eps)
    return x / scale


def _stressed(phones: Sequence[tuple[str, Array]]) -> Phones:
    """Phones with stress digits; of the vowels, the one that most wants it alone has the primary stress."""
    vowels = {i: logits for i, (phone, logits) in enumerate(phones) if phone in VOWELS}
    primary = max(vowels, key=lambda i: float(vowels[i][1] - max(vowels[i][0], vowels[i][2])))
    digits = {i: "1" if i == primary else "2" if logits[2] > logits[0] else "0" for i, logits in vowels.items()}
    return tuple(phone + digits.get(i, "") for i, (phone, _) in enumerate(phones))
