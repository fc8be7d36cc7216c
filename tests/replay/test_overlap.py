import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.metrics.overlap import image_overlap, intersection_m2, near_pairs, rectangle_iou, upright_iou

rectangles = st.tuples(st.floats(-5, 5), st.floats(-5, 5), st.floats(0.2, 6), st.floats(0.2, 6), st.floats(-7, 7)).map(
    lambda row: np.array([row]))


def area(a, b):
    return intersection_m2(np.array([a], float), np.array([b], float))[0]


@pytest.mark.parametrize(("b", "want_m2"), [
    ((0, 0, 4, 2, 0), 8.0),  # itself
    ((0, 0, 2, 4, np.pi / 2), 8.0),  # itself, told otherwise
    ((0, 0, 4, 2, np.pi), 8.0),
    ((1, 0, 4, 2, 0), 6.0),  # shifted along an edge
    ((4, 0, 4, 2, 0), 0.0),  # edges touch
    ((4, 2, 4, 2, 0), 0.0),  # corners touch
    ((0, 0, 1, 1, 0.3), 1.0),  # inside
    ((0, 0, 10, 10, 0.7), 8.0),  # around
    ((0, 0, 4, 2, np.pi / 2), 4.0),  # a cross
    ((9, 9, 1, 1, 0), 0.0),
    ((0, 0, 0, 0, 0), 0.0),
])
def test_common_area_of_a_4_by_2_rectangle(b, want_m2):
    assert area((0, 0, 4, 2, 0), b) == pytest.approx(want_m2, abs=1e-8)


def test_two_squares_at_45_degrees_share_an_octagon():
    assert area((3, 4, 2, 2, 0), (3, 4, 2, 2, np.pi / 4)) == pytest.approx(8 * (np.sqrt(2) - 1), abs=1e-9)


@given(rectangles, rectangles)
def test_the_common_area_is_symmetric_bounded_and_moves_along(a, b):
    common = intersection_m2(a, b)[0]
    assert common == pytest.approx(intersection_m2(b, a)[0], abs=1e-6)
    assert -1e-9 <= common <= min(a[0, 2] * a[0, 3], b[0, 2] * b[0, 3]) + 1e-6
    shift = np.array([[1000.0, -2000.0, 0, 0, 0]])
    assert intersection_m2(a + shift, b + shift)[0] == pytest.approx(common, abs=1e-6)


@given(rectangles, rectangles)
def test_the_common_area_equals_that_of_clipping_one_polygon_by_the_other(a, b):
    assert intersection_m2(a, b)[0] == pytest.approx(clipped_area(corners(a[0]), corners(b[0])), abs=1e-6)


@given(rectangles)
def test_a_rectangle_overlaps_itself_wholly(a):
    assert rectangle_iou(a, a)[0, 0] == pytest.approx(1.0, abs=1e-9)


def test_only_pairs_that_can_overlap_are_near():
    a = np.array([[0, 0, 2, 2, 0], [50, 0, 2, 2, 0]], float)
    rows_a, rows_b = near_pairs(a, a)
    assert list(zip(rows_a, rows_b)) == [(0, 0), (1, 1)]
    assert rectangle_iou(a, a).tolist() == [[pytest.approx(1.0), 0.0], [0.0, pytest.approx(1.0)]]
    assert rectangle_iou(a, np.zeros((0, 5))).shape == (2, 0)


def test_heights_that_do_not_meet_share_no_volume():
    a = np.array([[0, 0, 2, 2, 0.0]] * 3)
    low, high = np.zeros(3), np.full(3, 2.0)
    plane, space = upright_iou(a, a, low, high, np.array([0.0, 1.0, 2.0]), np.array([2.0, 3.0, 4.0]))
    assert plane == pytest.approx([1.0, 1.0, 1.0])
    assert space == pytest.approx([1.0, 1 / 3, 0.0])


def test_image_boxes_overlap_by_union_and_by_their_own_area():
    iou, part = image_overlap(np.array([[0, 0, 2, 2], [5, 5, 6, 6.0]]), np.array([[1, 0, 3, 4.0]]))
    assert iou[:, 0] == pytest.approx([2 / 10, 0.0])
    assert part[:, 0] == pytest.approx([0.5, 0.0])


def corners(rectangle):
    x, y, length, width, yaw = rectangle
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    return [turn @ np.array([sx * length, sy * width]) / 2 + [x, y] for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1))]


def clipped_area(subject, clip):
    """Sutherland-Hodgman, the textbook way."""
    for start, end in zip(clip, clip[1:] + clip[:1]):
        edge, out = end - start, []
        side = [edge[0] * (p - start)[1] - edge[1] * (p - start)[0] for p in subject]
        for i, p in enumerate(subject):
            q, sp, sq = subject[(i + 1) % len(subject)], side[i], side[(i + 1) % len(subject)]
            if sp >= 0:
                out.append(p)
            if sp * sq < 0:
                out.append(p + (q - p) * sp / (sp - sq))
        subject = out
    if len(subject) < 3:
        return 0.0
    return sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(subject, subject[1:] + subject[:1])) / 2
