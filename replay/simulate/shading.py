"""How light makes pictures of rays' hits: sun with cast shadows, sky, haze, and the patterns that are painted, not built.

Lambert's law for the sun, a sky that lights from above, Schlick's approximation (1994) for what paint and glass mirror of
the sky. Colours are linear until the last step.
"""
from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_specs.arrays import Array
from replay.simulate.crossing import CORNER_KERB_M, KERB_M, STOP_LINE_M, WIDENED_UNTIL_M, ZEBRA_M, Signals
from replay.simulate.scenarios import Conditions
from replay.simulate.scene import Hits, Scene
from replay.simulate.shapes import Material
from replay.simulate.street import STOREY_M, Street

SUN_RGB = np.array([2.1, 1.92, 1.62], np.float32)
AMBIENT_RGB = np.array([0.30, 0.36, 0.46], np.float32)
HORIZON_RGB = np.array([0.74, 0.80, 0.86], np.float32)
ZENITH_RGB = np.array([0.16, 0.32, 0.62], np.float32)
MARKING_RGB = np.array([0.78, 0.78, 0.74], np.float32)
CYCLE_TRACK_RGB = np.array([0.36, 0.17, 0.13], np.float32)
LAWN_RGB = np.array([0.17, 0.23, 0.09], np.float32)
WINDOW_RGB = np.array([0.06, 0.08, 0.11], np.float32)
_MIRRORS = np.zeros(len(Material), np.float32)  # how much of the sky each material mirrors, seen head on
_MIRRORS[[Material.GLASS, Material.PAINT, Material.METAL]] = 0.10, 0.05, 0.06
_GLOWS = (Material.LAMP, Material.TAIL, Material.RED_LAMP, Material.YELLOW_LAMP, Material.GREEN_LAMP)


@dataclass(frozen=True)
class Light:
    """The day's light."""

    to_sun: Array  # [3] float32, unit
    exposure: float
    haze_per_m: float

    @classmethod
    def of(cls, conditions: Conditions) -> Light:
        azimuth, elevation = conditions.sun_azimuth_rad, conditions.sun_elevation_rad
        to_sun = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
        return cls(to_sun.astype(np.float32), conditions.exposure, conditions.haze_per_m)


def shade(scene: Scene, rays: Array, hits: Hits, light: Light) -> Array:
    """Linear colours [r, 3] float32 of what rays [r, 6] see."""
    colour = np.empty((len(rays), 3), np.float32)
    hit = hits.triangle >= 0
    colour[~hit] = sky(rays[~hit, 3:], light)
    seen = np.flatnonzero(hit)
    directions, range_m, triangle = rays[seen, 3:], hits.range_m[seen], hits.triangle[seen]
    place_m = rays[seen, :3] + directions * range_m[:, None]
    facing = -np.sign(np.einsum("rk,rk->r", hits.normal[seen], directions))
    normal = hits.normal[seen] * facing[:, None]
    material = scene.material[triangle]
    albedo = scene.rgb[triangle]
    albedo = _painted(albedo, material, place_m, normal, range_m)
    lit = albedo * _light_on(scene, place_m, normal, light)
    lit += _mirrored(directions, normal, material, light)
    glows = np.isin(material, _GLOWS)
    lit[glows] = np.maximum(lit[glows], scene.rgb[triangle[glows]])
    clear = np.exp(-light.haze_per_m * range_m)[:, None]
    colour[seen] = lit * clear + HORIZON_RGB * (1 - clear)
    return colour


def with_lamps(scene: Scene, street: Street, signals: Signals, time_s: float) -> Scene:
    """The scene with its signal heads showing what the straight movement of their arm has; lamps that are off are dark."""
    rgb = scene.rgb.copy()
    colours = signals.colours(time_s)
    for (arm, colour), triangles in street.lamps.items():
        if colours[0 if arm % 2 else 2] != colour:
            rgb[triangles] *= np.float32(0.08)
    return replace(scene, rgb=rgb)


def sky(directions: Array, light: Light) -> Array:
    """The sky's colour [r, 3] float32 in unit directions."""
    height = np.clip(directions[:, 2], 0.0, 1.0)[:, None] ** np.float32(0.55)
    toward_sun = np.clip(directions @ light.to_sun, 0.0, 1.0)[:, None]
    for _ in range(5):
        toward_sun *= toward_sun  # to the power of 32
    return HORIZON_RGB * (1 - height) + ZENITH_RGB * height + np.float32(0.35) * SUN_RGB * toward_sun


