"""Shows what a detector of simulated streets makes of a real one: python tests/e2e/take_domain_gap.py WEIGHTS OUT.png [SOURCE]

SOURCE is a nuScenes key frame (default: the one in SAMPLE_DATA_DIR, or in ../shared/data). OUT shows it from above and through
the front camera, truth in green and detections from a score of 0.3 on in orange; the scores of all detections are printed. The
picture shows nuScenes' data (CC BY-NC-SA 4.0): it is for looking at, and belongs in no repository.
"""
from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from PIL import Image, ImageDraw, ImageFont  # noqa: E402

from data_specs.arrays import Array  # noqa: E402
from data_specs.boxes import Boxes3D  # noqa: E402
from data_specs.objects import NUSCENES_CLASSES, ObjectClass, ObjectList, Truth  # noqa: E402
from data_specs.results import RunResult  # noqa: E402
from data_specs.sensors import CameraImage, Sample  # noqa: E402
from perception.load import load_detector  # noqa: E402
from perception.scene import ego_points  # noqa: E402
from perception.stage import PerceptionStage  # noqa: E402
from replay.drive import EGO_SAMPLES, TRUTH, VEHICLE_OBJECTS, MemoryDrive  # noqa: E402
from replay.importers.nuscenes import NuScenesImporter  # noqa: E402
from replay.metrics.detection import evaluate_nuscenes  # noqa: E402

REACH_M = 51.2  # as far as our networks look
SIDE_PX, FRONT_HW = 900, (619, 1100)
SHOWN_FROM = 0.3  # score
TRUE_COLOUR, FOUND_COLOUR, TEXT_COLOUR = (70, 220, 90), (255, 150, 40), (225, 225, 225)
EDGES = [(i, (i + 1) % 4) for i in range(4)] + [(i + 4, (i + 1) % 4 + 4) for i in range(4)] + [(i, i + 4) for i in range(4)]


def main(weights: Path, out: Path, source: Path) -> None:
    importer = NuScenesImporter(source)
    events = list(importer)
    stage = PerceptionStage(load_detector(weights))
    detected = [answer for event in events for answer in stage.process(event)]
    result = evaluate_nuscenes(MemoryDrive(importer.describe(), [*events, *detected]))
    time_ns = next(event.time_ns for event in events if event.topic == TRUTH)
    shown = {event.topic: event.payload for event in [*events, *detected] if event.time_ns == time_ns}
    lines = lines_of(result, weights)
    picture(shown[EGO_SAMPLES], shown[TRUTH], shown[VEHICLE_OBJECTS], lines).save(out)
    print(*lines, f"{out}: {out.stat().st_size // 1000} kB of nuScenes' data: not for a repository", sep="\n")


def lines_of(result: RunResult, weights: Path) -> list[str]:
    """The scores of the key frame, and the AP of each class that it shows."""
    counts = {score.slice: score.count for score in result.scores if score.name.endswith("_AP") and score.count}
    classes = [f"{name} {result.value(f'{name}_AP', name):.2f} of {count}" for name, count in counts.items()
               if name in NUSCENES_CLASSES]
    return [f"{weights.name} on a real nuScenes key frame, all ten classes of nuScenes",
            f"mAP {result.value('mAP'):.3f}, NDS {result.value('NDS'):.3f}, "
            f"mAP of the classes shown {result.value('mAP_present'):.3f}",
            f"AP: {', '.join(classes)}"]


def picture(sample: Sample, truth: Truth, found: ObjectList, lines: list[str]) -> Image.Image:
    """The street from above, and beside it the front camera's picture over the text."""
    ego_from_map = sample.map_from_ego.inverse()
    true = truth.objects[~truth.ignore].transformed(ego_from_map)
    said = found[found.score >= SHOWN_FROM].transformed(ego_from_map)
    front = next(image for image in sample.images if image.camera.frame == "CAM_FRONT")
    sheet = Image.new("RGB", (SIDE_PX + FRONT_HW[1], SIDE_PX), (12, 14, 18))
    sheet.paste(from_above(ego_points(sample), true, said), (0, 0))
    sheet.paste(through_camera(sample, front, true, said), (SIDE_PX, 0))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(19)
    for i, (line, colour) in enumerate([(f"truth: {len(true)} boxes", TRUE_COLOUR),
                                        (f"detections with a score of {SHOWN_FROM} or more: {len(said)}", FOUND_COLOUR),
                                        *((line, TEXT_COLOUR) for line in lines)]):
        draw.text((SIDE_PX + 16, FRONT_HW[0] + 20 + 32 * i), line, fill=colour, font=font)
    return sheet


