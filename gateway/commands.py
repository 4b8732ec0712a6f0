"""Changes that people ask for: over HTTP, or on the command line while no gateway runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from msgspec.structs import asdict

from gateway.consumers.dead_letters import ConsumerLetters
from gateway.consumers.runner import Runner
from gateway.domain.alerting.alert import describe
from gateway.domain.detection.baseline_events import described
from gateway.domain.engine.commands import (
    Acknowledge,
    AddSilence,
    CurrentLimits,
    ExpireSilence,
    Forget,
    InputsHeard,
    NotJudged,
    PurgeReadings,
    PurgeSensors,
    Relearn,
    ReplayDeadLetters,
    SelectSensors,
    SendBack,
    SetBaseline,
    Shelve,
    TakeBackStates,
    Unshelve,
    Writer,
)
from gateway.domain.engine.purging import Selection
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.silences import describe_now, wanted
from gateway.errors import NotFoundError
from gateway.journal import Stream

log = structlog.get_logger(__name__)

_PURGED_AT_ONCE = 1000
"""Sensors that one fact names: their rows go in one transaction."""


class Commands:
    """Each is asked of the one writer; whoever follows the journal is woken afterwards."""

    def __init__(
        self, writer: Writer, stream: Stream | None = None, runners: Mapping[str, Runner] | None = None
    ) -> None:
        self._writer = writer
        self._stream = stream
        self._runners = runners
        self._letters = ConsumerLetters(writer, stream, runners or {})

    async def acknowledge(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Acknowledge an alert and return it. Raises NotFoundError or ConflictError."""
        alert = describe(await self._writer.ask(Acknowledge(alert_id, by, reason, time.time_ns())))
        self._announce("acknowledged", alert=alert["id"], sensor=alert["sensorId"], by=by, reason=reason)
        return alert

    async def set_baseline(self, sensor_id: str, level: float, state: str, by: str, reason: str) -> Mapping[str, Any]:
        """Set what is normal for a sensor, and return that. Raises NotFoundError or ConflictError."""
        fact = await self._writer.ask(SetBaseline(sensor_id, level, state, by, reason, time.time_ns()))
        self._announce("baseline set", sensor=sensor_id, level=level, state=state, by=by, reason=reason)
        return described(fact)

    async def relearn(self, sensor_id: str, state: str | None, by: str, reason: str) -> Mapping[str, Any]:
        """Have it learned anew, in an operating state or in all; return who wanted it. Raises as `set_baseline`."""
        fact = await self._writer.ask(Relearn(sensor_id, state, by, reason, time.time_ns()))
        self._announce("baseline to be learned anew", sensor=sensor_id, state=state, by=by, reason=reason)
        return described(fact)

    async def forget(self, sensor_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Let nobody wait for a sensor any more, and return who wanted that and when. Raises NotFoundError."""
        fact = await self._writer.ask(Forget(sensor_id, by, reason, time.time_ns()))
        self._announce("sensor forgotten", sensor=sensor_id, by=by, reason=reason)
        return {"at": rfc3339(fact.time_ns), **fact.data}

    async def selected(self, wanted: Selection) -> list[str]:
        """Return the ids of the sensors that `purge` would remove."""
        return [] if wanted.is_everything else await self._writer.ask(SelectSensors(wanted))

    async def purge(self, wanted: Selection, by: str, reason: str, *, machine_states: bool) -> Mapping[str, Any]:
        """Remove sensors with their readings, and what machines without a sensor have said; return how many there were.

        In slices, between which batches are written. A selection that asks nothing of a sensor is of none.
        """
        names = await self.selected(wanted)
        after = 0
        while names and (until := await self._writer.ask(PurgeReadings(names, after))) is not None:
            after = until
        removed = states = 0
        for start in range(0, len(names), _PURGED_AT_ONCE):
            some = names[start : start + _PURGED_AT_ONCE]
            removed += await self._writer.ask(PurgeSensors(some, after, by, reason, time.time_ns()))
            self._announce()
        if machine_states:
            states = await self._writer.ask(TakeBackStates(time.time_ns()))
        self._announce("sensors removed", sensors=removed, machine_states=states, by=by, reason=reason)
        return {"sensors": removed, "machineStates": states}

    async def shelve(self, alert_id: str, duration_ns: int, by: str, reason: str) -> Mapping[str, Any]:
        """Shelve an alert for a while and return it. Raises NotFoundError or RefusedError."""
        alert = describe(await self._writer.ask(Shelve(alert_id, duration_ns, by, reason, time.time_ns())))
        until = alert["shelvedUntil"]
        self._announce("shelved", alert=alert["id"], sensor=alert["sensorId"], until=until, by=by, reason=reason)
        return alert

    async def unshelve(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        """Take an alert off the shelf and return it. Raises NotFoundError or ConflictError."""
        alert = describe(await self._writer.ask(Unshelve(alert_id, by, reason, time.time_ns())))
        self._announce("unshelved", alert=alert["id"], sensor=alert["sensorId"], by=by, reason=reason)
        return alert

    async def limits(self, sensor_id: str) -> Mapping[str, Any] | None:
        """Return what a sensor's next reading will be compared with, or None without a baseline."""
        found = await self._writer.ask(CurrentLimits(sensor_id))
        if found is None or found.baseline is None:
            return None
        baseline, level = found.baseline, found.level
        known = {"baseline": baseline.level, "source": baseline.source, "version": baseline.version}
        return {**known, "warning": level.warning, "critical": level.critical, "clear": level.clear}

    async def not_judged(self, sensor_id: str) -> Mapping[str, int]:
        """Return how many readings of a sensor were not judged, by the reason."""
        return await self._writer.ask(NotJudged(sensor_id))

    async def inputs(self) -> Sequence[Mapping[str, Any]]:
        """Return what each input has done since the gateway was started."""
        return [asdict(each) for each in await self._writer.ask(InputsHeard())]

    async def add_silence(self, parts: Mapping[str, Any], by: str, reason: str) -> Mapping[str, Any]:
        """Add a silence and return it. Raises ValueError for one that cannot be."""
        now_ns = time.time_ns()
        silence = wanted(parts, by, reason, now_ns)
        await self._writer.ask(AddSilence(silence, now_ns))
        described_now = describe_now(silence, now_ns)
        self._announce("silence added", silence=silence.id, until=described_now["endsAt"], by=by, reason=reason)
        return described_now

    async def expire_silence(self, silence_id: str, by: str) -> Mapping[str, Any]:
        """End a silence now and return it. Raises NotFoundError or ConflictError."""
        now_ns = time.time_ns()
        ended = await self._writer.ask(ExpireSilence(silence_id, by, now_ns))
        self._announce("silence ended", silence=ended.id, by=by)
        return describe_now(ended, now_ns)

    async def replay(self, numbers: Sequence[int]) -> Mapping[str, Any]:
        """Take dead letters (all, if no numbers are given) through the pipeline, or to their consumers, again.

        In slices, between which batches are written; those that come in meanwhile are not asked for. `problems` say
        which consumers could not be asked, and why.
        """
        asked, replayed = 0, list[int]()
        done = await self._writer.ask(ReplayDeadLetters(numbers, 0, None, time.time_ns()))
        while done.asked:
            asked, replayed = asked + done.asked, replayed + done.replayed
            self._announce()
            done = await self._writer.ask(ReplayDeadLetters(numbers, done.last, done.before, time.time_ns()))
        refused = await self._letters.replay(numbers, done.before)
        asked, replayed = asked + refused.asked, replayed + refused.replayed
        self._announce("dead letters replayed", asked=asked, replayed=len(replayed))
        return {"asked": asked, "replayed": replayed, "problems": refused.problems}

    async def backfill(self, consumer: str, after: int) -> Mapping[str, Any]:
        """Have a consumer handed everything after a sequence number again, beginning now or with the next start.

        Raises NotFoundError if there is no such consumer.
        """
        runner = (self._runners or {}).get(consumer)
        if runner is not None:
            runner.send_back(after)  # first: what it saves from now on is no later place
        is_known = await self._writer.ask(SendBack(consumer, after))
        if not is_known or (self._runners is not None and runner is None):
            raise NotFoundError(f"no consumer {consumer!r} follows the journal; `stats` shows those that do")
        self._announce("backfill", consumer=consumer, after=after)
        return {"consumer": consumer, "after": after}

    def _announce(self, done: str = "", **what: object) -> None:
        """Wake who follows the journal, and have the log say what somebody has done; a command has neither."""
        if self._stream is not None:
            self._stream.announce()
            if done:
                log.info(done, **{name: value for name, value in what.items() if value not in {None, ""}})
