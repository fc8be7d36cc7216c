"""How far boxes overlap: rectangles turned in the plane, upright boxes in space, and upright rectangles in an image.

A rectangle of the plane is a row x, y, length, width, yaw (metres, radians counter-clockwise, length along the yaw).
All functions are over pairs: row i of one argument against row i of the other. An overlap with a box of no area is 0.
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array, require_shape

_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float64) / 2  # counter-clockwise
_SLACK = 1e-9  # of an edge's length: corners that touch an edge count as inside, else equal boxes would lose theirs


def near_pairs(rectangles_a: Array, rectangles_b: Array) -> tuple[Array, Array]:
    """Row numbers [k], [k] of all pairs of a [n, 5] and b [m, 5] whose circumscribed circles meet: no other pair overlaps."""
    require_shape("rectangles_a", rectangles_a, (None, 5))
    require_shape("rectangles_b", rectangles_b, (None, 5))
    offset_m = rectangles_a[:, None, :2] - rectangles_b[None, :, :2]
    reach_m = np.hypot(rectangles_a[:, 2], rectangles_a[:, 3])[:, None] + np.hypot(rectangles_b[:, 2], rectangles_b[:, 3])[None]
    rows_a, rows_b = np.nonzero(np.hypot(offset_m[..., 0], offset_m[..., 1]) <= reach_m / 2)
    return rows_a, rows_b


def intersection_m2(rectangles_a: Array, rectangles_b: Array) -> Array:
    """Area [k] common to rectangles [k, 5] and [k, 5], square metres.

    The corners of the common polygon are the corners of each that lie in the other and the crossings of their edges;
    sorted by direction from their middle they give its area (shoelace formula).
    """
    require_shape("rectangles_a", rectangles_a, (None, 5))
    require_shape("rectangles_b", rectangles_b, (len(rectangles_a), 5))
    if not len(rectangles_a):
        return np.zeros(0)
    origin_m = rectangles_a[:, None, :2]  # near the pair, so that no digits are lost to its distance
    a, b = _corners_m(rectangles_a) - origin_m, _corners_m(rectangles_b) - origin_m
    crossings, crossed = _edge_crossings(a, b)
    points = np.concatenate([a, b, crossings], axis=1)
    valid = np.concatenate([_inside(a, b), _inside(b, a), crossed], axis=1)
    smaller_m2 = np.minimum(rectangles_a[:, 2] * rectangles_a[:, 3], rectangles_b[:, 2] * rectangles_b[:, 3])
    return np.minimum(_convex_area(points, valid), smaller_m2)  # a rectangle without area counts every corner as inside it


def rectangle_iou(rectangles_a: Array, rectangles_b: Array) -> Array:
    """Intersection over union [n, m] of rectangles [n, 5] and [m, 5], 0 to 1."""
    rows_a, rows_b = near_pairs(rectangles_a, rectangles_b)
    common_m2 = intersection_m2(rectangles_a[rows_a], rectangles_b[rows_b])
    areas_a, areas_b = rectangles_a[:, 2] * rectangles_a[:, 3], rectangles_b[:, 2] * rectangles_b[:, 3]
    iou = np.zeros((len(rectangles_a), len(rectangles_b)))
    iou[rows_a, rows_b] = _ratio(common_m2, areas_a[rows_a] + areas_b[rows_b] - common_m2)
    return iou


def upright_iou(rectangles_a: Array, rectangles_b: Array, low_a_m: Array, high_a_m: Array, low_b_m: Array,
                high_b_m: Array) -> tuple[Array, Array]:
    """Intersection over union of pairs, in the plane [k] and in space [k]; low and high are the boxes' heights [k]."""
    common_m2 = intersection_m2(rectangles_a, rectangles_b)
    areas_a, areas_b = rectangles_a[:, 2] * rectangles_a[:, 3], rectangles_b[:, 2] * rectangles_b[:, 3]
    plane = _ratio(common_m2, areas_a + areas_b - common_m2)
    common_m3 = common_m2 * np.clip(np.minimum(high_a_m, high_b_m) - np.maximum(low_a_m, low_b_m), 0.0, None)
    volumes = areas_a * (high_a_m - low_a_m) + areas_b * (high_b_m - low_b_m)
    return plane, _ratio(common_m3, volumes - common_m3)


