"""The page of a listening test, in Chromium."""

import asyncio
import json
import re
from collections import Counter

import numpy as np
import pytest
import soundfile
from browser_rater import BrowserRater, browser, served
from listen_material import RATE, say, write_systems
from simulated_raters import Opinion, stored

from chromium import needs_browser
from glowtron.audio import read_audio
from glowtron.listen.answers import collect, read_answer_file
from glowtron.listen.listening_test import ListeningTest
from glowtron.listen.make import Settings, make_test
from glowtron.listen.page import write_page

pytestmark = [needs_browser, pytest.mark.slow]
METHODS = ("mos", "cmos", "mushra")


def small(tmp_path, method="mos", **settings) -> ListeningTest:
    systems = write_systems(tmp_path / "systems", n_items=1, seconds=0.25)
    if method == "mushra":
        settings["reference"] = "clean"
    how = {"headphones": False, "volume": False, "training": 0, "trials": 4, "repeats": 0, **settings}
    return make_test(systems, tmp_path / "test", Settings(method=method, **how), say)


async def faults_of_access(page) -> list[str]:
    """What axe-core finds."""
    from axe_playwright_python.async_playwright import Axe

    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]


@pytest.mark.parametrize("method", METHODS)
def test_a_rater_goes_through_and_nothing_bars_anyone(tmp_path, method):
    test = small(tmp_path, method, volume=True, training=1, trials=1)

    async def run():
        async with browser() as opened:
            for scheme in ("light", "dark"):
                page = await opened.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
                rater = BrowserRater(page, test, Opinion(test, 0))
                inner, found = rater._step, []

                async def step(heading, page=page, inner=inner, found=found):
                    found += await faults_of_access(page)
                    assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), heading
                    await inner(heading)

                rater._step = step
                assert await rater.take(url) == test.file.completion_code
                assert found + await faults_of_access(page) == []

    with served(test.folder) as url:
        asyncio.run(run())
    raters, answers = stored(test)
    assert [rater.finished for rater in raters] == [True, True]
    assert all(check.right for check in collect(test, raters, answers).checks)


def test_who_leaves_goes_on_by_the_link(tmp_path):
    test = small(tmp_path, trials=4)

    async def run():
        async with browser() as opened:
            page = await opened.new_page()
            first = BrowserRater(page, test, Opinion(test, 0))
            await first.take(url, stop_after=2)
            link = page.url
            await page.close()
            # Another browser, which knows nothing but the link.
            page = await opened.new_page()
            second = BrowserRater(page, test, Opinion(test, 0))
            assert await second.take(link) == test.file.completion_code
            assert first.trials == 2 and second.trials == len(test.session(0)) - 2
            # Deleted by a button, after which the link leads nowhere.
            page.on("dialog", lambda dialog: dialog.accept())
            await page.goto(link)
            await page.get_by_role("button", name="Delete my answers").click()
            await page.get_by_role("heading", name="Deleted").wait_for()

    with served(test.folder) as url:
        asyncio.run(run())
    assert stored(test) == ([], [])


def test_nothing_can_be_answered_unheard_and_keys_do_all(tmp_path):
    test = small(tmp_path, attention=0)

    async def run():
        async with browser() as opened:
            page = await opened.new_page()
            await page.goto(url)
            await page.get_by_role("button", name="Begin").focus()
            await page.keyboard.press("Enter")
            await page.get_by_role("button", name="Play clip").wait_for()
            for _ in test.session(0):
                await page.keyboard.press("4")
                await page.keyboard.press("Enter")
                assert await page.get_by_role("button", name="Next").is_disabled()
                assert "whole clip" in await page.locator("#hint").inner_text()
                await page.keyboard.press("p")
                await page.get_by_role("button", name="clip, heard").wait_for()
                shown = await page.locator("h1").element_handle()
                await page.keyboard.press("Enter")
                await page.wait_for_function("shown => !shown.isConnected", arg=shown)
            assert await page.locator("h1").inner_text() == "Thank you"

    with served(test.folder) as url:
        asyncio.run(run())
    _, answers = stored(test)
    assert [one.answer["values"] for one in answers] == [[4.0]] * 4


