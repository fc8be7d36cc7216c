"""Samples as Foxglove protobuf messages and back. Points, camera models, times and poses come back exactly; images are JPEG.

Foxglove holds rotations as quaternions, which round: the exact poses travel in the sample's own message, as JSON whose
numbers Python writes and reads back to the last bit.
"""
from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import foxglove_schemas_protobuf.CameraCalibration_pb2 as calibration_pb2
import foxglove_schemas_protobuf.CompressedImage_pb2 as image_pb2
import foxglove_schemas_protobuf.FrameTransform_pb2 as transform_pb2
import foxglove_schemas_protobuf.FrameTransforms_pb2 as transforms_pb2
import foxglove_schemas_protobuf.PackedElementField_pb2 as element_pb2
import foxglove_schemas_protobuf.PointCloud_pb2 as cloud_pb2
import foxglove_schemas_protobuf.SceneUpdate_pb2 as scene_pb2
import numpy as np
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from PIL import Image

from data_specs.errors import SpecError
from data_specs.pose import SE3
from data_specs.sensors import CameraImage, CameraModel, PointCloud, Sample

JPEG_QUALITY = 90
NS = 1_000_000_000
SAMPLE, MESSAGE = "roadweave.Sample", "roadweave.Message"
JSON_SCHEMAS = {  # what of ours is no Foxglove schema
    SAMPLE: "Poses of a sample and the order of its parts, which share this message's log_time and sequence.",
    MESSAGE: "A V2X message: kind, publisher, wire_format, times, segment, number of objects, and its octets as hex.",
}
_MESSAGES: dict[str, Any] = {
    "foxglove.PointCloud": cloud_pb2.PointCloud, "foxglove.CompressedImage": image_pb2.CompressedImage,
    "foxglove.CameraCalibration": calibration_pb2.CameraCalibration,
    "foxglove.FrameTransforms": transforms_pb2.FrameTransforms, "foxglove.SceneUpdate": scene_pb2.SceneUpdate,
}
_POINT = np.dtype([("xyz_m", "<f4", 3), ("intensity", "<f4"), ("offset_ns", "<i4"), ("ring", "u1")])
_FLOAT32, _INT32, _UINT8 = (element_pb2.PackedElementField.NumericType.Value(name) for name in ("FLOAT32", "INT32", "UINT8"))
_FIELDS = [element_pb2.PackedElementField(name=name, offset=offset, type=type) for name, offset, type in (
    ("x", 0, _FLOAT32), ("y", 4, _FLOAT32), ("z", 8, _FLOAT32), ("intensity", 12, _FLOAT32), ("offset_ns", 16, _INT32),
    ("ring", 20, _UINT8))]


@dataclass
class Parts:
    """The messages of one sample, in order of writing, undecoded."""

    clouds: list[bytes] = field(default_factory=list)
    calibrations: list[bytes] = field(default_factory=list)
    images: list[bytes] = field(default_factory=list)
    bundle: bytes = b""

    def add(self, role: str, data: bytes) -> None:
        """`role` is what stands in the channel's name behind the topic."""
        if role == "":
            self.bundle = data
        elif role.endswith("/points"):
            self.clouds.append(data)
        elif role.endswith("/calibration"):
            self.calibrations.append(data)
        elif role.endswith("/image"):
            self.images.append(data)

    def jpegs(self) -> dict[str, bytes]:
        """Each camera's image as it was written, by frame."""
        images = [image_pb2.CompressedImage.FromString(data) for data in self.images]
        return {image.frame_id: image.data for image in images}


def schema(name: str) -> bytes:
    """A Foxglove schema as MCAP wants it: a FileDescriptorSet with all it depends on."""
    files = FileDescriptorSet()
    seen: set[str] = set()

    def add(descriptor: Any) -> None:
        for dependency in descriptor.dependencies:
            add(dependency)
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            descriptor.CopyToProto(files.file.add())

    add(_MESSAGES[name].DESCRIPTOR.file)
    return files.SerializeToString()


def encode(sample: Sample) -> Iterator[tuple[str, str, int, bytes]]:
    """(channel suffix, schema, taken_ns, data) of each part; the last one, with no suffix, makes the sample whole."""
    for cloud in sample.clouds:
        yield f"{cloud.frame}/points", "foxglove.PointCloud", cloud.taken_ns, _encode_cloud(cloud)
    for image in sample.images:
        frame = image.camera.frame
        yield f"{frame}/calibration", "foxglove.CameraCalibration", image.taken_ns, _encode_camera(image.camera, image.taken_ns)
        yield f"{frame}/image", "foxglove.CompressedImage", image.taken_ns, _encode_image(image)
    for camera in sample.blind_cameras:
        data = _encode_camera(camera, sample.taken_ns)
        yield f"{camera.frame}/calibration", "foxglove.CameraCalibration", sample.taken_ns, data
    yield "transforms", "foxglove.FrameTransforms", sample.taken_ns, _encode_transforms(sample)
    yield "", SAMPLE, sample.taken_ns, _encode_bundle(sample)


