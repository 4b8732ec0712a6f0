"""What is happening now, in memory: the last level of every sensor, a short trend, and the open alerts.

Nothing is made for a viewer before one asks: a reading costs a few assignments. Every change carries a version, so
that a viewer, however slow, asks for what changed since the version it has and gets the newest state of that.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nsmallest
from sys import intern
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.alerting.liveness import SENSOR_FORGOTTEN
from gateway.domain.engine.event_log import EventRecord, StoredReading, ratio_of
from gateway.domain.engine.purging import SENSORS_PURGED
from gateway.domain.inputs.native import data_in
from gateway.domain.model.assets import SENSOR_RENAMED, asset_of
from gateway.domain.model.events import SEVERITIES
from gateway.domain.model.naming import is_name_of, names_of, published_in
from gateway.domain.model.reading import (
    Flag,
    as_the_sensor_says,
    complete,
    in_sensors_unit,
    in_words,
    quantities_of,
)
from gateway.domain.model.timefmt import rfc3339

STATES = ("critical", "warning", "learning", "ok", "waiting")
"""The state words of a sensor, worst first. `learning`: no baseline yet; `waiting`: no reading since the start."""

POINTS = 60
POINT_INTERVAL_NS = 500_000_000
"""A trend has at most this many points, at least this far apart; the newest of readings closer together stays."""

SHOWN_SENSORS = 2000
SHOWN_ALERTS = 200
"""What a stream of changes carries at most; every sensor with an alert comes on top of the first. Counts are of all."""

TRENDS = 100
"""Up to so many sensors a new viewer gets every trend at once; of more, only those of sensors with an alert."""

ROW = ("id", "state", "level", "baseline", "unit", "time", "measured", "site", "area", "machine", "spark")
"""A sensor in a stream of changes: an array, since there may be a thousand a second. A viewer that knows the sensor
gets the first seven. `time` is in seconds since 1970, `measured` says in words what a sensor without a level
measured, or the level in the sensor's own unit. `spark` may be empty."""

_NOT_JUDGED = Flag.LATE | Flag.RETAINED
_SEVERITY_RANK = {severity: rank for rank, severity in enumerate(reversed(SEVERITIES))}
_STATE_RANK = {state: rank for rank, state in enumerate(STATES)}


def _short(level: float | None) -> float | None:
    return None if level is None else float(f"{level:.5g}")


class KnownSensor(Protocol):
    """What the journal knows of a sensor at the start."""

    @property
    def id(self) -> str:
        """Its name."""
        ...

    @property
    def tags(self) -> dict[str, str]:
        """Where it is: what its topic captured."""
        ...


class _Sensor(Struct, gc=False):
    """The newest of one sensor, in about 1 kB. `born` and `version` are when it came and when it last changed."""

    id: str
    tags: dict[str, str]
    born: int
    version: int
    state: str = "waiting"
    level: float | None = None
    baseline: float | None = None
    time_ns: int = 0
    unit: str = ""
    trend: array[float] = msgspec.field(default_factory=lambda: array("f"))
    points: int = 0
    point_ns: int = 0
    shown: bool = False
    sensor_unit: str = ""
    quantities: dict[str, float] | None = None  # those that came without a level

    @property
    def ratio(self) -> float | None:
        return ratio_of(self.level, self.baseline)

    def take(self, reading: StoredReading) -> None:
        self.time_ns, self.tags = reading.time_ns, reading.tags  # it may have moved
        data = data_in(reading.body)
        if reading.level is None:
            self.quantities = {**(self.quantities or {}), **quantities_of(data)}
            return
        self.level, self.baseline = reading.level, reading.baseline
        complete(data)
        self.unit, self.sensor_unit = intern(data.unit), intern(data.sensor_unit or "")

    def draw(self, time_ns: int, level: float) -> None:
        points = self.points
        if not points or not 0 <= time_ns - self.point_ns < POINT_INTERVAL_NS:
            self.point_ns = time_ns
            self.points = points = points + 1
        if points > len(self.trend) < POINTS:
            self.trend.append(level)
        else:
            self.trend[(points - 1) % POINTS] = level

    def now(self) -> dict[str, Any]:
        """Return what changes from reading to reading."""
        return {
            "id": self.id,
            "state": self.state,
            "level": self.level,
            "baseline": self.baseline,
            "ratio": self.ratio,
            "unit": self.unit,
            "time": rfc3339(self.time_ns) if self.time_ns else None,
            "quantities": self.quantities or {},
        }

    def row(self) -> list[Any]:
        """Return what changes from reading to reading, to five digits: the beginning of ROW."""
        level, baseline = _short(self.level), _short(self.baseline)
        time = self.time_ns // 1_000_000 / 1000 or None
        return [self.id, self.state, level, baseline, self.unit, time, self.measured()]

    def measured(self) -> str | None:
        """Return in words what is measured where that is no level, or the level in the sensor's own unit."""
        if self.level is None:
            return in_words(self.quantities) if self.quantities else None
        own = in_sensors_unit(self.level, self.unit, self.sensor_unit) if self.sensor_unit else None
        return None if own is None else f"{own[0]:.3g} {own[1]}"

    def whole_row(self, *, trend: bool) -> list[Any]:
        """Return all of ROW."""
        place = [self.tags.get(name, "") for name in ("site", "area", "machine")]
        return [*self.row(), *place, self.spark() if trend else []]

    def spark(self) -> list[float]:
        """Return the trend to four digits, the oldest point first."""
        first = max(0, self.points - POINTS)
        return [float(f"{self.trend[index % POINTS]:.4g}") for index in range(first, self.points)]

    def whole(self) -> dict[str, Any]:
        """Return everything: where the sensor is, its newest reading, and its trend to four digits."""
        place = {name: self.tags.get(name, "") for name in ("site", "area", "machine")}
        shown = as_the_sensor_says(self.level, self.baseline, self.unit, self.sensor_unit)
        return {**self.now(), **shown, **place, "tags": self.tags, "spark": self.spark()}