def test_headphones_are_checked(tmp_path):
    test = small(tmp_path, headphones=True, trials=1, attention=0)

    async def run():
        async with browser() as opened:
            page = await opened.new_page()
            return await BrowserRater(page, test, Opinion(test, 0)).take(url)

    with served(test.folder) as url:
        assert asyncio.run(run()) == test.file.completion_code
    checks = Counter(collect(test, *stored(test)).checks)
    assert sum(n for check, n in checks.items() if check.kind == "headphones" and check.right) == 6


def test_changing_clips_leaves_no_gap_and_keeps_the_place(tmp_path):
    """All clips hold one ramp of tones; what comes out of the page must be that ramp, however often it is changed."""
    systems = write_systems(tmp_path / "systems", n_items=1)
    time = np.arange(3 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * (300 * time + 100 * time**2))
    for folder in systems.values():
        soundfile.write(folder / "item-0.wav", tone, RATE)
    how = {"headphones": False, "volume": False, "training": 0, "attention": 0}
    test = make_test(systems, tmp_path / "test", Settings(method="mushra-no-reference", **how), say)

    async def run():
        async with browser() as opened:
            page = await opened.new_page()
            await page.goto(url)
            await page.get_by_role("button", name="Begin").click()
            await page.get_by_role("button", name="Play clip A").wait_for()
            # Rendered apart from the clock, so that a busy machine changes nothing.
            return await page.evaluate(
                """async () => {
                    const rate = player.context.sampleRate;
                    const offline = new OfflineAudioContext(1, Math.round(1.8 * rate), rate);
                    player.context = offline;
                    const go = offline.resume.bind(offline);
                    offline.resume = () => {};  // Not before all is scheduled.
                    [0, 1, 2, 3, 0, 1, 2, 3].forEach((clip, k) => offline.suspend(0.1 + 0.2 * k).then(() => {
                        player.play(clip);
                        go();
                    }));
                    const heard = await offline.startRendering();
                    return [rate, Array.from(heard.getChannelData(0))];
                }"""
            )

    with served(test.folder) as url:
        rate, heard = asyncio.run(run())
    heard = np.array(heard)
    expected = read_audio(test.clip_path(next(iter(test.key.clips)))).resample(int(rate)).samples
    start = round(0.12 * rate)
    assert np.abs(heard[: start - 300]).max() == 0
    lags = range(-200, 200)
    window = heard[start + 1000 : start + 5000]
    lag = min(lags, key=lambda lag: np.abs(expected[1000 + lag : 5000 + lag] - window).max())
    # The beginning fades in; after it, what is heard is the clip, sample by sample, through seven changes.
    n = round(1.6 * rate)
    assert (
        np.abs(heard[start + 1000 : start + n] - expected[1000 + lag : n + lag]).max() < 0.01 * np.abs(expected).max()
    )


def test_a_page_without_a_server_gives_its_answers_as_a_file(tmp_path):
    test = small(tmp_path, "cmos", trials=6)
    write_page(test, tmp_path / "test.html")
    text = (tmp_path / "test.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://(?!www\.w3\.org)|item-0|noisy", text)

    async def run():
        async with browser() as opened:
            page = await opened.new_page()
            rater = BrowserRater(page, test, Opinion(test, 1))
            place = (tmp_path / "test.html").as_uri()
            await rater.take(place + "?session=2", stop_after=3)
            assert await rater.take(place) == test.file.completion_code
            async with page.expect_download() as download:
                await page.get_by_role("link", name="Save the answers").click()
            await (await download.value).save_as(tmp_path / "answers.json")

    asyncio.run(run())
    rater, answers = read_answer_file(test, tmp_path / "answers.json")
    assert rater.session == 2 and rater.finished
    assert len(answers) == len(test.session(2)) == 7
    value = json.loads((tmp_path / "answers.json").read_text())
    assert set(value) == {"test", "rater", "session", "about", "answers"}
