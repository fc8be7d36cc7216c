"""What things look like: triangle meshes of road users and of the street, with a material for every triangle.

A road user's mesh fills the unit cube (x forward, y left, z up, centred); scaled by its length, width and height it stays
inside its box. Legs swing with the distance walked.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from data_specs.arrays import Array
from data_specs.objects import ObjectClass


class Material(IntEnum):
    GROUND = 0
    PAVING = 1
    FACADE = 2
    ROOF = 3
    PAINT = 4  # the object's own colour
    SECOND = 5  # the object's second colour
    GLASS = 6
    TYRE = 7
    LAMP = 8
    TAIL = 9
    METAL = 10
    BARK = 11
    LEAF = 12
    SKIN = 13
    HAIR = 14
    DARK = 15
    RED_LAMP = 16
    YELLOW_LAMP = 17
    GREEN_LAMP = 18


# Colour (linear, 0 to 1) and reflectivity at 905 nm (0 to 1) of each material; PAINT and SECOND take the object's colour.
MATERIAL_RGB = np.array([
    (0.16, 0.16, 0.17), (0.42, 0.40, 0.37), (0.55, 0.45, 0.38), (0.28, 0.2, 0.18), (1, 1, 1), (1, 1, 1), (0.05, 0.07, 0.09),
    (0.03, 0.03, 0.03), (0.95, 0.95, 0.85), (0.65, 0.03, 0.03), (0.35, 0.36, 0.38), (0.16, 0.10, 0.06), (0.10, 0.22, 0.06),
    (0.62, 0.42, 0.32), (0.08, 0.05, 0.03), (0.08, 0.08, 0.09), (1.0, 0.08, 0.05), (1.0, 0.6, 0.05), (0.1, 0.95, 0.35),
], dtype=np.float32)
MATERIAL_REFLECTIVITY = np.array(
    [0.12, 0.25, 0.35, 0.25, 0.4, 0.35, 0.06, 0.05, 0.9, 0.9, 0.55, 0.2, 0.4, 0.45, 0.15, 0.08, 0.3, 0.3, 0.3], dtype=np.float32)


@dataclass(frozen=True)
class Mesh:
    """Triangles [m, 3] over vertices [v, 3]; `swing` [v] is how far each vertex moves along x at the height of a step."""

    vertices: Array
    triangles: Array
    material: Array  # [m] uint8
    swing: Array  # [v]


def joined(parts: Sequence[Mesh]) -> Mesh:
    """One mesh of several."""
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(np.concatenate([part.vertices for part in parts]),
                np.concatenate([part.triangles + start for part, start in zip(parts, starts)]),
                np.concatenate([part.material for part in parts]), np.concatenate([part.swing for part in parts]))


def block(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], material: Material, *,
          front: float = 0.0, rear: float = 0.0, side: float = 0.0, swing: float = 0.0) -> Mesh:
    """A box whose top face is drawn in by `front`, `rear` and `side`; `swing` moves its foot."""
    bottom = [(x[1], y[1]), (x[0], y[1]), (x[0], y[0]), (x[1], y[0])]
    top = [(x[1] - front, y[1] - side), (x[0] + rear, y[1] - side), (x[0] + rear, y[0] + side), (x[1] - front, y[0] + side)]
    vertices = np.array([(*corner, z[0]) for corner in bottom] + [(*corner, z[1]) for corner in top])
    quads = [(3, 2, 1, 0), (4, 5, 6, 7), *((i, (i + 1) % 4, (i + 1) % 4 + 4, i + 4) for i in range(4))]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return Mesh(vertices, triangles, np.full(12, material, np.uint8), np.array([swing] * 4 + [0.0] * 4))


def prism(outline: Array, z: tuple[float, float], material: Material) -> Mesh:
    """An upright prism over `outline` [k, 2], counter-clockwise and star-shaped as seen from its first corner."""
    k = len(outline)
    vertices = np.concatenate([np.column_stack([outline, np.full(k, height)]) for height in z])
    sides = [t for i in range(k) for j in [(i + 1) % k] for t in ((i, j, j + k), (i, j + k, i + k))]
    top = [(k, k + i, k + i + 1) for i in range(1, k - 1)]
    triangles = np.array(sides + top)
    return Mesh(vertices, triangles, np.full(len(triangles), material, np.uint8), np.zeros(2 * k))


def cylinder(center: tuple[float, float, float], radius: tuple[float, float], half: float, axis: int, material: Material,
             sides: int = 10) -> Mesh:
    """A closed cylinder along `axis` (0 x, 1 y, 2 z) with two radii, so that it stays round when scaled."""
    angle = np.arange(sides) * 2 * np.pi / sides
    ring = np.stack([radius[0] * np.cos(angle), radius[1] * np.sin(angle)], axis=1)
    ends = []
    for along in (-half, half):
        points = np.insert(ring, axis, along, axis=1)
        ends.append(points)
    vertices = np.concatenate(ends) + np.array(center)
    around = [t for i in range(sides) for j in [(i + 1) % sides] for t in ((i, j, j + sides), (i, j + sides, i + sides))]
    caps = [t for i in range(1, sides - 1) for t in ((0, i + 1, i), (sides, sides + i, sides + i + 1))]
    triangles = np.array(around + caps)
    return Mesh(vertices, triangles, np.full(len(triangles), material, np.uint8), np.zeros(2 * sides))


def ball(center: tuple[float, float, float], radius: tuple[float, float, float], material: Material) -> Mesh:
    """An icosahedron: a head, or a part of a tree's crown."""
    golden = (1 + 5 ** 0.5) / 2
    points = np.array([(s * a, t * b, 0.0) for a, b in ((1.0, golden),) for s in (-1, 1) for t in (-1, 1)])
    points = np.concatenate([points, np.roll(points, 1, axis=1), np.roll(points, 2, axis=1)])
    near = np.linalg.norm(points[:, None] - points[None], axis=2) < 2.1
    triangles = [(i, j, k) for i in range(12) for j in range(i + 1, 12) for k in range(j + 1, 12)
                 if near[i, j] and near[j, k] and near[i, k]]
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    outward = [t if np.linalg.det(points[list(t)]) > 0 else (t[0], t[2], t[1]) for t in triangles]
    return Mesh(points * np.array(radius) + np.array(center), np.array(outward),
                np.full(len(outward), material, np.uint8), np.zeros(12))


