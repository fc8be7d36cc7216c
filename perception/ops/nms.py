"""Rotated non-maximum suppression in the bird's-eye view: of boxes that overlap, the one with the best score stays.

A box is a row x, y, length, width, yaw (metres, radians counter-clockwise); overlap is the intersection over union of
the rectangles (replay.metrics.overlap).
"""
from __future__ import annotations

import numpy as np

from data_specs.arrays import Array, require_shape
from replay.metrics.overlap import intersection_m2, near_pairs


def rotated_nms(rectangles: Array, score: Array, iou_threshold: float) -> Array:
    """Rows [k] of rectangles [n, 5] to keep, best score first; a box goes if its IoU with a kept one is above the threshold.

    Equal scores keep their order.
    """
    require_shape("rectangles", rectangles, (None, 5))
    require_shape("score", score, (len(rectangles),))
    order = np.argsort(-score, kind="stable")
    boxes = np.asarray(rectangles, np.float64)[order]
    first, second = near_pairs(boxes, boxes)
    first, second = first[first < second], second[first < second]
    common_m2 = intersection_m2(boxes[first], boxes[second])
    area_m2 = boxes[:, 2] * boxes[:, 3]
    overlaps = common_m2 > iou_threshold * (area_m2[first] + area_m2[second] - common_m2)
    first, second = first[overlaps], second[overlaps]
    starts = np.searchsorted(first, np.arange(len(boxes) + 1))  # near_pairs lists them by first
    kept = np.ones(len(boxes), bool)
    for row in range(len(boxes)):
        if kept[row]:
            kept[second[starts[row]:starts[row + 1]]] = False
    return order[kept]