def from_above(points: Array, true: ObjectList, said: ObjectList) -> Image.Image:
    """Points and boxes of the ego frame, its x upwards; a box's front is where its line leads."""
    ground = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    column, row = pixels_from_above(points[:, :2]).astype(int).T
    inside = (column >= 0) & (column < SIDE_PX) & (row >= 0) & (row < SIDE_PX)
    height = np.clip((points[inside, 2] + 0.5) / 3.0, 0.0, 1.0)[:, None]
    ground[row[inside], column[inside]] = (60 + 130 * height) * np.array([0.8, 0.9, 1.0])
    image = Image.fromarray(ground)
    draw = ImageDraw.Draw(image)
    for objects, colour in ((true, TRUE_COLOUR), (said, FOUND_COLOUR)):
        corners = objects.boxes.corners_m()[:, :4, :2]
        ahead_m = corners[:, [0, 3]].mean(axis=1) if len(objects) else np.zeros((0, 2))
        for outline, middle, front in zip(corners, objects.boxes.center_m[:, :2], ahead_m):
            draw.polygon([tuple(place) for place in pixels_from_above(outline)], outline=colour)
            draw.line([tuple(place) for place in pixels_from_above(np.stack([middle, front]))], fill=colour)
    draw.polygon([tuple(p) for p in pixels_from_above(np.array([[3.0, 0.0], [-1.0, 0.9], [-1.0, -0.9]]))], fill=TEXT_COLOUR)
    return image


def pixels_from_above(xy_m: Array) -> Array:
    """Columns and rows [n, 2] of places [n, 2] in the ego frame."""
    return np.column_stack([REACH_M - xy_m[:, 1], REACH_M - xy_m[:, 0]]) * (SIDE_PX / (2 * REACH_M))


def through_camera(sample: Sample, image: CameraImage, true: ObjectList, said: ObjectList) -> Image.Image:
    """The picture with the boxes that lie wholly ahead of the lens, each with its class where it is a detection."""
    shown = Image.fromarray(image.rgb)
    draw, font = ImageDraw.Draw(shown), ImageFont.load_default(22)
    for objects, colour in ((true, TRUE_COLOUR), (said, FOUND_COLOUR)):
        for corners_px, label, score in projected(sample, image, objects.boxes, objects):
            for a, b in EDGES:
                draw.line([tuple(corners_px[a]), tuple(corners_px[b])], fill=colour, width=3)
            if objects is said:
                draw.text(tuple(corners_px.min(axis=0) - [0, 26]), f"{label} {score:.2f}", fill=colour, font=font)
    return shown.resize(FRONT_HW[::-1], Image.Resampling.LANCZOS)


def projected(sample: Sample, image: CameraImage, boxes: Boxes3D, objects: ObjectList) -> list[tuple[Array, str, float]]:
    """Corners [8, 2] in pixels, class and score of the boxes within reach that the camera may show."""
    camera_from_ego = sample.ego_from_sensor[image.camera.frame].inverse()
    kept = []
    for corners_m, label, score, range_m in zip(boxes.corners_m(), objects.label, objects.score, objects.range_m()):
        corners_px, depth_m = image.camera.project(camera_from_ego.apply(corners_m))
        if depth_m.min() > 0.5 and image.camera.sees(corners_px).any() and range_m < REACH_M:
            kept.append((corners_px, ObjectClass(label).title, float(score)))
    return kept


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    sample_data = Path(os.environ.get("SAMPLE_DATA_DIR", ROOT.parent / "shared" / "data"))
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else sample_data / "nuscenes_keyframe")
