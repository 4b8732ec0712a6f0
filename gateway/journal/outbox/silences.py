"""The silences that people add, written with the facts that say so."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.domain.notification.silences import Silence, added, expired
from gateway.errors import ConflictError, NotFoundError
from gateway.journal.outbox.rows import Messages
from gateway.journal.queries.reader import Reader


def add(messages: Messages, silence: Silence, now_ns: int) -> Silence:
    """Keep a silence that somebody has added. Called in the journal's thread."""
    messages.write_silence(silence, added(silence, now_ns), now_ns)
    return silence


def expire(messages: Messages, silence_id: str, by: str, now_ns: int) -> Silence:
    """End a silence now. Raises NotFoundError for one that nobody has added, ConflictError for one that is over."""
    found = [silence for silence in all_silences(messages) if silence.id.startswith(silence_id)]
    if len(found) != 1:
        many = "more than one" if found else "no"
        raise NotFoundError(
            f"{many} silence has an id that begins with {silence_id!r}; those of the configuration end there"
        )
    if (found[0].ends_ns or 0) <= now_ns:
        raise ConflictError(f"the silence {found[0].id} is over already")
    ended = replace(found[0], ends_ns=now_ns)
    messages.write_silence(ended, expired(ended, by, now_ns), now_ns)
    return ended


def all_silences(source: Messages | Reader, after_ns: int = 0) -> list[Silence]:
    """Return the silences that people have added and that end after a time, in the order of their ends."""
    return [_read_silence(*row) for row in source.rows("silences", after_ns)]


def _read_silence(ends_ns: int, encoded: str) -> Silence:
    """Return a silence of the journal, with its end as it is now."""
    return replace(msgspec.json.decode(encoded, type=Silence), ends_ns=ends_ns)
