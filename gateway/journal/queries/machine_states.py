"""How a machine was said to run, since when, and who said so."""

from __future__ import annotations

from msgspec import Struct

from gateway.domain.engine.event_log import StoredReading
from gateway.domain.model.assets import MACHINE_STATE, AssetPath
from gateway.domain.model.timefmt import rfc3339
from gateway.journal.queries.log_reader import LogReader

_MOST_CHANGES = 200
"""Looked back upon: where more machines bear one name, the state of one that changes seldom may be beyond them."""


class SaidState(Struct, frozen=True, rename="camel"):
    """An operating state in its own words, since when (RFC 3339; None: since this reading), and who said so."""

    state: str
    since: str | None
    by: str


def said_state(reader: LogReader, place: AssetPath, reading: StoredReading | None) -> SaidState | None:
    """Return what was said of a machine's state when a reading came, or now without one; None if nobody said anything.

    What the reading says itself comes before what the machine's topic says, as it does where it is judged.
    """
    own = None if reading is None else reading.event().data.operating_state
    if own is not None:
        return SaidState(own, None, "the reading itself")
    until_ns = None if reading is None else reading.received_ns + 1
    for entry in reader.entries(place[2], MACHINE_STATE, None, until_ns, _MOST_CHANGES) if place[2] else ():
        data = entry.fact.data
        if (data["site"], data["area"], data["machine"]) == place:
            since = rfc3339(entry.fact.time_ns)
            return SaidState(data["state"], since, "its state topic") if data["state"] else None
    return None


def in_words(said: SaidState | None) -> str:
    """Return a state in one line: `stopped, since 2026-03-01T12:00:00.000Z, by its state topic`."""
    if said is None:
        return ""
    return f"{said.state}, {f'since {said.since}, ' if said.since else ''}by {said.by}"
