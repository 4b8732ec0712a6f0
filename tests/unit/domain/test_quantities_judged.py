"""Quantities judged by themselves: limits on either side, with and without a level, and what messages say of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.detection.detector import Finding, evaluate
from gateway.domain.detection.limits import limits
from gateway.domain.detection.rules import Rules, Threshold
from gateway.domain.detection.state import Sensor, SensorState
from gateway.domain.detection.timeline import Clocks
from gateway.domain.engine.engine import Engine
from gateway.domain.inputs.native import decode_event
from gateway.domain.model.quantities import LONGEST_UNIT, Kind, unit_of
from gateway.domain.model.reading import LONGEST_SHOWN
from tests.samples import make_sample

SECOND = 10**9
TAGS = {"machine": "pump-7"}


def fed(rules: Rules, values: list[float], key: str = "temperature", level: float | None = None) -> list[Finding]:
    state = SensorState()
    samples = [make_sample(level, second * SECOND, **{key: value}) for second, value in enumerate(values)]
    findings = (evaluate(state, sample, rules).finding for sample in samples)
    return [finding for finding in findings if finding is not None]


def told(rules: Rules, values: list[float], key: str = "temperature") -> list[tuple[str, str, str]]:
    return [(found.change.name, found.severity, found.reason) for found in fed(rules, values, key)]


def limited(**limits_: Any) -> Rules:
    return Rules(thresholds=(Threshold("temperature", **limits_),))


def test_a_temperature_alone_is_judged_by_its_limits() -> None:
    assert told(limited(warning=80.0, critical=90.0), [70.0, *[85.0] * 3, *[71.0] * 3]) == [
        ("RAISE", "warning", "temperature 85.0 °C, limit 80.0, for 3 readings in 2 s"),
        ("CLEAR", "warning", "Back to normal: temperature 71.0 °C, for 3 readings in 2 s"),
    ]


def test_too_little_is_told_as_such() -> None:
    assert told(limited(warning_below=5.0, critical_below=-20.0), [9.0, *[4.0] * 3, *[-20.0] * 3]) == [
        ("RAISE", "warning", "temperature 4.0 °C, below its limit 5.0, for 3 readings in 2 s"),
        ("ESCALATE", "critical", "temperature -20.0 °C, below its critical limit -20.0, for 3 readings in 2 s"),
    ]


@pytest.mark.parametrize(
    ("given_limits", "beyond", "still", "over"),
    [
        ({"warning": -20.0}, -19.0, -21.9, -22.1),
        ({"warning_below": -20.0}, -21.0, -18.1, -17.9),
        ({"warning_below": 5.0}, 4.0, 5.4, 5.6),
        ({"warning": 0.0}, 0.0, -0.05, -0.15),
        ({"warning": 0.0, "critical": 5.0}, 1.0, -0.4, -0.6),
        ({"warning": 30.0, "warning_below": -10.0}, 31.0, 26.1, 25.9),
        ({"warning": 30.0, "warning_below": -10.0}, -11.0, -6.1, -5.9),
    ],
)
def test_hysteresis_is_a_share_of_the_span_on_either_side_of_zero(
    given_limits: dict[str, float], beyond: float, still: float, over: float
) -> None:
    rules = limited(**given_limits)
    raised = [beyond] * 3
    assert [found.change.name for found in fed(rules, [*raised, *[still] * 9])] == ["RAISE"]
    assert [found.change.name for found in fed(rules, [*raised, *[over] * 3])] == ["RAISE", "CLEAR"]


@given(st.floats(-200, 200), st.floats(-200, 200), st.floats(0, 0.9))
def test_an_alert_ends_on_the_normal_side_of_its_limit(first: float, second: float, share: float) -> None:
    low, high = sorted((round(first, 2), round(second, 2)))
    if low == high:
        return
    threshold = Threshold("temperature", warning=high, warning_below=low, hysteresis=share)
    above, below = limits(None, Rules(thresholds=(threshold,))).quantities
    assert above.bounds.clear <= above.bounds.warning == high
    assert below.bounds.clear <= below.bounds.warning == -low


def test_the_alert_says_what_is_beyond_which_limit() -> None:
    (found,) = fed(Rules(iso_group=2), [6.2] * 3, "velocity_rms", level=0.297)
    assert (found.level, found.baseline, found.figure) == (
        0.297,
        None,
        "velocity RMS 6.2 mm/s, trip of ISO 10816-3 5.62",
    )


def test_an_alert_about_the_level_names_no_other_figure() -> None:
    rules = Rules(baseline=4.0, thresholds=(Threshold("temperature", warning=80.0),))
    (found,) = fed(rules, [85.0] * 3, level=12.0)
    assert found.figure == ""


class Fed:
    """A sensor and the engine that judges what it sends."""

    def __init__(self, rules: Rules) -> None:
        self.engine = Engine(lambda _: rules, Clocks(10**12))
        self.sensor = Sensor(1, "VB-1", TAGS, "", "", 0, SensorState())
        self.engine.register(self.sensor)
        self.second = 0

    def send(self, count: int = 1, **data: object) -> list[str]:
        """Send so many readings and return the reasons of what was found."""
        reasons = []
        for _ in range(count):
            self.second += 1
            body = {
                "eventType": "VibrationRecorded",
                "timestamp": "2026-03-01T12:00:00Z",
                "data": {"sensorId": "VB-1", **data},
            }
            event = decode_event(msgspec.json.encode(body))
            event.event_id = str(self.second)
            time_ns = self.second * 60 * SECOND
            found = self.engine.judge(self.sensor, event, time_ns // 1000, time_ns, received_ns=time_ns, flags=0)
            reasons += [each.evaluation.finding.reason for each in found if each.evaluation.finding]
            reasons += [word for each in found for word in each.evaluation.faults or ()]
        return reasons


@pytest.mark.parametrize("unit", ["mm/s", "mm/sec", "MM/S", "m/s", "ips"])
def test_a_level_that_is_a_velocity_goes_to_the_limits_of_iso(unit: str) -> None:
    level = {"m/s": 0.006, "ips": 6.0 / 25.4}.get(unit, 6.0)
    assert Fed(Rules(iso_group=2)).send(3, vibrationLevel=level, unit=unit) == [
        "velocity RMS 6.0 mm/s, trip of ISO 10816-3 5.62, for 3 readings in 2 min"
    ]


def test_a_velocity_alone_is_the_level_and_goes_to_the_limits_of_iso() -> None:
    made = Fed(Rules(iso_group=2))
    assert made.send(3, velocityRms=6.0) == ["velocity RMS 6.0 mm/s, trip of ISO 10816-3 5.62, for 3 readings in 2 min"]
    assert (made.sensor.state.unit, made.sensor.state.last_level) == ("mm/s", 6.0)


@pytest.mark.parametrize(
    ("first", "second"), [("m/s2", "m/s²"), ("m/s^2", "M/S2"), ("µm/s", "μm/s"), ("g", "G"), ("mm/s", "mm/sec")]
)
def test_two_spellings_are_one_unit(first: str, second: str) -> None:
    made = Fed(Rules(baseline=4.0, warning_ratio=3.0))
    assert made.send(5, vibrationLevel=4.0, unit=first) == []
    assert made.send(5, vibrationLevel=4.1, unit=second) == []


@pytest.mark.parametrize(
    ("kind", "said", "symbol"),
    [
        ("velocity", "C16", "mm/s"),
        ("velocity", "millimeters-per-second", "mm/s"),
        ("velocity", "inches per second", "in/s"),
        ("acceleration", "meters-per-second-per-second", "m/s²"),
        ("acceleration", "MSK", "m/s²"),
        ("acceleration", "K40", "g"),
        ("temperature", "FAH", "°F"),
        ("temperature", "degrees-fahrenheit", "°F"),
        ("speed", "revolutions-per-minute", "rpm"),
        ("ratio", "percent", "%"),
    ],
)
def test_units_by_their_codes_and_written_out(kind: Kind, said: str, symbol: str) -> None:
    found = unit_of(kind, said)
    assert found is not None
    assert found.symbol == symbol


def test_one_measurement_in_three_messages_needs_no_merging() -> None:
    made = Fed(Rules(baseline=4.0, iso_group=2, thresholds=(Threshold("temperature", warning=80.0),)))
    for _ in range(2):
        assert made.send(velocityRms=6.0) == []
        assert made.send(vibrationLevel=4.0) == []
        assert made.send(temperature=85.0) == []
    assert made.sensor.state.unit == "m/s²"
    assert made.send(velocityRms=6.0) == ["velocity RMS 6.0 mm/s, trip of ISO 10816-3 5.62, for 3 readings in 6 min"]
    assert made.sensor.state.last_level == 4.0


def test_nothing_measured_is_refused_with_the_reason() -> None:
    with pytest.raises(msgspec.ValidationError, match="neither vibrationLevel nor one of the quantities velocityRms"):
        Fed(Rules()).send(operatingState="running")


def test_a_reason_gives_the_level_in_the_sensors_own_unit_too() -> None:
    (reason,) = Fed(Rules(baseline=1.0)).send(3, vibrationLevel=2.9126, unit="m/s²", sensorUnit="g")
    assert reason.startswith("RMS 2.91 m/s² (0.297 g), 2.9 × the configured baseline 1.0, for 3 readings")


@pytest.mark.parametrize("unit", ["m/s2", "mm/s", "furlongs", "", None])
def test_a_unit_that_says_nothing_more_is_not_shown(unit: str | None) -> None:
    (reason,) = Fed(Rules(baseline=1.0)).send(3, vibrationLevel=2.9126, sensorUnit=unit)
    assert reason.startswith("RMS 2.91 m/s², 2.9 ×")


def test_a_unit_as_long_as_a_message_is_cut_before_anything_keeps_it() -> None:
    body = {"sensorId": "VB-1", "vibrationLevel": 1.0, "unit": "x" * 9000, "sensorUnit": "y" * 9000}
    event = {"eventType": "VibrationRecorded", "timestamp": "2026-03-01T12:00:00Z", "data": body}
    data = decode_event(msgspec.json.encode(event)).data
    assert (len(data.unit), len(data.sensor_unit or "")) == (LONGEST_SHOWN, LONGEST_UNIT)
