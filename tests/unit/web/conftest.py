import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from gateway.consumers.live_state import Live
from gateway.domain.engine.event_log import StoredReading
from gateway.domain.engine.purging import Selection
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.silences import Silence, describe
from gateway.errors import NotFoundError, RefusedError
from gateway.web.app import about, create_app
from gateway.web.ports import PageSettings, Services
from gateway.web.stream import Stream

PAGE = PageSettings("edge-1", ["vibration/{site}/{sensor}/reading"], hosts=frozenset({"Vibration.Example.com"}))
TICK = 0.02
TOKEN = "the-token"
PERMIT = {"Authorization": f"Bearer {TOKEN}"}


CONDITION = {
    "id": "edge-1",
    "broker": {"connected": True, "problems": []},
    "influxdb": True,
    "lastEntry": 1000,
    "consumers": [{"name": "influx", "at": 988, "behind": 12}, {"name": "notifier", "at": 1000, "behind": 0}],
    "handlers": [{"name": "mail", "type": "email", "messages": {"sent": 3, "failed": 1}}],
    "deadLetters": {"invalid": 2},
    "overQuota": {},
    "disk": {"journal": 5_000_000, "journalLimit": 8_000_000_000, "free": 20_000_000_000, "reserve": 32_000_000},
}


HEARD: dict[str, Any] = {
    "summary": "heard, not understood: 67 messages on 40 topics",
    "messages": 67,
    "topics": 40,
    "isWhole": True,
    "groups": [
        {
            "pattern": "mill/+/data",
            "reason": "not_understood",
            "meaning": "no input reads such a message, or none of the paths that one looks at is in it",
            "detail": "no input's topic fits",
            "looksLike": None,
            "messages": 67,
            "topics": 40,
            "newest": "2026-03-01T12:00:00Z",
            "seq": 7,
            "topic": "mill/dev-7/data",
            "payload": '{"acc_rms_g": 0.25, "name": "<img src=x onerror=alert(1)>"}',
            "bytes": 59,
        }
    ],
}
NOTHING_HEARD = {"summary": "", "messages": 0, "topics": 0, "isWhole": True, "groups": []}
PROPOSED = 7
PROPOSAL = '# Tried on what was heard: 20 of the messages gave readings.\n[[inputs]]\ntopic = "mill/{sensor}/data"\n'


def silence(state: str, *muted: str) -> dict[str, Any]:
    """Return a silence of pump-7 as the page gets it."""
    of = Silence("s1", Matchers(machines=("pump-7",)), "Ada", "bearing change")
    return {**describe(of), "state": state, "until": "2035-11-26T07:00:00Z", "mutes": list(muted)}


