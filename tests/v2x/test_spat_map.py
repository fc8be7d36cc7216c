import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data_specs.errors import DecodeError, SpecError
from data_specs.messages import GeoPoint, Header, Lane, LaneMap, SignalMessage
from v2x.codecs import decode, encode, map_data, map_message, spat, spat_message

S = 1_000_000_000
NOON_NS = 1_748_001_600 * S  # 2025-05-23T12:00:00Z, minute 205200 of its year
PLACE = {"lat": 423_000_000, "long": -836_000_000}
LANE = {"directionalUse": {"hex": "00", "length": 2}, "sharedWith": {"hex": "0000", "length": 10},
        "laneType": {"choice": "vehicle", "value": {"hex": "00", "length": 8}}}


def movement(group, state, **timing):
    return {"signalGroup": group, "state-time-speed": [{"eventState": state} | ({"timing": timing} if timing else {})]}


def signals(*states, **fields):
    return {"id": {"region": 2, "id": 3}, "revision": 0, "status": {"hex": "0000", "length": 16}, "moy": 205_200,
            "timeStamp": 5_000, "states": list(states)} | fields


def decoded_spat(*intersections):
    octets = spat.encode_pdu({"messageId": 19, "value": {"intersections": list(intersections)}})
    return decode(octets, received_ns=NOON_NS + 5 * S)


def test_signal_states_and_their_ends_come_from_marks_of_the_hour():
    message = decoded_spat(signals(movement(4, "protected-Movement-Allowed", minEndTime=100, maxEndTime=36_111),
                                   movement(7, "stop-And-Remain", minEndTime=20), movement(9, "dark")))
    assert isinstance(message, SignalMessage)
    assert message.header.generated_ns == NOON_NS + 5 * S and message.intersection_id == 2 << 16 | 3
    assert message.group.tolist() == [4, 7, 9] and message.state.tolist() == [6, 3, 1]
    assert message.min_end_ns.tolist() == [NOON_NS + 10 * S, NOON_NS + 2 * S, -1]
    assert message.max_end_ns.tolist() == [-1, -1, -1]


def test_a_message_of_several_intersections_is_given_one_by_one():
    two = (signals(movement(1, "dark")), signals(movement(2, "dark"), id={"id": 9}))
    with pytest.raises(DecodeError, match="2 intersections, expected 1"):
        decoded_spat(*two)
    found = spat_message.messages_of({"messageId": 19, "value": {"intersections": list(two)}}, "sae-spat", b"", "", NOON_NS)
    assert [(one.intersection_id, one.header.segment, one.header.segment_count) for one in found] == [(131_075, 0, 2), (9, 1, 2)]


def header(generated_ns=NOON_NS):
    return Header("", "", generated_ns, generated_ns, 0, 1, b"")


@pytest.mark.parametrize("wire_format", ["sae-spat", "etsi-spatem-2.1.1"])
@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 9), st.integers(0, 3000), st.integers(0, 3000)), min_size=1,
                max_size=20))
