"""Small ROS 2 bags in MCAP that tests make, with the message definitions that they need."""
from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from mcap_ros2.writer import Writer
from PIL import Image

_LINE = "=" * 80
HEADER = "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id"
TIME = "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec"
VECTOR = "MSG: geometry_msgs/Vector3\nfloat64 x\nfloat64 y\nfloat64 z"
POINT = "MSG: geometry_msgs/Point\nfloat64 x\nfloat64 y\nfloat64 z"
QUATERNION = "MSG: geometry_msgs/Quaternion\nfloat64 x\nfloat64 y\nfloat64 z\nfloat64 w"
DEFINITIONS = {
    "sensor_msgs/msg/PointCloud2": [
        "std_msgs/Header header\nuint32 height\nuint32 width\nsensor_msgs/PointField[] fields\nbool is_bigendian\n"
        "uint32 point_step\nuint32 row_step\nuint8[] data\nbool is_dense", HEADER, TIME,
        "MSG: sensor_msgs/PointField\nstring name\nuint32 offset\nuint8 datatype\nuint32 count"],
    "sensor_msgs/msg/Image": [
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data",
        HEADER, TIME],
    "sensor_msgs/msg/CompressedImage": ["std_msgs/Header header\nstring format\nuint8[] data", HEADER, TIME],
    "sensor_msgs/msg/CameraInfo": [
        "std_msgs/Header header\nuint32 height\nuint32 width\nstring distortion_model\nfloat64[] d\nfloat64[9] k\nfloat64[9] r\n"
        "float64[12] p", HEADER, TIME],
    "tf2_msgs/msg/TFMessage": [
        "geometry_msgs/TransformStamped[] transforms",
        "MSG: geometry_msgs/TransformStamped\nstd_msgs/Header header\nstring child_frame_id\ngeometry_msgs/Transform transform",
        "MSG: geometry_msgs/Transform\ngeometry_msgs/Vector3 translation\ngeometry_msgs/Quaternion rotation", VECTOR, QUATERNION,
        HEADER, TIME],
    "nav_msgs/msg/Odometry": [
        "std_msgs/Header header\nstring child_frame_id\ngeometry_msgs/PoseWithCovariance pose",
        "MSG: geometry_msgs/PoseWithCovariance\ngeometry_msgs/Pose pose\nfloat64[36] covariance",
        "MSG: geometry_msgs/Pose\ngeometry_msgs/Point position\ngeometry_msgs/Quaternion orientation", POINT, QUATERNION, HEADER,
        TIME],
    "std_msgs/msg/String": ["string data"],
}
NO_TURN = {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
CAMERA_TURN = {"x": -0.5, "y": 0.5, "z": -0.5, "w": 0.5}  # an optical frame that looks along x


class Bag:
    """A bag in the making; leave its `with` block to make it whole."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._writer = Writer(self._stream)
        self._schemas = {kind: self._writer.register_msgdef(kind, f"\n{_LINE}\n".join(parts))
                         for kind, parts in DEFINITIONS.items()}

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.finish()
        self._stream.close()

    def put(self, topic: str, kind: str, time_ns: int, message: dict, logged_ns: int | None = None) -> None:
        self._writer.write_message(topic, self._schemas[kind], message, logged_ns or time_ns, logged_ns or time_ns)

    def transform(self, time_ns: int, parent: str, child: str, xyz: tuple[float, float, float], turn: dict | None = None,
                  static: bool = False) -> None:
        place = dict(zip("xyz", xyz))
        self.put("/tf_static" if static else "/tf", "tf2_msgs/msg/TFMessage", time_ns, {"transforms": [
            {"header": header(time_ns, parent), "child_frame_id": child,
             "transform": {"translation": place, "rotation": turn or NO_TURN}}]})

    def odometry(self, time_ns: int, xyz: tuple[float, float, float], frame: str = "odom", child: str = "base_link") -> None:
        self.put("/odom", "nav_msgs/msg/Odometry", time_ns, {
            "header": header(time_ns, frame), "child_frame_id": child,
            "pose": {"pose": {"position": dict(zip("xyz", xyz)), "orientation": NO_TURN}, "covariance": [0.0] * 36}})

    def cloud(self, topic: str, time_ns: int, frame: str, points: np.ndarray, **changes: object) -> None:
        self.put(topic, "sensor_msgs/msg/PointCloud2", time_ns, cloud_message(time_ns, frame, points) | changes)

    def camera_info(self, topic: str, time_ns: int, frame: str, size: tuple[int, int] = (8, 6)) -> None:
        matrix = [10.0, 0.0, size[0] / 2, 0.0, 10.0, size[1] / 2, 0.0, 0.0, 1.0]
        self.put(topic, "sensor_msgs/msg/CameraInfo", time_ns, {
            "header": header(time_ns, frame), "height": size[1], "width": size[0], "distortion_model": "plumb_bob",
            "d": [0.1, 0.0, 0.0, 0.0, 0.0], "k": matrix, "r": [1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0], "p": [0.0] * 12})

    def image(self, topic: str, time_ns: int, frame: str, rgb: np.ndarray, encoding: str = "rgb8") -> None:
        data = {"rgb8": rgb, "bgr8": rgb[..., ::-1], "mono8": rgb[..., 0]}.get(encoding, rgb)
        self.put(topic, "sensor_msgs/msg/Image", time_ns, {
            "header": header(time_ns, frame), "height": rgb.shape[0], "width": rgb.shape[1], "encoding": encoding,
            "is_bigendian": 0, "step": data[0].size, "data": np.ascontiguousarray(data).tobytes()})

    def jpeg(self, topic: str, time_ns: int, frame: str, rgb: np.ndarray) -> None:
        octets = io.BytesIO()
        Image.fromarray(rgb).save(octets, "PNG")
        self.put(topic, "sensor_msgs/msg/CompressedImage", time_ns, {"header": header(time_ns, frame), "format": "png",
                                                                     "data": octets.getvalue()})


def header(time_ns: int, frame: str) -> dict:
    return {"stamp": {"sec": time_ns // 10**9, "nanosec": time_ns % 10**9}, "frame_id": frame}


def cloud_message(time_ns: int, frame: str, points: np.ndarray, *, big: bool = False, padding: int = 0) -> dict:
    """A structured array [n] as a PointCloud2 of one row, its octets in either order, `padding` octets behind the row."""
    points = points.astype(points.dtype.newbyteorder(">" if big else "<"))
    kinds = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}
    fields = [{"name": name, "offset": offset, "datatype": kinds[kind.str[1:]], "count": 1}
              for name, (kind, offset) in points.dtype.fields.items()]
    return {"header": header(time_ns, frame), "height": 1, "width": len(points), "fields": fields, "is_bigendian": big,
            "point_step": points.dtype.itemsize, "row_step": points.nbytes + padding, "data": points.tobytes() + bytes(padding),
            "is_dense": True}
