"""What stands still and is nobody: ground, pavements with kerbs, buildings, trees, posts, signal heads, street furniture."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data_specs.arrays import Array
from replay.simulate.crossing import ARM_LENGTH_M, CORNER_KERB_M, CORNER_RADIUS_M, KERB_M, STOP_LINE_M, WIDENED_UNTIL_M, Colour
from replay.simulate.scenarios import Scenario
from replay.simulate.shapes import MATERIAL_RGB, Material, Mesh, ball, block, cylinder, joined, prism

PAVEMENT_HEIGHT_M = 0.13
GROUND_HALF_M = 160.0
STOREY_M = 3.1
FURNITURE_OFFSET_M = 14.8  # from the centre line: beyond everybody who walks or rides
MAST_CORNERS_M = ((9.65, 9.65), (-9.65, -9.65))
MAST_TOP_M = 5.7

_FACADES = np.array([(0.62, 0.50, 0.40), (0.68, 0.62, 0.52), (0.50, 0.30, 0.24), (0.58, 0.57, 0.55), (0.72, 0.66, 0.50),
                     (0.44, 0.46, 0.50), (0.60, 0.42, 0.34)], dtype=np.float32)
_BRIGHT = np.array([(0.75, 0.55, 0.05), (0.1, 0.25, 0.5), (0.55, 0.1, 0.1), (0.2, 0.4, 0.25), (0.6, 0.6, 0.6)], dtype=np.float32)


@dataclass(frozen=True)
class Street:
    """The still part of the scene: one mesh, its triangles' colours, and which triangles are which arm's lamps."""

    mesh: Mesh
    rgb: Array  # [m, 3] float32, linear
    lamps: dict[tuple[int, Colour], slice]


@dataclass(frozen=True)
class _Part:
    mesh: Mesh
    paint: Array | None = None
    lamp: tuple[int, Colour] | None = None


def coloured(mesh: Mesh, paint: Array, second: Array) -> Array:
    """Linear colours [m, 3] of a mesh's triangles, with the object's own two colours filled in."""
    rgb = MATERIAL_RGB[mesh.material].copy()
    rgb[mesh.material == Material.PAINT] = paint
    rgb[mesh.material == Material.SECOND] = second
    return rgb


def build_street(scenario: Scenario, clutter_scale: float, rng: np.random.Generator) -> Street:
    """Everything that stands still, in map."""
    parts = [_Part(_ground()), *(_Part(_turned(_pavement(), quarter)) for quarter in range(4))]
    parts += _buildings(scenario, rng)
    parts += _trees_and_posts(rng)
    parts += _signal_heads()
    parts += _furniture(scenario, clutter_scale, rng)
    parts += [_Part(cylinder((x, y, MAST_TOP_M / 2), (0.09, 0.09), MAST_TOP_M / 2, 2, Material.METAL, 8))
              for x, y in MAST_CORNERS_M]
    lamps, start, colours = {}, 0, []
    for part in parts:
        count = len(part.mesh.triangles)
        paint = part.paint if part.paint is not None else np.ones(3, np.float32)
        rgb = coloured(part.mesh, paint, paint)
        if part.paint is not None:
            rgb[part.mesh.material == Material.FACADE] = paint
        colours.append(rgb)
        if part.lamp is not None:
            lamps[part.lamp] = slice(start, start + count)
        start += count
    return Street(joined([part.mesh for part in parts]), np.concatenate(colours).astype(np.float32), lamps)


def _turned(mesh: Mesh, quarters: int) -> Mesh:
    """The mesh turned about the middle of the crossing by quarter turns."""
    c, s = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarters % 4]
    x, y, z = mesh.vertices.T
    return Mesh(np.stack([c * x - s * y, s * x + c * y, z], axis=1), mesh.triangles, mesh.material, mesh.swing)


def _ground() -> Mesh:
    edge = np.linspace(-GROUND_HALF_M, GROUND_HALF_M, 9)
    x, y = np.meshgrid(edge, edge, indexing="ij")
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(81)], axis=1)
    cells = [i * 9 + j for i in range(8) for j in range(8)]
    triangles = np.array([t for a in cells for t in ((a, a + 9, a + 10), (a, a + 10, a + 1))])
    return Mesh(vertices, triangles, np.full(len(triangles), Material.GROUND, np.uint8), np.zeros(81))


def _pavement() -> Mesh:
    """The corner block between arms 0 and 1, with a rounded and widened kerb."""
    middle = CORNER_KERB_M + CORNER_RADIUS_M
    angle = np.linspace(np.pi * 1.5, np.pi, 9)
    arc = middle + CORNER_RADIUS_M * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    far, wide = ARM_LENGTH_M + 25.0, WIDENED_UNTIL_M
    outline = np.concatenate([
        [(far, far), (KERB_M, far), (KERB_M, wide + 1.5), (CORNER_KERB_M, wide)], arc[::-1],
        [(wide, CORNER_KERB_M), (wide + 1.5, KERB_M), (far, KERB_M)]])
    return prism(outline, (-0.05, PAVEMENT_HEIGHT_M), Material.PAVING)


def _buildings(scenario: Scenario, rng: np.random.Generator) -> Iterator[_Part]:
    for quarter in range(4):
        setback_m = rng.uniform(*scenario.setback_m)
        wide_m, deep_m = rng.uniform(17.0, 30.0, 2)
        yield _house((setback_m, setback_m + wide_m), (setback_m, setback_m + deep_m), scenario, rng, quarter)
        for start_m, mirrored in ((setback_m + wide_m, False), (setback_m + deep_m, True)):
            along_m = start_m + rng.uniform(0.2, 4.0)
            while along_m < ARM_LENGTH_M - 8.0:
                length_m = rng.uniform(10.0, 22.0)
                front_m = max(15.5, scenario.setback_m[0]) + rng.uniform(0.0, 1.5)
                depth_m = rng.uniform(9.0, 13.0)
                if rng.random() >= scenario.gaps:
                    x, y = (along_m, along_m + length_m), (front_m, front_m + depth_m)
                    yield _house(*((y, x) if mirrored else (x, y)), scenario, rng, quarter)
                along_m += length_m + (rng.uniform(1.0, 6.0) if rng.random() < 0.3 + scenario.gaps else 0.0)


def _house(x: tuple[float, float], y: tuple[float, float], scenario: Scenario, rng: np.random.Generator,
           quarter: int) -> _Part:
    height_m = STOREY_M * np.floor(rng.uniform(*scenario.storeys)) + 1.2
    walls = block(x, y, (0.0, height_m), Material.FACADE)
    inset_m = 0.45 * min(x[1] - x[0], y[1] - y[0])
    if height_m < 11.0 or rng.random() < 0.5:
        roof = block((x[0] - 0.4, x[1] + 0.4), (y[0] - 0.4, y[1] + 0.4), (height_m, height_m + 0.4 * inset_m), Material.ROOF,
                     front=inset_m, rear=inset_m, side=inset_m)
    else:
        roof = block((x[0] - 0.2, x[1] + 0.2), (y[0] - 0.2, y[1] + 0.2), (height_m, height_m + 0.6), Material.ROOF)
    paint = _FACADES[rng.integers(len(_FACADES))] * np.float32(rng.uniform(0.8, 1.15))
    return _Part(_turned(joined([walls, roof]), quarter), np.minimum(paint, 1.0))


def _kerbsides(rng: np.random.Generator, first_m: float, every_m: tuple[float, float]) -> Iterator[tuple[float, bool, int]]:
    """Places along all eight kerbs: distance from the middle, which of the two sides of a corner, and the corner."""
    for quarter in range(4):
        for mirrored in (False, True):
            along_m = first_m + rng.uniform(0.0, every_m[0])
            while along_m < ARM_LENGTH_M - 5.0:
                yield along_m, mirrored, quarter
                along_m += rng.uniform(*every_m)


def _trees_and_posts(rng: np.random.Generator) -> Iterator[_Part]:
    for along_m, mirrored, quarter in _kerbsides(rng, 19.0, (9.0, 22.0)):
        x, y = (FURNITURE_OFFSET_M, along_m) if mirrored else (along_m, FURNITURE_OFFSET_M)
        if rng.random() < 0.3:
            yield _Part(_turned(joined([cylinder((x, y, 3.2), (0.07, 0.07), 3.2, 2, Material.METAL, 6),
                                        block((x - 0.3, x + 0.3), (y - 0.15, y + 0.15), (6.4, 6.55), Material.METAL)]), quarter))
            continue
        trunk_m, crown_m = rng.uniform(2.4, 3.2), rng.uniform(1.0, 1.6)
        crown = [ball((x + rng.uniform(-0.4, 0.4), y + rng.uniform(-0.4, 0.4), trunk_m + crown_m * (0.6 + 0.6 * i)),
                      (crown_m * (1 - 0.15 * i), crown_m * (1 - 0.15 * i), crown_m * 0.85), Material.LEAF) for i in range(3)]
        trunk = cylinder((x, y, trunk_m / 2 + 0.2), (0.14, 0.14), trunk_m / 2 + 0.2, 2, Material.BARK, 7)
        yield _Part(_turned(joined([trunk, *crown]), quarter))


def _signal_heads() -> Iterator[_Part]:
    """A post on the right of each stop line, its lamps facing who drives up."""
    lamp = {Colour.RED: (3.3, Material.RED_LAMP), Colour.YELLOW: (2.98, Material.YELLOW_LAMP),
            Colour.GREEN: (2.66, Material.GREEN_LAMP)}
    x, y = STOP_LINE_M - 0.6, CORNER_KERB_M + 0.6
    for arm in range(4):
        post = joined([cylinder((x, y, 1.7), (0.06, 0.06), 1.7, 2, Material.METAL, 6),
                       block((x - 0.12, x + 0.12), (y - 0.18, y + 0.18), (2.45, 3.55), Material.DARK)])
        yield _Part(_turned(post, arm))
        for colour, (height_m, material) in lamp.items():
            disc = cylinder((x + 0.13, y, height_m), (0.12, 0.12), 0.03, 0, material, 10)
            yield _Part(_turned(disc, arm), lamp=(arm, colour))


def _furniture(scenario: Scenario, clutter_scale: float, rng: np.random.Generator) -> Iterator[_Part]:
    for _ in range(round(rng.uniform(*scenario.clutter) * clutter_scale)):
        along_m, quarter, mirrored = rng.uniform(18.0, 80.0), int(rng.integers(4)), rng.random() < 0.5
        kind = rng.integers(5)
        length_m, width_m, height_m = (
            (0.5, 0.5, 1.1), (1.3, 0.5, 1.4), (rng.uniform(2.0, 6.0), 0.7, rng.uniform(0.8, 1.6)), (2.0, 1.1, 1.3),
            (3.4, 1.2, 2.4),
        )[kind]
        material = (Material.PAINT, Material.PAINT, Material.LEAF, Material.PAINT, Material.GLASS)[kind]
        u, v = (along_m, along_m + length_m), (FURNITURE_OFFSET_M - width_m / 2, FURNITURE_OFFSET_M + width_m / 2)
        x, y = (v, u) if mirrored else (u, v)
        parts = [block(x, y, (0.0, height_m), material, side=0.03, front=0.03, rear=0.03)]
        if material is Material.GLASS:
            parts.append(block((x[0] - 0.1, x[1] + 0.1), (y[0] - 0.1, y[1] + 0.1), (height_m, height_m + 0.12), Material.METAL))
        yield _Part(_turned(joined(parts), quarter), _BRIGHT[rng.integers(len(_BRIGHT))])
