"""The Live page on a real broker: what it shows, what it says when the broker dies, and that it comes back."""
import re

import pytest

from dashboards.serve import start
from tests.dashboards.small_drive import record_small_drive
from tests.e2e.browser import chromium, coloured, open_page, pixels_of
from v2x.broker import DevelopmentBroker
from v2x.broker_jars import what_is_missing
from v2x.looped import looped_on_bus

pytestmark = [pytest.mark.browser, pytest.mark.kafka, pytest.mark.slow]
FUSED = (0.16, 0.92, 0.64)  # of canvas/look.js


def test_a_broker_is_shown_missed_and_met_again(tmp_path):
    if missing := what_is_missing():
        pytest.skip(missing)
    drive = record_small_drive(tmp_path / "small", sensors=False)
    with DevelopmentBroker() as broker, looped_on_bus(drive, broker.url):
        dashboard = start(tmp_path, bus_url=broker.url, live_drive=drive, port=0)
        try:
            with chromium() as browser:
                page, errors = open_page(browser)
                page.goto(dashboard.address)
                page.wait_for_selector(".roadweave.drive[data-shown]")
                page.get_by_role("link", name="Live").click()
                page.wait_for_selector(".roadweave.live[data-shown]")
                until_fused(page)
                said = page.locator(".rw-tiles").inner_text()
                assert float(re.search(r"messages\s+([\d,.]+)", said)[1]) > 5, said
                broker.kill()
                page.locator(".banner").get_by_text(f"No link: kafka://{broker.bootstrap}").wait_for(timeout=30_000)
                page.locator(".rw-silent").first.wait_for(timeout=30_000)  # the unit has fallen silent, and the link is down
                broker.restart()
                page.locator(".banner").wait_for(state="hidden", timeout=30_000)
                until_fused(page)
                assert errors == []
        finally:
            dashboard.stop()


def until_fused(page) -> None:
    for _ in range(80):
        if len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], FUSED)) > 30:
            return
        page.wait_for_timeout(250)
    raise AssertionError("no fused object in the picture")
