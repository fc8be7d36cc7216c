"""How a player is told what to do while it plays: commands of one line, each answered by where the player is then.

    pause | resume | toggle | step [EVENTS] | seek SECONDS | skip SECONDS | speed FACTOR|max | faster | slower | where | stop

Seconds count from the drive's start. The same lines come from keys (replay/player_keys.py) and over a Unix socket, one line in
and one JSON object out: {"position_s": 12.3, "end_s": 20.0, "speed": 1.0, "paused": false, "events": 412, "laps": 0}, or
{"error": "..."} where a line is none of these. A page that shows a playing drive holds a `Control`, or speaks to the socket.
"""
from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError, RoadweaveError
from replay.player import MAX_SPEED, Player

COMMANDS = "pause, resume, toggle, step [EVENTS], seek SECONDS, skip SECONDS, speed FACTOR|max, faster, slower, where, stop"
SLOWEST, FASTEST = 1 / 64, 64.0  # that doubling and halving reach
_MOST_STEPS = 10_000


class Control:
    """Tells a player what to do, from any thread. Times are seconds into the drive, which starts at `start_ns`."""

    def __init__(self, player: Player, start_ns: int) -> None:
        self._player, self._start_ns = player, start_ns

    def obey(self, line: str) -> dict[str, Any]:
        """Do what a line says; where the player is then. InputError for a line that says nothing known."""
        words = line.split()
        try:
            self._do(words)
        except (ValueError, OverflowError) as error:
            raise InputError("player", repr(line.strip()), f"one of {COMMANDS}") from error
        return self.where()

    def where(self) -> dict[str, Any]:
        """Plain values: position, bounds, speed (None: as fast as possible), whether it is paused, and what was let out."""
        player = self._player
        return {"position_s": self._seconds(player.position_ns), "end_s": self._seconds(player.span_ns[1] - 1),
                "speed": None if player.speed == MAX_SPEED else player.speed, "paused": player.paused, "events": player.events,
                "laps": player.laps}

    def _do(self, words: list[str]) -> None:
        simple: dict[str, Callable[[], None]] = {
            "pause": self._player.pause, "resume": self._player.resume, "toggle": self._toggle, "where": lambda: None,
            "stop": self._player.stop, "faster": lambda: self._scale(2.0), "slower": lambda: self._scale(0.5)}
        command, *rest = words
        if command in simple and not rest:
            simple[command]()
        elif command == "step" and len(rest) <= 1:
            self._step(int(rest[0]) if rest else 1)
        elif command == "speed" and len(rest) == 1:
            self._player.set_speed(MAX_SPEED if rest[0] == "max" else float(rest[0]))
        elif command in ("seek", "skip") and len(rest) == 1:
            from_ns = self._start_ns if command == "seek" else self._player.position_ns
            self._seek(from_ns + round(float(rest[0]) * NS_PER_S))
        else:
            raise ValueError(command)

    def _toggle(self) -> None:
        if self._player.paused:
            self._player.resume()
        else:
            self._player.pause()

    def _step(self, events: int) -> None:
        if not 1 <= events <= _MOST_STEPS:
            raise ValueError(events)
        if not self._player.paused:
            self._player.pause()
        for _ in range(events):
            self._player.step()

    def _seek(self, time_ns: int) -> None:
        """Go to a time, or to the nearest one that is played."""
        first_ns, end_ns = self._player.span_ns
        self._player.seek(min(max(time_ns, first_ns), end_ns - 1))

    def _scale(self, factor: float) -> None:
        if self._player.speed != MAX_SPEED:
            self._player.set_speed(min(max(self._player.speed * factor, SLOWEST), FASTEST))

    def _seconds(self, time_ns: int) -> float:
        return (time_ns - self._start_ns) / NS_PER_S


@contextmanager
def control_socket(control: Control, path: Path) -> Iterator[None]:
    """While the block runs, whoever connects to the Unix socket at `path` may command the player.

    Only this user may connect. InputError where there is something at `path` already, or no socket can be made there.
    """
    if path.exists():
        raise InputError(path, "there already", "a path for a new socket")
    server = _Server(str(path), control)
    try:
        server.server_bind()
    except OSError as error:
        server.server_close()
        raise InputError(path, str(error), "a path for a socket: in a folder that is there, of at most 100 characters") from error
    path.chmod(0o600)  # before anybody can connect
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="player-control", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # who stays connected must not keep a player that has ended

    def __init__(self, path: str, control: Control) -> None:
        self.control = control
        super().__init__(path, _Talk, bind_and_activate=False)


class _Talk(socketserver.StreamRequestHandler):
    """One connection: a line in, a line out, until it is closed."""

    server: _Server

    def handle(self) -> None:
        for line in self.rfile:
            try:
                answer = self.server.control.obey(line.decode("utf-8", "replace"))
            except RoadweaveError as error:
                answer = {"error": str(error)}
            try:
                self.wfile.write(json.dumps(answer).encode() + b"\n")
            except OSError:  # whoever asked has gone
                return