def image_overlap(boxes_a_px: Array, boxes_b_px: Array) -> tuple[Array, Array]:
    """Intersection over union, and over the area of a, both [n, m]; boxes are left, top, right, bottom [n, 4] and [m, 4]."""
    require_shape("boxes_a_px", boxes_a_px, (None, 4))
    require_shape("boxes_b_px", boxes_b_px, (None, 4))
    a, b = boxes_a_px[:, None], boxes_b_px[None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    common = np.clip(width, 0.0, None) * np.clip(height, 0.0, None)
    area_a = (a[..., 2] - a[..., 0]) * (a[..., 3] - a[..., 1])
    area_b = (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return _ratio(common, area_a + area_b - common), _ratio(common, area_a + np.zeros_like(area_b))


def _corners_m(rectangles: Array) -> Array:
    """Corners [k, 4, 2], counter-clockwise."""
    scaled = _CORNERS * rectangles[:, None, 2:4]
    c, s = np.cos(rectangles[:, 4, None]), np.sin(rectangles[:, 4, None])
    x, y = scaled[..., 0], scaled[..., 1]
    return np.stack([c * x - s * y, s * x + c * y], axis=-1) + rectangles[:, None, :2]


def _cross(u: Array, v: Array) -> Array:
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _inside(corners: Array, of: Array) -> Array:
    """Mask [k, 4]: which corners lie in or on the counter-clockwise polygons `of` [k, 4, 2]."""
    edges = np.roll(of, -1, axis=1) - of
    length = np.hypot(edges[..., 0], edges[..., 1])
    left_of = _cross(edges[:, None], corners[:, :, None] - of[:, None])  # [k, corner, edge]
    slack = _SLACK * np.maximum(length, 1.0) * np.maximum(length, _SLACK)
    return np.all(left_of >= -slack[:, None], axis=2)


def _edge_crossings(a: Array, b: Array) -> tuple[Array, Array]:
    """Points [k, 16, 2] where an edge of a crosses one of b, and the mask [k, 16] of those that do; parallel edges do not."""
    along_a, along_b = (np.roll(a, -1, axis=1) - a)[:, :, None], (np.roll(b, -1, axis=1) - b)[:, None]
    between = b[:, None] - a[:, :, None]
    turn = _cross(along_a, along_b)
    parallel = np.abs(turn) < 1e-12
    safe = np.where(parallel, 1.0, turn)
    at_a, at_b = _cross(between, along_b) / safe, _cross(between, along_a) / safe
    crossed = ~parallel & (at_a >= 0) & (at_a <= 1) & (at_b >= 0) & (at_b <= 1)
    points = a[:, :, None] + np.where(crossed, at_a, 0.0)[..., None] * along_a
    return points.reshape(len(a), 16, 2), crossed.reshape(len(a), 16)


def _convex_area(points: Array, valid: Array) -> Array:
    """Area [k] of the convex polygons whose corners, in any order and perhaps repeated, are the valid ones of [k, c, 2]."""
    count = valid.sum(axis=1)
    middle = (points * valid[..., None]).sum(axis=1) / np.maximum(count, 1)[:, None]
    spokes = np.where(valid[..., None], points - middle[:, None], 0.0)
    direction = np.where(valid, np.arctan2(spokes[..., 1], spokes[..., 0]), np.inf)
    order = np.argsort(direction, axis=1)
    ordered = np.take_along_axis(spokes, order[..., None], axis=1)
    # What is not valid comes last: repeating the first corner there adds nothing to the sum.
    ordered = np.where((np.arange(points.shape[1]) < count[:, None])[..., None], ordered, ordered[:, :1])
    area = _cross(ordered, np.roll(ordered, -1, axis=1)).sum(axis=1) / 2
    return np.where(count >= 3, np.maximum(area, 0.0), 0.0)


def _ratio(part: Array, whole: Array) -> Array:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)