@dataclass
class Journal:
    """What the web part asks the rest of the gateway for."""

    readings: list[StoredReading] = field(default_factory=list)
    alerts: list[dict[str, Any]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    past: dict[str, Any] = field(default_factory=dict)
    known_silences: list[dict[str, Any]] = field(default_factory=lambda: [silence("active"), silence("over")])
    known_baselines: list[dict[str, Any]] = field(default_factory=list)
    traces: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: Mapping[str, Any] = field(default_factory=lambda: NOTHING_HEARD)
    condition_now: Mapping[str, Any] = field(default_factory=lambda: CONDITION)
    error: Exception | None = None
    asked: list[tuple[str, int, int, int]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def history(self, sensor_id: str, since_ns: int, until_ns: int, limit: int) -> Sequence[StoredReading]:
        self.asked.append((sensor_id, since_ns, until_ns, limit))
        await self.answering.wait()
        if self.error is not None:
            raise self.error
        return self.readings

    async def levels(self, sensor_id: str, window_ns: tuple[int, int], points: int) -> Mapping[str, Any]:
        self.asked.append((sensor_id, *window_ns, points))
        if self.error is not None:
            raise self.error
        return {"sensorId": sensor_id, **self.past}

    async def standing(self, sensor_id: str) -> Mapping[str, Any]:
        said = {"state": "stopped", "since": "2026-03-01T12:00:00.000Z", "by": "its state topic"}
        own = "its readings give 9"
        return {"notJudged": {"late": 3}, "machineState": said if sensor_id == "VB-1" else None, "contradiction": own}

    async def baselines(self, sensor_id: str | None) -> Sequence[Mapping[str, Any]]:
        return [row for row in self.known_baselines if sensor_id in {None, row["sensorId"]}]

    async def silences(self, everything: bool) -> Sequence[Mapping[str, Any]]:  # noqa: FBT001 - as `Answers` has it
        return [silence for silence in self.known_silences if everything or silence["state"] == "active"]

    async def inputs(self) -> Sequence[Mapping[str, Any]]:
        return [{"name": "pumps", "messages": 7, "ignored": 2, "unused": ["rms.z"], "remarks": {"no unit": 4}}]

    async def not_understood(self) -> Mapping[str, Any]:
        return self.heard

    async def proposal(self, seq: int) -> Mapping[str, Any]:
        if seq != PROPOSED:
            raise NotFoundError(f"{seq} is not among the newest dead letters of a group")
        return {"inputs": PROPOSAL}

    async def tried(self, text: str) -> Mapping[str, Any]:
        if "[[inputs]]" not in text:
            raise RefusedError("there is no [[inputs]] in this")
        return {"messages": [], "readings": [], "statuses": []}

    async def condition(self) -> Mapping[str, Any]:
        return self.condition_now

    async def list_alerts(self, every: bool, limit: int, after: str | None) -> Sequence[Mapping[str, Any]]:  # noqa: FBT001 - as `Answers` has it
        ids = [alert["id"] for alert in self.alerts]
        begin = ids.index(after) + 1 if after else 0
        return [alert for alert in self.alerts[begin:] if every or alert["state"] != "cleared"][:limit]

    async def trace(self, event_id: str) -> Mapping[str, Any] | None:
        return self.traces.get(event_id)

    async def find_alert(self, alert_id: str) -> Mapping[str, Any] | None:
        return next((alert for alert in self.alerts if alert["id"].startswith(alert_id)), None)


class Changes:
    """Notes what it is asked for; raises `error`, if there is one."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    async def acknowledge(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"id": alert_id, "acknowledgedBy": by}, alert_id, by, reason)

    async def set_baseline(self, sensor_id: str, level: float, state: str, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"sensorId": sensor_id, "level": level}, sensor_id, level, state, by, reason)

    async def forget(self, sensor_id: str, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"sensorId": sensor_id, "by": by}, sensor_id, by, reason)

    async def selected(self, wanted: Selection) -> list[str]:
        return [f"S-{number}" for number in range(3000)] if wanted.pattern else []

    async def purge(self, wanted: Selection, by: str, reason: str, *, machine_states: bool) -> Mapping[str, Any]:
        return self._note({"sensors": 1, "machineStates": 0}, wanted, by, reason, machine_states)

    async def relearn(self, sensor_id: str, state: str | None, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"sensorId": sensor_id}, sensor_id, state, by, reason)

    async def add_silence(self, parts: Mapping[str, Any], by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"id": "s1", "owner": by}, dict(parts), by, reason)

    async def expire_silence(self, silence_id: str, by: str) -> Mapping[str, Any]:
        return self._note({"id": silence_id}, silence_id, by)

    async def shelve(self, alert_id: str, duration_ns: int, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"id": alert_id, "shelvedBy": by}, alert_id, duration_ns, by, reason)

    async def unshelve(self, alert_id: str, by: str, reason: str) -> Mapping[str, Any]:
        return self._note({"id": alert_id, "shelvedBy": None}, alert_id, by, reason)

    async def backfill(self, consumer: str, after: int) -> Mapping[str, Any]:
        return self._note({"consumer": consumer, "after": after}, consumer, after)

    async def replay(self, numbers: Sequence[int]) -> Mapping[str, Any]:
        return self._note({"asked": len(numbers), "replayed": numbers}, *numbers)

    def _note(self, answer: Mapping[str, Any], *asked: Any) -> Mapping[str, Any]:
        if self.error is not None:
            raise self.error
        self.asked.append(asked)
        return answer


# Making an application takes longer than most tests of it. It is made once for each module, of parts that are as new
# before every test.


@pytest.fixture(scope="session")
def live() -> Live:
    return Live()


@pytest.fixture(scope="session")
def journal() -> Journal:
    return Journal()


@pytest.fixture(scope="session")
def changes() -> Changes:
    return Changes()


@pytest.fixture(scope="session")
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(scope="session")
def page() -> PageSettings:
    return PAGE


def new_stream(live: Live) -> Stream:
    return Stream(live, about(PAGE), most=3, tick=TICK, ping=TICK)


@pytest.fixture(scope="session")
def stream(live: Live) -> Stream:
    return new_stream(live)


@pytest.fixture(autouse=True)
def _as_new(live: Live, journal: Journal, changes: Changes, registry: CollectorRegistry, stream: Stream) -> None:
    fresh = (Live(), Journal(), Changes(), CollectorRegistry(), new_stream(live))
    for used, new in zip((live, journal, changes, registry, stream), fresh, strict=True):
        vars(used).clear()
        vars(used).update(vars(new))
    journal.answering.set()


@pytest.fixture(scope="module")
def app(live: Live, journal: Journal, registry: CollectorRegistry, page: PageSettings, stream: Stream) -> FastAPI:
    return create_app(Services(live, journal, lambda: journal.reasons, registry), page, stream)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        yield client
