import json

import pytest
from starlette.requests import Request

from dashboards import routes, state
from dashboards.feed import LiveFeed
from dashboards.load import Library
from dashboards.packet import unpack
from replay.drive import FUSED_TRACKS, Event
from tests.dashboards.small_drive import START_NS, SmallDrive, crossing_car, record_small_drive


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drives")
    record_small_drive(folder / "small", steps=4)
    feed = LiveFeed(SmallDrive().describe())
    state.set_served(state.Served(Library(folder), feed, "a test"))
    return feed


def get(path: str, query: str = ""):
    """The answer of the route that a path leads to."""
    for route in routes.routes():
        match, scope = route.matches({"type": "http", "path": path, "method": "GET"})
        if match.value == 2:
            asked = {"type": "http", "method": "GET", "headers": [], "query_string": query.encode()}
            return route.endpoint(Request(asked | dict(scope)))
    raise AssertionError(f"no route for {path}")


def test_an_index_and_a_moment_are_served(feed):
    index = json.loads(get("/roadweave/drives/small/index").body)
    assert len(index["moments_ns"]) == 4
    meta, _ = unpack(get("/roadweave/drives/small/moments/3").body)
    assert meta["moment"] == 3


@pytest.mark.parametrize("path, status, says", [
    ("/roadweave/drives/none/index", 404, "expected one of the drives small"),
    ("/roadweave/drives/small/moments/99", 422, "moment 99, expected 0 to 3"),
    ("/roadweave/canvas/passwd", 404, "expected one of"),
])
def test_what_is_wrong_is_one_line_of_json(feed, path, status, says):
    response = get(path)
    assert response.status_code == status
    assert says in json.loads(response.body)["error"]


def test_live_answers_only_what_is_new(feed):
    meta, _ = unpack(get("/roadweave/live").body)
    assert meta["empty"]
    feed.take(Event(START_NS, FUSED_TRACKS, crossing_car(START_NS, 0, "fusion", 0.0)))
    meta, arrays = unpack(get("/roadweave/live", f"after={meta['revision']}").body)
    assert (meta["revision"], len(arrays["boxes"]), meta["rsus"][0]["name"]) == (1, 1, "rsu-1")
    assert get("/roadweave/live", "after=1").status_code == 204
    assert get("/roadweave/live", "after=x").status_code == 422


def test_the_canvas_modules_are_served_as_javascript_and_fetch_from_nowhere_else(feed):
    for path in routes.CANVAS.glob("*.js"):
        response = get(f"/roadweave/canvas/{path.name}")
        assert response.media_type == "text/javascript"
        text = response.body.decode()
        assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
        assert "https://" not in text
        assert text.count("\n") <= 400, f"{path.name} is over 400 lines"
