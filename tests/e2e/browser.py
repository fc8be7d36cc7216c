"""Debian's Chromium for tests: WebGL 2 in software, no traffic of its own, and everything it complains about kept."""
from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

CHROMIUM = "/usr/bin/chromium"
FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
         "--disable-background-networking")
SIZE = {"width": 1280, "height": 800}


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser; the test skips, saying so, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: uv pip install playwright")
    if shutil.which(CHROMIUM) is None:
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Any, **options: Any) -> tuple[Any, list[str]]:
    """A page, and the list that fills with its errors and with requests that leave this machine."""
    page = browser.new_page(viewport=SIZE, **options)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"uncaught: {error}"))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "blob:", "data:"))
            else errors.append(f"foreign request: {request.url}"))
    return page, errors


def pixels_of(locator: Any) -> np.ndarray:
    """A screenshot of an element, i4 [h, w, 3]."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(locator.screenshot())).convert("RGB")).astype(np.int32)


def coloured(picture: np.ndarray, rgb: tuple[float, float, float], tolerance: int = 40) -> np.ndarray:
    """Places [k, 2] (row, column) of pixels within `tolerance` of a colour given as fractions."""
    return np.argwhere((np.abs(picture - np.array(rgb) * 255) < tolerance).all(axis=2))
