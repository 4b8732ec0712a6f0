"""The alerts that are open: one for each kind and subject. What people and the gateway itself do to them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gateway.domain import alerts
from gateway.domain.alerts import Alert
from gateway.domain.events import AlertKind, Fact, Severity
from gateway.errors import ConflictError, NotFoundError


class Change(Struct, frozen=True):
    """A fact, and the alert as it is after it, if it is about one."""

    fact: Fact
    alert: Alert | None = None


class OpenAlerts:
    """What is asked for is answered with changes; nothing moves on before `settle`."""

    def __init__(self) -> None:
        self._open: dict[tuple[AlertKind, str], Alert] = {}

    def restore(self, open_alerts: Iterable[Alert]) -> None:
        """Start from these."""
        self._open = {(alert.kind, alert.sensor_id): alert for alert in open_alerts}

    def get(self, kind: AlertKind, subject: str) -> Alert | None:
        """Return the open alert of a kind about a sensor or a part of the gateway, or None."""
        return self._open.get((kind, subject))

    def settle(self, alert: Alert) -> None:
        """Let an alert be as it is now."""
        if alert.state == "cleared":
            self._open.pop((alert.kind, alert.sensor_id), None)
        else:
            self._open[alert.kind, alert.sensor_id] = alert

    def settled(self, changed: tuple[Alert, Fact]) -> Change:
        """Let an alert be as it is now, and return that with the fact that says so."""
        alert, fact = changed
        self.settle(alert)
        return Change(fact, alert)

    def condition(self, subject: str, severity: Severity | None, reason: str, time_ns: int) -> list[Change]:
        """Return what follows from how a part of the gateway itself is."""
        changed = alerts.apply_condition(self.get("gateway", subject), subject, severity, reason, time_ns)
        if changed is None:
            return []
        alert, (cause, fact) = changed
        return [Change(cause), Change(fact, alert)]

    def acknowledge(self, alert_id: str, by: str, reason: str, time_ns: int) -> Change:
        """Return what an acknowledgement leads to.

        Raises NotFoundError if no open alert has this id, ConflictError if somebody was faster.
        """
        alert = self._find(alert_id)
        if alert is None:
            raise NotFoundError(f"no open alert has the id {alert_id!r}; one that has cleared needs no acknowledgement")
        if alert.acknowledged:
            raise ConflictError(f"{alert.acknowledged_by} has acknowledged this alert already")
        changed, fact = alerts.acknowledge(alert, by, reason, time_ns)
        return Change(fact, changed)

    def _find(self, alert_id: str) -> Alert | None:
        return next((alert for alert in self._open.values() if alert.id == alert_id), None)