class Live:
    """A consumer of the journal that keeps what the page and the API show as the present."""

    def __init__(self) -> None:
        self._sensors: dict[str, _Sensor] = {}
        self._shown: list[_Sensor] = []
        self._open: dict[str, dict[str, Mapping[str, Any]]] = {}  # sensor id -> alert id -> alert
        self._gone: dict[str, int] = {}  # name that a sensor had -> the version since which it has it no more
        self._counts: Counter[str] = Counter()
        self._version = self._alerts_version = 1
        self._news = asyncio.Event()

    def seed(self, sensors: Iterable[KnownSensor], alerts: Iterable[Mapping[str, Any]]) -> None:
        """Begin with what the journal knew at the start: sensors, and open alerts as `alerts.describe` gives them."""
        for sensor in sensors:
            self._add(sensor.id, sensor.tags)
        for alert in alerts:
            self._change_alert(alert)

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> None:
        """Take the readings and the alert facts of one step, and wake the viewers."""
        self._version += 1
        for entry in entries:
            if entry.fact.type == SENSOR_RENAMED:
                self._rename(entry.fact.data["before"], entry.fact.data["sensorId"])
        self._take(readings)
        for entry in entries:
            if entry.fact.type in ALERT_FACTS:
                self._change_alert(entry.fact.data)
            elif entry.fact.type == SENSOR_FORGOTTEN and entry.fact.subject in self._sensors:
                self._forget(self._sensors[entry.fact.subject])
            elif entry.fact.type == SENSORS_PURGED:
                self._purge(entry.fact.data["sensors"])
        self._news.set()
        self._news = asyncio.Event()

    def worst(self, limit: int) -> list[str]:
        """Return the ids of the `limit` worst sensors, the worst first."""
        worst = nsmallest(limit, self._sensors.values(), key=lambda s: (_STATE_RANK[s.state], -(s.ratio or 0), s.id))
        return [sensor.id for sensor in worst]

    def sensors(self, limit: int) -> list[dict[str, Any]]:
        """Return the `limit` worst sensors, the worst first."""
        return [self._sensors[id_].whole() for id_ in self.worst(limit)]

    def answering(self, asked: str) -> list[str]:
        """Return the names of the sensors that something people write may mean."""
        if asked in self._sensors:
            return [asked]
        alone = self._sensors.get(published_in(asked))
        if alone is not None and asked in names_of(alone.id, asset_of(alone.tags)):
            return [alone.id]
        return [name for name, sensor in self._sensors.items() if is_name_of(name, asked, asset_of(sensor.tags))]

    def sensor(self, sensor_id: str) -> dict[str, Any] | None:
        """Return one sensor, or None if it is unknown."""
        sensor = self._sensors.get(sensor_id)
        return None if sensor is None else sensor.whole()

    @property
    def version(self) -> int:
        """The newest version; the first one is 1."""
        return self._version

    async def changed(self, since: int) -> None:
        """Wait until there is a later version than `since`."""
        while self._version <= since:
            await self._news.wait()

    def changes(self, since: int) -> dict[str, Any]:
        """Return what changed after version `since`; 0 gives everything that is shown.

        Always `counts` (of all sensors by state, `sensors` and `alerts` in all). `sensors` are rows as ROW has them,
        whole where the viewer does not know them yet. `alerts`, the worst open ones, is there only if one changed, and
        `gone`, names that sensors do not have any more, only if there are any.
        """
        changes: dict[str, Any] = {
            "counts": {
                **{state: self._counts[state] for state in STATES},
                "sensors": len(self._sensors),
                "alerts": sum(map(len, self._open.values())),
            },
            "sensors": [self._row(s, since) for s in self._shown if s.version > since],
        }
        if gone := [name for name, version in self._gone.items() if version > since > 0]:
            changes["gone"] = gone
        if self._alerts_version > since:
            changes["alerts"] = self._worst_alerts()
        return changes

    def _row(self, sensor: _Sensor, since: int) -> list[Any]:
        if sensor.born <= since:
            return sensor.row()
        return sensor.whole_row(trend=len(self._shown) <= TRENDS or sensor.id in self._open)

    def _take(self, readings: Iterable[StoredReading]) -> None:
        """Draw every level, and show the last one of each sensor."""
        newest: dict[str, StoredReading] = {}
        for reading in readings:
            sensor_id = reading.sensor_id
            sensor = self._sensors.get(sensor_id) or self._add(sensor_id, reading.tags)
            if reading.flags & _NOT_JUDGED:
                continue
            if reading.level is None:  # each may have measured something else
                sensor.take(reading)
                self._settle(sensor)
            else:
                newest[sensor_id] = reading
                sensor.draw(reading.time_ns, reading.level)
        for sensor_id, reading in newest.items():
            sensor = self._sensors[sensor_id]
            sensor.take(reading)
            self._settle(sensor)

    def _forget(self, sensor: _Sensor) -> None:
        """Show a sensor as one of which nothing has come yet: nobody is to take its last level for the present."""
        sensor.level = sensor.baseline = sensor.quantities = None
        self._settle(sensor)

    def _purge(self, sensor_ids: Iterable[str]) -> None:
        """Show sensors no more."""
        gone = [sensor for id_ in sensor_ids if (sensor := self._sensors.pop(id_, None)) is not None]
        self._counts.subtract(sensor.state for sensor in gone)
        for sensor in gone:
            self._leave(sensor)
        self._shown = [sensor for sensor in self._shown if sensor.id in self._sensors]
        self._show_more()

    def _show_more(self) -> None:
        """Show others in the room that is left."""
        for sensor in self._sensors.values():
            if len(self._shown) >= SHOWN_SENSORS:
                return
            if not sensor.shown:
                self._show(sensor)

    def _rename(self, before: str, name: str) -> None:
        """Let what is known of a sensor be known under its new name, unless a later step has brought that already."""
        if before not in self._sensors:
            return
        sensor = self._sensors.pop(before)
        self._leave(sensor)
        if name in self._sensors:
            self._counts[sensor.state] -= 1
            self._shown = [each for each in self._shown if each is not sensor]
            return
        sensor.id = name
        sensor.born = sensor.version = self._version
        self._sensors[name] = sensor
        if alerts := self._open.pop(before, None):
            self._open[name] = {id_: {**alert, "sensorId": name} for id_, alert in alerts.items()}
            self._alerts_version = self._version

    def _leave(self, sensor: _Sensor) -> None:
        """Let those who view a sensor know that there is none of this name any more."""
        if not sensor.shown:
            return
        self._gone.pop(sensor.id, None)
        self._gone[sensor.id] = self._version
        if len(self._gone) > SHOWN_SENSORS:
            del self._gone[next(iter(self._gone))]

    def _add(self, sensor_id: str, tags: dict[str, str]) -> _Sensor:
        sensor = self._sensors[sensor_id] = _Sensor(sensor_id, tags, born=self._version, version=self._version)
        self._counts[sensor.state] += 1
        if len(self._shown) < SHOWN_SENSORS:
            self._show(sensor)
        return sensor

    def _change_alert(self, alert: Mapping[str, Any]) -> None:
        sensor_id = alert["sensorId"]
        of_sensor = self._open.setdefault(sensor_id, {})
        of_sensor.pop(alert["id"], None)
        if alert["state"] != "cleared":
            of_sensor[alert["id"]] = alert
        if not of_sensor:
            del self._open[sensor_id]
        self._alerts_version = self._version
        if sensor := self._sensors.get(sensor_id):
            self._settle(sensor)
            if not sensor.shown:
                self._show(sensor)

    def _show(self, sensor: _Sensor) -> None:
        sensor.shown = True
        sensor.born = self._version  # for the viewers it comes into being now
        self._shown.append(sensor)

    def _settle(self, sensor: _Sensor) -> None:
        """Mark the sensor as changed, with the state word that holds now."""
        sensor.version = self._version
        if alerts := self._open.get(sensor.id):
            state = min((alert["severity"] for alert in alerts.values()), key=_SEVERITY_RANK.__getitem__)
        elif sensor.level is None:
            state = "ok" if sensor.quantities else "waiting"
        else:
            state = "learning" if sensor.baseline is None else "ok"
        if state != sensor.state:
            self._counts[sensor.state] -= 1
            self._counts[state] += 1
            sensor.state = state

    def _worst_alerts(self) -> list[Mapping[str, Any]]:
        """Return the worst open alerts: critical before warning, then the newest first."""
        alerts = (alert for of_sensor in self._open.values() for alert in of_sensor.values())
        newest = sorted(alerts, key=lambda alert: str(alert["openedAt"]), reverse=True)
        newest.sort(key=lambda alert: _SEVERITY_RANK[alert["severity"]])
        return newest[:SHOWN_ALERTS]
