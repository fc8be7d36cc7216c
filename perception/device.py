"""Where a network runs, chosen once at the door: the device, the numbers it computes in, and whether its work is a CUDA graph.

One code path serves all devices: sensor data go to the device with shapes that rarely change, the strongest cells come back to
the host. What differs is which kernels fill the pillars and look up the pictures, and that a GPU replays its work as a graph.
"""
from __future__ import annotations

from dataclasses import dataclass

import torch

from data_specs.errors import RoadweaveError
from perception.detect import CalibratedDetector
from perception.fold import folded, for_cpu, with_pillars
from perception.static import AutocastDetector, StaticDetector

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Device:
    """A device and how networks run on it; coordinates, projections and the head's numbers are float32 everywhere."""

    name: str  # as torch names it: cpu, cuda (the current one), cuda:1
    dtype: torch.dtype  # of the convolutions
    graph: bool  # captured once for each shape of input, then replayed

    @property
    def title(self) -> str:
        """For people: "NVIDIA H200, fp16, CUDA graph"."""
        short = {dtype: name for name, dtype in DTYPES.items()}[self.dtype]
        if self.name == "cpu":
            return f"CPU, {torch.get_num_threads()} threads, {short}"
        return f"{torch.cuda.get_device_name(self.name)}, {short}" + (", CUDA graph" if self.graph else "")


def chosen_device(name: str = "auto", dtype: str = "auto") -> Device:
    """The device of that name: auto (a GPU where there is one), cpu, cuda or cuda:0 and so on.

    `dtype` is auto, fp32, fp16 or bf16; auto is fp32 on the CPU and fp16 on a GPU. RoadweaveError for what is not known, or
    not here.
    """
    if dtype not in ("auto", *DTYPES):
        raise RoadweaveError(f"dtype {dtype!r}, expected auto, {', '.join(DTYPES)}")
    kind, _, number = name.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not (kind == "cuda" and number.isdecimal())):
        raise RoadweaveError(f"device {name!r}, expected auto, cpu, cuda or cuda:N")
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        if dtype == "fp16":
            raise RoadweaveError("dtype 'fp16' on the CPU, expected fp32 or bf16")
        return Device("cpu", DTYPES.get(dtype, torch.float32), graph=False)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise RoadweaveError(f"device {name!r}: torch finds {count or 'no'} GPU{'s' * (count != 1)} here, expected one of that "
                             "number; use --device cpu")
    return Device(f"cuda:{int(number)}" if number else "cuda", DTYPES.get(dtype, torch.float16), graph=True)


def ready(detector: CalibratedDetector, device: Device) -> CalibratedDetector:
    """A detector for detection on the device, in evaluation mode; the one given is left as it is."""
    if device.name == "cpu" and device.dtype == torch.float32:
        network = for_cpu(detector.network)
    elif device.name == "cpu":
        network = AutocastDetector(for_cpu(detector.network), device.name, device.dtype)
    else:
        from perception.ops.canvas_triton import pillar_canvas_triton

        network = StaticDetector(with_pillars(folded(detector.network), pillar_canvas_triton), device.name, device.dtype,
                                 device.graph)
    made = CalibratedDetector(network, detector.config).eval()
    made.calibration, made.camera_calibration = detector.calibration, detector.camera_calibration
    return made
