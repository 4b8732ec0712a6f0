"""Silences and recurring maintenance windows: for what nobody is told, until when, who wanted it and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.model.events import SEVERITIES, DomainEvent, Severity, derived_id
from gateway.domain.model.timefmt import microseconds, rfc3339
from gateway.domain.notification.matching import DIMENSIONS, Index, Matchers
from gateway.domain.notification.model import OWN, Item
from gateway.domain.notification.oncall import Hours

ADDED, EXPIRED = "SilenceAdded", "SilenceExpired"
_MILLISECOND = 10**6
LONGEST_NS = 366 * 86400 * 10**9
"""A silence has an end that somebody will live to see."""


SOMETHING = ", ".join(f"a{'n' * (each.name[0] in 'aeiou')} {each.name}" for each in DIMENSIONS) + " or a tag"
"""What a silence must name one of."""


class Silence(Struct, frozen=True, rename="camel"):
    """Nobody is told of what matches, if it is of this severity or milder, from `starts_ns` to before `ends_ns`.

    With `hours` it recurs: only within them. Then it may have no end.
    """

    id: str
    matchers: Matchers
    owner: str
    reason: str
    starts_ns: int = 0
    ends_ns: int | None = None
    severity: Severity = "critical"
    hours: Hours | None = None

    def until(self, now_ns: int) -> int | None:
        """Return until when it holds, if it does at this moment."""
        if now_ns < self.starts_ns or (self.ends_ns is not None and now_ns >= self.ends_ns):
            return None
        if self.hours is None:
            return self.ends_ns
        if not self.hours.contain(now_ns):
            return None
        until_ns = self.hours.until(now_ns)
        return until_ns if self.ends_ns is None else min(until_ns, self.ends_ns)

    def mute(self, item: Item, now_ns: int) -> int | None:
        """Return until when nobody is told of an item, or None."""
        if SEVERITIES.index(item.severity) > SEVERITIES.index(self.severity) or not self.matchers.match(item):
            return None
        return self.until(now_ns)


class Silences:
    """All silences, found by what they match."""

    def __init__(self, silences: Iterable[Silence] = ()) -> None:
        self._all: dict[str, Silence] = {}
        self._index: Index[Silence] = Index()
        for silence in silences:
            self.add(silence)

    def __iter__(self) -> Iterator[Silence]:
        return iter(self._all.values())

    def get(self, silence_id: str) -> Silence | None:
        """Return a silence, or None if there is none of this id."""
        return self._all.get(silence_id)

    def add(self, silence: Silence) -> None:
        """Let a silence hold; one with the same id gives way to it."""
        self.remove(silence.id)
        self._all[silence.id] = silence
        self._index.add(silence.id, silence.matchers, silence)

    def remove(self, silence_id: str) -> None:
        """Let a silence hold no longer."""
        silence = self._all.pop(silence_id, None)
        if silence is not None:
            self._index.remove(silence_id, silence.matchers)

    def mute(self, item: Item, now_ns: int) -> tuple[Silence, int] | None:
        """Return the silence that mutes an item for the longest, and until when; None if nothing does."""
        found = [
            (until_ns, silence)
            for silence in self._index.candidates(item)
            if (until_ns := silence.mute(item, now_ns)) is not None
        ]
        if not found:
            return None
        until_ns, silence = max(found, key=lambda pair: (pair[0], pair[1].id))
        return silence, until_ns


def added(silence: Silence, time_ns: int) -> DomainEvent:
    """Return the fact that a silence was added; its cause is the person."""
    id_ = derived_id(ADDED, silence.id, str(time_ns))
    return DomainEvent(id_, ADDED, time_ns, silence.id, id_, id_, describe(silence))


def of_fact(fact: DomainEvent) -> Silence:
    """Return the silence that a fact says was added."""
    data = fact.data
    matchers = msgspec.convert(data, Matchers)
    starts_ns, ends_ns = _moment(data["startsAt"]), _moment(data["endsAt"])
    return Silence(data["id"], matchers, data["owner"], data["reason"], starts_ns or 0, ends_ns, data["severity"])


def _moment(text: str | None) -> int | None:
    return None if text is None else microseconds(datetime.fromisoformat(text)) * 1000


def expired(silence: Silence, by: str, time_ns: int) -> DomainEvent:
    """Return the fact that somebody ended a silence before its time."""
    id_ = derived_id(EXPIRED, silence.id, str(time_ns))
    return DomainEvent(id_, EXPIRED, time_ns, silence.id, id_, id_, {**describe(silence), "by": by})


def describe(silence: Silence) -> dict[str, Any]:
    """Return a silence as every interface shows it."""
    return {
        "id": silence.id,
        "owner": silence.owner,
        "reason": silence.reason,
        "startsAt": rfc3339(silence.starts_ns) if silence.starts_ns else None,
        "endsAt": None if silence.ends_ns is None else rfc3339(silence.ends_ns),
        "recurring": silence.hours is not None,
        "severity": silence.severity,
        **{each.names: list(each.of(silence.matchers)) for each in DIMENSIONS},
        "tags": {name: list(values) for name, values in silence.matchers.tags.items()},
    }


def describe_now(silence: Silence, now_ns: int) -> dict[str, Any]:
    """Return a silence with how it stands: active until a time, waiting, or over."""
    until_ns = silence.until(now_ns)
    over = silence.ends_ns is not None and now_ns >= silence.ends_ns
    state = "over" if over else "waiting" if until_ns is None else "active"
    return {**describe(silence), "state": state, "until": None if until_ns is None else rfc3339(until_ns)}


def wanted(parts: Mapping[str, Any], owner: str, reason: str, now_ns: int) -> Silence:
    """Return the silence that somebody asks for: what Matchers has, `until`, perhaps `starts` and `severity`.

    Raises ValueError for one that cannot be.
    """
    matchers = msgspec.convert(parts, Matchers)
    if bad := [value for values in matchers.named().values() for value in values if "*" in value[:-1]]:
        raise ValueError(f"{bad[0]!r}: a star stands at the end only")
    if own := sorted(OWN & matchers.tags.keys()):
        raise ValueError(f"{own[0]!r} is no tag: name {own[0]}s")
    starts_ns = max(_moment(parts.get("starts")) or 0, now_ns)
    severity = parts.get("severity", "critical")
    return checked(Silence("", matchers, owner, reason, starts_ns, _moment(parts["until"]), severity))


def checked(silence: Silence) -> Silence:
    """Return a silence that somebody asks for, with its id. Raises ValueError for one that cannot be."""
    matchers, ends_ns = silence.matchers, silence.ends_ns
    if matchers.match_everything():
        raise ValueError(f"a silence names {SOMETHING}; it does not mute everything")
    if ends_ns is None or ends_ns <= silence.starts_ns:
        raise ValueError("a silence ends after it begins")
    if ends_ns - silence.starts_ns > LONGEST_NS:
        raise ValueError("a silence lasts for a year at most")
    silence = replace(silence, starts_ns=silence.starts_ns // _MILLISECOND * _MILLISECOND)
    silence = replace(silence, ends_ns=ends_ns // _MILLISECOND * _MILLISECOND)
    parts = (silence.owner, silence.reason, str(silence.starts_ns), str(ends_ns), repr(matchers), silence.severity)
    return replace(silence, id=derived_id("silence", *parts))