def _wheels(places_x: Sequence[float], radius: tuple[float, float], half_width: float = 0.06, hub: bool = True) -> list[Mesh]:
    parts = []
    for x in places_x:
        for y in (-0.49 + half_width, 0.49 - half_width):  # the hub stands out, so that the two never share a face
            center = (x, y, -0.5 + radius[1])
            parts.append(cylinder(center, radius, half_width, 1, Material.TYRE))
            if hub:
                parts.append(cylinder((x, np.sign(y) * (0.5 - half_width / 2), center[2]),
                                      (radius[0] * 0.55, radius[1] * 0.55), half_width / 2, 1, Material.METAL, 8))
    return parts


def _car(cabin: tuple[float, float], slopes: tuple[float, float], waist: float) -> Mesh:
    """`cabin`: where it begins and ends; `slopes` of windscreen and rear window; `waist`: height of the bonnet."""
    inner = 0.485
    return joined([
        block((-0.5, 0.5), (-inner, inner), (-0.38, -0.12), Material.PAINT, front=0.005, rear=0.005),
        block((-0.495, 0.495), (-inner, inner), (-0.12, waist), Material.PAINT, front=0.03, rear=0.015, side=0.03),
        block(cabin, (-0.45, 0.45), (waist, 0.42), Material.GLASS, front=slopes[0], rear=slopes[1], side=0.09),
        block((cabin[0] + slopes[1] * 0.9, cabin[1] - slopes[0] * 0.95), (-0.37, 0.37), (0.42, 0.5), Material.PAINT,
              front=0.03, rear=0.03, side=0.03),
        block((0.47, 0.5), (-0.46, -0.28), (-0.1, 0.0), Material.LAMP),
        block((0.47, 0.5), (0.28, 0.46), (-0.1, 0.0), Material.LAMP),
        block((-0.5, -0.48), (-0.46, -0.28), (-0.06, 0.05), Material.TAIL),
        block((-0.5, -0.48), (0.28, 0.46), (-0.06, 0.05), Material.TAIL),
        *_wheels((-0.3, 0.31), (0.073, 0.21)),
    ])


def _truck() -> Mesh:
    return joined([
        block((0.26, 0.5), (-0.48, 0.48), (-0.36, 0.0), Material.PAINT),
        block((0.27, 0.49), (-0.46, 0.46), (0.0, 0.24), Material.GLASS, front=0.03),
        block((0.27, 0.47), (-0.45, 0.45), (0.24, 0.34), Material.PAINT, front=0.04, side=0.03),
        block((-0.5, 0.24), (-0.5, 0.5), (-0.26, 0.5), Material.SECOND),
        block((-0.48, 0.3), (-0.3, 0.3), (-0.38, -0.26), Material.DARK),
        block((0.49, 0.5), (-0.44, -0.3), (-0.3, -0.22), Material.LAMP),
        block((0.49, 0.5), (0.3, 0.44), (-0.3, -0.22), Material.LAMP),
        block((-0.5, -0.49), (-0.46, -0.34), (-0.32, -0.26), Material.TAIL),
        block((-0.5, -0.49), (0.34, 0.46), (-0.32, -0.26), Material.TAIL),
        *_wheels((-0.34, 0.36), (0.065, 0.16), 0.07),
    ])


