"""What this process serves: set once before the pages run, read by the pages and the routes."""
from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dashboards import sources
from dashboards.feed import LiveFeed
from dashboards.load import Library
from data_specs.errors import SpecError
from replay.recorded import open_drive


@dataclass(frozen=True, slots=True)
class Served:
    library: Library
    feed: LiveFeed
    live_source: str  # what the Live page shows, in words


_served: list[Served] = []


def prepare(drives: Path, bus_url: str | None, live_drive: Path | None) -> Served:
    """Open the folder of drives and start what feeds the Live page; raises before anything is started if either is refused.

    Beside a bus, `live_drive` gives the site alone: the roadside units' names and places.
    """
    library = Library(drives)
    if bus_url is not None:
        from v2x.buses import open_bus, require_shared_bus

        require_shared_bus(bus_url, "dashboard")
        feed = LiveFeed(None if live_drive is None else open_drive(live_drive).info)
        sources.start(partial(sources.watch_bus, feed, partial(open_bus, bus_url)))
        return set_served(Served(library, feed, bus_url))
    chosen = live_drive or sources.first_fusible(library)
    if chosen is None:
        feed = LiveFeed()
        feed.link("down", f"no drive in {drives} holds vehicle.objects and rsu.messages; give --bus kafka://host:port")
        return set_served(Served(library, feed, "nothing to show"))
    return set_served(Served(library, sources.replay(chosen), f"{chosen.name}, replayed in a loop through the fusion worker"))


def set_served(what: Served) -> Served:
    """Say what this process serves, in place of what it served before."""
    _served[:] = [what]
    return what


def served() -> Served:
    """What this process serves; SpecError before `prepare`."""
    if not _served:
        raise SpecError("dashboard: nothing is served yet, expected to run under 'roadweave dashboard'")
    return _served[0]
