"""The Drive page in a real browser: what is proved is proved from pixels."""
import numpy as np
import pytest

from dashboards.serve import start
from tests.dashboards.small_drive import record_small_drive
from tests.e2e.browser import chromium, coloured, open_page, pixels_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FUSED = (0.16, 0.92, 0.64)  # of canvas/look.js
ROADSIDE = (0.98, 0.68, 0.08)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drives")
    record_small_drive(folder / "small")
    record_small_drive(folder / "objects-only", steps=10, sensors=False)
    dashboard = start(folder, port=0)
    yield dashboard.address
    dashboard.stop()


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser, address):
    page, errors = open_page(browser)
    page.goto(f"{address}/?drive=small")
    yield page
    page.close()
    assert errors == []


def shown(page, moment: int) -> None:
    page.wait_for_selector(f'.roadweave[data-pictured="{moment}"]')


def choose(page, name: str) -> None:
    page.get_by_test_id("stSelectbox").click()
    page.get_by_role("option", name=name, exact=True).click()


def scrub_to(page, moment: int) -> None:
    page.locator(".scrub").evaluate("(bar, to) => { bar.value = to; bar.dispatchEvent(new Event('input')); }", moment)
    shown(page, moment)


def fused_centre(page) -> np.ndarray:
    """Centre of what is drawn in the colour of fused tracks, (row, column), without legend and buttons."""
    picture = pixels_of(page.locator(".bev-host"))[:, 200:]
    found = coloured(picture, FUSED)
    assert len(found) > 30, "no fused box in the picture"
    return found.mean(axis=0)


def test_scrubbing_moves_the_boxes_the_points_and_the_images(page):
    shown(page, 0)
    page.get_by_role("button", name="Follow").click()
    before, camera_before = fused_centre(page), pixels_of(page.locator("figure").first)
    scrub_to(page, 20)
    after, camera_after = fused_centre(page), pixels_of(page.locator("figure").first)
    assert before[0] - after[0] > 50  # 16 m north is up
    assert abs(after[1] - before[1]) < 10  # and not sideways
    assert np.abs(camera_after - camera_before).max() > 60
    assert len(coloured(camera_after, FUSED, 60)) > 20  # the box stands in the image too


def test_playing_advances_by_itself_and_pausing_holds(page):
    shown(page, 0)
    page.get_by_label("Play or pause (space)").click()
    for _ in range(100):
        if int(page.locator(".scrub").input_value()) > 8:
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("playing does not advance")
    page.get_by_label("Play or pause (space)").click()
    page.wait_for_timeout(200)
    held = page.locator(".scrub").input_value()
    page.wait_for_timeout(400)
    assert page.locator(".scrub").input_value() == held
    page.get_by_label("One step on (right arrow)").click()
    shown(page, int(held) + 1)


def test_a_source_is_hidden_and_shown_again(page):
    shown(page, 0)
    assert len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], ROADSIDE)) > 30
    page.locator('[data-layer="rsu-1"]').click()
    unit_alone = len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], ROADSIDE))
    page.locator('[data-layer="rsu-1"]').click()
    assert len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], ROADSIDE)) > unit_alone + 30


def test_a_box_under_the_mouse_says_what_it_is(page):
    shown(page, 0)
    row, column = fused_centre(page)
    host = page.locator(".bev-host").bounding_box()
    page.mouse.click(host["x"] + 200 + column, host["y"] + row)
    said = page.locator(".picked .card").inner_text()
    for words in ("fused · car", "score", "0.90", "8.0 m/s", "4.4 × 1.9 × 1.6 m"):
        assert words in said


def test_a_drive_without_sensors_is_shown_too(page):
    page.wait_for_selector(".roadweave[data-shown]")
    choose(page, "objects-only")
    page.wait_for_selector(".roadweave.blind")
    scrub_to(page, 9)
    assert page.locator("figure").count() == 0
    assert len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], FUSED)) > 30


def test_the_view_tilts_and_zooms(page):
    shown(page, 0)
    flat = pixels_of(page.locator(".bev-host"))
    page.get_by_role("button", name="3D").click()
    assert (np.abs(pixels_of(page.locator(".bev-host")) - flat).max(axis=2) > 30).sum() > 500
    before = len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], FUSED))
    host = page.locator(".bev-host").bounding_box()
    page.mouse.move(host["x"] + host["width"] * 0.7, host["y"] + host["height"] * 0.6)
    page.mouse.wheel(0, -500)
    page.wait_for_timeout(100)
    assert len(coloured(pixels_of(page.locator(".bev-host"))[:, 200:], FUSED)) > before
