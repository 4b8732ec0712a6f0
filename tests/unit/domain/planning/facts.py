"""Facts about alerts as the journal has them, and a planner that one can watch."""

from typing import Any, Literal

from gateway.domain.alerting.alert import ACKNOWLEDGED, CLEARED, ESCALATED, RAISED
from gateway.domain.model.events import DomainEvent, Severity, derived_id
from gateway.domain.model.timefmt import rfc3339
from gateway.domain.notification.flood import Noise
from gateway.domain.notification.model import Planned, Withheld
from gateway.domain.notification.oncall import Rota
from gateway.domain.notification.planner import Planner
from gateway.domain.notification.routing import Route, RouteTable
from gateway.domain.notification.silences import Silence

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOON = 1_705_320_000 * SECOND  # Monday 15 January 2024, 12:00 UTC
TYPES = {"raised": RAISED, "escalated": ESCALATED, "cleared": CLEARED, "acknowledged": ACKNOWLEDGED}


def fact(
    what: str,
    alert: str,
    at_ns: int,
    *,
    severity: Severity = "warning",
    sensor: str = "",
    machine: str = "pump-1",
    area: str = "hall-2",
    kind: Literal["machine", "sensor", "gateway"] = "machine",
    **more: Any,
) -> DomainEvent:
    """Return the fact that something happened to an alert; its sensor is named like it."""
    sensor = sensor or f"sensor of {alert}"
    tags = {"site": "plant", "area": area, "machine": machine} if kind != "gateway" else {}
    data = {
        "id": alert, "kind": kind, "sensorId": sensor, "severity": severity, "openedNs": at_ns,
        "finding": f"{alert} {what}", "acknowledged": what == "acknowledged", "shelvedUntil": None, "level": 8.0,
        "baseline": 4.0, "ratio": 2.0, "unit": "m/s²", "location": "", "tags": tags, **more,
    }  # fmt: skip
    id_ = derived_id(alert, what, str(at_ns))
    return DomainEvent(id_, TYPES.get(what, what), at_ns, sensor, f"first cause of {alert}", id_, data)


def shelved(alert: str, at_ns: int, until_ns: int, **more: Any) -> DomainEvent:
    return fact("AlertShelved", alert, at_ns, shelvedUntil=rfc3339(until_ns), **more)


class Watched:
    """A planner, and everything that it has decided, oldest first. Every step is stored and can be taken up again."""

    def __init__(
        self,
        *routes: Route,
        noise: Noise | None = None,
        rotas: tuple[Rota, ...] = (),
        standing: tuple[Silence, ...] = (),
    ) -> None:
        self.made = (RouteTable(routes, rotas), noise or Noise(), standing)
        self.planner = Planner(*self.made)
        self.messages: list[Planned] = []
        self.withheld: list[Withheld] = []
        self.withdrawn: list[tuple[str, tuple[str, ...]]] = []
        self.records: dict[tuple[str, str], bytes] = {}
        self.added: dict[str, Silence] = {}
        self.now_ns = NOON

    def take(self, *facts: DomainEvent) -> None:
        for one in facts:
            self.pass_until(one.time_ns)
            self.planner.take(one, one.time_ns)
            self._decided()

    def pass_until(self, until_ns: int) -> None:
        """Let time pass, each timer at its own time."""
        while (due_ns := self.planner.due_ns()) is not None and due_ns <= until_ns:
            self.now_ns = max(self.now_ns, due_ns)
            self.planner.pass_time(self.now_ns)
            self._decided()
        self.now_ns = max(self.now_ns, until_ns)

    def silence(self, silence: Silence, at_ns: int) -> None:
        self.pass_until(at_ns)
        self.added[silence.id] = silence
        self.planner.silence(silence, at_ns)
        self._decided()

    def unsilence(self, silence_id: str, at_ns: int) -> None:
        self.pass_until(at_ns)
        del self.added[silence_id]
        self.planner.unsilence(silence_id, at_ns)
        self._decided()

    def restart(self, *routes: Route) -> None:
        """Take up the stored records with a new planner."""
        if routes:
            self.made = (RouteTable(routes), *self.made[1:])
        self.planner = Planner(*self.made)
        rows = [(kind, key, record) for (kind, key), record in self.records.items()]
        self.planner.restore(rows, self.added.values(), self.now_ns)
        self._decided()

    def said(self) -> list[tuple[str, str, list[str]]]:
        """Return (handler, kind, alerts) of every message."""
        return [(one.handler, one.kind, [item.alert_id for item in one.items]) for one in self.messages]

    def why(self) -> list[tuple[str, str]]:
        """Return (alert, what decided) of everything that was withheld."""
        return [(one.item.alert_id, one.by) for one in self.withheld]

    def _decided(self) -> None:
        plan = self.planner.plan(self.now_ns)
        self.messages += plan.messages
        self.withheld += plan.withheld
        self.withdrawn += [(one.item.alert_id, one.kinds) for one in plan.withdrawals]
        for kind, key, record in plan.records:
            if record is None:
                self.records.pop((kind, key), None)
            else:
                self.records[kind, key] = record
