"""What ROS 2's sensor messages hold, as our types: clouds, pictures, cameras and stamps.

Source: ros2/common_interfaces, sensor_msgs (PointCloud2, PointField, Image, CompressedImage, CameraInfo); per-point times as the
drivers of Ouster (`t`, ns), Velodyne (`time`, s), Livox (`offset_time`, ns) and Hesai and RoboSense (`timestamp`, s) name them.
"""
from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from data_specs.arrays import Array
from data_specs.errors import InputError, SpecError, UnknownFormat
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, PointCloud

NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}  # PointField.datatype
_TIMES = {"t": 1.0, "offset_time": 1.0, "time": 1e9, "timestamp": 1e9}  # nanoseconds of one unit
_LONGEST_SWEEP_NS = 1_000_000_000
_CHANNELS = {  # octets a pixel, and which of them are red, green and blue
    "rgb8": (3, [0, 1, 2]), "bgr8": (3, [2, 1, 0]), "rgba8": (4, [0, 1, 2]), "bgra8": (4, [2, 1, 0]), "mono8": (1, [0, 0, 0]),
}


def stamp_ns(header: Any) -> int:
    """Nanoseconds of a header's stamp; 0 where it was not set."""
    return header.stamp.sec * 1_000_000_000 + header.stamp.nanosec


def cloud_of(message: Any, time_ns: int, where: str, intensity_max: float = 255.0) -> PointCloud:
    """A PointCloud2 without the points that are not finite; InputError where its fields or its octets do not fit.

    Intensities of whole numbers count to the greatest that fits, others to `intensity_max`; what is above is cut to it.
    """
    rows = _rows(message, where)
    if absent := [axis for axis in "xyz" if axis not in _names(rows)]:
        raise InputError(where, f"fields {', '.join(_names(rows))}", f"also {', '.join(absent)}")
    xyz_m = np.column_stack([rows[axis] for axis in "xyz"]).astype(np.float32)
    kept = np.isfinite(xyz_m).all(axis=1)
    rows, xyz_m = rows[kept], xyz_m[kept]
    ring = next((rows[name] for name in ("ring", "channel", "line") if name in _names(rows)), np.zeros(len(rows)))
    return PointCloud(message.header.frame_id, time_ns, xyz_m, _intensity(rows, intensity_max),
                      np.clip(ring, 0, 255).astype(np.uint8), _offset_ns(rows, time_ns))


def picture_of(message: Any, camera: CameraModel, time_ns: int, where: str) -> CameraImage:
    """An Image or CompressedImage; UnknownFormat names an encoding that is not read."""
    try:
        rgb = _decoded(bytes(message.data), where) if hasattr(message, "format") else _raw(message, where)
        return CameraImage(time_ns, rgb, camera)
    except SpecError as error:
        raise InputError(where, str(error), f"a picture of {camera.frame}, as its CameraInfo says") from error


def camera_of(message: Any, frame: str, where: str) -> CameraModel:
    """A CameraInfo; UnknownFormat for a lens that five coefficients of plumb_bob do not describe."""
    told, beyond = [*message.d[:5]], [*message.d[5:]]
    if any(message.d) and (message.distortion_model not in ("plumb_bob", "rational_polynomial") or any(beyond)):
        raise UnknownFormat(where, f"distortion {message.distortion_model} of {len(message.d)} coefficients",
                            "plumb_bob, or rational_polynomial whose sixth and later ones are zero",
                            "--topics leaves this camera's pictures out")
    try:
        return CameraModel(frame, message.width, message.height, np.array(message.k, float).reshape(3, 3),
                           np.array(told if any(told) else [], float))
    except (SpecError, ValueError) as error:
        raise InputError(where, str(error), "a calibrated camera") from error


def pose_of(dst: str, src: str, translation: Any, rotation: Any, where: str) -> SE3:
    """A transform or pose; InputError for a quaternion that is none."""
    quaternion = np.array([rotation.w, rotation.x, rotation.y, rotation.z])
    try:
        return SE3.from_quaternion(dst, src, quaternion, np.array([translation.x, translation.y, translation.z]))
    except SpecError as error:
        raise InputError(where, str(error), "a unit quaternion and a place, all finite") from error


def _rows(message: Any, where: str) -> Array:
    """The points as a structured array [n], one name for each field."""
    strange = next((field for field in message.fields if field.datatype not in NUMBER_TYPES), None)
    if strange is not None:
        raise UnknownFormat(where, f"field {strange.name} of datatype {strange.datatype}", "1 to 8, as PointField has them")
    order = ">" if message.is_bigendian else "<"
    single = [field for field in message.fields if field.count == 1]
    kind = np.dtype({"names": [field.name for field in single], "offsets": [field.offset for field in single],
                     "formats": [order + NUMBER_TYPES[field.datatype] for field in single], "itemsize": message.point_step})
    data, wanted = bytes(message.data), message.height * message.row_step
    if len(data) < wanted or message.row_step < message.width * message.point_step:
        raise InputError(where, f"{len(data)} octets", f"{message.height} rows of {message.row_step}, "
                                                      f"{message.width} points of {message.point_step} in each")
    lines = np.frombuffer(data, np.uint8, wanted).reshape(message.height, message.row_step)
    return np.ascontiguousarray(lines[:, :message.width * message.point_step]).view(kind).ravel()


def _names(rows: Array) -> tuple[str, ...]:
    return rows.dtype.names or ()


def _intensity(rows: Array, intensity_max: float) -> Array:
    name = next((name for name in ("intensity", "reflectivity", "i") if name in _names(rows)), None)
    if name is None or not len(rows):
        return np.zeros(len(rows), np.float32)
    values = rows[name]
    most = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else intensity_max
    return np.clip(np.nan_to_num(values.astype(np.float32)) / np.float32(most), 0.0, 1.0)


def _offset_ns(rows: Array, time_ns: int) -> Array:
    """Each point's time after the cloud's; zero where it is not told, or is none within a second of it."""
    name = next((name for name in _TIMES if name in _names(rows)), None)
    if name is None:
        return np.zeros(len(rows), np.int32)
    values = rows[name].astype(np.float64)
    offset = values * _TIMES[name]
    if name == "timestamp" and len(values) and values[0] > 1e6:  # of the clock, not of the sweep
        offset = (values - time_ns // 1_000_000_000) * 1e9 - time_ns % 1_000_000_000
    offset = np.where(np.abs(offset) < _LONGEST_SWEEP_NS, offset, 0.0)
    return np.nan_to_num(np.rint(offset)).astype(np.int32)


def _decoded(data: bytes, where: str) -> Array:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise InputError(where, str(error), "a JPEG or PNG") from error


def _raw(message: Any, where: str) -> Array:
    if message.encoding not in _CHANNELS:
        raise UnknownFormat(where, f"encoding {message.encoding!r}", f"one of {', '.join(_CHANNELS)}")
    channels, order = _CHANNELS[message.encoding]
    data = bytes(message.data)
    if message.step < message.width * channels or len(data) < message.height * message.step:
        raise InputError(where, f"{len(data)} octets in rows of {message.step}",
                         f"{message.height} rows of {message.width} x {channels}")
    lines = np.frombuffer(data, np.uint8, message.height * message.step).reshape(message.height, message.step)
    return np.ascontiguousarray(lines[:, :message.width * channels].reshape(message.height, message.width, channels)[..., order])
