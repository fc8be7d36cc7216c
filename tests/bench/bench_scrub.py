"""Milliseconds per scrub step in the browser: from the key to the drawn picture, on a simulated drive.

Ours is the Drive page (32,000 points, boxes, and six images where the moment has new ones), with moments fetched ahead and
without. The peers are what one would write with Streamlit alone, on the same drive in the same browser: a slider and either
the points as a PNG (numpy, st.image) or a plotly scatter. Every figure is the median of the steps, read from the page's own
clock: the key's event, then the frame in which the new moment is there (for WebGL after a read-back, so that it is drawn).
"""
from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dashboards.serve import start  # noqa: E402
from replay.recorder import import_drive  # noqa: E402
from replay.simulate import simulate  # noqa: E402
from tests.bench.harness import Row, report  # noqa: E402
from tests.e2e.browser import chromium  # noqa: E402

STEPS, PAUSE_MS = 20, 250
PEER = '''
import io, sys
import numpy as np, streamlit as st
from PIL import Image
from dashboards.load import Library
from pathlib import Path

@st.cache_resource
def view():
    return Library(Path(sys.argv[1])).view("bench")

moment = st.slider("Moment", 0, len(view().moments_ns) - 1, 0)
points = view().scene(int(view().moments_ns[moment])).points
if sys.argv[2] == "png":
    pixels = np.zeros((700, 900), np.uint8)
    at = (points[:, :2] - points[:, :2].mean(axis=0)) * 7 + (450, 350)
    at = at[((at >= 0) & (at < (900, 700))).all(axis=1)].astype(int)
    pixels[699 - at[:, 1], at[:, 0]] = 255
    st.image(pixels, caption=f"moment {moment}", output_format="PNG")
else:
    import plotly.graph_objects as go
    figure = go.Figure(go.Scattergl(x=points[:, 0], y=points[:, 1], mode="markers", marker={"size": 2}))
    figure.update_layout(title=f"moment {moment}", height=700)
    st.plotly_chart(figure)
'''
# Calls the page with what is to be waited for, after each key: `there(moment)` says whether the moment is drawn.
CLOCK = '''(there) => {
  window.steps = [];
  let began = null;
  window.addEventListener("keydown", () => { began = performance.now(); window.expected += 1; }, true);
  const look = () => {
    if (began !== null && there(window.expected)) { window.steps.push(performance.now() - began); began = null; }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}'''
OURS = '''(moment) => {
  const host = [...document.querySelectorAll("*")].find((e) => e.shadowRoot?.querySelector(".roadweave")).shadowRoot;
  if (host.querySelector(".roadweave").dataset.shown !== String(moment)) return false;
  const gl = host.querySelector(".bev").getContext("webgl2");
  gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
  return true;
}'''
PNG = '''(moment) => {
  const image = document.querySelector('[data-testid="stImage"] img');
  return image && image.complete && document.body.innerText.includes(`moment ${moment}`) && image.src !== window.lastImage
    && (window.lastImage = image.src, true);
}'''
PLOTLY = "(moment) => document.querySelector('.gtitle')?.textContent === `moment ${moment}`"


def main() -> None:
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        import_drive(simulate("crossing", 0, 4.0), folder / "bench")
        dashboard = start(folder, port=0)
        try:
            fetched = steps_ms(browser, dashboard.address, OURS, ".roadweave[data-shown]")
            unfetched = steps_ms(browser, f"{dashboard.address}/drive?prefetch=off", OURS, ".roadweave[data-shown]")
        finally:
            dashboard.stop()
        png = peer_ms(browser, folder, "png", PNG, '[data-testid="stImage"] img')
        plotly = peer_ms(browser, folder, "plotly", PLOTLY, ".gtitle")
    report("A scrub step in the browser, median", [
        Row("scrub_prefetched", fetched, "ms", "st.slider + st.image (numpy PNG)", png, png / fetched),
        Row("scrub_not_prefetched", unfetched, "ms", "st.slider + st.image (numpy PNG)", png, png / unfetched),
        Row("scrub_prefetched_plotly", fetched, "ms", "st.slider + st.plotly_chart", plotly, plotly / fetched),
    ], (f"{STEPS} steps, one every {PAUSE_MS} ms at most; WebGL in software (SwiftShader)",))


def steps_ms(browser: Any, address: str, there: str, ready: str, focus: str = "") -> float:
    """Median time of a step to the right."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(address)
    page.wait_for_selector(ready, timeout=60_000)
    page.wait_for_timeout(1500)
    page.evaluate(f"() => {{ window.expected = 0; ({CLOCK})({there}); }}")
    if focus:
        page.locator(focus).focus()
    for step in range(STEPS):
        page.keyboard.press("ArrowRight")
        page.wait_for_function(f"window.steps.length > {step}", timeout=60_000)
        page.wait_for_timeout(PAUSE_MS)
    steps = page.evaluate("window.steps")
    page.close()
    return statistics.median(steps)


def peer_ms(browser: Any, folder: Path, kind: str, there: str, ready: str) -> float:
    """The same step in a page of Streamlit's own parts."""
    script = folder / f"peer_{kind}.py"
    script.write_text(PEER, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.address", "127.0.0.1",
               "--server.headless", "true", "--browser.gatherUsageStats", "false", "--", str(folder), kind]
    peer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://127.0.0.1:{port}/_stcore/health")
        return steps_ms(browser, f"http://127.0.0.1:{port}", there, ready, focus='[data-testid="stSlider"] input')
    finally:
        peer.terminate()
        peer.wait(10.0)


def wait_for(address: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            urllib.request.urlopen(address, timeout=1.0).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


if __name__ == "__main__":
    main()
