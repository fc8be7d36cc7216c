"""The routes beside Streamlit's own, on the same port: what the canvas fetches without a page rerun.

    GET /roadweave/drives/<name>/index          JSON: moments, topics, RSUs, path (DriveView.index)
    GET /roadweave/drives/<name>/moments/<n>    packet: points, boxes, trails and JPEGs of moment n (scene.py, packet.py);
                                                with ?roadside_points=1 also the roadside units' clouds
    GET /roadweave/live?after=<revision>        packet of the newest scene, or 204 when nothing came since
    GET /roadweave/canvas/<file>                the canvas' own modules

All answers are for the same origin alone: no CORS header is sent. An error is one JSON line {"error": "..."}.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboards.packet import pack
from dashboards.scene import class_titles, pack_scene
from dashboards.state import served
from data_specs.errors import InputError, MissingInput, RoadweaveError

PREFIX = "/roadweave"
CANVAS = Path(__file__).parent / "canvas"
PACKET_TYPE = "application/octet-stream"
_TYPES = {".js": "text/javascript", ".css": "text/css"}


def routes() -> list[Route]:
    """All routes, to hand to the server. The endpoints are plain functions, so they run in threads, off the event loop."""
    return [
        Route(f"{PREFIX}/drives/{{name}}/index", _answer(drive_index)),
        Route(f"{PREFIX}/drives/{{name}}/moments/{{moment:int}}", _answer(drive_moment)),
        Route(f"{PREFIX}/live", _answer(live_scene)),
        Route(f"{PREFIX}/canvas/{{file}}", _answer(canvas_file)),
    ]


def drive_index(request: Request) -> Response:
    return JSONResponse(served().library.view(request.path_params["name"]).index())


def drive_moment(request: Request) -> Response:
    view = served().library.view(request.path_params["name"])
    packet = view.packet(request.path_params["moment"], request.query_params.get("roadside_points") == "1")
    return Response(packet, media_type=PACKET_TYPE, headers={"Cache-Control": "no-cache"})


def live_scene(request: Request) -> Response:
    """The newest scene as a packet, or 204 where the page has seen it; InputError for an `after` that is no number."""
    try:
        after = int(request.query_params.get("after", "-1"))
    except ValueError as error:
        raise InputError("live", f"after={request.query_params['after']!r}", "a whole number") from error
    feed = served().feed
    if feed.revision == after:
        return Response(status_code=204)
    revision, scene = feed.scene()
    status = feed.status()
    extra: dict[str, Any] = {"revision": revision, "behind_s": feed.behind_s, "link": status.link, "trouble": status.trouble,
                             "classes": class_titles(), "rsus": feed.places()}
    packet = pack(extra | {"empty": True}, {}) if scene is None else pack_scene(scene, feed.epoch_ns, extra)
    return Response(packet, media_type=PACKET_TYPE, headers={"Cache-Control": "no-store"})


def canvas_file(request: Request) -> Response:
    known = {path.name: path for path in CANVAS.iterdir() if path.suffix in _TYPES}
    path = known.get(request.path_params["file"])
    if path is None:
        raise MissingInput(request.path_params["file"], f"one of {', '.join(sorted(known))}")
    return Response(path.read_bytes(), media_type=_TYPES[path.suffix], headers={"Cache-Control": "no-cache"})


def _answer(endpoint: Any) -> Any:
    """The endpoint with its errors turned into one JSON line: 404 for what is missing, 422 for what is wrong."""
    def answer(request: Request) -> Response:
        try:
            return endpoint(request)
        except MissingInput as error:
            return Response(json.dumps({"error": str(error)}), 404, media_type="application/json")
        except RoadweaveError as error:
            return Response(json.dumps({"error": str(error)}), 422, media_type="application/json")

    return answer
