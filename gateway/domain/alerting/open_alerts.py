"""The alerts that are open: one for each kind and subject. What people and the gateway itself do to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.alerting import alert as alerts
from gateway.domain.alerting import operator_actions as attending
from gateway.domain.alerting.alert import RAISED, Alert, Cause, is_worse
from gateway.domain.detection.detector import Finding
from gateway.domain.model.alert_kinds import ALERT_KINDS, AlertKind
from gateway.domain.model.events import DomainEvent, Severity
from gateway.domain.model.timefmt import in_words
from gateway.errors import ConflictError, NotFoundError, RefusedError

LONGEST_SHELVING_NS = 7 * 86_400 * 10**9


class Change(Struct, frozen=True):
    """A fact, and the alert as it is after it, if it is about one."""

    fact: DomainEvent
    alert: Alert | None = None


class OpenAlerts:
    """Those that are open, and those that have cleared and are still shelved: what is raised meanwhile is shelved too.

    What the gateway finds moves on at once; what people ask for is answered with changes, and moves on with `settle`.
    """

    def __init__(self, longest_shelving_ns: int = LONGEST_SHELVING_NS) -> None:
        self._longest_shelving_ns = longest_shelving_ns
        self._open: dict[tuple[AlertKind, str], Alert] = {}
        self._shelf: dict[tuple[AlertKind, str], Alert] = {}

    def restore(self, alerts_: Iterable[Alert]) -> None:
        """Start from these: the open ones, and those that are shelved."""
        self._open.clear()
        self._shelf.clear()
        for alert in alerts_:
            self.settle(alert)

    def get(self, kind: AlertKind, subject: str) -> Alert | None:
        """Return the open alert of a kind about a sensor or a part of the gateway, or None."""
        return self._open.get((kind, subject))

    def settle(self, alert: Alert) -> None:
        """Let an alert be as it is now."""
        key = alert.kind, alert.sensor_id
        if alert.state != "cleared":
            self._open[key] = alert
            return
        if key in self._open and self._open[key].id == alert.id:
            del self._open[key]
        if alert.shelved_until_ns is not None:
            self._shelf[key] = alert
        elif key in self._shelf and self._shelf[key].id == alert.id:
            del self._shelf[key]

    def rename(self, before: str, name: str, published_id: str) -> None:
        """Let the alerts of a sensor be those of the same sensor under another name."""
        for alerts_ in (self._open, self._shelf):
            for kind in (kind for kind, row in ALERT_KINDS.items() if row.is_of_sensor):
                if alert := alerts_.pop((kind, before), None):
                    alerts_[kind, name] = replace(alert, sensor_id=name, published_id=published_id)

    def found(self, finding: Finding, cause: Cause, *, latching: bool = False) -> list[Change]:
        """Let what was found about a machine happen to its alert."""
        alert = self.get("machine", cause.sensor_id)
        return self._settled(alerts.apply(alert, finding, cause, latching=latching), cause)

    def faults(self, faults: Mapping[str, str], cause: Cause) -> list[Change]:
        """Let these, name -> in words, be all the faults of a sensor."""
        changed = alerts.apply_faults(self.get("sensor", cause.sensor_id), faults, cause)
        return self._settled(changed, cause) if changed else []

    def lose_sight(self, reason: str, cause: Cause) -> list[Change]:
        """Let the active alert of a machine be stale, if it has one."""
        alert = self.get("machine", cause.sensor_id)
        if alert is None or alert.state != "active" or alert.returned_ns is not None:
            return []
        return self._settled(alerts.lose_sight(alert, reason, cause), cause)

    def regain_sight(self, cause: Cause) -> list[Change]:
        """Let the stale alert of a machine be active again, if it has one."""
        alert = self.get("machine", cause.sensor_id)
        if alert is None or alert.state != "stale":
            return []
        return self._settled(alerts.regain_sight(alert, cause), cause)

    def condition(
        self, subject: str, severity: Severity | None, reason: str, time_ns: int, *, kind: AlertKind = "gateway"
    ) -> list[Change]:
        """Return what follows from how a part of the gateway itself is, or something else that is no sensor."""
        changed = alerts.apply_condition(self.get(kind, subject), subject, severity, reason, time_ns, kind=kind)
        if changed is None:
            return []
        alert, (cause, fact) = changed
        origin = Cause(cause.id, cause.id, time_ns, subject, {}, "", "")
        return [Change(cause), *self._with_the_shelf((alert, fact), origin)]

    def acknowledge(self, alert_id: str, by: str, reason: str, time_ns: int) -> list[Change]:
        """Return what an acknowledgement leads to; the alert is that of the last change.

        Raises NotFoundError if no open alert has this id, ConflictError if somebody was faster.
        """
        alert = self._find(alert_id, "one that has cleared needs no acknowledgement")
        if alert.acknowledged:
            raise ConflictError(f"{alert.acknowledged_by} has acknowledged this alert already")
        changed, fact = attending.acknowledge(alert, by, reason, time_ns)
        if changed.returned_ns is None:
            return [Change(fact, changed)]
        released, cleared = alerts.end(changed, "Back to normal already, and acknowledged now.", _following(fact))
        return [Change(fact, changed), Change(cleared, released)]

    def end(self, subject: str, reason: str, cause: DomainEvent) -> list[Change]:
        """Return what ends the alerts about a sensor and its machine, for which nobody waits any more."""
        found = (self.get(kind, subject) for kind, row in ALERT_KINDS.items() if row.is_of_sensor)
        changed = [alerts.end(alert, reason, _following(cause)) for alert in found if alert is not None]
        return [Change(fact, alert) for alert, fact in changed]

    def of_sensors(self) -> list[Alert]:
        """Return the open alerts about sensors themselves."""
        return [alert for (kind, _), alert in self._open.items() if kind == "sensor"]

    def shelve(self, alert_id: str, duration_ns: int, by: str, reason: str, time_ns: int) -> list[Change]:
        """Return what shelving an open alert for a while leads to; one that is shelved already is anew.

        Raises NotFoundError if no open alert has this id, RefusedError for a time that is too long or none at all, or
        without a reason.
        """
        alert = self._find(alert_id, "what is over cannot be shelved")
        if not 0 < duration_ns <= self._longest_shelving_ns:
            raise RefusedError(f"an alert can be shelved for {in_words(self._longest_shelving_ns)} at most")
        if not by.strip() or not reason.strip():
            raise RefusedError("shelving needs somebody who answers for it, and a reason")
        changed, fact = attending.shelve(alert, time_ns + duration_ns, by, reason, time_ns)
        return [Change(fact, changed)]

    def unshelve(self, alert_id: str, by: str, reason: str, time_ns: int) -> list[Change]:
        """Return what taking an alert off the shelf leads to, be it still open or not.

        Raises NotFoundError if there is no such alert, ConflictError if it is not shelved.
        """
        shelved = next((alert for alert in self._shelf.values() if alert.id == alert_id), None)
        alert = shelved or self._find(alert_id, "neither is one shelved that has cleared and has this id")
        if alert.shelved_until_ns is None:
            raise ConflictError("this alert is not shelved")
        changed, fact = attending.unshelve(alert, by, reason, time_ns)
        return [Change(fact, changed)]

    def shelved(self) -> list[Alert]:
        """Return what is shelved, open or not."""
        return [*(alert for alert in self._open.values() if alert.shelved_until_ns is not None), *self._shelf.values()]

    def end_shelving(self, alert_id: str, cause: DomainEvent) -> list[Change]:
        """Let the time of a shelved alert be over."""
        found = [alert for alert in self.shelved() if alert.id == alert_id]
        changes = [
            attending.end_shelving(alert, "The time on the shelf is over.", _following(cause)) for alert in found
        ]
        for alert, _ in changes:
            self.settle(alert)
        return [Change(fact, alert) for alert, fact in changes]

    def _settled(self, changed: tuple[Alert, DomainEvent], cause: Cause) -> list[Change]:
        changes = self._with_the_shelf(changed, cause)
        for change in changes:
            if change.alert is not None:
                self.settle(change.alert)
        return changes

    def _with_the_shelf(self, changed: tuple[Alert, DomainEvent], cause: Cause) -> list[Change]:
        """Return a change of an alert with what it means for its shelving.

        One that is raised while its predecessor is shelved takes its place on the shelf, and one that becomes worse
        than what was shelved leaves it: nobody has decided about that.
        """
        alert, fact = changed
        changes = [Change(fact, alert)]
        before = self._shelf.get((alert.kind, alert.sensor_id))
        if fact.type == RAISED and before is not None:
            alert = replace(
                alert,
                shelved_until_ns=before.shelved_until_ns,
                shelved_by=before.shelved_by,
                shelved_severity=before.shelved_severity,
            )
            fact = replace(fact, data=alerts.fact_data(alert, alert.reason))
            over, passed_on = attending.end_shelving(
                before, f"The alert {alert.id} takes its place on the shelf.", cause
            )
            changes = [Change(passed_on, over), Change(fact, alert)]
        if alert.shelved_severity is not None and is_worse(alert.severity, alert.shelved_severity):
            worse, off = attending.end_shelving(alert, "It is worse than what was shelved.", cause)
            changes.append(Change(off, worse))
        return changes

    def _find(self, alert_id: str, otherwise: str) -> Alert:
        alert = next((alert for alert in self._open.values() if alert.id == alert_id), None)
        if alert is None:
            raise NotFoundError(f"no open alert has the id {alert_id!r}; {otherwise}")
        return alert


def _following(fact: DomainEvent) -> Cause:
    return Cause(fact.id, fact.correlation_id, fact.time_ns, fact.subject, {}, "", "")
