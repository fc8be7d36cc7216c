"""Small drives for the tests of scores over drives: objects of one size on a plane, seen by the LiDAR unless said otherwise."""
from dataclasses import replace

import numpy as np

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList, Truth
from replay.metrics.perception_scores import ScoredDrive

CAR = ObjectClass.CAR


def objects(xy_m, score=None, label=CAR, covariance=None, velocity_mps=(0.0, 0.0)):
    n = len(xy_m)
    center_m = np.column_stack([np.reshape(np.array(xy_m, float), (n, 2)), np.zeros(n)])
    boxes = Boxes3D("ego", center_m, np.tile([4.0, 2.0, 1.5], (n, 1)), np.zeros(n))
    return ObjectList.build(
        boxes, "test", 0, np.broadcast_to(np.array(label, np.uint8), n), score=None if score is None else np.array(score),
        velocity_mps=np.tile(velocity_mps, (n, 1)), covariance=None if covariance is None else np.tile(covariance, (n, 1, 1)))


def truth(xy_m, label=CAR, points=9, pixels=900):
    n = len(xy_m)
    return Truth.build(objects(xy_m, label=label), points_in_box=np.broadcast_to(points, n),
                       pixels_visible=np.broadcast_to(pixels, n), attribute=["vehicle.parked"] * n)


def drive(*moments, name="d"):
    """A drive of (objects found, truth) pairs, with the ego at the origin."""
    found, truths = zip(*moments)
    return ScoredDrive(name, found, truths, np.zeros((len(moments), 2)))


def random_drive(rng, name, classes, moments=6):
    """Objects of the classes, most of them found a little off, beside false ones; no score is met twice."""
    pairs = []
    for _ in range(moments):
        n, false = int(rng.integers(2, 12)), int(rng.integers(0, 5))
        label = rng.choice([int(cls) for cls in classes], n + false).astype(np.uint8)
        xy_m = rng.uniform(-39, 39, (n + false, 2))
        there = truth(xy_m[:n], label[:n], rng.integers(0, 3, n), rng.integers(0, 60, n))
        found = objects(xy_m + rng.normal(0, 0.5, xy_m.shape), rng.uniform(0.05, 1, n + false), label)
        pairs.append((found[rng.uniform(size=n + false) < 0.8], there))
    return drive(*pairs, name=name)


def joined(drives):
    """All moments as one drive."""
    return replace(drives[0], found=sum((one.found for one in drives), ()), truths=sum((one.truths for one in drives), ()),
                   ego_m=np.concatenate([one.ego_m for one in drives]))
