"""Fusion as a stage of a drive: the same core as the worker's, fed by the runner."""
from __future__ import annotations

from collections.abc import Iterable

from replay.drive import DriveInfo, Event
from v2x.fusion import FusionState, accept, config_for, finish


class FusionStage:
    """vehicle.objects and rsu.messages in; fused.tracks, roadside.objects and rsu.health out.

    Waits for the whole lateness bound, so what comes out does not depend on the order of what comes in.
    """

    name = "fusion"

    def __init__(self, info: DriveInfo) -> None:
        self._config = config_for(info, in_order=False)
        self._state = FusionState.start()

    @property
    def dropped(self) -> int:
        """Events that came too late, or twice."""
        return self._state.late + self._state.repeated

    def process(self, event: Event) -> Iterable[Event]:
        self._state, events = accept(self._state, event, self._config)
        return events

    def finish(self) -> Iterable[Event]:
        self._state, events = finish(self._state, self._config)
        return events
