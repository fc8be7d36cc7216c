"""The losses of a batch, each divided by what the whole batch holds, however many processes share it."""
from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from data_specs.errors import SpecError
from perception.batch import collate
from perception.camera import CameraFeatures
from perception.config import TrainConfig
from perception.detect import CalibratedDetector
from perception.losses import beta_nll, box_l1_loss, depth_loss, gaussian_nll, heatmap_focal_loss, quality_loss, velocity_loss
from perception.precision import half_of
from perception.ranks import ALONE, Ranks
from perception.scene import Scene
from perception.targets import Targets, aligned_overlap, make_targets
from perception.uncertainty import box_residual

LOSS_WEIGHTS = {"heatmap": 1.0, "box": 0.5, "velocity": 1.0, "likelihood": 0.2, "spread": 0.1, "quality": 0.2, "depth": 0.1}
BOX_WEIGHTS = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 0.25, 0.25)  # of BOX_NUMBERS; velocities are large numbers


def losses_of(detector: CalibratedDetector, scenes: list[Scene], config: TrainConfig, part_done: float,
              ranks: Ranks = ALONE) -> dict[str, Tensor]:
    """Losses by name, scalars, of this process' scenes; they sum over processes to those of the whole batch.

    `part_done` of the run decides what boxes learn by.
    """
    device = next(detector.parameters()).device
    batch = collate(scenes).to(device)
    with torch.autocast(device.type, half_of(device), enabled=config.half):
        maps, features = detector.network.maps(batch)
    grid = detector.config.grid
    targets = to_device(make_targets(scenes, detector.network.head.classes, grid), device)
    scene, iy, ix = targets.cell.unbind(1)
    box, spread = maps.box[scene, :, iy, ix], maps.spread[scene, :, iy, ix]
    residual = box_residual(box, targets.box, grid.pillar_size_m)
    losses = {"heatmap": heatmap_focal_loss(maps.heatmap, targets.heatmap, targets.weight),
              "velocity": velocity_loss(box[:, 8:10], targets.box[:, 8:10])}
    if part_done < config.beta_nll_from:
        losses["box"] = box_l1_loss(box, targets.box, box.new_tensor(BOX_WEIGHTS))
        losses["spread"] = gaussian_nll(residual, spread)
    else:
        # The heading is learnt by its sine and cosine: an angle's own error has no slope towards the other side.
        losses["box"] = box_l1_loss(box[:, 6:8], targets.box[:, 6:8], box.new_tensor(BOX_WEIGHTS[6:8]))
        losses["likelihood"] = beta_nll(residual, spread)
    overlap = aligned_overlap(box.detach(), targets.box, grid.pillar_size_m)
    losses["quality"] = quality_loss(maps.quality[scene, 0, iy, ix], overlap)
    counts = {"heatmap": int((targets.heatmap == 1.0).sum()), "depth": 0}
    if features is not None:
        losses["depth"], counts["depth"] = camera_depth_loss(detector, scenes, features, batch.has_image)
    return shared_losses(losses, counts, len(targets.cell), ranks, device)


def shared_losses(losses: dict[str, Tensor], counts: dict[str, int], objects: int, ranks: Ranks,
                  device: torch.device) -> dict[str, Tensor]:
    """Losses that were divided by this process' own counts (at least 1), by those of all processes instead.

    What `counts` does not name was divided by the number of `objects`.
    """
    own = torch.tensor([float(counts["heatmap"]), float(counts["depth"]), float(objects)], device=device)
    heatmap, depth, rest = (own.clamp(min=1.0) / ranks.total(own).clamp(min=1.0)).unbind()
    share = {"heatmap": heatmap, "depth": depth}
    return {name: loss * share.get(name, rest) for name, loss in losses.items()}


def camera_depth_loss(detector: CalibratedDetector, scenes: list[Scene], features: CameraFeatures,
                      has_image: Tensor) -> tuple[Tensor, int]:
    """How well pictures tell the depths that the LiDAR measured, and of how many pixels.

    Scenes whose points the network did not get count too: their depths are measured here.
    """
    camera = detector.network.camera
    if camera is None:
        raise SpecError("a detector without cameras has no depths to learn")
    depth_m = features.lidar_depth_m.clone()
    for row, scene in enumerate(scenes):
        if scene.lidar_lost and len(scene.images):
            alone = collate([replace(scene, lidar_lost=False)]).to(depth_m.device)
            depth_m[row, :len(scene.images)] = camera.depth_m(alone)[0]
    known = (depth_m > 0) & has_image[:, :, None, None]
    place = camera.encoder.bins.place(depth_m)
    loss = depth_loss(features.depth_logits.flatten(0, 1), place.flatten(0, 1), known.flatten(0, 1))
    return loss, int(known.sum())


def to_device(targets: Targets, device: torch.device) -> Targets:
    """The same targets on a device."""
    return Targets(*(getattr(targets, field.name).to(device) for field in fields(Targets)))
