"""The InfluxDB writer: every reading and every alert change, as line protocol, once per point."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import isfinite
from typing import Any, TypeVar, cast

import msgspec
import urllib3
from msgspec.structs import astuple

from gateway.api import ConsumerContext, DeliveryError, Refused, Taken, Wants
from gateway.config import InfluxSection
from gateway.config.values import is_loopback
from gateway.consumers.influx.client import SYNCHRONOUS, ApiException, InfluxDBClient
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.domain.inputs.native import quantities_in
from gateway.domain.model.quantities import BY_KEY
from gateway.domain.model.reading import Quantities

T = TypeVar("T")


_NO_QUANTITIES = Quantities()
_KEYS = tuple(BY_KEY)
_MOST_PREFIXES = 20_000
_NO_PREFIX: tuple[Mapping[str, str], str] = ({}, "")

_TIMEOUT_MS = 30_000
_AT_ONCE = 2500
"""Readings in one request. The next one is made ready and sent while the database has this one."""
_TOO_LARGE = 413
_BAD_DATA = (400, 422)
_REFUSED = (401, 403, 404)
_POINTS_EVERY = 0.2
"""Seconds. A request for each commit would be hundreds a second."""

_OWN_METRICS_EVERY = 10.0


class InfluxWriter:
    """A consumer that writes to InfluxDB, with the gateway's own metrics. A point written twice is the same point."""

    wants = Wants(types=frozenset(ALERT_FACTS), every=_POINTS_EVERY)

    def __init__(self, _name: str, settings: Mapping[str, Any] | InfluxSection) -> None:
        self._section = section = InfluxSection.model_validate(settings)
        self._client = InfluxDBClient(
            url=str(section.url).rstrip("/"),
            token=section.token.get_secret_value(),
            org=section.org,
            timeout=_TIMEOUT_MS,
            enable_gzip=not is_loopback(section.url.host or ""),  # a seventh of the bytes, for 2 µs a point
        )
        self._api = self._client.write_api(write_options=SYNCHRONOUS)
        self._prefixes: Prefixes = {}
        self._is_taking = True
        self._own_metrics: asyncio.Task[None] | None = None

    async def start(self, context: ConsumerContext) -> None:
        """Begin with the gateway's own metrics."""
        self._own_metrics = asyncio.create_task(self._put_own_metrics(context), name="own metrics to influx")

    async def close(self) -> None:
        """Close the connections."""
        if self._own_metrics is not None:
            self._own_metrics.cancel()
            await asyncio.wait([self._own_metrics])
        self._api.close()  # type: ignore[no-untyped-call] # the library's own lack
        self._client.close()  # type: ignore[no-untyped-call] # the library's own lack

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:
        """Write everything, or raise DeliveryError; return the points that InfluxDB refuses."""
        if self._own_metrics is not None and self._own_metrics.done():
            self._own_metrics.result()  # it ends by an error only, which is to be seen
        alerts = [entry for entry in entries if entry.fact.type in ALERT_FACTS]
        chunks = range(0, max(1, len(readings)), _AT_ONCE)
        parts = ((readings[start : start + _AT_ONCE], alerts if start == 0 else ()) for start in chunks)
        try:
            async with asyncio.TaskGroup() as writing:
                tasks = [
                    writing.create_task(
                        self._write([*part[0], *part[1]], await asyncio.to_thread(to_lines, *part, self._prefixes))
                    )
                    for part in parts
                ]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return Taken([refused for task in tasks for refused in task.result()])

    async def _put_own_metrics(self, context: ConsumerContext) -> None:
        while True:
            now_ns, values = time.time_ns(), context.own_metrics()
            await self.put([to_gateway_line(context.gateway_id, *each, now_ns) for each in values])
            await asyncio.sleep(_OWN_METRICS_EVERY)

    async def put(self, lines: list[bytes]) -> None:
        """Write lines that nobody will miss, once: what cannot be written now is out of date later.

        Not while the database is away or has asked us to wait.
        """
        if self._is_taking:
            with suppress(DeliveryError):
                await _in_daemon_thread(partial(self._post, lines))

    async def _write(self, rows: list[StoredReading | EventRecord], lines: list[bytes]) -> list[Refused]:
        """Write a line for each row; halve what is too large or refused, down to the one line that is to blame."""
        if not lines:
            return []
        self._is_taking = False
        error = await _in_daemon_thread(partial(self._post, lines))
        if error is None:
            self._is_taking = True
            return []
        reason = f"InfluxDB answered {error.status}: {_text(error)}"
        if error.status in _REFUSED:
            raise DeliveryError(f"{reason}; check [influxdb] in the configuration", needs_person=True)
        if error.status not in {_TOO_LARGE, *_BAD_DATA}:
            raise DeliveryError(reason, retry_after=_retry_after(error))
        if len(lines) == 1:
            return [Refused(rows[0].seq, reason)]
        middle = len(lines) // 2
        return await self._write(rows[:middle], lines[:middle]) + await self._write(rows[middle:], lines[middle:])

    def _post(self, lines: list[bytes]) -> ApiException | None:
        """Return what InfluxDB has against the lines. Raises DeliveryError if it did not answer.

        Their times are in ns, which is what the client assumes.
        """
        try:
            self._api.write(self._section.bucket, self._section.org, b"\n".join(lines))
        except ApiException as error:
            return error
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise DeliveryError(f"no answer from InfluxDB at {self._section.url}: {reason}") from error
        return None


