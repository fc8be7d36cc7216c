import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_specs.errors import InputError, MissingInput, TruncatedInput
from replay.importers.pcd import lzf_decompress, read_pcd

DTYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("intensity", "u1"), ("stamp", "<f8")])


def points(count=7):
    rows = np.zeros(count, DTYPE)
    rows["x"], rows["y"] = np.arange(count) / 4, -np.arange(count)
    rows["intensity"], rows["stamp"] = np.arange(count) * 3, 1626240241.6 + np.arange(count) / 1000
    return rows


def header(count, storage):
    return ("# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS x y intensity stamp\nSIZE 4 4 1 8\nTYPE F F U F\n"
            f"COUNT 1 1 1 1\nWIDTH {count}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {count}\nDATA {storage}\n").encode()


def literally(data):
    """LZF that refers to nothing: runs of at most 32 bytes."""
    return b"".join(bytes([len(data[i:i + 32]) - 1]) + data[i:i + 32] for i in range(0, len(data), 32))


def body(rows, storage):
    if storage == "binary":
        return rows.tobytes()
    if storage == "ascii":
        return "\n".join(f"{r['x']:.9g} {r['y']:.9g} {r['intensity']} {r['stamp']!r}".replace("np.float64(", "").replace(")", "")
                         for r in rows).encode()
    flat = b"".join(rows[name].tobytes() for name in DTYPE.names)
    packed = literally(flat)
    return np.array([len(packed), len(flat)], "<u4").tobytes() + packed


@pytest.mark.parametrize("storage", ["ascii", "binary", "binary_compressed"])
def test_all_three_ways_of_storing_give_the_points(tmp_path, storage):
    path = tmp_path / "cloud.pcd"
    path.write_bytes(header(7, storage) + body(points(), storage))
    columns = read_pcd(path)
    for name in DTYPE.names:
        assert columns[name].dtype == DTYPE[name]
        np.testing.assert_array_equal(columns[name], points()[name])


@given(st.binary(max_size=300))
def test_runs_come_out_as_they_are(data):
    assert lzf_decompress(literally(data), len(data)) == data


@pytest.mark.parametrize(("packed", "data"), [
    (b"\x02abc\x20\x02", b"abcabc"),  # three bytes from three back
    (b"\x00a\xe0\x04\x00", b"a" * 14),  # a long reference into its own output
    (b"\x01ab\x60\x01", b"ababab" + b"a"),
])
def test_references_repeat_what_came_before(packed, data):
    assert lzf_decompress(packed, len(data)) == data


@pytest.mark.parametrize(("packed", "message"), [
    (b"\x20\x00", "before the start"), (b"\x02abc\x20", "inside a reference"), (b"\x05abc", "3 bytes come out"),
])
def test_damaged_lzf_is_refused(packed, message):
    with pytest.raises(ValueError, match=message):
        lzf_decompress(packed, 6)


@pytest.mark.parametrize("storage", ["ascii", "binary", "binary_compressed"])
def test_a_file_cut_short_says_so(tmp_path, storage):
    path = tmp_path / "cloud.pcd"
    path.write_bytes((header(7, storage) + body(points(), storage))[:-40])
    with pytest.raises(TruncatedInput, match=r"cloud.pcd: \d+ .*, expected \d+"):
        read_pcd(path)


@pytest.mark.parametrize(("data", "message"), [
    (b"\x00" * 50, "no FIELDS, SIZE, TYPE, POINTS, DATA in the first 50 bytes, expected a PCD header"),
    (header(7, "zip"), "DATA zip, expected ascii, binary or binary_compressed"),
    (header(7, "binary").replace(b"SIZE 4 4 1 8", b"SIZE 4 4"), "as many FIELDS as TYPE"),
    (header(-1, "binary"), "POINTS -1"),
    (header(7, "binary_compressed") + b"\x00" * 8, "0 bytes of points, expected 119 bytes for 7 points"),
])
def test_what_is_no_pcd_is_refused(tmp_path, data, message):
    path = tmp_path / "cloud.pcd"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_pcd(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingInput, match=r"none.pcd: missing, expected a point cloud"):
        read_pcd(tmp_path / "none.pcd")


@pytest.mark.sample_data
def test_the_real_clouds_are_read(sample_data):
    vehicle = read_pcd(sample_data / "dair_v2x_c/vehicle-side/velodyne/015372.pcd")
    assert {name: column.dtype.str for name, column in vehicle.items()} == {
        "x": "<f4", "y": "<f4", "z": "<f4", "intensity": "|u1", "timestamp": "<f8"}
    assert len(vehicle["x"]) == 62_400
    assert 0.09 < np.ptp(vehicle["timestamp"]) < 0.11
    assert len(read_pcd(sample_data / "dair_v2x_c/infrastructure-side/velodyne/000016.pcd")["x"]) == 54_786
