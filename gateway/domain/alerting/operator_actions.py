"""What people do with an alert: acknowledge it, shelve it, take it off the shelf. (alert, person) -> (alert, fact)."""

from __future__ import annotations

from msgspec.structs import replace

from gateway.domain.alerting.alert import ACKNOWLEDGED, SHELVED, UNSHELVED, Alert, Cause, changed, fact_data
from gateway.domain.model.events import DomainEvent, derived_id
from gateway.domain.model.timefmt import in_words, rfc3339


def acknowledge(alert: Alert, by: str, reason: str, time_ns: int) -> tuple[Alert, DomainEvent]:
    """Return the alert as acknowledged by a person, and the fact that says so."""
    acknowledged = replace(alert, acknowledged=True, acknowledged_by=by)
    return _by_a_person(acknowledged, ACKNOWLEDGED, f"Acknowledged by {by}", by, reason, time_ns)


def shelve(alert: Alert, until_ns: int, by: str, reason: str, time_ns: int) -> tuple[Alert, DomainEvent]:
    """Return the alert as shelved by a person up to a time: nobody is told of it, unless it becomes worse than now."""
    shelved = replace(alert, shelved_until_ns=until_ns, shelved_by=by, shelved_severity=alert.severity)
    what = f"Shelved by {by} for {in_words(until_ns - time_ns)}, until {rfc3339(until_ns)}"
    return _by_a_person(shelved, SHELVED, what, by, reason, time_ns)


def unshelve(alert: Alert, by: str, reason: str, time_ns: int) -> tuple[Alert, DomainEvent]:
    """Return the alert as taken off the shelf by a person before its time."""
    return _by_a_person(_off_the_shelf(alert), UNSHELVED, f"Taken off the shelf by {by}", by, reason, time_ns)


def end_shelving(alert: Alert, reason: str, cause: Cause) -> tuple[Alert, DomainEvent]:
    """Return the alert as shelved no longer, for another reason than a person."""
    return changed(_off_the_shelf(alert), UNSHELVED, reason, cause)


def _off_the_shelf(alert: Alert) -> Alert:
    return replace(alert, shelved_until_ns=None, shelved_by="", shelved_severity=None)


def _by_a_person(  # noqa: PLR0917 - it completes what three callers begin
    alert: Alert, type_: str, what: str, by: str, comment: str, time_ns: int
) -> tuple[Alert, DomainEvent]:
    """Return a fact whose cause is a person; its first cause is what opened the alert."""
    id_ = derived_id(type_, alert.id, str(time_ns))
    data = {**fact_data(alert, f"{what}: {comment}" if comment else what), "by": by, "comment": comment}
    return alert, DomainEvent(id_, type_, time_ns, alert.sensor_id, alert.opened_by, id_, data)