async def _in_daemon_thread(work: Callable[[], T]) -> T:
    """Await `work`, in a thread that, unlike those of an executor, does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast("T", result))

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the task that waits
            failure = error
        with suppress(RuntimeError):  # the loop has been closed, so nobody waits
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="influx", daemon=True).start()
    return await done


Prefixes = dict[str, tuple[Mapping[str, str], str]]
"""Sensor -> its tags, and how its lines begin with them: to make it is half of a line's cost."""


def to_lines(
    readings: Sequence[StoredReading], entries: Sequence[EventRecord], prefixes: Prefixes | None = None
) -> list[bytes]:
    """Return the points of a step as line protocol, times in ns. `prefixes` are those of the last step."""
    prefixes = {} if prefixes is None else prefixes
    if len(prefixes) > _MOST_PREFIXES:
        prefixes.clear()
    lines = [line for reading in readings if (line := _reading_line(reading, prefixes))]
    lines += [_alert_line(entry) for entry in entries if entry.fact.type in ALERT_FACTS]
    return lines


def to_gateway_line(gateway_id: str, labels: Mapping[str, str], values: Mapping[str, float], time_ns: int) -> bytes:
    """Return metrics with the same labels as a point about the gateway itself."""
    fields = ",".join(f"{name}={float(value)!r}" for name, value in values.items())
    return f"gateway{_tags({'gateway': gateway_id, **labels})} {fields} {time_ns}".encode()


def _reading_line(reading: StoredReading, prefixes: Prefixes) -> bytes:
    """Return a reading's point; nothing, where there is no level and the disk has damaged the event."""
    tags, prefix = prefixes.get(reading.sensor_id, _NO_PREFIX)
    if tags is not reading.tags:
        prefix = "vibration" + _tags({"sensor": reading.sensor_id, **reading.tags})
        prefixes[reading.sensor_id] = reading.tags, prefix
    level, baseline = reading.level, reading.baseline
    text = "" if level is None else f"level={level!r}"
    if baseline and level is not None:
        text += _compared(level, baseline)
    try:
        data = quantities_in(reading.body)
    except msgspec.MsgspecError:  # the disk has damaged it; the level stands beside it
        data = _NO_QUANTITIES
    if data != _NO_QUANTITIES:
        for name, value in zip(_KEYS, astuple(data), strict=True):
            if value is not None:
                text += f",{name}={value!r}"
    if level is None:
        text = text[1:]  # the comma
    return f"{prefix} {text} {reading.time_ns}".encode() if text else b""


def _compared(level: float, baseline: float) -> str:
    difference, ratio = level - baseline, level / baseline
    text = f",baseline={baseline!r}" if isfinite(baseline) else ""
    if isfinite(difference):
        text += f",difference={difference:.12g}"  # more digits are none of the sensor's, and take twice as long
    return text + f",ratio={ratio:.12g}" if isfinite(ratio) else text


def _alert_line(entry: EventRecord) -> bytes:
    data = entry.fact.data
    tags = _tags({"sensor": data["sensorId"], **data["tags"], "severity": data["severity"]})
    fields = {"state": data["state"], "reason": data["finding"], "alert_id": data["id"]}
    text = ",".join(f'{name}="{_escape_text(value)}"' for name, value in fields.items())
    return f"alert{tags} {text} {entry.fact.time_ns}".encode()


def _tags(tags: Mapping[str, str]) -> str:
    return "".join(f",{_escape_tag(name)}={_escape_tag(value)}" for name, value in sorted(tags.items()) if value)


def _escape_tag(text: str) -> str:
    """Escape what line protocol gives a meaning; a backslash at the end would escape what follows."""
    if text.endswith("\\"):
        text = text[:-1] + "/"
    text = text.replace("\n", " ").replace("\r", " ")
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _escape_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _text(error: ApiException) -> str:
    return str(error.message or error.reason or "no reason")[:300]


def _retry_after(error: ApiException) -> float | None:
    headers: Mapping[str, str] = error.headers or {}
    text = headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None
