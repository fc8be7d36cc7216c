"""Objects of a CPM v2.1.1 from the flat array into arrays: plain Python that numba compiles as it stands.

The fast twin of `cpm_v211_decode._row`, `rows.object_list` and `uncertainty.covariances`, which say what is meant. What lies
where in the flat array is told in `program`; `noted` holds rows OBJECT and CLASS of the columns numbered here.
"""
from __future__ import annotations

import math

from v2x.codecs.program import NUMBER_BITS

MESSAGE, OBJECT, CLASS, SENSOR, REGION = 0, 1, 2, 3, 4  # numbers of the rows
COLUMNS = (7, 14, 3, 3, 2)  # of each
# Columns of OBJECT. A sequence with presence bits starts with them.
(OBJECT_ID, DELTA_TIME, POSITION, Z, POLAR, CARTESIAN, ANGLES, YAW_RATE, MATRICES, LENGTH, WIDTH, HEIGHT, QUALITY,
 CLASSES) = range(14)
CHOICE, CONFIDENCE, PROFILES = 0, 1, 2  # columns of CLASS
LABELS_OF_A_CHOICE = 16
SIGMAS_95 = 1.959963984540054  # as in `uncertainty`
NS_PER_MS = 1_000_000
CENTI, DECI, TENTH_DEGREE = 0.01, 0.1, math.pi / 1800
NAN, TURN = math.nan, 2 * math.pi
STATES = 6  # x, y, z, yaw, vx, vy
DISTANT = 1e-9  # least eigenvalue of a possible correlation


def fill(values, noted, side, labels, states, begin, reference_ns, times, triples, singles, label, track_id, existence,
         velocity, covariance, work):
    """Fill one row of each array for each object behind place `begin` of the flat array.

    times [n] ns; triples [3, n, 3]: centre, size and its deviations, m; singles [3, n]: yaw, yaw rate (rad), score;
    velocity [n, 2] m/s; covariance [n, 6, 6]. labels [64] of class choices, states [13] of matrix components,
    work [3, 6, 6]. Gives the number of rows filled.
    """
    at, row, best, counts = 0, -1, -1, False
    while at < len(noted):
        kind, columns = noted[at], at + 1
        if kind == OBJECT:
            counts = noted[columns + DELTA_TIME] > begin
            if counts:
                row += 1
                best = -1
                fill_object(values, noted, columns, reference_ns, row, times, triples, singles, track_id, existence)
                sigma = work[2, 0]
                polar = fill_sigma(values, noted, columns, sigma, velocity[row])
                fill_correlation(values, side, noted[columns + MATRICES], states, work)
                fill_covariance(sigma, velocity[row], polar, work, covariance[row])
                label[row] = 0
        elif kind == CLASS and counts:
            confidence = values[noted[columns + CONFIDENCE]]
            if confidence % 101 > best:
                best = confidence % 101
                singles[2, row] = 1.0 if confidence == 101 else confidence / 100
                label[row] = label_of(values, noted[columns + CHOICE], noted[columns + PROFILES], labels)
        at += 1 + COLUMNS[kind]
    return row + 1


def sigma_of(confidence, highest, unit):
    """Standard deviation of a coded confidence; NaN outside of 1..highest."""
    return confidence * unit / SIGMAS_95 if 1 <= confidence <= highest else NAN


def fill_object(values, noted, at, reference_ns, row, times, triples, singles, track_id, existence):
    """What stands alone: time, place, size, yaw and its rate, identity, existence."""
    times[row] = reference_ns + values[noted[at + DELTA_TIME]] * NS_PER_MS
    place = noted[at + POSITION]
    triples[0, row, 0], triples[0, row, 1] = values[place + 1] * CENTI, values[place + 3] * CENTI
    triples[0, row, 2] = values[noted[at + Z]] * CENTI if noted[at + Z] >= 0 else 0.0
    for axis in range(3):
        place = noted[at + LENGTH + axis]
        triples[1, row, axis], triples[2, row, axis] = 0.0, NAN
        if place >= 0 and values[place] < 256:
            triples[1, row, axis] = values[place] / 10
            if values[place] < 255:
                triples[2, row, axis] = sigma_of(values[place + 1], 30, DECI)
    place = noted[at + ANGLES]
    yaw = values[place + 1] * TENTH_DEGREE if place >= 0 and values[place + 1] <= 3600 else 0.0
    singles[0, row] = (yaw + math.pi) % TURN - math.pi
    place = noted[at + YAW_RATE]
    known = place >= 0 and -255 < values[place] < 255
    singles[1, row] = math.radians(values[place]) if known else NAN
    singles[2, row] = 1.0
    track_id[row] = values[noted[at + OBJECT_ID]] if noted[at + OBJECT_ID] >= 0 else -1
    quality = values[noted[at + QUALITY]] if noted[at + QUALITY] >= 0 else 0
    existence[row] = quality / 15 if quality else 1.0


