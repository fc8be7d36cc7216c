from dataclasses import replace

import numpy as np
import pytest

from data_specs.objects import ObjectClass
from tests.v2x.scene import START_NS, objects_at
from v2x.observation import ROADSIDE, UNMEASURED_VARIANCE, VEHICLE, observe, with_more_common


def doubts(objects, model=ROADSIDE):
    return np.sqrt(np.diagonal(observe(objects, START_NS, "s", model).estimate.independent, axis1=1, axis2=2))


def test_a_silent_source_gets_the_usual_errors_longer_along_a_long_object():
    [sigma] = doubts(objects_at("map", "s", START_NS, [[0.0, 0.0]]))
    assert ROADSIDE.position_m < sigma[1] < sigma[0] < 1.0
    assert sigma[4] > 100.0  # nobody said how fast


def test_what_a_source_says_is_taken_and_what_it_leaves_out_is_unmeasured():
    [sigma] = doubts(objects_at("map", "s", START_NS, [[0.0, 0.0]], sigma_m=0.7))
    np.testing.assert_allclose(sigma[:2], np.hypot(0.7, ROADSIDE.least_m))
    assert sigma[3] ** 2 >= UNMEASURED_VARIANCE and sigma[2] < 2.0


def test_no_claim_of_perfection_is_believed():
    [sigma] = doubts(objects_at("map", "s", START_NS, [[0.0, 0.0]], sigma_m=0.0))
    assert sigma[0] >= ROADSIDE.least_m


def test_a_velocity_that_is_not_there_is_not_measured_even_if_its_doubt_is_stated():
    objects = objects_at("map", "s", START_NS, [[0.0, 0.0]])
    objects = replace(objects, covariance=0.01 * np.eye(6)[None])
    assert doubts(objects)[0][4] ** 2 >= UNMEASURED_VARIANCE
    assert doubts(replace(objects, velocity_mps=np.ones((1, 2))))[0][4] < 0.2


def test_an_object_without_a_size_gets_that_of_its_kind_and_more_doubt():
    objects = objects_at("map", "s", START_NS, [[0.0, 0.0]], label=ObjectClass.PEDESTRIAN)
    sized = observe(objects, START_NS, "s", VEHICLE)
    bare = observe(replace(objects, boxes=replace(objects.boxes, size_lwh_m=np.zeros((1, 3)))), START_NS, "s", VEHICLE)
    assert (bare.size_lwh_m > 0.5).all()
    assert (bare.size_variance_m2 > sized.size_variance_m2).all()


def test_what_comes_back_from_frame_to_frame_is_shared_and_the_whole_stays():
    objects = objects_at("map", "s", START_NS, [[0.0, 0.0]], sigma_m=0.4)
    seen = observe(objects, START_NS, "s", VEHICLE).estimate
    share = seen.common[0, 0, 0] / seen.covariance[0, 0, 0]
    assert share == pytest.approx(VEHICLE.common_share, abs=0.05)
    assert seen.covariance[0, 0, 0] == pytest.approx(0.4**2 + VEHICLE.least_m**2 + VEHICLE.common_m**2)


def test_a_learned_disagreement_adds_to_the_shared_doubt_alone():
    before = observe(objects_at("map", "s", START_NS, [[0.0, 0.0]]), START_NS, "s", ROADSIDE)
    after = with_more_common(before, 1.0)
    assert after.estimate.common[0, 0, 0] == before.estimate.common[0, 0, 0] + 1.0
    np.testing.assert_array_equal(after.estimate.independent, before.estimate.independent)
