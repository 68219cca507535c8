"""Simulated raters, with opinions and errors like people's, who take a test through the real page."""

import asyncio
from pathlib import Path

import numpy as np
from browser_rater import PATIENCE_S, BrowserRater, browser, served

from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.store import Store, sqlite_url

QUALITY = {"clean": 0.9, "hiss": 0.65, "noisy": 0.4, "awful": 0.15}
"""Share of the scale: the true order."""
MISHEARD = 0.03
"""By which a rater misses the best there is on hearing the reference beside itself."""


class Opinion:
    """One rater: a bias, an ear for each item, and noise."""

    def __init__(self, test: ListeningTest, seed: int, noise: float = 0.12) -> None:
        self._test, self._rng, self._noise = test, np.random.default_rng(seed), noise
        self._bias = 0.1 * self._rng.standard_normal()

    def __call__(self, clips: list[str]) -> list[float]:
        test, method = self._test, self._test.method
        if any(clip in test.key.attention for clip in clips):
            wanted = [test.key.attention[clip] for clip in clips if clip in test.key.attention]
            return wanted if method.kind == "page" else wanted[-1:]
        heard = [self._hears(test.key.clips[clip].system) for clip in clips]
        if method.open_reference:  # Which it can be compared with, so that it is known when it comes.
            for place, clip in enumerate(clips):
                if test.key.clips[clip].system == test.key.reference:
                    heard[place] = 1 - MISHEARD * abs(self._rng.standard_normal())
        if method.kind == "pair":
            return [self._on_scale(1.5 * (heard[1] - heard[0]) * method.high)]
        return [self._on_scale(method.low + share * method.range) for share in heard]

    def _hears(self, system: str) -> float:
        return QUALITY.get(system, 0.3) + self._bias + self._noise * self._rng.standard_normal()

    def _on_scale(self, value: float) -> float:
        method = self._test.method
        return float(np.clip(np.rint(value), method.low, method.high))


def stored(test: ListeningTest):
    """Raters and answers of a test that was served."""
    store = Store(sqlite_url(test.folder / "answers.sqlite"), test.file.id)
    raters, answers = store.raters(), store.answers()
    store.close()
    return raters, answers


def take_all(folder: Path, n_raters: int, at_once: int = 6, patience_s: float = PATIENCE_S) -> list[str]:
    """Have a test taken by `n_raters` in Chromium, some at once; returns the codes they were given."""

    async def run() -> list[str]:
        test = ListeningTest(folder)
        turn = asyncio.Semaphore(at_once)
        with served(folder) as url:
            async with browser() as opened:

                async def one(number: int) -> str:
                    async with turn:
                        page = await opened.new_page()
                        code = await BrowserRater(page, test, Opinion(test, number), patience_s).take(url)
                        await page.close()
                        return code

                return await asyncio.gather(*map(one, range(n_raters)))

    return asyncio.run(run())
