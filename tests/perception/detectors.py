"""Small detectors that say something, without training."""
from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from perception.assemble import build_detector
from perception.config import DetectorConfig
from perception.detect import CalibratedDetector
from perception.head import Candidates, HeadMaps, strongest
from tests.perception.scenes import TINY

LIDAR_ONLY = replace(TINY, camera=None)
CAMERA_ONLY = replace(TINY, lidar=None)


def seasoned(config: DetectorConfig = TINY, seed: int = 0) -> CalibratedDetector:
    """Fresh weights, batch norms with statistics of their own as after training, and a heatmap that is often above its floor."""
    torch.manual_seed(seed)
    detector = build_detector(config).eval()
    for norm in detector.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.1)
    nn.init.constant_(detector.network.head.heatmap[-1].get_parameter("bias"), -0.5)
    return detector


def assert_strongest_of(maps: HeadMaps, found: Candidates, tolerance: float = 1e-3) -> None:
    """Candidates are cells of these maps, with the maps' numbers, and as many as there are peaks.

    Where neighbours are equal but for rounding either may be the peak, so cells are not compared one by one.
    """
    peaks = found.heat > 0.05
    expected = (strongest(maps.heatmap, found.heat.shape[1])[0] > 0.05).sum(dim=1)
    assert expected.min() > 0 and (peaks.sum(dim=1) - expected).abs().max() <= 3
    scene = torch.arange(len(peaks))[:, None]
    heat = maps.heatmap.flatten(2).sigmoid()[scene, found.label, found.cell]
    torch.testing.assert_close(found.heat[peaks], heat[peaks], rtol=tolerance, atol=tolerance)
    for name in ("box", "quality", "spread"):
        own = getattr(maps, name).flatten(2).transpose(1, 2)[scene, found.cell]
        torch.testing.assert_close(getattr(found, name)[peaks], own[peaks], rtol=tolerance, atol=tolerance)
