"""Keys that steer a player from the terminal that it was started in, and the one line there that says where it is.

Space pauses and goes on, left and right go five seconds back and ahead, up and down double and halve the speed, a full stop lets
one event out, q ends. Cursor keys send ESC [ A to D, or ESC O A to D (ECMA-48 8.3.22 and the application mode of a VT100).
"""
from __future__ import annotations

import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from replay.player_control import Control

SKIP_S = 5.0
HINT = "space pause, left/right 5 s, up/down speed, . step, q quit"
_CURSOR = {b"A": "faster", b"B": "slower", b"C": f"skip {SKIP_S}", b"D": f"skip -{SKIP_S}"}
_PLAIN = {b" ": "toggle", b".": "step", b"q": "stop"}
_TICK_S = 0.2  # between two looks at where the player is


def commands_of(typed: bytes) -> tuple[list[str], bytes]:
    """The commands of what was typed, and the start of a key that has not come whole yet. Other keys mean nothing."""
    commands: list[str] = []
    while typed:
        if typed[:1] != b"\x1b":
            commands += [_PLAIN[typed[:1]]] if typed[:1] in _PLAIN else []
            typed = typed[1:]
        elif len(typed) < 3 and typed in (b"\x1b", b"\x1b[", b"\x1bO"):
            return commands, typed
        elif typed[1:2] in (b"[", b"O"):
            commands += [_CURSOR[typed[2:3]]] if typed[2:3] in _CURSOR else []
            typed = typed[3:]
        else:
            typed = typed[1:]
    return commands, b""


def told(where: dict[str, Any]) -> str:
    """The line that says where a player is."""
    speed = "max" if where["speed"] is None else f"x{where['speed']:g}"
    state = "paused " if where["paused"] else "playing"
    return f"{state} {where['position_s']:7.1f} / {where['end_s']:.1f} s  {speed}  {where['events']:,} events"


@contextmanager
def terminal_keys(control: Control) -> Iterator[None]:
    """While the block runs, keys of a terminal steer the player, and a line on standard error says where it is.

    Nothing is read from a standard input, and nothing written to a standard error, that is no terminal. The terminal is left as
    it was found.
    """
    keyboard, screen = _keyboard(), sys.stderr if sys.stderr.isatty() else None
    before = None if keyboard is None else termios.tcgetattr(keyboard)
    stop = threading.Event()
    thread = threading.Thread(target=_attend, args=(keyboard, screen, control, stop), name="player-keys", daemon=True)
    try:
        if keyboard is not None:
            tty.setcbreak(keyboard)
        thread.start()
        yield
    finally:
        stop.set()
        thread.join(2.0)
        if keyboard is not None and before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
        if screen is not None:
            print(file=screen, flush=True)


def _keyboard() -> int | None:
    """Standard input where it is a terminal of ours: one that belongs to another job must not be touched."""
    try:
        keyboard = sys.stdin.fileno()
        return keyboard if os.isatty(keyboard) and os.tcgetpgrp(keyboard) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):  # closed, replaced by what is no file, or none at all
        return None


def _attend(keyboard: int | None, screen: TextIO | None, control: Control, stop: threading.Event) -> None:
    rest, shown, hint = b"", "", "" if keyboard is None else f"  [{HINT}]"
    while not stop.is_set():
        if keyboard is None:
            stop.wait(_TICK_S)
        elif select.select([keyboard], [], [], _TICK_S)[0]:
            typed = os.read(keyboard, 64)
            if not typed:  # the terminal has gone: nobody will press a key any more
                return
            commands, rest = commands_of(rest + typed)
            for command in commands:
                control.obey(command)
        line = told(control.where()) + hint
        if screen is not None and line != shown:
            print(f"\r\x1b[K{line}", end="", file=screen, flush=True)
            shown = line