def _bus() -> Mesh:
    return joined([
        block((-0.5, 0.5), (-0.49, 0.49), (-0.4, -0.05), Material.PAINT),
        block((-0.495, 0.495), (-0.48, 0.48), (-0.05, 0.28), Material.GLASS),
        *(block((x, x + 0.02), (-0.49, 0.49), (-0.05, 0.28), Material.PAINT) for x in (-0.5, -0.26, -0.02, 0.22, 0.44)),
        block((-0.5, 0.5), (-0.49, 0.49), (0.28, 0.5), Material.SECOND, front=0.01, rear=0.01, side=0.03),
        block((0.49, 0.5), (-0.45, -0.3), (-0.32, -0.25), Material.LAMP),
        block((0.49, 0.5), (0.3, 0.45), (-0.32, -0.25), Material.LAMP),
        block((-0.5, -0.49), (-0.46, -0.36), (-0.2, -0.08), Material.TAIL),
        block((-0.5, -0.49), (0.36, 0.46), (-0.2, -0.08), Material.TAIL),
        *_wheels((-0.28, 0.3), (0.043, 0.155), 0.06),
    ])


def _pedestrian() -> Mesh:
    return joined([
        block((-0.16, 0.14), (-0.22, -0.03), (-0.5, -0.02), Material.SECOND, swing=0.3),
        block((-0.16, 0.14), (0.03, 0.22), (-0.5, -0.02), Material.SECOND, swing=-0.3),
        block((-0.19, 0.19), (-0.29, 0.29), (-0.05, 0.32), Material.PAINT, front=0.03, rear=0.03, side=-0.03),
        block((-0.1, 0.1), (-0.47, -0.33), (-0.08, 0.3), Material.PAINT, side=-0.02, swing=-0.25),
        block((-0.1, 0.1), (0.33, 0.47), (-0.08, 0.3), Material.PAINT, side=-0.02, swing=0.25),
        ball((0.02, 0.0, 0.41), (0.16, 0.15, 0.09), Material.SKIN),
        block((-0.15, 0.1), (-0.14, 0.14), (0.42, 0.5), Material.HAIR, front=0.06, rear=0.04, side=0.04),
    ])


def _rider(lean: float, base: float) -> list[Mesh]:
    """Legs, a torso leaning forward, arms and a head above a saddle at height `base`."""
    return [
        block((-0.06, 0.06), (-0.3, -0.12), (-0.34, base + 0.06), Material.SECOND, front=0.04, rear=-0.06, swing=0.08),
        block((-0.06, 0.06), (0.12, 0.3), (-0.34, base + 0.06), Material.SECOND, front=0.04, rear=-0.06, swing=-0.08),
        block((-0.14, 0.02), (-0.3, 0.3), (base, 0.3), Material.PAINT, front=-lean, rear=lean),
        block((0.02, 0.2), (-0.42, -0.32), (0.08, 0.14), Material.PAINT),
        block((0.02, 0.2), (0.32, 0.42), (0.08, 0.14), Material.PAINT),
        ball((lean - 0.03, 0.0, 0.39), (0.07, 0.19, 0.1), Material.SKIN),
        block((lean - 0.09, lean + 0.03), (-0.18, 0.18), (0.41, 0.5), Material.DARK, front=0.02, rear=0.02, side=0.05),
    ]


def _bicycle() -> Mesh:
    return joined([
        *(cylinder((x, 0.0, -0.305), (0.19, 0.195), 0.04, 1, Material.TYRE, 12) for x in (-0.31, 0.31)),
        block((-0.3, 0.3), (-0.05, 0.05), (-0.2, -0.12), Material.METAL),
        block((0.18, 0.26), (-0.4, 0.4), (0.02, 0.06), Material.DARK),
        block((0.2, 0.3), (-0.05, 0.05), (-0.3, 0.04), Material.METAL, front=0.06, rear=-0.02),
        *_rider(0.1, -0.04),
    ])


def _motorcycle() -> Mesh:
    return joined([
        *(cylinder((x, 0.0, -0.31), (0.15, 0.19), 0.09, 1, Material.TYRE, 12) for x in (-0.35, 0.35)),
        block((-0.42, 0.3), (-0.2, 0.2), (-0.3, -0.04), Material.PAINT, front=0.1, rear=0.04, side=0.05),
        block((0.2, 0.34), (-0.45, 0.45), (0.0, 0.06), Material.DARK),
        block((0.3, 0.36), (-0.12, 0.12), (-0.1, 0.02), Material.LAMP),
        *_rider(0.08, -0.06),
    ])


_BUILDERS: dict[ObjectClass, tuple[Callable[[], Mesh], ...]] = {
    ObjectClass.CAR: (
        lambda: _car((-0.34, 0.24), (0.15, 0.09), 0.05),  # saloon
        lambda: _car((-0.48, 0.22), (0.13, 0.05), 0.05),  # estate
        lambda: _car((-0.49, 0.40), (0.13, 0.02), 0.02),  # van
    ),
    ObjectClass.TRUCK: (_truck,), ObjectClass.BUS: (_bus,), ObjectClass.PEDESTRIAN: (_pedestrian,),
    ObjectClass.BICYCLE: (_bicycle,), ObjectClass.MOTORCYCLE: (_motorcycle,),
}


@cache
def road_user(label: ObjectClass, variant: int) -> Mesh:
    """The unit mesh of a class; `variant` picks one of its shapes."""
    shapes = _BUILDERS[label]
    return shapes[variant % len(shapes)]()
