"""A level as the sensor itself says it: converted back, and rounded to what a person reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.model.reading import as_the_sensor_says


@pytest.mark.parametrize(
    ("level", "baseline", "unit", "own", "shown"),
    [
        (2.91257505, 1.96133, "m/s²", "g", (0.297, 0.2, "g")),
        (2.4516625, None, "m/s²", "mg", (250.0, None, "mg")),
        (5.6, 2.8, "mm/s", "in/s", (0.2205, 0.1102, "in/s")),
        (None, None, "m/s²", "g", (None, None, "g")),
        (1.23456789, 1.0, "m/s²", "m/s²", (1.23456789, 1.0, "m/s²")),
        (1.5, 1.0, "m/s²", None, (1.5, 1.0, "m/s²")),
        (1.5, 1.0, "m/s²", "mm/s", (1.5, 1.0, "m/s²")),
        (58.0, None, "", "g", (58.0, None, "")),
        (0.5, 0.25, "g", "g", (0.5, 0.25, "g")),
    ],
)
def test_level_and_baseline_are_in_the_sensors_unit(
    level: float | None, baseline: float | None, unit: str, own: str | None, shown: tuple[object, ...]
) -> None:
    assert tuple(as_the_sensor_says(level, baseline, unit, own).values()) == shown


@given(st.floats(0, 1e6), st.sampled_from(["g", "mg", "ft/s²"]))
def test_no_more_is_lost_than_the_fifth_digit(level: float, own: str) -> None:
    shown = as_the_sensor_says(level, None, "m/s²", own)["shownLevel"]
    factor = {"g": 9.80665, "mg": 9.80665e-3, "ft/s²": 0.3048}[own]
    assert isinstance(shown, float)
    assert shown * factor == pytest.approx(level, rel=5.1e-4)
