"""The side-by-side page, in Chromium."""

import json
import re

import numpy as np
import pytest

from chromium import ARGUMENTS, CHROMIUM, needs_browser
from glowtron.audio import read_audio
from glowtron.compare.making import Settings, compare
from glowtron.voice import Voice


@pytest.fixture(scope="module")
def made(tmp_path_factory, request):
    """A comparison of a small voice, and a folder of another system's clips."""
    import soundfile

    folder = tmp_path_factory.mktemp("compare")
    corpus, other = folder / "corpus", folder / "other"
    (corpus / "wavs").mkdir(parents=True)
    other.mkdir()
    time = np.arange(3 * 22_050) / 22_050
    lines = []
    for k in range(3):
        wave = 0.3 * np.sin(2 * np.pi * (200 + 80 * k) * time) * np.hanning(len(time))
        soundfile.write(corpus / "wavs" / f"clip-{k}.flac", wave, 22_050)
        soundfile.write(other / f"clip-{k}.wav", 0.1 * wave[::2], 11_025)
        lines.append(f"clip-{k}|Number </script><b>{k}</b>.|Number {k}, <i>said aloud</i> </script>.\n")
    (corpus / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    voice = Voice.load(request.getfixturevalue("tiny_voice"), device="cpu")
    settings = Settings(n_clips=2, measures=False, spoken=True, title="A <b>title</b>")
    compared = compare(voice, [("ann", corpus)], {"other": other}, folder / "out", settings)
    return folder / "out", compared


def test_columns_clips_and_figures(made):
    out, compared = made
    assert [column["name"] for column in compared["columns"]] == ["griffin-lim", "waveglow", "spoken", "other", "real"]
    assert json.loads((out / "compare.json").read_text(encoding="utf-8")) == compared
    for column in compared["columns"]:
        speed = column["real_time_factor"]
        assert (speed is None) == (column["name"] in ("other", "real"))
        assert speed is None or 0 < speed["low"] <= speed["mean"] <= speed["high"]
        for item in compared["items"]:
            assert read_audio(out / "clips" / column["name"] / f"{item['id']}.flac").duration_s > 0.1


def test_the_page_fetches_nothing_and_shows_texts_as_texts(made):
    out, _ = made
    text = (out / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)
    assert "<b>title" not in text and "said aloud</i>" not in text
    assert text.count("</script>") == 2


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_playing_changing_and_blind(made, width):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    out, compared = made
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": width, "height": 900})
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: faults.append(request.url) if request.url.startswith("http") else None)
        page.goto((out / "index.html").as_uri())
        assert page.title() == "A <b>title</b>"
        assert page.locator("article").count() == 2
        assert page.locator("article").first.get_by_role("img").count() == 5
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
        # A row keeps its name where the table is wider than the screen.
        assert page.evaluate(
            """() => {
                const box = document.querySelector('.scroll'), left = box.getBoundingClientRect().left;
                box.style.width = '12rem';
                box.scrollLeft = 1000;
                const moved = box.scrollLeft, name = box.querySelector('tbody th').getBoundingClientRect().left;
                box.style.width = '';
                box.scrollLeft = 0;
                return moved > 0 && name >= left;
            }"""
        )

        def violations():
            found = Axe().run(page).response["violations"]
            return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found]

        assert violations() == []
        page.get_by_role("button", name="Play Griffin-Lim, sentence 1").click()
        page.get_by_role("button", name="Stop Griffin-Lim, sentence 1").wait_for()
        before = page.evaluate("player.position")
        page.keyboard.press("2")
        page.get_by_role("button", name="Stop WaveGlow, sentence 1").wait_for()
        # It went on, it did not begin again.
        assert page.evaluate("player.position") >= before
        assert page.evaluate("player.clips.map((clip) => clip.plays)") == [1, 1, 0, 0, 0]
        page.get_by_role("button", name="Stop WaveGlow, sentence 1").click()
        assert page.evaluate("player.playing") is False
        # A click in a picture plays from there.
        picture = page.locator("article .picture").nth(9)
        picture.click(position={"x": picture.bounding_box()["width"] / 2, "y": 5})
        page.get_by_role("button", name="Stop Recording, sentence 2").wait_for()
        assert page.evaluate("player.position") >= 1.4
        # Blind: no name, no picture, no figure; letters, until told.
        page.get_by_label("Blind").check()
        assert page.evaluate("player.playing") is False
        shown = page.locator("main").inner_text()
        assert not any(column["title"] in shown for column in compared["columns"])
        assert page.get_by_role("img").count() == 0
        assert page.get_by_role("button", name="Play System E, sentence 1").is_visible()
        assert violations() == []
        page.get_by_role("button", name="Tell which is which").first.click()
        assert page.get_by_role("button", name="Play Recording, sentence 1").is_visible()
        assert faults == []
        browser.close()
