"""A crossing that does not exist, with sensors that see it: repeatable drives with exact truth.

`simulate(...)` is an Importer, `training_pairs(...)` the quick way to samples with their truth.
"""
from replay.simulate.simulation import Simulation, simulate, sweep_pairs, training_pairs

__all__ = ["Simulation", "simulate", "sweep_pairs", "training_pairs"]
