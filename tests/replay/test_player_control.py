"""A player is steered by lines and by keys, from its own process and from another, and says where it is."""
from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from data_specs.errors import InputError
from replay.drive import Event
from replay.player import MAX_SPEED, Player
from replay.player_control import Control, control_socket
from replay.player_keys import commands_of, told
from tests.replay.test_player import MS, START_NS, drive


def paused(*at_ms: int) -> tuple[Player, Control, list[float]]:
    """A paused player, in a thread of its own, what steers it, and the times in ms of what it lets out."""
    out: list[float] = []

    def take(event: Event) -> None:
        out.append((event.time_ns - START_NS) / MS)

    player = Player(drive(*at_ms), take)
    player.pause()
    threading.Thread(target=player.play, daemon=True).start()
    return player, Control(player, START_NS), out


def until(out: list[float], *expected: float) -> None:
    deadline = time.monotonic() + 10.0
    while out != list(expected) and time.monotonic() < deadline:
        time.sleep(0.002)
    assert out == list(expected)


def test_lines_step_seek_and_stop():
    player, control, out = paused(0, 100, 200, 30_000)
    assert control.obey("where") == {"position_s": 0.0, "end_s": 30.0, "speed": 1.0, "paused": True, "events": 0, "laps": 0}
    control.obey("step 2")
    until(out, 0.0, 100.0)
    assert control.obey("seek 30")["position_s"] == 30.0
    control.obey("step")
    until(out, 0.0, 100.0, 30_000.0)
    assert control.obey("skip -29.9")["position_s"] == pytest.approx(0.1)
    assert control.obey("resume")["paused"] is False
    until(out, 0.0, 100.0, 30_000.0, 100.0, 200.0)
    assert control.obey("toggle")["paused"] is True
    control.obey("stop")
    assert player.played.events == 5


def test_a_place_beyond_what_is_played_means_its_nearest_end():
    _, control, _ = paused(0, 500)
    assert control.obey("seek 9999")["position_s"] == 0.5
    assert control.obey("skip -9999")["position_s"] == 0.0
    control.obey("stop")


def test_the_speed_doubles_and_halves_within_bounds_and_can_be_told():
    _, control, _ = paused(0)
    assert [control.obey(line)["speed"] for line in ("faster", "slower", "slower", "speed 3", "speed max", "faster")] == [
        2.0, 1.0, 0.5, 3.0, None, None]
    control.obey("speed 1")
    assert [control.obey("faster")["speed"] for _ in range(8)][-1] == 64.0
    assert [control.obey("slower")["speed"] for _ in range(14)][-1] == 1 / 64
    control.obey("stop")


@pytest.mark.parametrize("line", ["", "jump", "seek", "seek north", "seek nan", "seek inf", "speed 0", "speed -1", "step 0",
                                  "step 1 2", "step 99999999", "pause now"])
def test_a_line_that_means_nothing_is_named_and_changes_nothing(line):
    player = Player(drive(0), lambda event: None)
    with pytest.raises(InputError, match=r"player: '.*', expected one of pause, resume"):
        Control(player, START_NS).obey(line)
    assert (player.paused, player.speed, player.position_ns) == (False, 1.0, START_NS)


def test_another_process_steers_over_a_socket_and_is_told_what_it_said_wrong(tmp_path):
    _, control, out = paused(0, 100)
    with control_socket(control, tmp_path / "player"), socket.socket(socket.AF_UNIX) as line:
        assert (tmp_path / "player").stat().st_mode & 0o777 == 0o600
        line.settimeout(10.0)
        line.connect(str(tmp_path / "player"))
        with line.makefile("rw", encoding="utf-8") as talk:
            for said in ("step\n", "dance\n", "stop\n"):
                talk.write(said)
                talk.flush()
                answer = json.loads(talk.readline())
                assert ("error" in answer) is (said == "dance\n"), answer
                until(out, 0.0)
    assert not (tmp_path / "player").exists()


def test_a_socket_that_cannot_be_made_is_named(tmp_path):
    control = Control(Player(drive(0), lambda event: None), START_NS)
    (tmp_path / "file").write_text("kept")
    with pytest.raises(InputError, match=r"file: there already, expected a path for a new socket"):
        control_socket(control, tmp_path / "file").__enter__()
    with pytest.raises(InputError, match=r"none/player: .*, expected a path for a socket: in a folder that is there"):
        control_socket(control, tmp_path / "none" / "player").__enter__()
    assert (tmp_path / "file").read_text() == "kept"


def test_keys_become_commands_also_where_a_key_comes_in_two_parts():
    assert commands_of(b" x.\x1b[C\x1bOD\x1b[Aq") == (["toggle", "step", "skip 5.0", "skip -5.0", "faster", "stop"], b"")
    for cut in (1, 2):
        first, rest = commands_of(b"\x1b[B"[:cut])
        assert (first, commands_of(rest + b"\x1b[B"[cut:])) == ([], (["slower"], b""))
    assert commands_of(b"\x1bx\x1b[Z") == ([], b"")


def test_the_line_of_a_player_says_state_place_and_speed():
    player = Player(drive(0, 20_000), lambda event: None, speed=MAX_SPEED)
    where = Control(player, START_NS).where()
    assert told(where) == "playing     0.0 / 20.0 s  max  0 events"
    assert told(where | {"speed": 0.5, "paused": True, "position_s": 12.34}) == "paused     12.3 / 20.0 s  x0.5  0 events"
