"""The loop of CLEAR MOT over the frames of one class: plain Python that numba compiles as it stands (see replay/compiled.py).

A frame first keeps the pairs of object and track that were matched last, in the order of its objects, where they are still
within reach; the rest is assigned so that the most pairs, and of those the cheapest, are matched. A pair is a switch where
its object was matched to another track before. Rows of `history` are objects of one scene.
Sources: Bernardin, Stiefelhagen 2008; what py-motmetrics 1.4 makes of it, tie for tie; the assignment is by shortest
augmenting paths as in Crouse, On implementing 2D rectangular assignment algorithms (2016), with scipy's order of columns.
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data_specs.arrays import Array

TRACK, FIRST_SEEN, LAST_SEEN, SEEN, FIRST_HIT, LAST_HIT, HITS, GAP, BREAKS, MISSED = range(10)  # columns of history
FRAMES, MATCHES, SWITCHES, MISSES, FALSE = range(5)  # counts
COLUMNS, COUNTS = 10, 5


class Frames(NamedTuple):
    """The truths and the tracked boxes of one class, frame by frame; objects and tracks are numbers of one scene each."""

    scene: Array  # i8 [frames]
    first_truth: Array  # i8 [frames + 1], rows of obj
    first_made: Array  # i8 [frames + 1], rows of track and score
    obj: Array  # i8 [truths]
    track: Array  # i8 [made]
    score: Array  # f8 [made]
    distance_m: Array  # f8 [all pairs of all frames], truth by truth
    first_pair: Array  # i8 [frames]


def follow(frames: Frames, threshold: float, reach_m: float, thin_m: Array, first_thin: Array, column: Array, history: Array,
           counts: Array, matched: Array) -> float:
    """Match the boxes that score the threshold or more; the sum of the distances of all matches, m.

    thin_m holds, from first_thin [frames] on, the distances of frames where one truth or one box is kept, in place of
    frames.distance_m. column [tracks] is -1 throughout. Fills history [objects, COLUMNS], counts [COUNTS] and matched [made].
    """
    frame, total_m = 0, 0.0
    for f in range(len(frames.scene)):
        if f == 0 or frames.scene[f] != frames.scene[f - 1]:
            frame = 0
        there = frames.obj[frames.first_truth[f]:frames.first_truth[f + 1]]
        start, made = frames.first_made[f], frames.first_made[f + 1] - frames.first_made[f]
        places = np.flatnonzero(frames.score[start:start + made] >= threshold)
        if len(there) + len(places) == 0:
            continue
        if len(there) == 1 or len(places) == 1:
            distance_m = within(thin_m, first_thin[f], np.arange(len(places)), len(there), len(places), reach_m)
        else:
            distance_m = within(frames.distance_m, frames.first_pair[f], places, len(there), made, reach_m)
        kept = places + start
        column[frames.track[kept]] = np.arange(len(kept))
        pair = keep_pairs(distance_m, there, column, history)
        column[frames.track[kept]] = -1
        held = pair >= 0
        assign_rest(distance_m, pair)
        total_m += note(distance_m, pair, held, there, kept, frames.track, frame, history, counts, matched)
        frame += 1
    return total_m


def within(table_m: Array, first: int, places: Array, rows: int, width: int, reach_m: float) -> Array:
    """Distances [rows, places] from a table of rows of a width from `first` on; NaN where they reach reach_m."""
    distance_m = np.empty((rows, len(places)))
    for i in range(rows):
        for k in range(len(places)):
            d_m = table_m[first + i * width + places[k]]
            distance_m[i, k] = d_m if d_m < reach_m else np.nan
    return distance_m


def keep_pairs(distance_m: Array, there: Array, column: Array, history: Array) -> Array:
    """The column [truths] that each object of a frame keeps from before, -1 for none."""
    pair, free = np.full(len(there), -1), np.ones(distance_m.shape[1], np.bool_)
    for i in range(len(there)):
        last = history[there[i], TRACK]
        k = column[last] if last >= 0 else -1
        if k >= 0 and free[k] and not np.isnan(distance_m[i, k]):
            pair[i] = k
            free[k] = False
    return pair


def note(distance_m: Array, pair: Array, held: Array, there: Array, kept: Array, track: Array, frame: int, history: Array,
         counts: Array, matched: Array) -> float:
    """Write down what became of the objects of a frame; the sum of the distances of its matches, m."""
    total_m, hits = 0.0, 0
    counts[FRAMES] += 1
    for i in range(len(there)):
        row, k = history[there[i]], pair[i]
        if row[SEEN] == 0:
            row[FIRST_SEEN] = frame
        row[LAST_SEEN] = frame
        row[SEEN] += 1
        if k < 0:
            counts[MISSES] += 1
            row[MISSED] = 1
            continue
        hits += 1
        total_m += distance_m[i, k]
        switched = not held[i] and row[TRACK] >= 0 and row[TRACK] != track[kept[k]]
        counts[SWITCHES if switched else MATCHES] += 1
        matched[kept[k]] = not switched
        row[TRACK] = track[kept[k]]
        note_hit(row, frame)
    counts[FALSE] += len(kept) - hits
    return total_m


def note_hit(row: Array, frame: int) -> None:
    """An object was matched: how long it had not been, and whether that broke its track."""
    if row[HITS] == 0:
        row[FIRST_HIT] = frame
        row[GAP] = frame - row[FIRST_SEEN]
    else:
        row[GAP] = max(row[GAP], frame - row[LAST_HIT] - 1)
        row[BREAKS] += row[MISSED]
    row[LAST_HIT] = frame
    row[HITS] += 1
    row[MISSED] = 0


def assign_rest(distance_m: Array, pair: Array) -> None:
    """Assign the objects [n] that have no column yet to columns [m] that no other has, NaN standing for out of reach."""
    n, m = distance_m.shape
    open_m = distance_m.copy()
    for i in range(n):
        if pair[i] >= 0:
            open_m[i, :] = np.nan
            open_m[:, pair[i]] = np.nan
    by_row, by_column, farthest_m = np.zeros(n, np.int64), np.zeros(m, np.int64), 0.0
    for i in range(n):
        for k in range(m):
            if not np.isnan(open_m[i, k]):
                by_row[i] += 1
                by_column[k] += 1
                farthest_m = max(farthest_m, open_m[i, k])
    if by_row.sum() == 0:
        return
    if by_row.max() > 1 or by_column.max() > 1:
        beyond_m = 2.0 * min(n, m) * (farthest_m + 1.0) + 1.0  # dearer than any number of pairs within reach
        columns = assign(np.where(np.isnan(open_m), beyond_m, open_m))
    else:
        columns = np.full(n, -1)
        for i in range(n):
            for k in range(m):
                if not np.isnan(open_m[i, k]):
                    columns[i] = k
    for i in range(n):
        if columns[i] >= 0 and not np.isnan(open_m[i, columns[i]]):
            pair[i] = columns[i]


def assign(cost: Array) -> Array:
    """The column of each row [n] in the cheapest assignment of costs [n, m]; -1 where there are more rows than columns."""
    n, m = cost.shape
    if n <= m:
        return assign_rows(cost)
    column = np.full(n, -1)
    row = assign_rows(cost.T.copy())
    for k in range(m):
        column[row[k]] = k
    return column


def assign_rows(cost: Array) -> Array:
    """assign where there are no more rows than columns."""
    n, m = cost.shape
    row_price, column_price = np.zeros(n), np.zeros(m)
    column_of, row_of, came_from = np.full(n, -1), np.full(m, -1), np.full(m, -1)
    for start in range(n):
        way, in_rows, in_columns = np.full(m, np.inf), np.zeros(n, np.bool_), np.zeros(m, np.bool_)
        sink, length = shortest_way(cost, start, row_price, column_price, row_of, came_from, way, in_rows, in_columns)
        row_price[start] += length
        for i in range(n):
            if in_rows[i] and i != start:
                row_price[i] += length - way[column_of[i]]
        for k in range(m):
            if in_columns[k]:
                column_price[k] -= length - way[k]
        k, i = sink, -1
        while i != start:
            i = came_from[k]
            row_of[k] = i
            k, column_of[i] = column_of[i], k
    return column_of


def shortest_way(cost: Array, start: int, row_price: Array, column_price: Array, row_of: Array, came_from: Array, way: Array,
                 in_rows: Array, in_columns: Array) -> tuple[int, float]:
    """The free column that is nearest to a row over the assignment so far, and how far; of equals a free one is preferred."""
    left = np.arange(len(way))[::-1].copy()
    count, length, i = len(way), 0.0, start
    while True:
        in_rows[i] = True
        place, least = -1, np.inf
        for p in range(count):
            k = left[p]
            through = length + cost[i, k] - row_price[i] - column_price[k]
            if through < way[k]:
                came_from[k] = i
                way[k] = through
            if way[k] < least or (way[k] == least and row_of[k] == -1):
                place, least = p, way[k]
        length, k = float(least), left[place]
        in_columns[k] = True
        count -= 1
        left[place] = left[count]
        if row_of[k] == -1:
            return k, length
        i = row_of[k]
