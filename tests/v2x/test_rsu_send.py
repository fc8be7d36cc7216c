import socket
import threading
import time

import numpy as np
import pytest

from data_specs.boxes import Boxes3D
from data_specs.errors import InputError, MissingInput, UnknownFormat
from data_specs.messages import RoadsideMessage
from data_specs.objects import ObjectClass, ObjectList
from data_specs.site import read_site
from replay.bus import MemoryBus
from replay.faults import Link, PoseBias
from tests.v2x.on_air import NOW_NS
from v2x.codecs import decode
from v2x.codecs.geonet import open_common, split
from v2x.rsu import RoadsideUnit
from v2x.rsu_fleet import FleetUnit, Scan, fleet
from v2x.rsu_run import FleetSettings, run_fleet, write_site
from v2x.rsu_send import WIRE_FORMATS, BusOutlet, Fleet, Trouble, UdpOutlet

SITE, UNITS = fleet(5)


def scan(after_ns: int, unit: int, name: str) -> Scan:
    boxes = Boxes3D(name, np.array([[10.0, 0.0, -5.0], [0.0, 12.0, -5.0]]), np.full((2, 3), 2.0), np.zeros(2))
    objects = ObjectList.build(boxes, name, NOW_NS, np.full(2, ObjectClass.CAR, np.uint8), track_id=np.arange(2),
                               velocity_mps=np.zeros((2, 2)))
    return Scan(after_ns, unit, objects)


SCANS = tuple(scan(tick * 100_000_000 + unit * 30_000_000, unit, f"rsu-{unit + 1}") for tick in range(3) for unit in range(2))


