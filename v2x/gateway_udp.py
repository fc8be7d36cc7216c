"""UDP datagrams in, as fast as Python reads them: raised receive buffers, the kernel's time stamps, its count of drops.

Source: Linux socket(7) (SO_RCVBUFFORCE, SO_REUSEPORT, SO_TIMESTAMPNS), include/uapi/linux/sock_diag.h (SK_MEMINFO_DROPS, read by
SO_MEMINFO). The default ports: those of TS 103 248 V2.1.1 for ETSI's messages, where a relay keeps a message's BTP port as its
UDP port, and those of the US DOT's Operational Data Environment (usdot-jpo-ode/jpo-ode at dfb2e16,
jpo-ode-svcs/src/main/resources/application.yaml, `receivers`).
"""
from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from data_specs.clock import NS_PER_S
from data_specs.errors import InputError
from v2x.codecs.geonet import PORTS as BTP_PORTS
from v2x.gateway_directory import host_and_port

ODE_PORTS = {46800: "BSM", 44910: "SPaT", 44920: "MAP", 44930: "SRM", 44900: "SSM", 44940: "PSM", 44950: "SDSM", 47900: "TIM",
             44990: "any"}
DEFAULT_PORTS = (*BTP_PORTS, *ODE_PORTS)
RECEIVE_BUFFER_OCTETS = 16 << 20
MOST_OCTETS = 65_535  # of a datagram
MAPPED = "::ffff:"  # an IPv4 sender, as a socket of both families names it
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS, _SO_MEMINFO = 33, 35, 55
_MEMINFO = struct.Struct("9I")
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_OCTETS = socket.CMSG_SPACE(_TIMESPEC.size)
_LINUX = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram as it came."""

    octets: bytes
    source: str  # "host:port" of the sender
    received_ns: int  # when the kernel took it in, where it says so, else when it was read


class UdpInlet:
    """The sockets of one process."""

    def __init__(self, addresses: Sequence[tuple[str, int]], buffer_octets: int = RECEIVE_BUFFER_OCTETS, *,
                 shared: bool = False) -> None:
        """Bind to all addresses; port 0 takes a free one. `shared` lets other processes bind to them too (SO_REUSEPORT).

        InputError for an address that cannot be bound.
        """
        self._room = bytearray(MOST_OCTETS)
        self._view = memoryview(self._room)
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            for host, port in addresses:
                self._bind(host, port, buffer_octets, shared)
            undo.pop_all()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, "host:port" each."""
        return tuple(host_and_port(*opened.getsockname()[:2]) for opened in self._sockets)

    @property
    def buffer_octets(self) -> int:
        """The smallest receive buffer that the kernel really gave to a socket; it counts its own bookkeeping in."""
        return min(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for opened in self._sockets)

    def drops(self) -> int:
        """Datagrams that the kernel dropped because a buffer was full, since the start; -1 where it does not tell."""
        if not _LINUX:
            return -1
        said = (opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size) for opened in self._sockets)
        return sum(_MEMINFO.unpack(numbers)[8] for numbers in said)

    def receive(self, timeout_s: float, most: int = 256) -> list[Datagram]:
        """What has come, waiting up to `timeout_s` for a first one; at most `most` of each socket, so that all get a turn."""
        found: list[Datagram] = []
        for key, _ in self._selector.select(timeout_s):
            self._drain(key.fileobj, most, found)  # type: ignore[arg-type]
        return found

    def __enter__(self) -> UdpInlet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for opened in self._sockets:
            opened.close()
        self._selector.close()

    def _drain(self, opened: socket.socket, most: int, found: list[Datagram]) -> None:
        view, buffers = self._view, [self._room]
        for _ in range(most):
            try:
                size, said, _, sender = opened.recvmsg_into(buffers, _ANCILLARY_OCTETS)
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # an ICMP error of something sent earlier is no datagram
            host = sender[0]
            host = host[len(MAPPED):] if host.startswith(MAPPED) else host
            found.append(Datagram(bytes(view[:size]), host_and_port(host, sender[1]), _stamp_ns(said)))

    def _bind(self, host: str, port: int, buffer_octets: int, shared: bool) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append(opened)
        opened.setblocking(False)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _raise_buffer(opened, buffer_octets)
        if _LINUX:
            opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            opened.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InputError(host_and_port(host, port), str(error), "an address of this machine that is free") from error
        self._selector.register(opened, selectors.EVENT_READ)


def default_addresses() -> list[tuple[str, int]]:
    """Every default port, on all addresses of both families, or of IPv4 where there is no IPv6."""
    host = "::" if socket.has_ipv6 and socket.has_dualstack_ipv6() else "0.0.0.0"
    return [(host, port) for port in DEFAULT_PORTS]


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port", "[host]:port" or "port" (all addresses); InputError for anything else."""
    host, _, port = text.rpartition(":")
    bare = host.strip("[]")
    if not port.isdigit() or int(port) > 65_535 or (":" in bare and not host.startswith("[")):
        raise InputError("address", repr(text), "host:port, [IPv6 host]:port, or a port")
    return bare or default_addresses()[0][0], int(port)


def _raise_buffer(opened: socket.socket, octets: int) -> None:
    """Ask for a receive buffer, past the system's limit where this process may."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, octets)
    if _LINUX:
        with contextlib.suppress(OSError):  # without CAP_NET_ADMIN the limit net.core.rmem_max holds
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, octets)


def _stamp_ns(said: Sequence[tuple[int, int, bytes]]) -> int:
    for level, kind, data in said:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return seconds * NS_PER_S + nanoseconds
    return time.time_ns()