def decode(parts: Parts) -> Sample:
    """The sample of its parts; SpecError, ValueError or KeyError where they are not whole."""
    bundle = json.loads(parts.bundle)
    seeing, blind = len(bundle["images"]), len(bundle.get("blind_cameras", ()))
    for name, got, want in (("clouds", parts.clouds, len(bundle["clouds"])), ("images", parts.images, seeing),
                            ("calibrations", parts.calibrations, seeing + blind)):
        if len(got) != want:
            raise SpecError(f"{len(got)} {name}, expected {want}")
    cameras = [_decode_camera(data) for data in parts.calibrations]
    return Sample(
        drive_id=bundle["drive_id"], taken_ns=bundle["taken_ns"],
        clouds=tuple(_decode_cloud(data) for data in parts.clouds),
        images=tuple(_decode_image(data, camera) for data, camera in zip(parts.images, cameras)),
        map_from_ego=_decode_pose("map", bundle["platform"], bundle["map_from_ego"]),
        ego_from_sensor={frame: _decode_pose(bundle["platform"], frame, pose)
                         for frame, pose in bundle["ego_from_sensor"].items()},
        blind_cameras=tuple(cameras[seeing:]),
    )


def _encode_cloud(cloud: PointCloud) -> bytes:
    points = np.empty(len(cloud), _POINT)
    for name in ("xyz_m", "intensity", "offset_ns", "ring"):
        points[name] = getattr(cloud, name)
    message = cloud_pb2.PointCloud(frame_id=cloud.frame, point_stride=_POINT.itemsize, fields=_FIELDS, data=points.tobytes())
    message.pose.orientation.w = 1.0
    _set_time(message.timestamp, cloud.taken_ns)
    return message.SerializeToString()


def _decode_cloud(data: bytes) -> PointCloud:
    message = cloud_pb2.PointCloud.FromString(data)
    if message.point_stride != _POINT.itemsize or len(message.data) % _POINT.itemsize:
        raise SpecError(f"points of {message.point_stride} bytes in {len(message.data)}, expected {_POINT.itemsize} each")
    points = np.frombuffer(message.data, _POINT)
    return PointCloud(message.frame_id, _time_ns(message.timestamp), points["xyz_m"], points["intensity"], points["ring"],
                      points["offset_ns"])


def _encode_camera(camera: CameraModel, taken_ns: int) -> bytes:
    matrix = camera.matrix_px
    projection = np.hstack([matrix, np.zeros((3, 1))])
    message = calibration_pb2.CameraCalibration(
        frame_id=camera.frame, width=camera.width_px, height=camera.height_px, D=camera.distortion.tolist(),
        distortion_model="plumb_bob" if len(camera.distortion) else "", K=matrix.ravel().tolist(),
        R=np.eye(3).ravel().tolist(), P=projection.ravel().tolist())
    _set_time(message.timestamp, taken_ns)
    return message.SerializeToString()


def _decode_camera(data: bytes) -> CameraModel:
    message = calibration_pb2.CameraCalibration.FromString(data)
    return CameraModel(message.frame_id, message.width, message.height, np.array(message.K).reshape(3, 3),
                       np.array(message.D, np.float64))


def _encode_image(image: CameraImage) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.rgb).save(buffer, "JPEG", quality=JPEG_QUALITY)
    message = image_pb2.CompressedImage(frame_id=image.camera.frame, data=buffer.getvalue(), format="jpeg")
    _set_time(message.timestamp, image.taken_ns)
    return message.SerializeToString()


def _decode_image(data: bytes, camera: CameraModel) -> CameraImage:
    message = image_pb2.CompressedImage.FromString(data)
    if message.frame_id != camera.frame:
        raise SpecError(f"image of {message.frame_id!r}, expected {camera.frame!r} as in its calibration")
    rgb = np.asarray(Image.open(io.BytesIO(message.data)).convert("RGB"))
    return CameraImage(_time_ns(message.timestamp), rgb, camera)


def _encode_transforms(sample: Sample) -> bytes:
    message = transforms_pb2.FrameTransforms()
    for pose in (sample.map_from_ego, *sample.ego_from_sensor.values()):
        w, x, y, z = pose.quaternion_wxyz().tolist()
        transform = transform_pb2.FrameTransform(parent_frame_id=pose.dst, child_frame_id=pose.src)
        transform.rotation.w, transform.rotation.x, transform.rotation.y, transform.rotation.z = w, x, y, z
        (transform.translation.x, transform.translation.y, transform.translation.z) = pose.translation_m.tolist()
        _set_time(transform.timestamp, sample.taken_ns)
        message.transforms.append(transform)
    return message.SerializeToString()


def _encode_bundle(sample: Sample) -> bytes:
    return json.dumps({
        "drive_id": sample.drive_id, "taken_ns": int(sample.taken_ns), "platform": sample.platform,
        "clouds": [cloud.frame for cloud in sample.clouds], "images": [image.camera.frame for image in sample.images],
        "blind_cameras": [camera.frame for camera in sample.blind_cameras],
        "map_from_ego": _encode_pose(sample.map_from_ego),
        "ego_from_sensor": {frame: _encode_pose(pose) for frame, pose in sample.ego_from_sensor.items()},
    }).encode()


def _encode_pose(pose: SE3) -> dict[str, list[float]]:
    return {"rotation": pose.rotation.ravel().tolist(), "translation_m": pose.translation_m.tolist()}


def _decode_pose(dst: str, src: str, pose: dict[str, list[float]]) -> SE3:
    return SE3(dst, src, np.array(pose["rotation"]).reshape(3, 3), np.array(pose["translation_m"]))


def _set_time(timestamp: Any, time_ns: int) -> None:
    timestamp.seconds, timestamp.nanos = divmod(int(time_ns), NS)


def _time_ns(timestamp: Any) -> int:
    return timestamp.seconds * NS + timestamp.nanos
