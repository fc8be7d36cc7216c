"""One moment of the street as triangles that rays are cast against (Open3D's RaycastingScene, which is Intel's Embree).

Source: Wald et al., Embree: A Kernel Framework for Efficient CPU Ray Tracing, ACM Trans. Graph. 33 (2014).
"""
from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from data_specs.arrays import Array
from data_specs.errors import MissingExtra
from data_specs.objects import ObjectClass
from replay.simulate.cast import Cast
from replay.simulate.shapes import Mesh, road_user
from replay.simulate.street import Street, coloured
from replay.simulate.world import Moment

STILL = -1  # the object index of what is nobody


@dataclass(frozen=True)
class Hits:
    """Where r rays ended, in map."""

    range_m: Array  # [r] float32; inf = nowhere
    triangle: Array  # [r] int64; -1 = nowhere
    normal: Array  # [r, 3] float32, unit, either side


@dataclass(frozen=True)
class Scene:
    """The triangles of one moment; `owner` is each one's row in the cast, or STILL."""

    raycaster: Any
    vertices_m: Array  # [v, 3] float32, in map
    triangles: Array  # [t, 3] uint32
    owner: Array  # [t] int32
    material: Array  # [t] uint8
    rgb: Array  # [t, 3] float32, linear
    rows: int  # of the cast

    def cast(self, origin_m: Array, directions: Array) -> Hits:
        """Nearest hits of rays from origins ([3] or [r, 3]) along unit `directions` [r, 3], both in map."""
        rays = np.empty((len(directions), 6), np.float32)
        rays[:, :3], rays[:, 3:] = origin_m, directions
        return self.cast_rays(rays)

    def cast_rays(self, rays: Array) -> Hits:
        """Nearest hits of rays [r, 6] float32: origin, unit direction."""
        result = self.raycaster.cast_rays(_open3d().core.Tensor.from_numpy(rays))
        triangle = result["primitive_ids"].numpy().astype(np.int64)
        range_m = result["t_hit"].numpy()
        triangle[~np.isfinite(range_m)] = -1
        return Hits(range_m, triangle, result["primitive_normals"].numpy())

    def occluded(self, rays: Array) -> Array:
        """Mask [r]: which rays [r, 6] meet anything."""
        return self.raycaster.test_occlusions(_open3d().core.Tensor.from_numpy(rays)).numpy()

    def owner_of(self, hits: Hits) -> Array:
        """Row in the cast [r] of what each ray hit; STILL where it was nobody or nothing."""
        return np.where(hits.triangle >= 0, self.owner[hits.triangle], STILL)

    def count_by_owner(self, owner: Array) -> Array:
        """How often each row of the cast stands in `owner`, [rows]."""
        return np.bincount(owner[owner >= 0], minlength=self.rows)


class SceneBuilder:
    """Keeps what does not change between moments: the street's triangles and everybody's mesh at its size."""

    def __init__(self, street: Street, cast: Cast) -> None:
        self._street = street
        meshes = [road_user(ObjectClass(label), int(variant)) for label, variant in zip(cast.label, cast.variant)]
        self._rows = len(meshes)
        self._vertex_owner = np.repeat(np.arange(self._rows), [len(mesh.vertices) for mesh in meshes])
        self._vertices = np.concatenate([mesh.vertices * size for mesh, size in zip(meshes, cast.size_lwh_m)])
        self._swing = np.concatenate([mesh.swing * size[0] for mesh, size in zip(meshes, cast.size_lwh_m)])
        self._owner = np.repeat(np.arange(self._rows), [len(mesh.triangles) for mesh in meshes])
        self._triangles, self._material = _all_triangles(meshes, len(street.mesh.vertices))
        self._rgb = np.concatenate([coloured(mesh, paint, second)
                                    for mesh, paint, second in zip(meshes, cast.paint, cast.second)]).astype(np.float32)
        self._street_vertices = street.mesh.vertices.astype(np.float32)
        self._street_triangles = street.mesh.triangles.astype(np.uint32)

    def at(self, moment: Moment, *, without_ego: bool) -> Scene:
        """The scene at a moment; the ego's own body is left out for its own sensors."""
        kept = moment.present.copy()
        kept[0] = not without_ego
        rows = np.flatnonzero(kept[self._owner])
        street = self._street
        still = np.full(len(street.mesh.triangles), STILL)
        vertices = np.concatenate([self._street_vertices, self._placed(moment)])
        triangles = np.concatenate([self._street_triangles, self._triangles[rows]])
        o3d = _open3d()
        raycaster = o3d.t.geometry.RaycastingScene()
        raycaster.add_triangles(o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(triangles))
        return Scene(raycaster, vertices, triangles, np.concatenate([still, self._owner[rows]]),
                     np.concatenate([street.mesh.material, self._material[rows]]),
                     np.concatenate([street.rgb, self._rgb[rows]]), self._rows)

    def _placed(self, moment: Moment) -> Array:
        """Everybody's vertices [v, 3] float32 in map."""
        owner = self._vertex_owner
        c, s = np.cos(moment.yaw_rad)[owner], np.sin(moment.yaw_rad)[owner]
        x = self._vertices[:, 0] + self._swing * moment.swing[owner]
        y = self._vertices[:, 1]
        placed = np.stack([c * x - s * y, s * x + c * y, self._vertices[:, 2]], axis=1) + moment.center_m[owner]
        return placed.astype(np.float32)


def _all_triangles(meshes: list[Mesh], first_vertex: int) -> tuple[Array, Array]:
    starts = first_vertex + np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    triangles = np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts)])
    return triangles.astype(np.uint32), np.concatenate([mesh.material for mesh in meshes])


def require_ray_caster() -> None:
    """Raise MissingExtra where Open3D is not installed, without the two seconds that importing it takes."""
    if find_spec("open3d") is None:
        raise MissingExtra("the simulator", "simulate")


def _open3d() -> Any:
    import open3d

    return open3d
