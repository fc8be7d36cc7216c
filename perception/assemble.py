"""Parts of a detector from its configuration."""
from __future__ import annotations

import torch

from perception.bev import BevEncoder
from perception.camera import CameraEncoder, DepthBins, ResNet
from perception.config import CameraConfig, DetectorConfig, LidarConfig
from perception.detect import CalibratedDetector
from perception.detector import CameraBranch, Detector
from perception.grid import BevGrid
from perception.head import CenterHead
from perception.lidar import LidarEncoder, PillarEncoder
from perception.memory import BevMemory
from perception.merge import Merge
from perception.view import ViewTransform


def build_detector(config: DetectorConfig) -> CalibratedDetector:
    """A detector with fresh weights; they follow from torch's own seed."""
    lidar = lidar_encoder(config.lidar, config.pillar_grid) if config.lidar else None
    camera = camera_branch(config.camera, config.grid) if config.camera else None
    merge = Merge(config.grid, lidar.out_channels if lidar else 0, config.camera.bev_channels if config.camera else 0,
                  config.stage_channels[0])
    bev = BevEncoder(config.stage_channels, config.stage_blocks, config.feature_channels)
    head = CenterHead(config.object_classes, config.feature_channels, config.head_channels)
    memory = BevMemory(config.grid, config.stage_channels[0]) if config.memory else None
    detector = CalibratedDetector(Detector(lidar, camera, merge, bev, head, memory), config)
    for parameter in detector.parameters():
        if parameter.ndim == 4:  # as convolutions on CPU want them: twice as fast
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return detector


def lidar_encoder(config: LidarConfig, grid: BevGrid) -> LidarEncoder:
    return LidarEncoder(PillarEncoder(grid, config.pillar_channels), config.stem_channels)


def camera_branch(config: CameraConfig, grid: BevGrid) -> CameraBranch:
    bins = DepthBins(farthest_m=config.farthest_m, count=config.depth_bins)
    backbone = ResNet(config.blocks, config.width, config.bottleneck)
    encoder = CameraEncoder(backbone, config.channels, bins, config.finest_stage)
    view = ViewTransform(grid, config.heights_m, bins, config.channels, config.bev_channels, encoder.stride)
    return CameraBranch(encoder, view)
