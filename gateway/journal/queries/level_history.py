"""What became of one sensor's level: from the rollups, with the baselines and alerts that belong to it."""

from __future__ import annotations

import time
from math import isfinite
from typing import Any

from gateway.domain.alerting.alert import Alert, describe
from gateway.domain.detection.baseline_events import BASELINE_LEARNED
from gateway.domain.engine.event_log import StoredReading
from gateway.domain.model.assets import MACHINE_STATE
from gateway.domain.model.timefmt import rfc3339
from gateway.journal.queries.log_reader import MAX_STEP_BYTES
from gateway.journal.queries.reader import Reader
from gateway.journal.queries.resolutions import RESOLUTIONS, SECOND_NS, choose

_MOST_MARKS = 200
_SPARE_POINTS = 2


def level_history(
    reader: Reader, sensor_id: str, window_ns: tuple[int, int], points: int, ages_ns: dict[str, int]
) -> dict[str, Any]:
    """Return a sensor's levels in since <= time < until as columns of about `points` values, and what belongs to them.

    `time` is in seconds since 1970, where each step of `step` seconds begins; steps without a reading are left out.
    """
    now_ns = time.time_ns()
    since_ns, until_ns = _where_there_is_something(reader, sensor_id, window_ns, now_ns)
    span = choose(since_ns, until_ns, points, now_ns, ages_ns)
    window = span.start, span.end
    rows = reader.levels(span.resolution.table, sensor_id, window, span.step, points + _SPARE_POINTS)
    baselines = reader.entries(sensor_id, BASELINE_LEARNED, None, until_ns, _MOST_MARKS)
    return {
        "sensorId": sensor_id,
        "from": rfc3339(span.start * SECOND_NS),
        "to": rfc3339(until_ns),
        "step": span.step,
        "resolution": span.resolution.name,
        "time": [row[0] for row in rows],
        "low": [_short(row[1]) for row in rows],
        "mean": [_short(row[2]) for row in rows],
        "high": [_short(row[3]) for row in rows],
        "count": [row[4] for row in rows],
        "baselines": [{**entry.fact.data, "at": rfc3339(entry.fact.time_ns)} for entry in baselines][::-1],
        "states": _states(reader, sensor_id, since_ns, until_ns),
        "alerts": [describe(alert) for alert in _alerts(reader, sensor_id, since_ns, until_ns)],
    }


def _where_there_is_something(
    reader: Reader, sensor_id: str, window_ns: tuple[int, int], now_ns: int
) -> tuple[int, int]:
    """Return the part of a window that lies between the sensor's first reading and now, so that no point is wasted."""
    coarsest = RESOLUTIONS[-1]
    first, last = reader.rollup_bounds(coarsest.table, sensor_id)
    start = max(window_ns[0], min(now_ns - coarsest.step * SECOND_NS, first * SECOND_NS))
    end = min(window_ns[1], max(now_ns, (last + coarsest.step) * SECOND_NS))
    return start, max(end, start + SECOND_NS)


def _alerts(reader: Reader, sensor_id: str, since_ns: int, until_ns: int) -> list[Alert]:
    """Return the alerts that were open at any moment of the span, the oldest first."""
    found = reader.alerts_of(sensor_id, until_ns, _MOST_MARKS)
    return [alert for alert in found if alert.cleared_ns is None or alert.cleared_ns >= since_ns][::-1]


def _states(reader: Reader, sensor_id: str, since_ns: int, until_ns: int) -> list[dict[str, Any]]:
    """Return the operating states that the sensor's machine reported of itself, each from when to when."""
    place = reader.place(sensor_id)
    found = reader.entries(place[2], MACHINE_STATE, None, until_ns, _MOST_MARKS)
    facts = [each.fact for each in found if tuple(map(each.fact.data.get, ("site", "area", "machine"))) == place][::-1]
    ends = [*(fact.time_ns for fact in facts[1:]), until_ns]
    return [
        {"state": fact.data["state"], "from": rfc3339(max(fact.time_ns, since_ns)), "to": rfc3339(end)}
        for fact, end in zip(facts, ends, strict=False)  # without a fact there is no end either
        if end >= since_ns
    ]


def _short(level: float) -> float | None:
    """Return a level with the five digits that a chart can show, so that a year fits into a few kB."""
    return float(f"{level:.5g}") if isfinite(level) else None


def newest_readings(reader: Reader, sensor_id: str, since_ns: int, until_ns: int, limit: int) -> list[StoredReading]:
    """Return a sensor's newest readings, the oldest first: `limit` at most, fewer where they are large."""
    found: list[StoredReading] = []
    size = 0
    for reading in reader.readings(sensor_id, since_ns, until_ns, limit):
        found.append(reading)
        size += len(reading.body)
        if size > MAX_STEP_BYTES:
            break
    return found[::-1]
