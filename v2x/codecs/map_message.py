"""Lane geometry as LaneMaps and back: MAP of SAE J2735 and MAPEM of ETSI TS 103 301.

A lane is a chain of nodes: each an offset (East, North, 0.01 m) from the one before, the first from refPoint; a node given by
latitude and longitude stands for itself, and the next is an offset from it. A computed lane is another lane, shifted. A lane
whose connections obey several signal groups is told once for each. Source: SAE J2735, DF_GenericLane, DF_NodeXY, DF_ComputedLane.

What is lost on the way to the wire: nodes to 0.01 m (more where they lie over 327 m apart), widths to 0.01 m, time to one
minute. Where a lane leads is not known to a LaneMap: its connections lead to lane 0, the standard's "not known".
"""
from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, Lane, LaneMap
from v2x.codecs import j2735, mapem
from v2x.codecs.j2735_clock import UNKNOWN_MINUTE_OF_YEAR, minute_of_year, unix_ns_of_minute_of_year
from v2x.codecs.j2735_station import place_of, position_of
from v2x.codecs.spat_message import intersection_of, reference_of
from v2x.geodesy import geo_from_map, map_from_geo

_BODY_BIT = 24  # of the message in a frame whose length takes one octet
_CENTI = 0.01
_WIDEST_DELTA = 511  # dWidth, 0.01 m
# Largest offset (0.01 m) of each width of node; every range reaches one further down.
_NODE_REACH = {"node-XY1": 511, "node-XY2": 1023, "node-XY3": 2047, "node-XY4": 4095, "node-XY5": 8191, "node-XY6": 32_767}
_UNSAID_LANE = {
    "directionalUse": {"hex": "00", "length": 2}, "sharedWith": {"hex": "0000", "length": 10},
    "laneType": {"choice": "vehicle", "value": {"hex": "00", "length": 8}},
}


def message_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> LaneMap:
    """The message of a decoded PDU; DecodeError where it tells no intersection or several (`messages_of` gives each)."""
    messages = messages_of(pdu, form, raw, publisher, received_ns)
    if len(messages) != 1:
        raise DecodeError("MAP.intersections", _BODY_BIT, f"{len(messages)} intersections", "1")
    return messages[0]


def messages_of(pdu: dict[str, Any], form: str, raw: bytes, publisher: str, received_ns: int) -> list[LaneMap]:
    """A message for every intersection, told apart by their segment.

    DecodeError for a lane whose nodes cannot be told: regional nodes, a lane computed from one that is not there, or turned or
    scaled. A map without a time stamp, or without a time of arrival that tells the year, is dated by its arrival.
    """
    data = pdu["map"] if "map" in pdu else pdu["value"]
    generated_ns, minute = received_ns, data.get("timeStamp", UNKNOWN_MINUTE_OF_YEAR)
    if received_ns > 0 and minute < UNKNOWN_MINUTE_OF_YEAR:
        generated_ns = unix_ns_of_minute_of_year(minute, 0, received_ns, "MAP.timeStamp", _BODY_BIT)
    found = data.get("intersections", ())
    return [_intersection(geometry, Header(publisher, form, generated_ns, received_ns, segment, len(found), raw))
            for segment, geometry in enumerate(found)]


def pdu_of(message: LaneMap) -> dict[str, Any]:
    """Plain values of a message as MAP; SpecError for what the standard cannot say: no lane, a width, a number of nodes."""
    return {"messageId": j2735.MAP_DATA, "value": _map_data(message)}


def mapem_pdu_of(message: LaneMap) -> dict[str, Any]:
    """Plain values of a message as MAPEM, from station 0; SpecError as for MAP."""
    header = {"protocolVersion": mapem.PROTOCOL_VERSION, "messageID": mapem.MESSAGE_ID, "stationID": 0}
    return {"header": header, "map": _map_data(message)}


def _intersection(geometry: dict[str, Any], header: Header) -> LaneMap:
    at = geometry["refPoint"]
    place = place_of(at["lat"], at["long"], at.get("elevation", -4096), "MAP.intersections[].refPoint", _BODY_BIT)
    lanes = {lane["laneID"]: lane for lane in geometry["laneSet"]}
    width_m = geometry["laneWidth"] * _CENTI if "laneWidth" in geometry else math.nan
    told = [Lane(number, group, width_m + _first_delta(lane) * _CENTI, _nodes_m(lane, lanes, place))
            for number, lane in lanes.items() for group in _groups(lane)]
    return LaneMap(header, intersection_of(geometry["id"]), place, tuple(told))


def _groups(lane: dict[str, Any]) -> list[int]:
    """Signal groups of a lane's connections, each once; -1 where there is none."""
    groups = dict.fromkeys(connection["signalGroup"] for connection in lane.get("connectsTo", ()) if "signalGroup" in connection)
    return list(groups) or [-1]


def _first_delta(lane: dict[str, Any]) -> int:
    """What the first node adds to the lane's width, 0.01 m."""
    nodes = lane["nodeList"]
    return nodes["value"][0].get("attributes", {}).get("dWidth", 0) if nodes["choice"] == "nodes" else 0


