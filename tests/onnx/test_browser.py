"""An exported voice speaks in a browser: Chromium, and onnxruntime's own build for it from npm."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chromium import ARGUMENTS, CHROMIUM, needs_browser
from glowtron import Voice
from glowtron.onnx.export import GraphOptions, export_onnx

PACKAGE = "onnxruntime-web@1.30.0"

PAGE = """<!doctype html>
<script type="module">
  import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create("./voice/voice.onnx");
  const one = value => new ort.Tensor("float32", [value], [1, 1]);
  const whole = values => new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
  window.say = async (ids, speaker, noise) => {
    const feeds = {ids: whole(ids), speaker: new ort.Tensor("int64", BigInt64Array.from([BigInt(speaker)]), [1])};
    Object.assign(feeds, {rate: one(1), pitch: one(0), pitch_range: one(1), energy: one(0)});
    for (const [name, size] of Object.entries(noise)) {
      const floats = new Float32Array(await (await fetch(`./${name}.f32`)).arrayBuffer());
      feeds[name] = new ort.Tensor("float32", floats, size);
    }
    const {samples} = await session.run(feeds);
    return Array.from(samples.data);
  };
</script>
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield tmp_path, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.mark.slow
@needs_browser
def test_a_browser_says_the_same(parallel: Path, served: tuple[Path, str]) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder, address = served
    fetched = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if fetched.returncode:
        pytest.skip(f"npm cannot fetch {PACKAGE}")
    export_onnx(parallel, folder / "voice", options=GraphOptions(int8=True, correction=2))
    (folder / "page.html").write_text(PAGE)
    random, noise = np.random.default_rng(3), {}
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "voice" / "voice.onnx", providers=["CPUExecutionProvider"])
    for one in session.get_inputs():
        if one.name.endswith("noise"):
            noise[one.name] = random.standard_normal((1, one.shape[1], 400), np.float32)
            (folder / f"{one.name}.f32").write_bytes(noise[one.name].tobytes())
    ids = Voice.load(parallel, runtime="onnx").frontend.ids("One two three.")
    one = np.ones((1, 1), np.float32)
    controls = {"rate": one, "pitch": 0 * one, "pitch_range": one, "energy": 0 * one}
    wanted = session.run(["samples"], {"ids": np.array([ids]), "speaker": np.array([1]), **controls, **noise})[0][0]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page()
            page.goto(f"{address}/page.html")
            page.wait_for_function("() => window.say !== undefined")
            sizes = {name: list(values.shape) for name, values in noise.items()}
            said = page.evaluate("([ids, speaker, sizes]) => say(ids, speaker, sizes)", [ids, 1, sizes])
        finally:
            browser.close()
    assert len(said) == len(wanted) and np.abs(wanted).max() > 1e-3
    assert np.abs(np.array(said) - wanted).max() <= 1e-4 * max(np.abs(wanted).max(), 1.0)
