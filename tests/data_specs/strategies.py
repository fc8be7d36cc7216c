"""Random poses and boxes for property tests."""
from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from data_specs.boxes import Boxes3D
from data_specs.objects import ObjectClass, ObjectList
from data_specs.pose import SE3

vectors = arrays(np.float64, 3, elements=st.floats(-1e3, 1e3))
yaws = st.floats(-np.pi, np.pi)


def poses(dst: str, src: str) -> st.SearchStrategy[SE3]:
    return st.builds(lambda turn, shift: SE3(dst, src, Rotation.from_rotvec(turn).as_matrix(), shift), vectors, vectors)


def level_poses(dst: str, src: str) -> st.SearchStrategy[SE3]:
    return st.builds(lambda yaw, shift: SE3.from_yaw(dst, src, yaw, shift), yaws, vectors)


def random_objects(n: int, frame: str = "map", seed: int = 0) -> ObjectList:
    """n objects with every field measured; covariances are symmetric and positive."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, 6, 6))
    boxes = Boxes3D(frame, rng.normal(0, 30, (n, 3)), rng.uniform(0.3, 9, (n, 3)), rng.uniform(-3, 3, n))
    return ObjectList.build(
        boxes, "test", rng.integers(0, 2**60, n), rng.integers(0, len(ObjectClass), n), score=rng.uniform(0, 1, n),
        existence=rng.uniform(0, 1, n).astype(np.float32), velocity_mps=rng.normal(0, 10, (n, 2)),
        yaw_rate_radps=rng.normal(0, 1, n), covariance=root @ root.transpose(0, 2, 1), size_sigma_m=rng.uniform(0, 1, (n, 3)),
        track_id=rng.integers(-1, 1000, n))
