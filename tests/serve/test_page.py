"""The page in a real browser: clicked, typed at, listened to, and looked at by axe-core."""

import base64
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import pytest
import soundfile
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright import sync_api as playwright

from chromium import ARGUMENTS, CHROMIUM
from glowtron.serve.app import make_app
from glowtron.serve.settings import ServerSettings
from glowtron.serve.shelf import VoiceShelf
from glowtron.serve.speaker import Speaker

TEXT = "He read 12 records. Glowtronic!"


@contextmanager
def serving(speaker: Speaker) -> Iterator[str]:
    """The address of a server in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    app = make_app(speaker.settings, speaker)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    settings = ServerSettings(voices=("duet",), device="cpu", threads=1)
    speaker = Speaker(settings, VoiceShelf(settings))
    yield speaker
    speaker.close()


@pytest.fixture(scope="module")
def address(speaker: Speaker) -> Iterator[str]:
    with serving(speaker) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium, which is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, address: str, **how: Any) -> Iterator[Any]:
    """The page, ready; at the end nothing was complained of and nothing came from elsewhere."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"], **how)
    page, complaints, requests = context.new_page(), [], []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.locator("#voice option").first.wait_for(state="attached")
    yield page
    context.close()
    assert [text for text in complaints if "400" not in text and "401" not in text] == []
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(address))
    assert all(url.startswith((origin, f"blob:{origin}")) for url in requests)


def speak(page: Any, text: str = TEXT) -> None:
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Speak").click()
    done(page)


def done(page: Any) -> None:
    page.locator("#status", has_text=re.compile("^Done")).wait_for(timeout=60_000)
    page.locator("#download:not([disabled])").wait_for()


def events(address: str, **body: Any) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{address}/page/speech", json.dumps(body).encode())
    with urllib.request.urlopen(request) as answer:
        return [json.loads(line) for line in answer]


def test_what_the_page_is_told_is_what_the_voice_says(address, speaker):
    found = events(address, input=TEXT, voice="duet-kathleen", seed=3)
    kinds = [event["type"] for event in found]
    assert kinds[0] == "begin" and kinds[-1] == "done"
    pcm = b"".join(base64.b64decode(event["pcm"]) for event in found if event["type"] == "sound")
    voice = speaker.shelf.default.voice
    said = voice.say(TEXT, speaker="kathleen", seed=3)
    np.testing.assert_allclose(np.frombuffer(pcm, "<i2"), said.pcm16(), atol=3)
    words = [word for event in found if event["type"] == "words" for word in event["words"]]
    assert [TEXT[slice(*word["span"])] for word in words] == ["He", "read", "12", "records", "Glowtronic"]
    first, second = (event for event in found if event["type"] == "sentence")
    assert second["start_s"] == pytest.approx(first["duration_s"] + 0.4, abs=0.001)
    assert second["start_s"] + second["duration_s"] == pytest.approx(said.duration_s, abs=0.001)
    sources = {word["text"]: word["source"] for word in first["words"] + second["words"]}
    assert sources["he"] == "dictionary" and sources["records"] == "homograph" and sources["glowtronic"] == "guessed"
    assert first["words"][1]["start_s"] == pytest.approx(words[1]["start_s"], abs=0.001)
    mel = np.frombuffer(base64.b64decode(first["mel"]["data"]), np.uint8)
    assert len(mel) == 80 * first["mel"]["frames"] and mel.std() > 20
    places = np.frombuffer(base64.b64decode(first["alignment"]), "<u2")
    assert len(places) == first["mel"]["frames"] and places.max() < len(first["symbols"])


def test_faults_are_told_in_the_stream_or_before_it(address):
    with pytest.raises(urllib.error.HTTPError) as refused:
        events(address, input="Hello.", voice="nobody")
    assert refused.value.code == 400 and "nobody" in json.loads(refused.value.read())["error"]["message"]
    assert events(address, input="...")[-1]["type"] == "error"


