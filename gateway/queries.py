"""What people ask of the journal and of the gateway itself, over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import to_builtins

from gateway.commands import Commands
from gateway.config import Config, standing_silences
from gateway.domain.alerting.alert import RAISED, Alert, describe, fact_data
from gateway.domain.detection.baseline_events import current
from gateway.domain.engine.event_log import StoredReading, contradiction
from gateway.domain.model.assets import asset_of
from gateway.domain.model.events import DomainEvent
from gateway.domain.notification.model import Item, item_of
from gateway.domain.notification.silences import describe_now
from gateway.journal import QueryPool, Reader, account_of, level_history, life_of, newest_readings
from gateway.journal.maintenance import rollups
from gateway.journal.maintenance.retention import disk_free
from gateway.journal.outbox.silences import all_silences
from gateway.journal.queries.machine_states import said_state

_MUTED_AMONG = 1000


class Queries:
    """Each is one question, in the thread that is there for questions."""

    def __init__(
        self, config: Config, questions: QueryPool, operations: Commands, broker: Callable[[], Sequence[str]]
    ) -> None:
        self._config = config
        self._questions = questions
        self._operations = operations
        self._broker = broker

    async def history(self, sensor_id: str, since_ns: int, until_ns: int, limit: int) -> Sequence[StoredReading]:
        """Return the newest readings of a sensor with since <= time < until, the oldest first: `limit` at most.

        There are fewer where they are large.
        """
        return await self._questions.ask(newest_readings, sensor_id, since_ns, until_ns, limit)

    async def levels(self, sensor_id: str, window_ns: tuple[int, int], points: int) -> Mapping[str, Any]:
        """Return a sensor's levels over a span of time, from the rollups, with its limits of now."""
        found = await self._questions.ask(self._levels, sensor_id, window_ns, points)
        return {**found, "limits": await self._operations.limits(sensor_id)}

    def _levels(self, reader: Reader, sensor_id: str, window_ns: tuple[int, int], points: int) -> Mapping[str, Any]:
        kept = rollups.ages(self._config.retention, len(reader.sensors()))
        return level_history(reader, sensor_id, window_ns, points, kept)

    async def standing(self, sensor_id: str) -> Mapping[str, Any]:
        """Return what of a sensor was not judged and why, how its machine was said to run, and what contradicts it."""
        found = await self._questions.ask(_standing, sensor_id)
        return {**found, "notJudged": await self._operations.not_judged(sensor_id)}

    async def list_alerts(
        self,
        everything: bool,  # noqa: FBT001 - the shape that web asks for
        limit: int,
        after: str | None,
    ) -> Sequence[Mapping[str, Any]]:
        """Return the `limit` worst open alerts, oldest first; or the newest of all, or of those that follow one."""
        return await self._questions.ask(
            lambda reader: [describe(alert) for alert in reader.alerts(everything=everything, limit=limit, after=after)]
        )

    async def find_alert(self, alert_id: str) -> Mapping[str, Any] | None:
        """Return an alert with all that is known of its past, or None."""
        return await self._questions.ask(_alert, alert_id)

    async def trace(self, event_id: str) -> Mapping[str, Any] | None:
        """Return the life of an event, or None if there is nothing of it."""
        return await self._questions.ask(life_of, event_id)

    async def baselines(self, sensor_id: str | None) -> Sequence[Mapping[str, Any]]:
        """Return the baselines of a sensor that hold now, or of all."""
        return current(await self._questions.ask(Reader.baseline_facts, sensor_id))

    async def silences(self, everything: bool) -> Sequence[Mapping[str, Any]]:  # noqa: FBT001 - the shape that web asks for
        """Return the silences that hold or will, or all; those of the configuration come first.

        `mutes` are the ids of the open alerts, of the worst thousand, that nobody is told of for that reason now.
        """
        now_ns = time.time_ns()
        return await self._questions.ask(self._silences, 0 if everything else now_ns, now_ns)

    def _silences(self, reader: Reader, after_ns: int, now_ns: int) -> Sequence[Mapping[str, Any]]:
        found = [*standing_silences(self._config), *all_silences(reader, after_ns)]
        is_quiet = any(silence.until(now_ns) is not None for silence in found)
        items = [_item(alert) for alert in reader.alerts(everything=False, limit=_MUTED_AMONG)] if is_quiet else []
        return [
            {
                **describe_now(silence, now_ns),
                "mutes": [item.alert_id for item in items if silence.mute(item, now_ns) is not None],
            }
            for silence in found
        ]

    async def inputs(self) -> Sequence[Mapping[str, Any]]:
        """Return what each input has done since the gateway was started."""
        return await self._operations.inputs()

    async def not_understood(self) -> Mapping[str, Any]:
        """Return what was heard and not understood, by the kind of topic and the reason."""
        from gateway.heard import not_understood  # noqa: PLC0415 - only for who asks

        return await self._questions.ask(not_understood)

    async def proposal(self, seq: int) -> Mapping[str, Any]:
        """Return the `[[inputs]]` that would read the group of a dead letter. Raises NotFoundError."""
        from gateway.heard import proposal  # noqa: PLC0415 - only for who asks

        return await self._questions.ask(proposal, seq)

    async def tried(self, text: str) -> Mapping[str, Any]:
        """Return what inputs would make of what was heard. Raises RefusedError for what are none."""
        from gateway.heard import tried  # noqa: PLC0415 - only for who asks

        return await self._questions.ask(tried, text)

    async def condition(self) -> Mapping[str, Any]:
        """Return how the gateway itself is: who follows how far behind, who was told, what was refused, what room."""
        problems = list(self._broker())
        return {
            "id": self._config.gateway.id,
            "broker": {"connected": not problems, "problems": problems},
            "influxdb": self._config.influxdb is not None,
            **await self._questions.ask(self._condition),
        }

    def _condition(self, reader: Reader) -> dict[str, Any]:
        last = reader.last_seq()
        counts = reader.outbox_counts()
        handlers = {name: {"name": name, "type": table.type} for name, table in self._config.handlers.items()}
        return {
            "lastEntry": last,
            "consumers": [
                {"name": name, "at": seq, "behind": last - seq} for name, seq in sorted(reader.cursors().items())
            ],
            "handlers": [
                {**handler, "messages": {state: count for owner, state, count in counts if owner == name}}
                for name, handler in handlers.items()
            ],
            "deadLetters": reader.dead_letters_by_reason(),
            "overQuota": reader.over_quota(),
            "disk": self._disk(reader),
        }

    def _disk(self, reader: Reader) -> dict[str, int]:
        section = self._config.retention
        bounds = {"journalLimit": section.max_size, "reserve": section.reserve}
        return {"journal": reader.size(), "free": disk_free(self._config.gateway.state_dir), **bounds}


def _alert(reader: Reader, alert_id: str) -> Mapping[str, Any] | None:
    found = reader.find_alert(alert_id)
    return None if found is None else {**describe(found), **account_of(reader, found.id)}


def _standing(reader: Reader, sensor_id: str) -> Mapping[str, Any]:
    known = next((sensor for sensor in reader.sensors() if sensor.id == sensor_id), None)
    if known is None:
        return {"machineState": None, "contradiction": None}
    newest = reader.last_readings(known.key - 1, known.key).get(known.key)
    said = said_state(reader, asset_of(known.tags), newest)
    return {"machineState": to_builtins(said), "contradiction": contradiction(newest)}


def _item(alert: Alert) -> Item:
    """Return an alert as it stands in the shape that silences look at."""
    data = fact_data(alert, alert.reason)
    return item_of(DomainEvent(alert.id, RAISED, alert.opened_ns, alert.sensor_id, alert.id, alert.id, data), "raised")
