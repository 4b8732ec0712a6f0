import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.learning.names import meaning_of
from gateway.domain.inputs.learning.quantities import role_of


@pytest.mark.parametrize(
    ("path", "role", "axis", "template", "unit"),
    [
        ("object.velocityRmsX", "velocity_rms", "X", "object.velocityRms{axis}", ""),
        ("yAccelerationPeak", "peak", "y", "{axis}AccelerationPeak", ""),
        ("z_max_ACC_G", "peak", "z", "{axis}_max_ACC_G", "g"),
        ("x_velocity_mm_sec", "velocity_rms", "x", "{axis}_velocity_mm_sec", "mm/s"),
        ("vel_ips", "velocity_rms", "", "vel_ips", "in/s"),
        ("data.accelRms.x", "level", "x", "data.accelRms.{axis}", ""),
        ("rootMeanSquare", "level", "", "rootMeanSquare", ""),
        ("values.ax", "level", "x", "values.a{axis}", ""),
        ("vrms", "velocity_rms", "", "vrms", ""),
        ("a-Rms", "level", "", "a-Rms", ""),
        ("acc_rms_m_s2", "level", "", "acc_rms_m_s2", "m/s²"),
        ("MPU6050.AccelZAxis", "level", "Z", "MPU6050.Accel{axis}Axis", ""),
        ("features.velocity.totalVibration.rms", "velocity_rms", "", "features.velocity.totalVibration.rms", ""),
        ("temperature_f", "temperature", "", "temperature_f", "°F"),
        ("temperatureC", "temperature", "", "temperatureC", "°C"),
        ("crestFactorX", "crest_factor", "X", "crestFactor{axis}", ""),
        ("kurt", "kurtosis", "", "kurt", ""),
        ("motor_rpm", "rpm", "", "motor_rpm", "rpm"),
    ],
)
def test_a_name_says_quantity_axis_and_unit(path: str, role: str, axis: str, template: str, unit: str) -> None:
    meaning = meaning_of(tuple(path.split(".")))
    assert meaning is not None
    found = (role_of(meaning), meaning.axis, ".".join(meaning.template), meaning.unit)
    assert found == (role, axis, template, unit)


@pytest.mark.parametrize(
    "name",
    [
        "ThresholdAccX",
        "x_peak_one_Hz",
        "batteryVoltage",
        "signalStrength",
        "angle_x",
        "GyroXAxis",
        "skewnessX",
        "kurtosisUltrasound",
        "velocity_alarm",
        "cpu_load",
        "x_axis",
        "uptime",
    ],
)
def test_other_numbers_are_no_quantity(name: str) -> None:
    meaning = meaning_of((name,))
    assert meaning is None or not role_of(meaning)


@given(st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=4))
def test_no_name_raises_and_the_axis_put_back_gives_the_name(names: list[str]) -> None:
    meaning = meaning_of(tuple(names))
    if meaning is not None and meaning.axis and not any("{axis}" in name for name in names):
        assert tuple(name.replace("{axis}", meaning.axis) for name in meaning.template) == tuple(names)