def test_files_come_with_a_strict_policy_and_are_not_sent_twice(address):
    with urllib.request.urlopen(address) as answer:
        policy, tag = answer.headers["Content-Security-Policy"], answer.headers["ETag"]
        page = answer.read().decode()
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert not re.search(r"<script(?! type=\"module\" src=)|\sstyle=|\son\w+=|https?://", page)
    request = urllib.request.Request(address, headers={"If-None-Match": tag})
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        urllib.request.urlopen(request)
    assert unchanged.value.code == 304
    for path in ("/static/none.js", "/static/..%2fpage.py"):
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(address + path)
        assert missing.value.code == 404


def test_a_text_is_heard_lit_and_drawn(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Text", exact=True).fill(TEXT)
        page.evaluate(
            """() => {
                window.lit = [];
                new MutationObserver((changes) => {
                    for (const { target } of changes) {
                        if (target.matches(".reading .heard")) window.lit.push(target.textContent);
                    }
                }).observe(document.getElementById("reading"), { subtree: true, attributeFilter: ["class"] });
            }"""
        )
        page.get_by_role("button", name="Speak").click()
        done(page)
        # On a busy machine a picture may be skipped, and a short word with it.
        words = iter(["He", "read", "12", "records", "Glowtronic"])
        lit = page.evaluate("() => window.lit")
        assert len(lit) >= 3 and all(word in words for word in lit)  # In this order.
        assert page.locator("#reading").inner_text() == TEXT
        assert page.locator("#which").inner_text() == "Sentence 2 of 2"
        page.get_by_role("button", name="Previous sentence").click()
        rows = page.locator("#words tr").all_inner_texts()
        assert [row.split()[0] for row in rows] == ["he", "read", "twelve", "records"]
        assert "homograph" in rows[3] and "EH1" in rows[3]
        for canvas in ("wave", "mel", "path"):
            colours = page.evaluate(
                """(id) => {
                    const canvas = document.getElementById(id);
                    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                    return new Set(new Uint32Array(data.buffer)).size;
                }""",
                canvas,
            )
            assert colours > 2, canvas


@pytest.mark.slow
def test_what_is_downloaded_is_what_was_heard(browser, address, speaker, tmp_path):
    with opened(browser, address) as page:
        page.get_by_label("Voice").select_option("duet-kathleen")
        page.get_by_label("Seed").fill("5")
        page.get_by_label("Rate").fill("1.2")
        speak(page)
        said = speaker.shelf.default.voice.say(TEXT, speaker="kathleen", seed=5, rate=1.2)
        formats = page.locator("#format option").all()
        assert len(formats) >= 4
        for format in (option.get_attribute("value") for option in formats):
            page.get_by_label("Format").select_option(format)
            with page.expect_download() as download:
                page.get_by_role("button", name="Download").click()
            path = tmp_path / download.value.suggested_filename
            download.value.save_as(path)
            with av.open(str(path)) as file:
                length_s = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
            assert length_s == pytest.approx(said.duration_s, abs=0.15), format
        samples, _ = soundfile.read(tmp_path / "glowtron.wav", dtype="int16")
        np.testing.assert_allclose(samples, said.pcm16(), atol=3)


@pytest.mark.slow
def test_a_link_leads_to_the_same_settings(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Text", exact=True).fill("A & B\n#2")
        page.get_by_label("Voice").select_option("duet-kathleen")
        page.get_by_label("Pitch").fill("-2.5")
        page.get_by_label("Seed").fill("42")
        page.get_by_role("button", name="Speak").click()
        done(page)
        page.get_by_role("button", name="Copy link").click()
        page.locator("#status", has_text="Link copied").wait_for()
        link = page.evaluate("() => navigator.clipboard.readText()")
    assert parse_qs(urlsplit(link).fragment) == {
        "text": ["A & B\n#2"], "voice": ["duet-kathleen"], "pitch": ["-2.5"], "seed": ["42"],
    }  # fmt: skip
    with opened(browser, link) as page:
        assert page.get_by_label("Text", exact=True).input_value() == "A & B\n#2"
        assert page.get_by_label("Voice").input_value() == "duet-kathleen"
        assert page.get_by_label("Pitch").input_value() == "-2.5"
        assert page.get_by_label("Seed").input_value() == "42"


@pytest.mark.slow
def test_it_is_used_by_keyboard_alone(browser, address, speaker):
    with opened(browser, address) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "Skip to the text"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        reached = []
        for _ in range(30):
            reached.append(page.evaluate("() => document.activeElement.id || document.activeElement.textContent"))
            page.keyboard.press("Tab")
        for name in ("speak", "voice", "rate", "pitch", "pitch_range", "seed", "reseed", "ssml"):
            assert name in reached, reached
        page.get_by_label("Text", exact=True).fill("One two three. " * 60)
        page.keyboard.press("Control+Enter")
        page.locator(".reading .heard").first.wait_for()
        page.keyboard.press("Escape")
        page.locator("#status", has_text="Stopped.").wait_for()
        for _ in range(200):
            if not speaker.queue.n_tasks:
                break
            time.sleep(0.02)
        assert speaker.queue.n_tasks == 0  # The server has stopped, too.
        heard = page.locator("#clock").inner_text()
        time.sleep(0.3)
        assert page.locator("#clock").inner_text() == heard


@pytest.mark.slow
def test_it_pauses_and_jumps(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Text", exact=True).fill("One two three four five six seven. Eight nine ten.")
        page.get_by_role("button", name="Speak").click()
        page.locator(".reading .heard").first.wait_for()
        page.get_by_role("button", name="Pause").click()
        page.locator("#status", has_text="Paused.").wait_for()
        time.sleep(0.2)
        place = page.locator("#clock").inner_text().split("/")[0]
        time.sleep(0.4)
        assert page.locator("#clock").inner_text().split("/")[0] == place
        page.get_by_role("button", name="Go on").click()
        done(page)
        page.locator("#reading span", has_text="Eight").click()
        page.locator(".reading .heard", has_text="Eight").wait_for()
        done(page)


@pytest.mark.slow
def test_what_is_wrong_is_said(browser, address):
    with opened(browser, address) as page:
        page.get_by_label("Text", exact=True).fill("  ")
        page.get_by_role("button", name="Speak").click()
        page.get_by_role("alert").filter(has_text="nothing to say").wait_for()
        page.get_by_label("Text", exact=True).fill("<speak>a <b>c</b></speak>")
        page.get_by_label("as markup").check()
        page.get_by_role("button", name="Speak").click()
        page.get_by_role("alert").filter(has_text="line 1, column 10: unknown element <b>").wait_for()
        assert page.locator("#status").inner_text() == "Not spoken."


@pytest.mark.slow
def test_markup_is_spoken_and_lit(browser, address):
    with opened(browser, address) as page:
        page.get_by_role("button", name="Markup").click()
        page.get_by_label("Text", exact=True).fill("<speak>One<break time='600ms'/> <emphasis>two</emphasis>.</speak>")
        page.get_by_role("button", name="Speak").click()
        done(page)
        assert page.locator("#reading").inner_text().split() == ["one", "two"]


@pytest.mark.slow
def test_a_server_with_a_key_asks_for_it(browser, speaker, tiny_voice):
    settings = ServerSettings(voices=(str(tiny_voice),), device="cpu", threads=1, api_key="secret")
    other = Speaker(settings, VoiceShelf(settings))
    try:
        with serving(other) as address:
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            page.get_by_label("Key").fill("secret")
            page.get_by_role("button", name="Use it").click()
            page.locator("#voice option").first.wait_for(state="attached")
            assert page.locator(".prosody").first.is_hidden()  # This voice predicts no pitch.
            speak(page, "One. Two.")
            context.close()
    finally:
        other.close()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)], ids=str)
def test_axe_finds_nothing_and_nothing_is_cut_off(browser, address, scheme, width):
    axe = Axe()
    with opened(browser, address, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:

        def look() -> None:
            found = axe.run(page, options={"runOnly": "wcag2a wcag2aa wcag21a wcag21aa wcag22aa best-practice".split()})
            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")

        look()
        page.get_by_label("Text", exact=True).fill(TEXT)
        page.get_by_role("button", name="Speak").click()
        page.locator(".reading .heard").first.wait_for()
        look()
        done(page)
        look()
        page.get_by_label("Text", exact=True).fill(" ")
        page.get_by_role("button", name="Speak").click()
        page.get_by_role("alert").wait_for()
        look()
        page.set_viewport_size({"width": 320, "height": 500})  # 1280 at 400 %.
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
