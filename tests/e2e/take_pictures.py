"""Takes the pictures that the README shows: python tests/e2e/take_pictures.py DRIVE [OUT] [SECONDS]

DRIVE is a simulated drive as `roadweave demo` leaves it; SECONDS is the moment of it to show. A picture of each page goes to
OUT (default data_specs/pictures), in 256 colours where it would weigh over 300 kB.
"""
from __future__ import annotations

import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from dashboards.serve import start  # noqa: E402
from tests.e2e.browser import chromium  # noqa: E402

SIZE = {"width": 1440, "height": 860}
LARGEST = 300_000


def main(drive: Path, out: Path, seconds: float) -> None:
    from PIL import Image

    out.mkdir(parents=True, exist_ok=True)
    dashboard = start(drive.parent, live_drive=drive, port=0)
    try:
        with chromium() as browser:
            page = browser.new_page(viewport=SIZE)
            page.goto(f"{dashboard.address}/live")
            page.wait_for_selector(".roadweave.live[data-shown]", timeout=60_000)
            page.wait_for_timeout(5000)
            shots = {"live.png": page.screenshot()}
            page.goto(f"{dashboard.address}/?drive={drive.name}&t={seconds}")
            page.wait_for_selector(".roadweave.drive[data-pictured]", timeout=60_000)
            page.wait_for_timeout(3000)
            shots["drive.png"] = page.screenshot()
            page.get_by_role("button", name="3D").click()
            page.get_by_role("button", name="RSU points").click()
            page.mouse.move(500, 450)
            page.mouse.wheel(0, -250)
            page.wait_for_timeout(3000)
            shots["drive-3d.png"] = page.screenshot()
    finally:
        dashboard.stop()
    for name, shot in shots.items():
        picture = Image.open(io.BytesIO(shot)).convert("RGB")
        picture.save(out / name, optimize=True)
        if (out / name).stat().st_size > LARGEST:
            picture.quantize(256, kmeans=3, dither=Image.Dither.NONE).save(out / name, optimize=True)
        print(f"{out / name}: {(out / name).stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "data_specs" / "pictures",
         float(sys.argv[3]) if len(sys.argv) > 3 else 7.0)
