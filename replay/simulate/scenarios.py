"""Which streets can be simulated, and what is drawn from a seed: how full they are, and what their sensors suffer from.

A scenario is one row of `SCENARIOS`; a new street is a new row.
"""
from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from data_specs.errors import UnknownFormat

Span = tuple[float, float]  # drawn uniformly between the two


@dataclass(frozen=True, slots=True)
class Scenario:
    """How a street is filled. Counts and lengths are spans that each seed draws from."""

    name: str
    about: str
    headway_m: Span = (34.0, 160.0)  # between vehicles that drive up in one lane, at the start
    parked_per_strip: Span = (0.0, 2.9)  # on each of the eight kerbside strips, rounded down
    large_parked: float = 0.55  # share of parked vehicles that are trucks or vans
    pedestrians: Span = (7.0, 11.0)
    cyclists: Span = (2.0, 4.0)
    turning: float = 0.2  # share of vehicles that turn
    ego_turning: float = 0.25  # chance that the ego turns
    setback_m: Span = (15.6, 19.0)  # of the buildings' corner from either centre line
    storeys: Span = (3.0, 7.0)
    gaps: float = 0.1  # chance that a plot along an arm is empty
    clutter: Span = (14.0, 26.0)  # street furniture: bins, boxes, shelters, hedges
    speed_mps: Span = (10.5, 14.0)  # wished for by drivers


SCENARIOS = {row.name: row for row in (
    Scenario("crossing", "a signalised crossing between buildings, everyday traffic"),
    Scenario("busy", "rush hour: dense traffic, many people on foot", headway_m=(14.0, 70.0), pedestrians=(12.0, 18.0),
             cyclists=(4.0, 7.0), parked_per_strip=(1.0, 2.9)),
    Scenario("delivery", "trucks parked at every kerb, corners hard to see", parked_per_strip=(1.0, 3.9), large_parked=0.9,
             setback_m=(15.4, 16.5), pedestrians=(9.0, 13.0)),
    Scenario("suburb", "low houses set back, sparse traffic, hedges", headway_m=(50.0, 180.0), setback_m=(20.0, 26.0),
             storeys=(1.0, 2.9), gaps=0.35, clutter=(24.0, 40.0), large_parked=0.3),
    Scenario("turning", "the ego turns, and so does half of the traffic", turning=0.5, ego_turning=1.0),
)}


@dataclass(frozen=True, slots=True)
class Conditions:
    """What varies from drive to drive in the sensors and the light, so that a network does not learn one of them."""

    beam_dropout: float  # share of returns lost at random
    range_sigma_m: float
    intensity_scale: float
    max_range_m: float
    weak_return: float  # signal below which returns begin to be lost
    clutter_scale: float
    sun_azimuth_rad: float
    sun_elevation_rad: float
    exposure: float
    haze_per_m: float


def scenario_named(name: str) -> Scenario:
    """The scenario of that name; UnknownFormat names the known ones."""
    if name not in SCENARIOS:
        raise UnknownFormat("scenario", repr(name), f"one of {', '.join(SCENARIOS)}")
    return SCENARIOS[name]


def random_stream(scenario: str, seed: int, purpose: str, tick: int = 0) -> np.random.Generator:
    """The random numbers of one purpose at one moment: they do not depend on what else is simulated."""
    return np.random.default_rng([zlib.crc32(scenario.encode()), seed, zlib.crc32(purpose.encode()), tick])


def draw_conditions(rng: np.random.Generator) -> Conditions:
    return Conditions(
        beam_dropout=float(rng.uniform(0.0, 0.12)),
        range_sigma_m=float(rng.uniform(0.01, 0.035)),
        intensity_scale=float(rng.uniform(0.7, 1.3)),
        max_range_m=float(rng.uniform(85.0, 105.0)),
        weak_return=float(rng.uniform(0.004, 0.012)),
        clutter_scale=float(rng.uniform(0.5, 1.5)),
        sun_azimuth_rad=float(rng.uniform(-np.pi, np.pi)),
        sun_elevation_rad=float(rng.uniform(0.5, 1.1)),
        exposure=float(rng.uniform(0.85, 1.15)),
        haze_per_m=float(rng.uniform(0.0003, 0.002)),
    )
