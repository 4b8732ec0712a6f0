"""Removing sensors, with everything that the journal holds of them but the facts: invented ones, or ones long gone.

First their readings go, in slices, while the gateway goes on; what has come meanwhile goes with the sensors themselves.
Everything here runs in the journal's thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.journal.maintenance import sealing
from gateway.journal.queries.resolutions import RESOLUTIONS
from gateway.journal.sqlite.codec import REGISTRY_SEQ
from gateway.journal.sqlite.writer import Journal

_JSON = msgspec.json.Encoder()

ROWS_AT_ONCE = 20_000
"""Readings that are looked through in one transaction: others have their turn between two."""


def delete_readings(journal: Journal, keys: Sequence[int], after: int) -> int | None:
    """Delete the readings of sensors among the next `ROWS_AT_ONCE`; return the last one looked at, None at the end."""
    until = _end_of_slice(journal, after)
    if until is not None:
        with journal.transaction():
            sealing.delete_readings(journal, keys, after, until)
            journal.count("delete_readings", after, until, _JSON.encode(keys).decode())
    return until


def _end_of_slice(journal: Journal, after: int) -> int | None:
    """Return where the next slice ends: with a block, as long as there are some, since each is written anew."""
    index = journal.both.blocks.index
    if sealed := index.after(after, index.last):
        return index.lasts[sealed[0]]
    ((until,),) = journal.all("last_of_slice", after, ROWS_AT_ONCE)
    return until  # type: ignore[no-any-return] # a number, or NULL


def delete_sensors(journal: Journal, keys: Sequence[int], names: Sequence[str], after: int) -> None:
    """Delete sensors by their keys and ids, and their readings after a sequence number, in one transaction."""
    wanted = _JSON.encode(keys).decode()
    with journal.transaction():
        sealing.delete_readings(journal, keys, after, journal.next_seq)
        journal.count("delete_readings", after, journal.next_seq, wanted)
        for each in RESOLUTIONS:
            journal.count(f"delete_{each.table}", wanted)
        journal.count("delete_detector", wanted)
        journal.count("delete_waveforms", _JSON.encode(names).decode())
        journal.count("delete_sensors", wanted)
        journal.many("upsert_note", [(REGISTRY_SEQ, str(journal.next_seq))])  # who keeps their names reads them again