def _nodes_m(lane: dict[str, Any], lanes: dict[int, dict[str, Any]], origin: GeoPoint) -> Array:
    """Nodes [n, 2] (East, North) of a lane."""
    where, nodes = f"MAP lane {lane['laneID']}", lane["nodeList"]
    match nodes["choice"]:
        case "nodes":
            return _chain_m([node["delta"] for node in nodes["value"]], origin, where)
        case "computed":
            return _computed_m(nodes["value"], lanes, origin, where)
        case name:
            raise DecodeError(where, _BODY_BIT, f"nodes of kind {name!r}", "nodes or computed")


def _chain_m(deltas: list[dict[str, Any]], origin: GeoPoint, where: str) -> Array:
    at_m, nodes_m = np.zeros(2), []
    for delta in deltas:
        value = delta["value"]
        match delta["choice"]:
            case "node-LatLon":
                there = place_of(value["lat"], value["lon"], -4096, where, _BODY_BIT)
                at_m = map_from_geo(origin, [there])[0, :2]
            case "regional":
                raise DecodeError(where, _BODY_BIT, "a regional node", "an offset or a place")
            case _:
                at_m = at_m + np.array([value["x"], value["y"]]) * _CENTI
        nodes_m.append(at_m)
    return np.array(nodes_m)


def _computed_m(value: dict[str, Any], lanes: dict[int, dict[str, Any]], origin: GeoPoint, where: str) -> Array:
    reference = lanes.get(value["referenceLaneId"])
    if reference is None or reference["nodeList"]["choice"] != "nodes":
        raise DecodeError(where, _BODY_BIT, f"computed from lane {value['referenceLaneId']}", "a lane with nodes of its own")
    if changed := [name for name in ("rotateXY", "scaleXaxis", "scaleYaxis") if value.get(name, 0) != 0]:
        raise DecodeError(where, _BODY_BIT, f"computed with {', '.join(changed)}",
                          "a shift alone: in which order the rest applies no source read here tells")
    shift_m = np.array([value["offsetXaxis"]["value"], value["offsetYaxis"]["value"]]) * _CENTI
    return _nodes_m(reference, lanes, origin) + shift_m


def _map_data(message: LaneMap) -> dict[str, Any]:
    if not message.lanes:
        raise SpecError("lanes: none, expected 1 to 255")
    told = [round(lane.width_m * 100) for lane in message.lanes if not math.isnan(lane.width_m)]
    width = Counter(told).most_common(1)[0][0] if told else None
    if width is not None and not 0 <= width <= 32_767:
        raise SpecError(f"width_m: {width / 100}, expected 0 to 327.67")
    groups: dict[int, list[int]] = {}
    for lane in message.lanes:
        groups.setdefault(lane.lane_id, []).append(lane.group)
    lanes = {lane.lane_id: lane for lane in reversed(message.lanes)}
    geometry = {
        "id": reference_of(message.intersection_id), "revision": 0, "refPoint": position_of(message.position),
        "laneSet": [_lane(lanes[number], groups[number], width, message.position) for number in groups],
    }
    return {"timeStamp": minute_of_year(message.header.generated_ns), "msgIssueRevision": 0,
            "intersections": [geometry if width is None else geometry | {"laneWidth": width}]}


def _lane(lane: Lane, groups: list[int], width: int | None, origin: GeoPoint) -> dict[str, Any]:
    nodes = _nodes(lane, origin)
    if width is not None and not math.isnan(lane.width_m) and (delta := round(lane.width_m * 100) - width):
        if abs(delta) > _WIDEST_DELTA:
            raise SpecError(f"lane {lane.lane_id}: {lane.width_m} m wide, expected within 5.11 m of the others' {width / 100} m")
        nodes[0]["attributes"] = {"dWidth": delta}
    item: dict[str, Any] = {"laneID": lane.lane_id, "laneAttributes": _UNSAID_LANE,
                            "nodeList": {"choice": "nodes", "value": nodes}}
    if groups != [-1]:
        item["connectsTo"] = [{"connectingLane": {"lane": 0}, "signalGroup": group} for group in groups]
    return item


def _nodes(lane: Lane, origin: GeoPoint) -> list[dict[str, Any]]:
    """Offsets of whole centimetres between rounded nodes, so that roundings do not add up."""
    if not 2 <= len(lane.nodes_m) <= 63:
        raise SpecError(f"lane {lane.lane_id}: {len(lane.nodes_m)} nodes, expected 2 to 63")
    at = np.zeros(2)
    nodes = []
    for node_m in lane.nodes_m:
        x, y = np.round(node_m * 100 - at).astype(int).tolist()
        reach = max(x, -x - 1, y, -y - 1)
        name = next((name for name, most in _NODE_REACH.items() if reach <= most), None)
        if name is None:
            there = geo_from_map(origin, np.array([[*node_m, 0.0]]))[0]
            place = {"lon": round(there.longitude_deg * 1e7), "lat": round(there.latitude_deg * 1e7)}
            nodes.append({"delta": {"choice": "node-LatLon", "value": place}})
            at = map_from_geo(origin, [GeoPoint(place["lat"] / 1e7, place["lon"] / 1e7, math.nan)])[0, :2] * 100
            continue
        nodes.append({"delta": {"choice": name, "value": {"x": x, "y": y}}})
        at = at + np.array([x, y])
    return nodes