def test_signals_are_read_back_to_a_tenth_of_a_second(wire_format, rows):
    group, state, first, last = (np.array(column) for column in zip(*rows))
    ends = [np.where(column == 0, -1, NOON_NS + column * (S // 10)) for column in (first, last)]
    sent = SignalMessage(header(), 77, group.astype(np.int32), state.astype(np.uint8), *ends)
    back = decode(encode(sent, wire_format), received_ns=NOON_NS)
    assert isinstance(back, SignalMessage)
    assert back.intersection_id == 77 and back.header.generated_ns == NOON_NS
    for name in ("group", "state", "min_end_ns", "max_end_ns"):
        np.testing.assert_array_equal(getattr(back, name), getattr(sent, name))


def test_signals_without_a_group_are_refused():
    none = np.zeros(0)
    with pytest.raises(SpecError, match="0 signal groups, expected 1 to 255"):
        encode(SignalMessage(header(), 1, none.astype(np.int32), none.astype(np.uint8), none.astype(np.int64),
                             none.astype(np.int64)), "sae-spat")


def node(kind, **value):
    return {"delta": {"choice": kind, "value": value}}


def lane(number, nodes, **fields):
    return {"laneID": number, "laneAttributes": LANE, "nodeList": nodes} | fields


def chain(*nodes):
    return {"choice": "nodes", "value": list(nodes)}


def decoded_map(*lanes, **fields):
    geometry = {"id": {"id": 5}, "revision": 0, "refPoint": PLACE, "laneWidth": 350, "laneSet": list(lanes)} | fields
    value = {"msgIssueRevision": 0, "intersections": [geometry]}
    message = decode(map_data.encode_pdu({"messageId": 18, "value": value}), received_ns=NOON_NS)
    assert isinstance(message, LaneMap)
    return message


def test_nodes_are_offsets_from_the_node_before():
    nodes = chain(node("node-XY1", x=100, y=-200), node("node-XY6", x=-1000, y=30_000), node("node-XY3", x=0, y=2000))
    found = decoded_map(lane(1, nodes, connectsTo=[{"connectingLane": {"lane": 2}, "signalGroup": 4}])).lanes[0]
    np.testing.assert_allclose(found.nodes_m, [[1.0, -2.0], [-9.0, 298.0], [-9.0, 318.0]])
    assert (found.lane_id, found.group, found.width_m) == (1, 4, 3.5)


def test_a_node_by_latitude_and_longitude_stands_for_itself():
    """1e-7 degree of latitude is 11 mm there."""
    nodes = chain(node("node-XY1", x=100, y=100), node("node-LatLon", lat=PLACE["lat"] + 10_000, lon=PLACE["long"]),
                  node("node-XY1", x=100, y=0))
    found = decoded_map(lane(1, nodes)).lanes[0].nodes_m
    np.testing.assert_allclose(found[1], [0.0, 111.07], atol=0.05)
    np.testing.assert_allclose(found[2] - found[1], [1.0, 0.0], atol=1e-9)


def test_a_computed_lane_is_another_lane_shifted():
    computed = {"choice": "computed", "value": {
        "referenceLaneId": 1, "offsetXaxis": {"choice": "small", "value": 300},
        "offsetYaxis": {"choice": "large", "value": -5000}}}
    both = decoded_map(lane(1, chain(node("node-XY1", x=0, y=0), node("node-XY1", x=0, y=500))), lane(2, computed)).lanes
    np.testing.assert_allclose(both[1].nodes_m, both[0].nodes_m + np.array([3.0, -50.0]))


@pytest.mark.parametrize("change, words", [
    ({"rotateXY": 100}, "computed with rotateXY, expected a shift alone"),
    ({"referenceLaneId": 9}, "computed from lane 9"),
])
def test_a_computed_lane_that_cannot_be_told_is_refused(change, words):
    value = {"referenceLaneId": 1, "offsetXaxis": {"choice": "small", "value": 0},
             "offsetYaxis": {"choice": "small", "value": 0}} | change
    first = lane(1, chain(node("node-XY1", x=0, y=0), node("node-XY1", x=0, y=500)))
    with pytest.raises(DecodeError, match=words):
        decoded_map(first, lane(2, {"choice": "computed", "value": value}))


def test_a_lane_under_several_signal_groups_is_told_for_each():
    connections = [{"connectingLane": {"lane": 2}, "signalGroup": 4}, {"connectingLane": {"lane": 3}, "signalGroup": 6}]
    lanes = decoded_map(lane(1, chain(node("node-XY1", x=0, y=0), node("node-XY1", x=0, y=5)), connectsTo=connections)).lanes
    assert [(one.lane_id, one.group) for one in lanes] == [(1, 4), (1, 6)]


@pytest.mark.parametrize("wire_format", ["sae-map", "etsi-mapem-2.1.1"])
@settings(max_examples=30)
@given(st.lists(arrays(np.float64, st.tuples(st.integers(2, 8), st.just(2)), elements=st.floats(-600.0, 600.0)), min_size=1,
                max_size=4), st.floats(2.0, 5.0))
def test_lanes_are_read_back_to_two_centimetres(wire_format, nodes, width_m):
    lanes = tuple(Lane(number, number - 1, width_m + number / 10, nodes_m) for number, nodes_m in enumerate(nodes))
    sent = LaneMap(header(), 77, GeoPoint(42.3, -83.6, 250.0), lanes)
    back = decode(encode(sent, wire_format), received_ns=NOON_NS)
    assert isinstance(back, LaneMap)
    assert back.intersection_id == 77 and back.header.generated_ns == NOON_NS
    assert [(one.lane_id, one.group) for one in back.lanes] == [(one.lane_id, one.group) for one in lanes]
    for one, other in zip(back.lanes, lanes):
        np.testing.assert_allclose(one.nodes_m, other.nodes_m, atol=0.02)
        np.testing.assert_allclose(one.width_m, other.width_m, atol=0.005 + 1e-9)


def test_a_map_without_a_lane_or_with_a_lonely_node_is_refused():
    with pytest.raises(SpecError, match="lanes: none"):
        map_message.pdu_of(LaneMap(header(), 1, GeoPoint(0.0, 0.0, 0.0), ()))
    with pytest.raises(SpecError, match="lane 1: 1 nodes, expected 2 to 63"):
        map_message.pdu_of(LaneMap(header(), 1, GeoPoint(0.0, 0.0, 0.0), (Lane(1, -1, 3.0, np.zeros((1, 2))),)))
