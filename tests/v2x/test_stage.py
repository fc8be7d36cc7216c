from replay.drive import FUSED_TRACKS, ROADSIDE_MESSAGES, VEHICLE_OBJECTS
from replay.runner import run
from tests.v2x.scene import crossing_events, info
from v2x.fusion import config_for, fuse_all
from v2x.stage import FusionStage


class Kept(list):
    def write(self, event):
        self.append(event)


def test_the_stage_gives_what_the_core_gives():
    kept = Kept()
    times = run(crossing_events(), [FusionStage(info())], kept)
    made = [event for event in kept if event.topic not in (VEHICLE_OBJECTS, ROADSIDE_MESSAGES)]
    expected = fuse_all(crossing_events(), config_for(info(), in_order=False))
    assert [(event.time_ns, event.topic) for event in made] == [(event.time_ns, event.topic) for event in expected]
    assert times.stages[0][0] == "fusion"


def test_nothing_is_lost_at_the_end():
    kept = Kept()
    stage = FusionStage(info())
    run(crossing_events(ticks=5), [stage], kept)
    assert sum(event.topic == FUSED_TRACKS for event in kept) == 5
    assert stage.dropped == 0
