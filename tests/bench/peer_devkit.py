"""The peers of the metrics benchmark: nuscenes-devkit and TrackEval. Runs in .venv-devkit, knows nothing of us.

Argument: a folder with job.json {"what": "detection" | "json" | "tracking" | "hota"} and the arrays of that job. Standard output:
{"cpu_s", "peak_mb", "version", "figures"}: processor seconds from objects in memory to figures (of "json": from the file to
objects in memory), the most memory that the process held, and the figures that ours must equal.
"""
from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np


def main() -> None:
    warnings.filterwarnings("ignore")
    folder = Path(sys.argv[1])
    what = json.loads((folder / "job.json").read_text())["what"]
    package = "trackeval" if what == "hota" else "nuscenes-devkit"
    cpu_s, figures = {"detection": detection, "json": read_json, "tracking": tracking, "hota": hota}[what](folder)
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb(),
                      "version": f"{package} {version(package)}", "figures": figures}))


def peak_mb():
    """The most memory that this process held, MB; getrusage would count what its parent held too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def detection(folder):
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.detection.evaluate import DetectionEval

    judge = object.__new__(DetectionEval)
    judge.cfg, judge.verbose = config_factory("detection_cvpr_2019"), False
    judge.gt_boxes, judge.pred_boxes = (detection_boxes(np.load(folder / f"{name}.npz")) for name in ("truths", "predictions"))
    started = time.process_time()
    metrics, _ = judge.evaluate()
    return time.process_time() - started, [metrics.mean_ap, metrics.nd_score, *metrics.tp_errors.values()]


def detection_boxes(arrays):
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    columns = {name: arrays[name].tolist() for name in arrays.files}
    boxes = EvalBoxes()
    rows = zip(*(columns[name] for name in ("sample", "center_m", "size_wlh_m", "rotation", "velocity_mps", "name", "score",
                                            "attribute")))
    made = {str(k): [] for k in range(columns["samples"])}
    for sample, center_m, size_m, rotation, velocity_mps, name, score, attribute in rows:
        made[str(sample)].append(DetectionBox(
            sample_token=str(sample), translation=tuple(center_m), size=tuple(size_m), rotation=tuple(rotation),
            velocity=tuple(velocity_mps), detection_name=name, detection_score=score, attribute_name=attribute))
    for token, of_sample in made.items():
        boxes.add_boxes(token, of_sample)
    return boxes


def read_json(folder):
    from nuscenes.eval.common.data_classes import EvalBoxes
    from nuscenes.eval.detection.data_classes import DetectionBox

    started = time.process_time()
    boxes = EvalBoxes.deserialize(json.loads((folder / "results.json").read_text())["results"], DetectionBox)
    return time.process_time() - started, [len(boxes.all)]


def tracking(folder):
    from nuscenes.eval.common.config import config_factory
    from nuscenes.eval.tracking import loaders
    from nuscenes.eval.tracking.data_classes import TrackingBox
    from nuscenes.eval.tracking.evaluate import TrackingEval

    arrays = {name: np.load(folder / f"{name}.npz") for name in ("truths", "predictions", "times")}
    scene, time_ns = (arrays["times"][name].tolist() for name in ("scene", "time_ns"))
    judge = object.__new__(TrackingEval)
    judge.cfg, judge.verbose, judge.output_dir, judge.render_classes = config_factory("tracking_nips_2019"), False, "", []
    tracks = []
    for name in ("truths", "predictions"):
        columns = {key: arrays[name][key].tolist() for key in arrays[name].files}
        made = {s: {} for s in sorted(set(scene))}
        for s, stamp in zip(scene, time_ns):
            made[s][stamp // 1000] = []
        for sample, xy_m, cls, score, number in zip(*(columns[key] for key in ("sample", "xy_m", "name", "score", "track_id"))):
            made[scene[sample]][time_ns[sample] // 1000].append(TrackingBox(
                sample_token=str(sample), translation=(*xy_m, 0.0), size=(1.0, 1.0, 1.0), rotation=(1.0, 0.0, 0.0, 0.0),
                velocity=(0.0, 0.0), tracking_id=str(number), tracking_name=cls, tracking_score=score))
        tracks.append(made)
    started = time.process_time()
    score_by_track(tracks[1])
    judge.tracks_gt, judge.tracks_pred = ({scene: loaders.interpolate_tracks(frames) for scene, frames in made.items()}
                                          for made in tracks)
    metrics, _ = judge.evaluate()
    cpu_s = time.process_time() - started
    return cpu_s, [metrics.compute_metric(name) for name in metrics.metric_names]


def score_by_track(scenes):
    """Give every box the mean score of its track, as the devkit's loader does while it reads its tables."""
    for frames in scenes.values():
        scores = {}
        for boxes in frames.values():
            for box in boxes:
                scores.setdefault(box.tracking_id, []).append(box.tracking_score)
        mean = {number: np.mean(said) for number, said in scores.items()}
        for boxes in frames.values():
            for box in boxes:
                box.tracking_score = mean[box.tracking_id]


def hota(folder):
    from trackeval.metrics import HOTA

    arrays = {name: np.load(folder / f"{name}.npz") for name in ("truths", "predictions", "times")}
    scene = arrays["times"]["scene"]
    started = time.process_time()
    metric, results = HOTA(), {}
    for cls in sorted(set(arrays["truths"]["name"].tolist()) | set(arrays["predictions"]["name"].tolist())):
        sides = [{key: arrays[name][key][arrays[name]["name"] == cls] for key in ("sample", "xy_m", "track_id")}
                 for name in ("truths", "predictions")]
        results[cls] = metric.combine_sequences({str(s): metric.eval_sequence(sequence(sides, np.flatnonzero(scene == s)))
                                                 for s in np.unique(scene)})
    together = metric.combine_classes_class_averaged(results, ignore_empty_classes=True)
    cpu_s = time.process_time() - started
    return cpu_s, [float(np.mean(together[name])) for name in metric.summary_fields]


def sequence(sides, samples):
    """What TrackEval wants of one scene, with its own similarity of points: 1 - distance / 2 m, not below 0."""
    rows = [np.isin(side["sample"], samples) for side in sides]
    ids = [np.unique(side["track_id"][of], return_inverse=True)[1] for side, of in zip(sides, rows)]
    places = [[np.flatnonzero(side["sample"][of] == k) for k in samples] for side, of in zip(sides, rows)]
    xy_m = [side["xy_m"][of] for side, of in zip(sides, rows)]
    return {
        "gt_ids": [ids[0][at] for at in places[0]], "tracker_ids": [ids[1][at] for at in places[1]],
        "similarity_scores": [np.maximum(0, 1 - np.linalg.norm(xy_m[0][a][:, None] - xy_m[1][b][None], axis=2) / 2.0)
                              for a, b in zip(*places)],
        "num_gt_dets": len(ids[0]), "num_tracker_dets": len(ids[1]), "num_gt_ids": len(set(ids[0].tolist())),
        "num_tracker_ids": len(set(ids[1].tolist()))}


if __name__ == "__main__":
    main()
