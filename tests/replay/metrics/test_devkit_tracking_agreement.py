"""Our nuScenes tracking figures against nuscenes-devkit's own, within 1e-9 (make test-devkit)."""
from dataclasses import replace

import numpy as np
import pytest

from data_specs.objects import ObjectClass
from replay.metrics.tracking import FIGURES, TRACKING_CLASSES, TrackingProtocol, mean_figures, tracking_results
from tests.replay.metrics.tracked import CLASSES, boxes_of, scenes, times

pytest.importorskip("nuscenes", reason="nuscenes-devkit is not installed here; run make test-devkit")
pytestmark = [pytest.mark.devkit, pytest.mark.filterwarnings("ignore")]

from nuscenes.eval.common.config import config_factory  # noqa: E402
from nuscenes.eval.common.data_classes import EvalBoxes  # noqa: E402
from nuscenes.eval.tracking import loaders  # noqa: E402
from nuscenes.eval.tracking.data_classes import TrackingBox  # noqa: E402
from nuscenes.eval.tracking.evaluate import TrackingEval  # noqa: E402

CONFIG = config_factory("tracking_nips_2019")


class Tables:
    """What the devkit's loader asks of its tables, made from times."""

    def __init__(self, when):
        self.when = when

    def get(self, table, token):
        rows = np.flatnonzero(self.when.scene == (int(token) if table == "scene" else self.when.scene[int(token)]))
        if table == "scene":
            return {"name": token, "first_sample_token": str(rows[0]), "last_sample_token": str(rows[-1])}
        k = int(token)
        return {"scene_token": str(self.when.scene[k]), "timestamp": int(self.when.time_ns[k]) // 1000, "next": str(k + 1)}


def eval_boxes(boxes, when):
    made = EvalBoxes()
    for sample in range(len(when)):
        made.add_boxes(str(sample), [TrackingBox(
            sample_token=str(sample), translation=(*boxes.xy_m[k], 0.0), size=(1.0, 1.0, 1.0), rotation=(1.0, 0.0, 0.0, 0.0),
            velocity=(0.0, 0.0), tracking_id=str(boxes.track_id[k]), tracking_name=ObjectClass(int(boxes.label[k])).title,
            tracking_score=float(boxes.score[k])) for k in np.flatnonzero(boxes.sample == sample)])
    return made


def devkit_metrics(truths, made, when, monkeypatch):
    """What the devkit's own loader and evaluation say of boxes that need no filtering any more."""
    monkeypatch.setattr(loaders, "get_scenes_of_split", lambda split_name, nusc: [str(scene) for scene in np.unique(when.scene)])
    judge = object.__new__(TrackingEval)
    judge.cfg, judge.verbose, judge.output_dir, judge.render_classes = CONFIG, False, "", []
    judge.tracks_gt = loaders.create_tracks(eval_boxes(truths, when), Tables(when), "", gt=True)
    judge.tracks_pred = loaders.create_tracks(eval_boxes(made, when), Tables(when), "", gt=False)
    return judge.evaluate()[0]


def assert_the_devkits(truths, made, when, monkeypatch):
    ours = tracking_results(made, truths, when, TrackingProtocol())
    theirs = devkit_metrics(truths, made, when, monkeypatch)
    for cls in TRACKING_CLASSES:
        expected = {name: theirs.compute_metric(name.lower(), cls.title) for name in FIGURES}
        assert ours[cls] == pytest.approx(expected, rel=0, abs=1e-9, nan_ok=True), cls
    overall = {name: theirs.compute_metric(name.lower()) for name in FIGURES}
    assert mean_figures(ours) == pytest.approx(overall, rel=0, abs=1e-9, nan_ok=True)
    return ours


@pytest.mark.parametrize("compiled_from", [1, 10**9])
def test_every_figure_of_random_scenes_is_the_devkits(monkeypatch, compiled_from):
    monkeypatch.setattr("replay.metrics.tracking.COMPILED_FROM", compiled_from)
    ours = assert_the_devkits(*scenes(seed=1, objects=40, classes=CLASSES[:3]), monkeypatch)
    overall = mean_figures(ours)
    assert 0.05 < overall["AMOTA"] < 0.95 and min(overall[name] for name in ("IDS", "FRAG", "TID", "LGD", "MT")) > 0


@pytest.mark.parametrize("seed", (2, 3))
def test_crowds_of_one_class_far_from_the_origin_are_the_devkits(monkeypatch, seed):
    assert_the_devkits(*scenes(seed, times(2, 9), objects=20, classes=[1], offset_m=1500.0), monkeypatch)


@pytest.mark.parametrize("seed", [6, 7])
def test_ties_in_distance_and_distances_at_the_threshold_fall_as_the_devkits_do(monkeypatch, seed):
    assert_the_devkits(*scenes(seed, times(1, 12), objects=40, classes=[1], place=np.round), monkeypatch)


@pytest.mark.parametrize("offset_m", [0.0, 1234.5])
def test_perfect_tracks_are_as_perfect_as_the_devkit_finds_them(monkeypatch, offset_m):
    truths, _, when = scenes(seed=8, objects=8, classes=CLASSES[:2], offset_m=offset_m)
    assert_the_devkits(truths, truths, when, monkeypatch)


def nothing(boxes):
    return boxes[np.zeros(len(boxes), bool)]


@pytest.mark.parametrize("change", [
    lambda truths, made: (truths, nothing(made)), lambda truths, made: (nothing(truths), made),
    lambda truths, made: (truths, replace(made, xy_m=made.xy_m + 500.0)),
    lambda truths, made: (truths[truths.label > 2], made[made.label < 8]),
    lambda truths, made: (truths, replace(made, score=np.full(len(made), 0.5))),
    lambda truths, made: (truths, replace(made, score=np.zeros(len(made)))),
    lambda truths, made: (truths, made[made.sample % 5 == 0]),
], ids=["no tracks", "no truth", "all far away", "classes without truth or tracks", "one score", "score 0", "long gaps"])
def test_edge_cases_are_the_devkits(monkeypatch, change):
    truths, made, when = scenes(seed=9, objects=8, classes=CLASSES[:3])
    assert_the_devkits(*change(truths, made), when, monkeypatch)


def test_a_track_that_changes_its_class_is_bridged_as_the_devkit_does(monkeypatch):
    truths = boxes_of([(k, 1, 1.0 * k, 0.0, 1.0, 7) for k in (0, 1, 4, 5)])
    made = boxes_of([(k, 1 if k < 3 else 2, 1.0 * k, 0.3, 0.5, 3) for k in (0, 2, 5)])
    assert_the_devkits(truths, made, times(1, 6), monkeypatch)
