"""Records a small drive, exports it as nuScenes and prints its boxes as JSON: what a test beside nuscenes-devkit starts.

    python tests/replay/made_for_devkit.py FOLDER
"""
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from replay.drive import TRUTH  # noqa: E402
from replay.export import Span  # noqa: E402
from replay.export_nuscenes import write_nuscenes  # noqa: E402
from replay.recorded import open_drive  # noqa: E402
from replay.recorder import Recorder  # noqa: E402
from tests.replay.drives import drive_info, events  # noqa: E402

folder = Path(sys.argv[1])
with Recorder(folder / "drive", drive_info()) as recorder:
    for event in events():
        recorder.write(event)
drive = open_drive(folder / "drive")
write_nuscenes(drive, folder / "nu", Span())
print(json.dumps([{"center_m": event.payload.objects.boxes.center_m.tolist(),
                   "size_lwh_m": event.payload.objects.boxes.size_lwh_m.tolist(),
                   "yaw_rad": event.payload.objects.boxes.yaw_rad.tolist(), "points": event.payload.points_in_box.tolist()}
                  for event in drive.events(topics=[TRUTH])]))
