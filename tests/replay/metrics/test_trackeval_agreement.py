"""Our HOTA against TrackEval's own on the same frames, within 1e-12 (make test-devkit)."""
import numpy as np
import pytest

from data_specs.objects import ObjectClass
from replay.metrics.hota import FIGURES, frames_of, hota_results, mean_figures
from replay.metrics.tracking import TRACKING_CLASSES
from tests.replay.metrics.tracked import scenes

trackeval = pytest.importorskip("trackeval", reason="trackeval is not installed here; run make test-devkit")
pytestmark = [pytest.mark.devkit, pytest.mark.filterwarnings("ignore")]

from trackeval.metrics import HOTA  # noqa: E402


def trackeval_results(made, wanted, when):
    """TrackEval's result of each class over all scenes, from the frames that ours are from."""
    metric, results = HOTA(), {}
    for cls in TRACKING_CLASSES:
        of_class = made[made.label == cls], wanted[wanted.label == cls]
        sequences = {}
        for scene in np.unique(when.scene):
            frames = list(frames_of(*of_class, np.flatnonzero(when.scene == scene)))
            objects, tracks = [frame.objects for frame in frames], [frame.tracks for frame in frames]
            sequences[str(scene)] = metric.eval_sequence({
                "gt_ids": objects, "tracker_ids": tracks, "similarity_scores": [frame.similarity for frame in frames],
                "num_gt_dets": sum(map(len, objects)), "num_tracker_dets": sum(map(len, tracks)),
                "num_gt_ids": len(np.unique(np.concatenate(objects))),
                "num_tracker_ids": len(np.unique(np.concatenate(tracks)))})
        results[cls] = metric.combine_sequences(sequences)
    return results, metric.combine_classes_class_averaged(results, ignore_empty_classes=True)


def assert_trackevals(made, wanted, when):
    ours = hota_results(made, wanted, when, TRACKING_CLASSES)
    theirs, together = trackeval_results(made, wanted, when)
    for cls, result in ours.items():
        for name, values in result.by_alpha().items():
            np.testing.assert_allclose(values, theirs[cls][name], rtol=0, atol=1e-12, err_msg=f"{cls.title} {name}")
        assert result.figures() == pytest.approx({name: float(np.mean(theirs[cls][name])) for name in FIGURES}, rel=0, abs=1e-12)
    expected = {name: float(np.mean(together[name])) for name in FIGURES}
    assert mean_figures(ours) == pytest.approx(expected, rel=0, abs=1e-12, nan_ok=True)
    return ours


@pytest.mark.parametrize("seed", range(4))
def test_every_figure_of_random_scenes_is_trackevals(seed):
    wanted, made, when = scenes(seed, objects=40)
    ours = assert_trackevals(made, wanted, when)
    assert all(0.05 < result.figures()["HOTA"] < 0.95 for result in ours.values())


def test_ties_fall_as_trackevals_do():
    wanted, made, when = scenes(4, objects=40, place=np.round, classes=[ObjectClass.CAR])
    assert_trackevals(made, wanted, when)


def test_perfect_tracks_no_tracks_and_no_truth_are_trackevals():
    wanted, _, when = scenes(5)
    nothing = wanted[np.zeros(len(wanted), bool)]
    assert_trackevals(wanted, wanted, when)
    assert_trackevals(nothing, wanted, when)
    assert_trackevals(wanted, nothing, when)
    assert_trackevals(nothing, nothing, when)
