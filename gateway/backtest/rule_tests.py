"""Tests of rules: given these readings, expect these alerts and no others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Self

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from gateway.backtest.recorded import Recorded
from gateway.backtest.running import AlertEntry, run_config
from gateway.backtest.series import parse_series
from gateway.config import Config, Duration, Section, read_toml, readable, validation_problems
from gateway.domain.inputs.native import MAX_ID
from gateway.domain.model.alert_kinds import AlertKind
from gateway.domain.model.events import Severity
from gateway.domain.model.quantities import BY_WIRE
from gateway.domain.model.reading import ReadingData, VibrationRecorded
from gateway.domain.model.timefmt import microseconds
from gateway.errors import ConfigError

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""When every test begins."""


def _series(value: object) -> object:
    return parse_series(value) if isinstance(value, str) else value


def _feature_names(features: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    if unknown := sorted(set(features) - set(BY_WIRE)):
        raise ValueError(f"no feature {', '.join(unknown)}; there are {', '.join(BY_WIRE)}")
    return features


Readings = Annotated[list[float | None], BeforeValidator(_series)]


class SeriesSection(Section):
    """What one sensor measured; `states` are (operating state, for so many readings)."""

    sensor: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    values: Annotated[Readings, Field(min_length=1)]
    unit: str = "m/s²"
    features: Annotated[dict[str, Readings], AfterValidator(_feature_names)] = Field(default_factory=dict)
    states: tuple[tuple[str, Annotated[int, Field(ge=1)]], ...] = ()

    @model_validator(mode="after")
    def _as_long(self) -> Self:
        for name, values in self.features.items():
            if len(values) > len(self.values):
                raise ValueError(f"features.{name} has {len(values)} values, and there are {len(self.values)} readings")
        return self


class ExpectedSection(Section):
    """An alert that must be raised, or become critical, at row `at`; what is left out may be anything.

    `cleared` is the row at which it ends, or false if it must not.
    """

    at: Annotated[int, Field(ge=0)]
    sensor: str | None = None
    severity: Severity | None = None
    kind: AlertKind | None = None
    reason: str | None = None
    cleared: int | bool | None = None

    def why_not(self, entry: AlertEntry) -> str | None:
        """Return why an alert is not the one that is expected, or None if it is."""
        for name, own in (("sensor", entry.sensor_id), ("severity", entry.severity), ("kind", entry.kind)):
            wanted = getattr(self, name)
            if wanted is not None and wanted != own:
                return f"its {name} is {own}"
        if self.at != entry.row:
            return f"it comes at {entry.row}"
        if self.reason is not None and self.reason not in entry.reason:
            return f"its reason does not say {self.reason!r}"
        return self._why_not_cleared(entry.cleared_row)

    def _why_not_cleared(self, row: int | None) -> str | None:
        ended = "it does not clear" if row is None else f"it clears at {row}"
        if self.cleared is None or self.cleared is (row is not None):
            return None
        if isinstance(self.cleared, bool):
            return ended
        return None if self.cleared == row else ended

    def __str__(self) -> str:
        words = [self.severity or "an alert", self.kind and f"({self.kind})", self.sensor, f"at {self.at}"]
        text = " ".join(word for word in words if word)
        text += f", saying {self.reason!r}" if self.reason is not None else ""
        if self.cleared is False:
            return f"{text}, not clearing"
        return (
            text
            if self.cleared is None
            else f"{text}, cleared" + ("" if self.cleared is True else f" at {self.cleared}")
        )


class RuleTest(Section):
    """Sensors of one machine, whose readings come `interval` apart, and the alerts that they must lead to."""

    name: Annotated[str, Field(min_length=1)]
    series: Annotated[list[SeriesSection], Field(min_length=1)]
    alerts: tuple[ExpectedSection, ...] = ()
    interval: Annotated[Duration, Field(ge=10**6)] = 60 * 10**9
    learning: Annotated[int, Field(ge=2)] | None = None
    site: str = "test"
    area: str = "test"
    machine: str = "machine-1"

    @model_validator(mode="after")
    def _one_series_for_a_sensor(self) -> Self:
        names = [series.sensor for series in self.series]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"more than one series for {', '.join(twice)}")
        return self


class RuleTests(Section):
    """A file of tests."""

    tests: Annotated[list[RuleTest], Field(min_length=1)]


class Result(Struct, frozen=True):
    """What came of a test. `missing` were expected, each with why nothing was found that is it."""

    name: str
    missing: list[str]
    unexpected: list[AlertEntry]

    @property
    def met(self) -> bool:
        """Tell whether everything was as expected."""
        return not self.missing and not self.unexpected


def load_tests(path: Path) -> RuleTests:
    """Read a file of tests. Raises ConfigError with a line for everything that is wrong with it."""
    try:
        return RuleTests.model_validate(read_toml(path))
    except ValidationError as error:
        raise ConfigError([f"{path}: {readable(line)}" for line in validation_problems(error)]) from None


def run_test(test: RuleTest, config: Config) -> Result:
    """Run the readings of a test through the production engine, and compare the alerts with those expected."""
    begin_ns = microseconds(BEGIN) * 1000
    until_ns = begin_ns + max(len(series.values) for series in test.series) * test.interval
    left = run_config(_readings(test), config, test.learning, until_ns=until_ns).alerts
    for entry in left:  # what follows from time alone comes with no row; the time says which one it would be
        entry.row = (entry.opened_ns - begin_ns) // test.interval
        entry.cleared_row = None if entry.cleared_ns is None else (entry.cleared_ns - begin_ns) // test.interval
    missing = []
    for expected in test.alerts:
        match = next((entry for entry in left if expected.why_not(entry) is None), None)
        if match is None:
            missing.append(f"{expected}{_nearest(expected, left)}")
        else:
            left.remove(match)
    return Result(test.name, missing, left)


def _nearest(expected: ExpectedSection, entries: Sequence[AlertEntry]) -> str:
    """Return why the alert that is nearest to an expected one is not it."""
    alike = [entry for entry in entries if expected.sensor in {None, entry.sensor_id}]
    if not alike:
        return "; there is no other alert" + (f" of {expected.sensor}" if expected.sensor else "")
    nearest = min(alike, key=lambda entry: (entry.severity != expected.severity, abs(entry.row - expected.at)))
    return f"; the nearest: {expected.why_not(nearest)}"


def _readings(test: RuleTest) -> Iterator[Recorded]:
    tags = {"site": test.site, "area": test.area, "machine": test.machine}
    states = [[name for name, count in series.states for _ in range(count)] for series in test.series]
    for row, levels in enumerate(zip_longest(*(series.values for series in test.series))):
        moment = BEGIN + timedelta(microseconds=row * test.interval // 1000)
        event_us = microseconds(moment)
        for series, own_states, level in zip(test.series, states, levels, strict=True):
            if level is not None:
                data = ReadingData(series.sensor, level, unit=series.unit)
                data.operating_state = own_states[row] if row < len(own_states) else None
                _set_features(data, row, series.features)
                event = VibrationRecorded("VibrationRecorded", moment, data, f"row {row}")
                yield Recorded(row, event, event_us, event_us * 1000, tags)


def _set_features(data: ReadingData, row: int, features: Mapping[str, Sequence[float | None]]) -> None:
    for name, values in features.items():
        if row < len(values):
            setattr(data, BY_WIRE[name].key, values[row])
