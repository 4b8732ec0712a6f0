"""The InfluxDB writer: every reading and every alert change, as line protocol, once per point."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from gateway.api import ConsumerContext, DeliveryError, Refused, Taken, Wants
from gateway.config import InfluxSection
from gateway.consumers.influx import answers
from gateway.consumers.influx.client import Database
from gateway.consumers.influx.lines import Prefixes, Row, time_of, to_gateway_line, to_points
from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.domain.engine.event_log import EventRecord, StoredReading
from gateway.outgoing.client import Answer, NoAnswerError

_AT_ONCE = 2500
"""Readings in one request. The next one is made ready and sent while the database has this one."""
_POINTS_EVERY = 0.2
"""Seconds. A request for each commit would be hundreds a second."""

_OWN_METRICS_EVERY = 10.0

MOST_REQUESTS = 200
"""In search of the points that are refused, for each step: enough for ten points among 5,000."""

PATIENT_TIMES = 5
"""Times that a step is answered 500 before one of its points is suspected: some eight seconds."""

Point = tuple[Row, bytes]


class _Step(Struct):
    """What has become of the points of one step."""

    refused: list[Refused] = []
    skipped: int = 0
    requests: int = 0

    def refuse(self, points: Sequence[Point], reason: str) -> None:
        self.refused += [Refused(row.seq, reason) for row, _ in points]


class InfluxWriter:
    """A consumer that writes to InfluxDB, with the gateway's own metrics. A point written twice is the same point.

    What the database refuses is looked for only while it takes something else: a point that it has taken before, or
    one about the gateway. One that refuses everything is not asked point by point, and gets everything later.
    """

    wants = Wants(types=frozenset(ALERT_FACTS), every=_POINTS_EVERY)

    def __init__(self, _name: str, settings: Mapping[str, Any] | InfluxSection) -> None:
        self._section = section = InfluxSection.model_validate(settings)
        self._database = Database(section)
        self._prefixes: Prefixes = {}
        self._is_taking = True
        self._failures = 0  # of consume, one after the other
        self._well = b""
        self._gateway_id = ""
        self._own_metrics: asyncio.Task[None] | None = None

    async def start(self, context: ConsumerContext) -> None:
        """Begin with the gateway's own metrics."""
        self._database.open()
        self._gateway_id = context.gateway_id
        self._own_metrics = asyncio.create_task(self._put_own_metrics(context), name="own metrics to influx")

    async def close(self) -> None:
        """Close the connections."""
        if self._own_metrics is not None:
            self._own_metrics.cancel()
            await asyncio.wait([self._own_metrics])
        await self._database.close()

    async def consume(self, readings: Sequence[StoredReading], entries: Sequence[EventRecord]) -> Taken:
        """Write everything, or raise DeliveryError; return the points that InfluxDB refuses."""
        if self._own_metrics is not None and self._own_metrics.done():
            self._own_metrics.result()  # it ends by an error only, which is to be seen
        points = await asyncio.to_thread(to_points, readings, entries, self._prefixes)
        wanted = [point for point in points if time_of(point[0]) >= self._oldest_ns()]
        step = _Step(skipped=len(points) - len(wanted))
        chunks = [wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE)]
        self._is_taking = not wanted
        try:
            async with asyncio.TaskGroup() as writing:
                for chunk in chunks:
                    writing.create_task(self._write(chunk, step))
        except BaseExceptionGroup as errors:
            self._failures += 1
            raise errors.exceptions[0] from None
        self._is_taking, self._failures = True, 0
        return Taken(step.refused, step.skipped)

    def _oldest_ns(self) -> int:
        return time.time_ns() - self._section.oldest if self._section.oldest else 0

    async def _put_own_metrics(self, context: ConsumerContext) -> None:
        while True:
            now_ns, values = time.time_ns(), context.own_metrics()
            await self.put([to_gateway_line(context.gateway_id, *each, now_ns) for each in values])
            await asyncio.sleep(_OWN_METRICS_EVERY)

    async def put(self, lines: list[bytes]) -> None:
        """Write lines that nobody will miss, once: what cannot be written now is out of date later.

        Not while the database is away or has asked us to wait.
        """
        if self._is_taking and lines:
            with suppress(DeliveryError):
                await self._post(lines)

    async def _write(self, points: Sequence[Point], step: _Step) -> None:
        """Write points; find out which of them are to blame if some are refused. Raises DeliveryError."""
        answer = await self._post([line for _, line in points])
        if answers.is_written(answer) or self._skip(answer, points, step):
            return
        if answer.status != HTTPStatus.REQUEST_ENTITY_TOO_LARGE or len(points) == 1:
            await self._blame(answer)
        await self._search(sorted(points, key=lambda point: time_of(point[0])), answer, step)

    def _skip(self, answer: Answer, points: Sequence[Point], step: _Step) -> bool:
        """Count what is too old for the bucket, and return whether everything else is written."""
        count = answers.dropped(answer) or len(points) == 1
        if not count or not answers.is_too_old(answer):
            return False
        step.skipped += min(count, len(points))
        return True

    async def _blame(self, answer: Answer) -> None:
        """Return if some of the points may be to blame for an answer. Raises DeliveryError if not."""
        is_error = answer.status == HTTPStatus.INTERNAL_SERVER_ERROR
        if not answers.is_about_points(answer) or (is_error and self._failures < PATIENT_TIMES - 1):
            raise answers.problem(answer)
        if await self._is_well():
            return
        if is_error:
            raise answers.problem(answer)
        reason = f"InfluxDB refuses everything, the last with {answer.status}: {answers.said(answer)}"
        raise DeliveryError(f"{reason}; check [influxdb], and the database itself", needs_person=True)

    async def _is_well(self) -> bool:
        """Return whether it takes a point that it has taken before, or else one about the gateway."""
        well = self._well or to_gateway_line(self._gateway_id, {}, {"asked": 1.0}, time.time_ns())
        answer = await self._post([well])
        return answers.is_written(answer) or answers.is_too_old(answer)

    async def _search(self, points: Sequence[Point], answer: Answer, step: _Step) -> None:
        """Leave out those of refused points that are to blame: named, counted, or found by halving; write the rest."""
        found = answers.named(answer, len(points))
        is_all = len(points) == 1 or len(found) == len(points) or answers.dropped(answer) == len(points)
        if is_all or step.requests >= MOST_REQUESTS:
            if step.requests:
                await self._blame(answer)  # it may have fallen ill meanwhile
            reason = answers.in_words(answer)
            step.refuse(points, reason if is_all else f"{reason} (of {len(points)} that were not tried one by one)")
        elif answers.is_too_old(answer):
            await self._leave_old(points, step)
        elif found:
            for index, why in found.items():
                step.refuse([points[index]], f"InfluxDB answered {answer.status}: {why}")
            await self._again([point for index, point in enumerate(points) if index not in found], step)
        else:
            middle = len(points) // 2
            await self._again(points[:middle], step)
            await self._again(points[middle:], step)

    async def _leave_old(self, points: Sequence[Point], step: _Step) -> None:
        """Skip those points, which are in the order of time, that the bucket does not keep, and write the rest."""
        first, end = 0, len(points)
        while first < end:
            middle = (first + end) // 2
            step.requests += 1
            if answers.is_too_old(await self._post([points[middle][1]])):
                first = middle + 1
            else:
                end = middle
        step.skipped += first
        if first < len(points):
            await self._again(points[first:], step)

    async def _again(self, points: Sequence[Point], step: _Step) -> None:
        step.requests += 1
        answer = await self._post([line for _, line in points])
        if answers.is_written(answer) or self._skip(answer, points, step):
            return
        if not answers.is_about_points(answer):
            raise answers.problem(answer)
        await self._search(points, answer, step)

    async def _post(self, lines: list[bytes]) -> Answer:
        """Return what InfluxDB answers. Raises DeliveryError if it does not."""
        draft = await asyncio.to_thread(self._database.draft, lines)
        try:
            answer = await self._database.send(draft)
        except NoAnswerError as error:
            reason = f"no answer from InfluxDB at {self._section.url}: {error}"
            raise DeliveryError(reason, needs_person=error.is_untrusted) from None
        if answers.is_written(answer):
            self._well = lines[-1]
        return answer