def developed(linear: Array, light: Light) -> Array:
    """Pictures as sRGB bytes: exposure, a soft shoulder, gamma."""
    exposed = np.maximum(linear, 0.0) * np.float32(light.exposure)
    shouldered = exposed * (1 + exposed / 4.0) / (1 + exposed)
    return (np.clip(shouldered * 1.25, 0.0, 1.0) ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8)


def _light_on(scene: Scene, place_m: Array, normal: Array, light: Light) -> Array:
    """Light [n, 3] that falls on surfaces: shadowed sun, and the sky above."""
    cosine = normal @ light.to_sun
    sunny = np.flatnonzero(cosine > 0.0)
    shadow_rays = np.empty((len(sunny), 6), np.float32)
    shadow_rays[:, :3] = place_m[sunny] + normal[sunny] * np.float32(0.02)
    shadow_rays[:, 3:] = light.to_sun
    sun = np.zeros(len(place_m), np.float32)
    sun[sunny] = cosine[sunny] * ~scene.occluded(shadow_rays)
    up = (0.62 + 0.38 * normal[:, 2])[:, None]
    near_ground = 0.75 + 0.25 * np.clip(place_m[:, 2:] / 0.8, 0.0, 1.0)  # the ground hides half of the sky from what is low
    near_ground = np.where(normal[:, 2:] > 0.9, 1.0, near_ground)
    return sun[:, None] * SUN_RGB + AMBIENT_RGB * (up * near_ground)


def _mirrored(directions: Array, normal: Array, material: Array, light: Light) -> Array:
    """What smooth surfaces mirror of the sky, [n, 3]."""
    head_on = _MIRRORS[material]
    out = np.zeros((len(material), 3), np.float32)
    smooth = np.flatnonzero(head_on > 0)
    cosine = -np.einsum("rk,rk->r", directions[smooth], normal[smooth])
    share = head_on[smooth] + (1 - head_on[smooth]) * np.clip(1 - cosine, 0.0, 1.0) ** 5
    mirrored = directions[smooth] + 2 * cosine[:, None] * normal[smooth]
    shows_sky = np.clip(mirrored[:, 2] * 4 + 0.6, 0.15, 1.0)
    out[smooth] = sky(mirrored, light) * (share * shows_sky)[:, None]
    return out


def _painted(albedo: Array, material: Array, place_m: Array, normal: Array, range_m: Array) -> Array:
    """Colours [n, 3] with road markings, paving and windows painted on."""
    albedo = albedo.copy()
    flat = np.flatnonzero((material == Material.GROUND) | ((material == Material.PAVING) & (normal[:, 2] > 0.5)))
    albedo[flat] = _road_surface(albedo[flat], material[flat] == Material.GROUND, place_m[flat], range_m[flat])
    walls = np.flatnonzero((material == Material.FACADE) & (np.abs(normal[:, 2]) < 0.5))
    albedo[walls] = _facade(albedo[walls], place_m[walls], normal[walls])
    return albedo


def _road_surface(albedo: Array, is_road: Array, place_m: Array, range_m: Array) -> Array:
    x, y = place_m[:, 0], place_m[:, 1]
    on_east_west = np.abs(x) > np.abs(y)
    along = np.where(on_east_west, np.abs(x), np.abs(y))
    left = np.where(on_east_west, y * np.sign(x), -x * np.sign(y))  # of who looks outwards: where traffic drives up
    fine = np.where(is_road, np.float32(0.3), np.float32(0.12)) * np.clip(1 - range_m / 18, 0, 1)
    grain = (_noise(x * 12, y * 12) - 0.5) * fine + (_smooth_noise(x / 3, y / 3) - 0.5) * 0.22
    out = albedo * (1 + grain)[:, None]
    bay = is_road & (np.abs(left) > 7.0) & (along > WIDENED_UNTIL_M)
    out[bay] *= 1.25
    out[is_road & _marked(along, left)] = MARKING_RGB
    beside = np.where(is_road, 0.0, np.minimum(np.abs(x), np.abs(y)))
    out[(beside > KERB_M + 0.12) & (beside < 10.95)] = CYCLE_TRACK_RGB
    kerb = ~is_road & (beside < np.where(along > WIDENED_UNTIL_M + 1.5, KERB_M, CORNER_KERB_M) + 0.2) & (along > 12.5)
    out[kerb] *= 1.35
    lawn = beside > 15.4
    out[lawn] = LAWN_RGB * (1 + 2 * grain[lawn])[:, None]
    joints = ~is_road & ~lawn & (beside > 11.0) & (range_m < 22) & ((x % 1.0 < 0.04) | (y % 1.0 < 0.04))
    out[joints] *= 0.72
    return out


