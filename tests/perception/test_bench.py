import numpy as np
import pytest
import torch

from data_specs.errors import SpecError
from data_specs.objects import ObjectList
from perception.bench import measure, show
from perception.device import Device
from perception.energy import CpuJoules, cpu_joules
from tests.perception.scenes import sample_of

CPU = Device("cpu", torch.float32, graph=False)
MOMENTS = [(sample_of(np.zeros((3, 4))), ())]


class Idle:
    """A detector that finds nothing, at once."""

    name = "idle"

    def detect(self, sample, earlier=()):
        return ObjectList.empty("ego", "idle")


def counter(folder, uj: int, range_uj: int = 1000_000, name: str = "package-0"):
    zone = folder / "intel-rapl:0"
    zone.mkdir(exist_ok=True)
    for file, text in (("name", name), ("energy_uj", uj), ("max_energy_range_uj", range_uj)):
        (zone / file).write_text(f"{text}\n")


def test_power_and_price_follow_from_the_time_of_a_frame():
    speed = measure(Idle(), CPU, MOMENTS, 0.01, watts=50.0, price_per_hour=3.6)
    assert speed.power_source == "given"
    assert speed.joules_per_frame == pytest.approx(50.0 / speed.frames_per_s)
    assert speed.cost_per_million_frames == pytest.approx(0.001 / speed.frames_per_s * 1e6)
    assert (speed.gpu_peak_mib, speed.peak_mib > 10.0) == (None, True)


def test_what_is_not_known_is_none_and_said_so(monkeypatch, capsys):
    monkeypatch.setattr("perception.bench.cpu_joules", lambda: None)
    speed = measure(Idle(), CPU, MOMENTS, 0.01)
    assert (speed.joules_per_frame, speed.cost_per_million_frames) == (None, None)
    show(speed)
    assert "--watts gives it" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "value"), [("seconds", 0.0), ("watts", -1.0), ("price_per_hour", float("nan"))])
def test_numbers_that_make_no_sense_are_refused(name, value):
    with pytest.raises(SpecError, match=f"{name}: .*, expected more than 0"):
        measure(Idle(), CPU, MOMENTS, **({"seconds": 1.0} | {name: value}))


def test_nothing_to_detect_in_is_refused():
    with pytest.raises(SpecError, match="moments: none"):
        measure(Idle(), CPU, [], 1.0)


def test_joules_go_on_when_the_counter_starts_again(tmp_path):
    counter(tmp_path, 900_000)
    joules = cpu_joules(tmp_path)
    assert isinstance(joules, CpuJoules)
    counter(tmp_path, 100_000)
    assert joules() == pytest.approx(0.2)
    counter(tmp_path, 400_000)
    assert joules() == pytest.approx(0.5)


def test_a_machine_without_a_counter_has_none(tmp_path):
    assert cpu_joules(tmp_path) is None
    counter(tmp_path, 1, name="core")
    assert cpu_joules(tmp_path) is None