def fill_sigma(values, noted, at, sigma, velocity):
    """Standard deviations as coded and the velocity; whether they are of speed and direction."""
    place = noted[at + POSITION]
    sigma[0] = coordinate_sigma(values, place + 1)
    sigma[1] = coordinate_sigma(values, place + 3)
    sigma[2] = coordinate_sigma(values, noted[at + Z]) if noted[at + Z] >= 0 else NAN
    place = noted[at + ANGLES]
    sigma[3] = sigma_of(values[place + 2], 125, TENTH_DEGREE) if place >= 0 and values[place + 1] <= 3600 else NAN
    velocity[0] = velocity[1] = sigma[4] = sigma[5] = NAN
    polar = noted[at + POLAR] >= 0
    place = max(noted[at + POLAR], noted[at + CARTESIAN])
    if place < 0:
        return polar
    first, second = values[place + 1], values[place + 3]
    if polar and first <= 16_381 and second <= 3600:
        velocity[0], velocity[1] = first * CENTI, second * TENTH_DEGREE
        sigma[5] = sigma_of(values[place + 4], 125, TENTH_DEGREE)
    elif not polar and -16_383 < first < 16_382 and -16_383 < second < 16_382:
        velocity[0], velocity[1] = first * CENTI, second * CENTI
        sigma[5] = sigma_of(values[place + 4], 125, CENTI)
    else:
        return polar
    sigma[4] = sigma_of(values[place + 2], 125, CENTI)
    return polar


def coordinate_sigma(values, place):
    """Standard deviation of a coordinate; NaN where it is out of range."""
    return sigma_of(values[place + 1], 4094, CENTI) if -131_072 < values[place] < 131_071 else NAN


def fill_correlation(values, side, at, states, work):
    """work[0]: the correlations that the matrices at a place of the flat array say, where they are possible together."""
    correlation = work[0]
    for i in range(STATES):
        for j in range(STATES):
            correlation[i, j] = 1.0 if i == j else 0.0
    if at < 0:
        return
    matrices = values[at]
    at += 1
    for _ in range(matrices):
        size, bits, columns = values[at], values[at + 1], values[at + 2]
        at += 3
        first = -1
        for _ in range(columns):
            first = next_component(size, bits, side, first)
            second = first
            for cell in range(at + 1, at + 1 + values[at]):
                second = next_component(size, bits, side, second)
                if max(first, second) < len(states) and states[first] >= 0 and states[second] >= 0 and values[cell] <= 100:
                    correlation[states[first], states[second]] = values[cell] / 100
                    correlation[states[second], states[first]] = values[cell] / 100
            at += 1 + values[at]
    if not is_possible(correlation, work[1]):
        for i in range(STATES):
            for j in range(STATES):
                correlation[i, j] = 1.0 if i == j else 0.0


def next_component(size, bits, side, after):
    """The first bit set behind another one."""
    place = after + 1
    while place < size:
        if size > NUMBER_BITS:
            there = side[bits + (place >> 3)] >> (7 - (place & 7)) & 1
        else:
            there = bits >> (size - 1 - place) & 1
        if there:
            return place
        place += 1
    return place


def is_possible(correlation, factor):
    """Whether every eigenvalue is above DISTANT: whether what is left of the matrix without it has a Cholesky factor."""
    for i in range(STATES):
        for j in range(i + 1):
            left = correlation[i, j] - (DISTANT if i == j else 0.0)
            for k in range(j):
                left -= factor[i, k] * factor[j, k]
            if i == j:
                if not left > 0.0:
                    return False
                factor[i, i] = math.sqrt(left)
            else:
                factor[i, j] = left / factor[j, j]
    return True


def fill_covariance(sigma, velocity, polar, work, covariance):
    """Covariance of x, y, z, yaw, vx, vy, NaN where it is unmeasured; speed and direction become velocities (first order)."""
    if polar and (math.isnan(sigma[4]) or math.isnan(sigma[5])):
        sigma[4] = sigma[5] = NAN
    correlation = work[0]
    for i in range(STATES):
        for j in range(STATES):
            covariance[i, j] = correlation[i, j] * sigma[i] * sigma[j]
    if not polar:
        return
    speed, direction = velocity[0], velocity[1]
    c, s = math.cos(direction), math.sin(direction)
    velocity[0], velocity[1] = speed * c, speed * s
    if math.isnan(sigma[4]):
        return
    for i in range(STATES):
        along, across = covariance[i, 4], covariance[i, 5]
        covariance[i, 4], covariance[i, 5] = c * along - speed * s * across, s * along + speed * c * across
    for j in range(STATES):
        along, across = covariance[4, j], covariance[5, j]
        covariance[4, j], covariance[5, j] = c * along - speed * s * across, s * along + speed * c * across


def label_of(values, choice, profiles, labels):
    """The label of a class choice; unknown choices have none."""
    picked = values[choice]
    if picked == 0:
        value = values[choice + 1]
    elif picked == 1:
        value = min(values[choice + 1], 4)
    elif picked == 2:
        value = values[profiles] if profiles >= 0 else 0
    elif picked == 3:
        value = min(values[choice + 1], 1)
    else:
        return 0
    return labels[LABELS_OF_A_CHOICE * picked + value]
