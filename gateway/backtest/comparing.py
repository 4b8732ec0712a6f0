"""What a change of rules would have done: two outcomes of one history, alert by alert."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from gateway.backtest.running import AlertEntry, Outcome


class Shift(Struct, frozen=True):
    """An alert of both, and by how much the second is later (earlier, if below zero)."""

    before: AlertEntry
    after: AlertEntry

    @property
    def later_ns(self) -> int:
        """How much later it came with the second rules."""
        return self.after.opened_ns - self.before.opened_ns


class Comparison(Struct):
    """The entries that only one of two outcomes has, and those of both, by when they came."""

    added: list[AlertEntry] = field(default_factory=list)
    gone: list[AlertEntry] = field(default_factory=list)
    earlier: list[Shift] = field(default_factory=list)
    later: list[Shift] = field(default_factory=list)
    same: int = 0


def compare(before: Outcome, after: Outcome) -> Comparison:
    """Compare two outcomes of the same history.

    Two entries are the same alert if sensor, kind and severity are, and there was a time at which both were open.
    """
    found = Comparison()
    left = _by_subject(after.alerts)
    for entry in before.alerts:
        rivals = left.get(_subject(entry), [])
        match = next((rival for rival in rivals if _overlap(entry, rival)), None)
        if match is None:
            found.gone.append(entry)
            continue
        rivals.remove(match)
        if match.opened_ns == entry.opened_ns:
            found.same += 1
        else:
            (found.later if match.opened_ns > entry.opened_ns else found.earlier).append(Shift(entry, match))
    rest = {id(entry) for entries in left.values() for entry in entries}
    found.added = [entry for entry in after.alerts if id(entry) in rest]
    return found


def _by_subject(entries: Sequence[AlertEntry]) -> dict[tuple[str, str, str], list[AlertEntry]]:
    grouped: dict[tuple[str, str, str], list[AlertEntry]] = {}
    for entry in entries:
        grouped.setdefault(_subject(entry), []).append(entry)
    return grouped


def _subject(entry: AlertEntry) -> tuple[str, str, str]:
    return entry.sensor_id, entry.kind, entry.severity


def _overlap(one: AlertEntry, other: AlertEntry) -> bool:
    first, second = sorted((one, other), key=lambda entry: entry.opened_ns)
    return first.cleared_ns is None or second.opened_ns <= first.cleared_ns
