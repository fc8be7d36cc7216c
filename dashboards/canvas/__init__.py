"""The canvas as a Streamlit component: a stub that loads our own modules from our own route, nothing from elsewhere."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent
_STUB = """
export default async function (component) {
  const base = new URL("roadweave/", document.baseURI).href;
  const module = await import(`${base}canvas/PAGE.js`);
  return module.mount(component.parentElement, component.data, base);
}
"""


def drive_canvas(drive: str, key: str = "drive-canvas") -> None:
    """The Drive page's canvas for a drive of the library."""
    _component("drive")(key=key, data={"drive": drive}, height="content")


def live_canvas(key: str = "live-canvas") -> None:
    """The Live page's canvas."""
    _component("live")(key=key, data={}, height="content")


@cache
def _component(page: str) -> Any:
    from streamlit.components.v2 import component

    css = (_HERE / "canvas.css").read_text(encoding="utf-8")
    return component(f"roadweave_{page}", html='<div class="roadweave"></div>', css=css,
                                      js=_STUB.replace("PAGE", page))
