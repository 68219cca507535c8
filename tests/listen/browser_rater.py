"""A rater at a real browser: goes through the page of a listening test by its buttons, as a person would."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from chromium import ARGUMENTS, CHROMIUM
from glowtron.listen.listening_test import ListeningTest

PATIENCE_S = 120.0
"""A page is not waited for longer; on a busy machine six of them take long to answer a click."""

Judge = Callable[[list[str]], list[float]]
"""Clips of a trial, by id, to the values to give."""


@asynccontextmanager
async def browser():
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield opened
        finally:
            await opened.close()


@contextmanager
def served(test: Path, *more: str) -> Iterator[str]:
    """`glowtron listen serve` in a process of its own, and its address."""
    command = [sys.executable, "-m", "glowtron", "listen", "serve", str(test), "--port", "0", *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("http://"), process.stderr.read()
        yield line.split(": Control-C")[0]
    finally:
        process.terminate()
        process.communicate(timeout=20)


class BrowserRater:
    """Takes a test in a page; `judge` says what it thinks of a trial's clips."""

    def __init__(self, page, test: ListeningTest, judge: Judge, patience_s: float = PATIENCE_S) -> None:
        self.page, self.test, self.judge = page, test, judge
        self.faults: list[str] = []
        page.set_default_timeout(1000 * patience_s)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        self.trials = 0

    async def take(self, url: str, stop_after: int | None = None) -> str:
        """Go from the first page to the last; returns the completion code. stop_after: trials after which to leave."""
        await self.page.goto(url)
        while True:
            heading = await self.page.locator("h1").inner_text()
            if heading == "Thank you":
                assert self.faults == []
                return await self.page.locator("#code").inner_text()
            if stop_after is not None and self.trials >= stop_after:
                return ""
            await self._step(heading)

    async def _step(self, heading: str) -> None:
        page = self.page
        shown = await page.locator("h1").element_handle()
        if await page.get_by_role("button", name="Begin").count():
            await page.get_by_role("button", name="Begin").click()
        elif await page.get_by_role("button", name="The volume is set").count():
            await page.get_by_role("button", name="Play noise").click()
            await page.get_by_role("button", name="The volume is set").click()
        elif await page.get_by_role("button", name="Go on").count():
            await page.get_by_role("button", name="Go on").click()
        elif heading.startswith("Which tone"):
            await self._headphones(heading)
        else:
            await self._trial(heading)
        await page.wait_for_function("shown => !shown.isConnected", arg=shown)

    async def _headphones(self, heading: str) -> None:
        number = int(heading.split("(")[1].split(" ")[0]) - 1
        await self._hear("three tones")
        place = self.test.key.headphones[self.test.file.headphones[number]]
        await self.page.get_by_role("radio").nth(place).check()
        await self._next()

    async def _trial(self, heading: str) -> None:
        page, test = self.page, self.test
        if heading.startswith("Practice"):
            trial = test.file.training[int(heading.split(" ")[1]) - 1]
        else:
            done = int((await page.locator("#count").inner_text()).split(" ")[0])
            trial = test.session(await page.evaluate("session.session"))[done]
            self.trials += 1
        kind = test.method.kind
        letters = [f"clip {chr(65 + k)}" for k in range(len(trial.clips))]
        names = {"single": ["clip"], "pair": ["first clip", "second clip"], "page": letters}[kind]
        for name in (["reference"] if trial.reference else []) + names:
            await self._hear(name)
        values = self.judge(trial.clips)
        if kind == "page":
            for name, value in zip(names, values, strict=True):
                await page.get_by_role("slider", name=f"Rating of {name}").fill(f"{value:g}")
        else:
            place = [value for value, _ in test.method.labels].index(values[0])
            await page.get_by_role("radio").nth(place).check()
        await self._next()

    async def _hear(self, name: str) -> None:
        await self.page.get_by_role("button", name=f"Play {name}", exact=True).click()
        await self.page.get_by_role("button", name=f"{name}, heard").wait_for()

    async def _next(self) -> None:
        await self.page.get_by_role("button", name="Next").click()
