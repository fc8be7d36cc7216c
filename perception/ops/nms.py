"""Rotated non-maximum suppression in the bird's-eye view: of boxes that overlap, the one with the best score stays.

A box is a row x, y, length, width, yaw (metres, radians counter-clockwise); overlap is the intersection over union of the
rectangles, as replay.metrics.overlap has it, found by cutting one rectangle with the other's edges (Sutherland & Hodgman, 1974).
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array, require_shape
from perception.ops.cells_cpu import kernel

CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]], dtype=np.float64) / 2  # counter-clockwise
MOST_CORNERS = 8  # of what two rectangles have in common


def rotated_nms(rectangles: Array, score: Array, iou_threshold: float) -> Array:
    """Rows [k] of rectangles [n, 5] to keep, best score first; a box goes if its IoU with a kept one is above the threshold.

    Equal scores keep their order.
    """
    require_shape("rectangles", rectangles, (None, 5))
    require_shape("score", score, (len(rectangles),))
    order = np.argsort(-score, kind="stable")
    kept = np.ones(len(order), np.bool_)
    drop_overlapping(np.ascontiguousarray(rectangles[order], np.float64), float(iou_threshold), kept)
    return order[kept]


@kernel
def drop_overlapping(boxes, threshold, kept):
    """Set kept bool[n] to False where a box of [n, 5], best first, overlaps a kept one before it."""
    corners = np.empty((len(boxes), 4, 2))
    for i in range(len(boxes)):
        cos, sin = np.cos(boxes[i, 4]), np.sin(boxes[i, 4])
        for corner in range(4):
            along, across = CORNERS[corner, 0] * boxes[i, 2], CORNERS[corner, 1] * boxes[i, 3]
            corners[i, corner, 0] = boxes[i, 0] + cos * along - sin * across
            corners[i, corner, 1] = boxes[i, 1] + sin * along + cos * across
    scratch = np.empty((2, 2 * MOST_CORNERS, 2))
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes) if kept[i] else 0):
            reach_m = (np.hypot(boxes[i, 2], boxes[i, 3]) + np.hypot(boxes[j, 2], boxes[j, 3])) / 2
            if kept[j] and np.hypot(boxes[i, 0] - boxes[j, 0], boxes[i, 1] - boxes[j, 1]) <= reach_m:
                common_m2 = common_area(corners[i], corners[j], scratch)
                either_m2 = boxes[i, 2] * boxes[i, 3] + boxes[j, 2] * boxes[j, 3] - common_m2
                kept[j] = not common_m2 > threshold * either_m2


@kernel
def common_area(a, b, scratch):
    """Area of what the counter-clockwise rectangles [4, 2] have in common; scratch [2, 16, 2] is written over."""
    count, now = 4, 0
    scratch[0, :4] = a - b[0]  # near the pair, so that no digits are lost to its distance
    for edge in range(4):
        start, end = b[edge] - b[0], b[(edge + 1) % 4] - b[0]
        count = cut(scratch[now], count, start, end, scratch[1 - now])
        now = 1 - now
    area = 0.0
    for i in range(count):
        p, q = scratch[now, i], scratch[now, (i + 1) % count]
        area += (p[0] * q[1] - p[1] * q[0]) / 2
    return max(area, 0.0)


@kernel
def cut(polygon, count, start, end, out):
    """The part of a convex polygon's `count` corners that lies left of the line through two points, into out; its corners."""
    made = 0
    for i in range(count):
        p, q = polygon[i], polygon[(i + 1) % count]
        of_p = (end[0] - start[0]) * (p[1] - start[1]) - (end[1] - start[1]) * (p[0] - start[0])
        of_q = (end[0] - start[0]) * (q[1] - start[1]) - (end[1] - start[1]) * (q[0] - start[0])
        if of_p >= 0:
            out[made] = p
            made += 1
        if (of_p >= 0) != (of_q >= 0):
            out[made] = p + (q - p) * (of_p / (of_p - of_q))
            made += 1
    return made
