"""The Live page in a real browser, fed by a drive that is replayed through the fusion worker."""
import re

import numpy as np
import pytest

from dashboards.serve import start
from tests.dashboards.small_drive import record_small_drive
from tests.e2e.browser import chromium, coloured, open_page, pixels_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FUSED = (0.16, 0.92, 0.64)  # of canvas/look.js


def test_objects_move_and_figures_are_counted(tmp_path):
    record_small_drive(tmp_path / "small", sensors=False)
    dashboard = start(tmp_path, port=0)
    try:
        with chromium() as browser:
            page, errors = open_page(browser)
            page.goto(dashboard.address)
            page.wait_for_selector(".roadweave.drive[data-shown]")
            page.get_by_role("link", name="Live").click()
            page.wait_for_selector(".roadweave.live[data-shown]")
            page.get_by_role("button", name="Follow").click()
            centres = []
            for _ in range(12):
                page.wait_for_timeout(250)
                found = coloured(pixels_of(page.locator(".bev-host"))[:, 200:], FUSED)
                centres += [found.mean(axis=0)] if len(found) > 30 else []
            assert len(centres) >= 4
            assert np.ptp(np.array(centres)[:, 0]) > 40  # the car drives north, or starts over
            said = page.locator(".rw-tiles").inner_text()
            rate = re.search(r"messages\s+([\d,.]+)", said)
            latency = re.search(r"V2X latency, p50\s+([\d,.]+)", said)
            assert rate and float(rate[1]) > 5, said
            assert latency and float(latency[1]) == pytest.approx(60, abs=1), said
            assert "rsu-1" in page.locator(".rw-table").first.inner_text()
            assert errors == []
    finally:
        dashboard.stop()


def test_a_dashboard_without_anything_live_says_what_to_do(tmp_path):
    dashboard = start(tmp_path, port=0)
    try:
        with chromium() as browser:
            page, errors = open_page(browser)
            page.goto(dashboard.address)
            page.get_by_text("Make one: roadweave simulate").wait_for()
            page.get_by_role("link", name="Live").click()
            page.locator(".banner").get_by_text("give --bus kafka://host:port").wait_for()
            assert errors == []
    finally:
        dashboard.stop()
