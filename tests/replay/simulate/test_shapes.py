"""Meshes of road users and their parts."""
import numpy as np
import pytest

from data_specs.objects import ObjectClass
from replay.simulate.shapes import Material, Mesh, ball, block, cylinder, road_user

CLASSES = (ObjectClass.CAR, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE,
           ObjectClass.MOTORCYCLE)


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.triangles[:, k]] for k in range(3))
    return float(np.einsum("tk,tk->t", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("variant", range(3))
def test_a_mesh_fills_its_box_and_stays_inside_it_through_every_stride(label, variant):
    mesh = road_user(label, variant)
    for swing in (-1.0, 0.0, 1.0):
        moved = mesh.vertices + np.stack([mesh.swing * swing, np.zeros(len(mesh.swing)), np.zeros(len(mesh.swing))], axis=1)
        assert np.abs(moved).max() <= 0.5 + 1e-9
    assert np.ptp(mesh.vertices, axis=0)[2] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(("mesh", "expected"), [
    (block((0, 2), (0, 3), (0, 4), Material.PAINT), 24.0),
    (cylinder((5, 5, 5), (1.0, 1.0), 2.0, 2, Material.METAL, 64), 4 * np.pi),
    (ball((1, 2, 3), (1.0, 1.0, 1.0), Material.LEAF), 2.536),
])
def test_parts_are_closed_and_face_outwards(mesh, expected):
    assert abs(volume(mesh)) == pytest.approx(expected, rel=5e-3)
    assert volume(mesh) > 0
