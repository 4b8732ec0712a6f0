"""ISO 10816-3: the limits of velocity, and only of velocity."""

import pytest

from gateway.domain.detection.baseline import Baseline
from gateway.domain.detection.detector import evaluate
from gateway.domain.detection.iso10816 import Group, Support, alarm, trip
from gateway.domain.detection.limits import limits
from gateway.domain.detection.rules import Rules, Threshold
from gateway.domain.detection.state import SensorState
from tests.samples import make_sample

SECOND = 10**9


@pytest.mark.parametrize(
    ("group", "support", "baseline", "expected"),
    [
        (1, "rigid", 2.0, 3.125),
        (1, "rigid", 100.0, 5.625),
        (2, "rigid", 0.9, 1.6),
        (2, "rigid", 2.9, 3.5),
        (2, "flexible", 2.0, 3.125),
        (1, "flexible", None, 8.875),
    ],
)
def test_alarm_is_a_quarter_of_the_boundary_above_the_baseline_but_bounded(
    group: Group, support: Support, baseline: float | None, expected: float
) -> None:
    assert alarm(group, support, baseline) == pytest.approx(expected)


def test_trip_does_not_depend_on_the_baseline() -> None:
    assert [trip(group, support) for group in (1, 2) for support in ("rigid", "flexible")] == [
        8.875, 13.75, 5.625, 8.875,
    ]  # fmt: skip


def fed(rules: Rules, *readings: dict[str, float], state: SensorState | None = None) -> list[tuple[str, str, str]]:
    state = state or SensorState()
    found: list[tuple[str, str, str]] = []
    for second, more in enumerate(readings):
        finding = evaluate(state, make_sample(more.pop("level", 4.0), second * SECOND, **more), rules).finding
        if finding:
            found.append((finding.change.name, finding.severity, finding.reason))
    return found


def velocity(value: float, count: int = 3) -> list[dict[str, float]]:
    return [{"velocity_rms": value} for _ in range(count)]


def test_velocity_is_judged_without_any_baseline() -> None:
    rules = Rules(iso_group=2)
    assert fed(rules, *velocity(3.4)) == []
    assert fed(rules, *velocity(3.6)) == [
        ("RAISE", "warning", "velocity RMS 3.6 mm/s, alarm of ISO 10816-3 3.5, for 3 readings in 2 s")
    ]
    ((_, severity, reason),) = fed(rules, *velocity(6.0))
    assert (severity, "trip of ISO 10816-3 5.62" in reason) == ("critical", True)


def test_without_a_group_velocity_is_not_judged_and_an_acceleration_never_is() -> None:
    assert fed(Rules(), *velocity(50.0)) == []
    assert fed(Rules(iso_group=2), *({"level": 50.0} for _ in range(9))) == []


def test_the_alarm_follows_the_velocity_that_was_learned() -> None:
    (found,) = limits(Baseline(4.0, "learned", velocity=0.9), Rules(iso_group=2)).quantities
    assert found.key == "velocity_rms"
    assert (found.bounds.warning, found.bounds.critical) == pytest.approx((1.6, 5.625))


def test_one_fault_is_one_alert_with_all_its_reasons() -> None:
    rules = Rules(baseline=4.0, iso_group=2)
    reading = {"level": 7.0, "velocity_rms": 4.0, "crest_factor": 9.0, "kurtosis": 8.0}
    ((change, severity, reason),) = fed(rules, *(dict(reading) for _ in range(3)))
    assert (change, severity) == ("RAISE", "warning")
    assert reason.split("; ") == [
        "RMS 7.0 m/s², 1.8 × the configured baseline 4.0, for 3 readings in 2 s",
        "velocity RMS 4.0 mm/s, alarm of ISO 10816-3 3.5, for 3 readings in 2 s",
        "with impacts (crest factor 9.0, kurtosis 8.0), as from a bearing or a gear",
    ]


def test_an_alert_ends_when_all_its_reasons_have() -> None:
    rules = Rules(baseline=4.0, iso_group=2)
    both, one = {"level": 7.0, "velocity_rms": 4.0}, {"level": 4.0, "velocity_rms": 4.0}
    state = SensorState()
    found = fed(rules, *(dict(both) for _ in range(3)), *(dict(one) for _ in range(9)), state=state)
    assert [change for change, *_ in found] == ["RAISE"]
    assert [change for change, *_ in fed(rules, *velocity(1.0), state=state)] == ["CLEAR"]


def test_the_shape_of_the_wave_is_never_critical_alone() -> None:
    """Near failure kurtosis can fall while the level rises."""
    rules = Rules(baseline=4.0, thresholds=(Threshold("kurtosis", warning=6.0, critical=9.0),))
    state = SensorState()
    found = fed(rules, *({"kurtosis": 12.0} for _ in range(6)), state=state)
    assert [severity for _, severity, _ in found] == ["warning"]
    found = fed(rules, *({"kurtosis": 12.0, "level": 7.0} for _ in range(3)), state=state)
    assert [(change, severity) for change, severity, _ in found] == [("ESCALATE", "critical")]


def test_a_threshold_has_delays_and_hysteresis_of_its_own() -> None:
    threshold = Threshold("crest_factor", warning=6.0, on_readings=1, off_readings=2, hysteresis=0.5)
    rules = Rules(baseline=4.0, thresholds=(threshold,))
    values = [6.0, 4.0, 4.0, 2.9, 2.9, 4.0]
    found = fed(rules, *({"crest_factor": value} for value in values))
    assert [change for change, *_ in found] == ["RAISE", "CLEAR"]