class Heard:
    """An outlet that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[tuple[FleetUnit, RoadsideMessage]] = []

    def send(self, unit: FleetUnit, octets: bytes, generated_ns: int) -> None:
        message = decode(octets)
        assert isinstance(message, RoadsideMessage)
        assert message.header.generated_ns == generated_ns
        self.messages.append((unit, message))

    def close(self) -> None:
        return None


def test_copies_of_the_crossing_have_names_addresses_and_places_of_their_own():
    assert len({rsu.name for rsu in SITE.rsus}) == len({rsu.source for rsu in SITE.rsus}) == 5
    assert len({rsu.station_id for rsu in SITE.rsus}) == 5
    assert [rsu.crossing for rsu in SITE.rsus] == ["crossing", "crossing", "crossing-2", "crossing-2", "crossing-3"]
    assert len({(c.origin.latitude_deg, c.origin.longitude_deg) for c in SITE.crossings}) == 3
    assert all(len(rsu.source) == 16 for rsu in SITE.rsus)


def test_a_site_file_that_is_written_is_read_back(tmp_path):
    write_site(tmp_path / "site.toml", SITE)
    assert read_site(tmp_path / "site.toml").to_dict() == SITE.to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["site.toml"]


def test_every_unit_sends_each_scan_of_the_unit_it_sees_through_lap_after_lap():
    heard = Heard()
    sent = Fleet(UNITS, SCANS, WIRE_FORMATS["cpm"], Trouble()).run(heard, threading.Event(), 0.55, speed=1.0)
    assert sent.messages == len(heard.messages)
    by_unit = {unit.rsu.name: sum(one is unit for one, _ in heard.messages) for unit in UNITS}
    assert set(by_unit) == {f"rsu-{i + 1}" for i in range(5)}
    assert all(5 <= count <= 6 for count in by_unit.values())
    assert all(message.station_id == unit.rsu.station_id and len(message.objects) == 2 for unit, message in heard.messages)
    times = [message.header.generated_ns for _, message in heard.messages]
    assert max(times) <= time.time_ns()


def one_message(trouble: Trouble) -> RoadsideMessage:
    unit = UNITS[0]
    ((octets, _),) = Fleet(UNITS[:1], SCANS, WIRE_FORMATS["cpm"], trouble).messages(
        unit, RoadsideUnit(unit.rsu, unit.origin), SCANS[0], NOW_NS)
    message = decode(octets)
    assert isinstance(message, RoadsideMessage)
    return message


def test_clocks_poses_and_objects_are_as_wrong_as_asked():
    right, late = one_message(Trouble()), one_message(Trouble(clock_offset_ns=250_000_000))
    assert late.header.generated_ns - right.header.generated_ns == 250_000_000
    assert (late.objects.measured_ns - right.objects.measured_ns == 250_000_000).all()
    moved_m = one_message(Trouble(bias=PoseBias(y_m=2.0))).objects.boxes.center_m - right.objects.boxes.center_m
    np.testing.assert_allclose(np.linalg.norm(moved_m, axis=1), 2.0, atol=0.02)
    assert len(one_message(Trouble(ghosts=8.0)).objects) > 4


def test_loss_and_copies_are_counted_and_all_else_arrives():
    heard = Heard()
    trouble = Trouble(Link(loss=0.3, duplicate=0.3, delay_ms=20.0, jitter_ms=10.0))
    sent = Fleet(UNITS, SCANS, WIRE_FORMATS["cpm"], trouble, seed=4).run(heard, threading.Event(), 1.0, speed=4.0)
    assert sent.lost > 0 and sent.copies > 0
    assert len(heard.messages) == sent.messages


def test_a_stop_ends_the_sending_soon():
    stop, began_s = threading.Event(), time.monotonic()
    threading.Timer(0.3, stop.set).start()
    Fleet(UNITS, SCANS, WIRE_FORMATS["cpm"], Trouble()).run(Heard(), stop, 60.0)
    assert time.monotonic() - began_s < 5.0


def test_a_cpm_goes_out_in_geonetworking_and_an_sdsm_as_its_frame():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(10.0)
        for wire, start in (("cpm", b"\x11\x00"), ("sdsm", b"\x00\x29")):
            outlet = UdpOutlet("127.0.0.1", receiver.getsockname()[1], WIRE_FORMATS[wire], {})
            sender = RoadsideUnit(UNITS[0].rsu, UNITS[0].origin, wire_format=WIRE_FORMATS[wire])
            made = Fleet(UNITS[:1], SCANS, WIRE_FORMATS[wire], Trouble()).messages(UNITS[0], sender, SCANS[0], NOW_NS)
            outlet.send(UNITS[0], *made[0])
            octets = receiver.recv(2000)
            outlet.close()
            assert octets.startswith(start)
            if wire == "cpm":
                packet = open_common(split(octets)[1], signed=False)
                assert (packet.source, packet.payload) == (UNITS[0].rsu.source, made[0][0])


def test_on_a_bus_records_look_as_a_gateway_publishes_them():
    bus = MemoryBus()
    outlet = BusOutlet(bus, WIRE_FORMATS["cpm"])
    outlet.send(UNITS[2], b"\x02\x0e", NOW_NS)
    (record,) = bus.subscribe(["rsu.messages"]).poll()
    assert (record.key, record.time_ns, record.value) == ("crossing-2", NOW_NS, b"\x02\x0e")
    assert (record.headers["publisher"], record.headers["messageType"]) == (UNITS[2].rsu.source.encode(), b"CPM")


def settings(**given) -> FleetSettings:
    plain = {"to": "udp://127.0.0.1:9", "scenario": "crossing", "count": 1, "wire": "cpm", "clock_offset_ms": 0.0,
             "pose_bias_m": 0.0, "loss": 0.0, "duplicate": 0.0, "delay_ms": 0.0, "jitter_ms": 0.0, "false_objects": 0.0,
             "sign": None, "site": None, "policy": "off", "speed": 1.0, "seconds": 0.2, "seed": 0}
    return FleetSettings(**plain | given)


@pytest.mark.parametrize(("given", "error", "text"), [
    ({"wire": "cam"}, UnknownFormat, "--format: 'cam', expected one of cpm, sdsm"),
    ({"to": "tcp://x:1"}, UnknownFormat, "--to: 'tcp://x:1', expected udp://host:port or kafka://"),
    ({"policy": "maybe"}, UnknownFormat, "--policy: 'maybe', expected one of required"),
    ({"to": "kafka://x:1", "sign": "keys"}, InputError, "--sign: kafka://x:1, expected udp://"),
])
def test_what_cannot_be_sent_is_refused_before_anything_is_simulated(given, error, text):
    with pytest.raises(error, match=text):
        settings(**given)


def test_a_unit_without_a_key_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"rsu-1\.(oer|pem): missing"):
        run_fleet(settings(sign=tmp_path), threading.Event())
