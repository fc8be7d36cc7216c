from dataclasses import replace

import pytest

from data_specs.errors import InputError, MissingInput, SpecError
from data_specs.objects import NUSCENES_CLASSES
from perception.assemble import build_detector
from perception.config import CameraConfig, DetectorConfig, LidarConfig, TrainConfig, detector_config_from_json
from perception.config_file import Recipe, read_recipe, shipped_names
from tests.perception.scenes import TINY


def recipe_of(tmp_path, text: str) -> Recipe:
    (tmp_path / "mine.toml").write_text(text)
    return read_recipe(str(tmp_path / "mine.toml"))


def test_nano_says_out_loud_what_the_defaults_are():
    assert read_recipe("nano") == Recipe(DetectorConfig(), TrainConfig())


def test_nano_without_a_sensor_is_otherwise_the_same():
    lidar, camera = read_recipe("nano-lidar"), read_recipe("nano-camera")
    assert lidar.network == replace(DetectorConfig(), name="nano-lidar", camera=None) and lidar.train == TrainConfig()
    assert camera.network == replace(DetectorConfig(), name="nano-camera", lidar=None)
    assert camera.train.sensor_loss.no_lidar == 1.0 and camera.train.sensor_loss.no_cameras == 0.0


def test_base_has_the_size_of_nuscenes():
    base = read_recipe("base").network
    assert (base.range_m, base.lidar, base.camera) != (None, None, None)
    assert base.lidar is not None and base.lidar.pillar_size_m == 0.15 and base.range_m == 54.0
    assert base.camera is not None and base.camera.image_hw == (256, 704) and base.camera.bottleneck
    assert set(base.classes) == set(NUSCENES_CLASSES)


@pytest.mark.parametrize("name", [name for name in shipped_names() if name != "base"])
def test_every_small_recipe_that_ships_builds(name):
    assert build_detector(read_recipe(name).network).name == name


def test_a_file_overrides_what_it_names_and_keeps_the_rest(tmp_path):
    recipe = recipe_of(tmp_path, '[network]\nname = "mine"\nrange_m = 25.6\n'
                                 "[network.lidar]\npillar_channels = 8\n[train]\nbatch = 2\n")
    assert recipe.network == replace(DetectorConfig(), name="mine", range_m=25.6, lidar=LidarConfig(pillar_channels=8))
    assert recipe.train == replace(TrainConfig(), batch=2)


def test_whole_numbers_serve_where_fractions_are_meant(tmp_path):
    assert recipe_of(tmp_path, "[network]\nz_range_m = [-2, 5]\n").network.z_range_m == (-2.0, 5.0)


@pytest.mark.parametrize("text, error", [
    ("[network]\nrange = 3.0\n", r"mine\.toml: network: unknown key 'range' \(nearest: 'range_m'\), expected keys among name, "),
    ("[network.camera]\nwidht = 8\n", r"network: camera: unknown key 'widht' \(nearest: 'width'\)"),
    ("[trian]\n", r"mine\.toml: unknown key 'trian' \(nearest: 'train'\), expected keys among network, train"),
    ("[train]\nsteps = 1.5\n", r"train: steps: 1\.5, expected a value of type int"),
    ("[train]\nsteps = true\n", "train: steps: True, expected a value of type int"),
    ("[network]\nz_range_m = [1.0]\n", "network: z_range_m: 1 values, expected 2"),
    ("[network]\nclasses = 'car'\n", "network: classes: 'car', expected a list"),
    ("[network]\nlidar = 3\n", "network: lidar: 3, expected a table of keys and values"),
    ("[network]\nrange_m = 51.0\n", "expected values that fit together"),
    ("[train]\nfirst_drive = 5\n", "train: first_drive: 5, expected 1000 or more"),
    ("network = [\n", r"mine\.toml: .* expected TOML"),
])
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, error):
    with pytest.raises(InputError, match=error):
        recipe_of(tmp_path, text)


def test_an_unknown_name_is_told_with_the_nearest_and_all_that_ship():
    with pytest.raises(MissingInput, match=r"configuration nanno \(nearest: 'nano'\): missing, expected a TOML file, or one of "
                                           "base, nano, nano-camera, nano-lidar"):
        read_recipe("nanno")


@pytest.mark.parametrize("config", [DetectorConfig(), TINY, replace(TINY, camera=None), replace(TINY, lidar=None)])
def test_a_network_survives_its_json(config):
    assert detector_config_from_json(config.to_json(), "here") == config


def test_damaged_json_is_refused_with_its_place():
    with pytest.raises(InputError, match="here: configuration that is no JSON"):
        detector_config_from_json("{", "here")
    with pytest.raises(InputError, match=r"here: unknown key 'rnage_m' \(nearest: 'range_m'\)"):
        detector_config_from_json('{"rnage_m": 3}', "here")


@pytest.mark.parametrize("changes, error", [
    ({"lidar": None, "camera": None}, "lidar and camera: both None, expected at least one branch"),
    ({"stage_blocks": (1,)}, "stage_blocks: 1 stages, expected 2: as many as stage_channels"),
    ({"cell_m": 1.6}, r"pillar_size_m: 0\.4 with 1 stages of stem gives cells of 0\.8 m, expected cell_m 1\.6"),
    ({"range_m": 12.4}, "grid of 31 cells, expected a multiple of 2 for 2 stages"),
])
def test_parts_that_do_not_fit_are_refused(changes, error):
    with pytest.raises(SpecError, match=error):
        replace(TINY, **changes)


def test_held_out_drives_cannot_be_trained_on():
    with pytest.raises(SpecError, match="first_drive: 5, expected 1000 or more"):
        TrainConfig(first_drive=5)


def test_a_network_without_cameras_needs_no_pictures():
    assert replace(TINY, camera=None).image_hw == (1, 1)
    assert replace(TINY, camera=CameraConfig(image_hw=(64, 96))).image_hw == (64, 96)
