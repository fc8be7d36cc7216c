import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from perception.ops.nms import rotated_nms
from replay.metrics.overlap import rectangle_iou

scenes = st.integers(0, 25).flatmap(lambda n: st.tuples(
    arrays(np.float64, (n, 5), elements=st.floats(0.5, 6.0)), arrays(np.float64, n, elements=st.floats(0, 1))))


@given(scenes, st.sampled_from([0.01, 0.3, 0.7]))
def test_kept_boxes_do_not_overlap_and_every_other_one_overlaps_a_better_kept_one(scene, threshold):
    boxes, score = scene
    kept = rotated_nms(boxes, score, threshold)
    assert (np.diff(score[kept]) <= 0).all()
    iou = rectangle_iou(boxes, boxes)
    assert (iou[np.ix_(kept, kept)] - np.eye(len(kept)) <= threshold + 1e-9).all()
    for row in set(range(len(boxes))) - set(kept.tolist()):
        assert any(iou[row, k] > threshold - 1e-9 and score[k] >= score[row] for k in kept)


def test_of_three_boxes_in_a_row_the_middle_one_goes():
    boxes = np.array([[0, 0, 4, 2, 0], [2, 0, 4, 2, 0], [4.5, 0, 4, 2, 0]], float)
    assert rotated_nms(boxes, np.array([0.9, 0.8, 0.7]), 0.2).tolist() == [0, 2]
    assert rotated_nms(boxes, np.array([0.7, 0.8, 0.9]), 0.5).tolist() == [2, 1, 0]


def test_equal_scores_keep_the_first():
    boxes = np.array([[0, 0, 4, 2, 0.0]] * 2)
    assert rotated_nms(boxes, np.array([0.5, 0.5]), 0.5).tolist() == [0]


def test_no_boxes_give_no_rows():
    assert rotated_nms(np.zeros((0, 5)), np.zeros(0), 0.5).tolist() == []