def _marked(along: Array, left: Array) -> Array:
    """Mask of where the road is painted white."""
    aside, driven = np.abs(left), along > STOP_LINE_M
    centre = driven & (np.abs(aside - 0.16) < 0.07)
    dashes = driven & (np.abs(aside - 3.5) < 0.07) & ((along < 34.0) | (along % 6.0 < 3.0))
    edge = (along > WIDENED_UNTIL_M + 1.0) & (np.abs(aside - 7.0) < 0.06)
    stop = (left > 0.25) & (left < 7.2) & (along > STOP_LINE_M) & (along < STOP_LINE_M + 0.45)
    zebra = ((along > ZEBRA_M[0] + 0.6) & (along < ZEBRA_M[1] - 0.2) & (aside < CORNER_KERB_M - 0.15)
             & ((aside + 0.25) % 1.0 < 0.5))
    bays = (along > WIDENED_UNTIL_M + 1.5) & (aside > 7.0) & (aside < KERB_M) & (along % 6.2 < 0.1)
    return centre | dashes | edge | stop | zebra | bays


def _facade(albedo: Array, place_m: Array, normal: Array) -> Array:
    """Windows in rows and columns, larger ones on the ground floor."""
    across = place_m[:, 1] * normal[:, 0] - place_m[:, 0] * normal[:, 1]
    height = place_m[:, 2] - 0.6
    column, storey = np.floor(across / 2.7), np.floor(height / STOREY_M)
    u, v = across / 2.7 - column, height / STOREY_M - storey
    shop = storey < 1
    frame = np.where(shop, (u > 0.06) & (u < 0.94) & (v > 0.02) & (v < 0.84), (u > 0.24) & (u < 0.76) & (v > 0.24) & (v < 0.84))
    pane = np.where(shop, (u > 0.1) & (u < 0.9) & (v > 0.1) & (v < 0.78), (u > 0.28) & (u < 0.72) & (v > 0.28) & (v < 0.80))
    pane &= np.abs(u - 0.5) > 0.015
    tint = (_noise(column + 0.5, storey * 7 + 0.5) * 0.16)[:, None]
    out = albedo * np.where(v[:, None] > 0.95, 0.8, 1.0).astype(np.float32)  # a string course under each storey
    out = np.where(frame[:, None], np.minimum(albedo * 1.35, 0.85), out)
    return np.where(pane[:, None], WINDOW_RGB + tint, out)


def _noise(x: Array, y: Array) -> Array:
    """Repeatable noise in [0, 1) of the unit cell each place lies in."""
    return _cell(np.floor(x), np.floor(y))


def _smooth_noise(x: Array, y: Array) -> Array:
    """As `_noise`, without its steps: smoothly interpolated between the corners of the cell."""
    x0, y0 = np.floor(x), np.floor(y)
    u, v = x - x0, y - y0
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    near = _cell(x0, y0) * (1 - u) + _cell(x0 + 1, y0) * u
    far = _cell(x0, y0 + 1) * (1 - u) + _cell(x0 + 1, y0 + 1) * u
    return near * (1 - v) + far * v


def _cell(x: Array, y: Array) -> Array:
    i, j = x.astype(np.int64).astype(np.uint32), y.astype(np.int64).astype(np.uint32)
    mixed = i * np.uint32(374761393) + j * np.uint32(668265263)
    mixed = (mixed ^ (mixed >> np.uint32(13))) * np.uint32(1274126177)
    return ((mixed ^ (mixed >> np.uint32(16))) & np.uint32(0xFFFF)).astype(np.float32) / np.float32(65536)
