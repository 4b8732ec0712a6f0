"""The room that dead letters take up: the oldest go when it is too much, whoever sends how many of them."""

from __future__ import annotations

from gateway.domain.engine.quotas import LETTER_BYTES
from gateway.journal.log.stream import Stream
from gateway.journal.queries.reader import Reader
from gateway.journal.sqlite.codec import OVER_QUOTA, counted
from gateway.journal.sqlite.writer import Journal

WEIGHED_AT_ONCE = 2000
DROPPED_AT_ONCE = 200


class LetterBound:
    """Keeps the payloads of all dead letters under so many bytes."""

    def __init__(self, journal: Journal, stream: Stream, largest: int) -> None:
        self._journal = journal
        self._stream = stream
        self._largest = largest
        self._until = self._bytes = 0

    async def limit(self) -> None:
        """Drop the oldest dead letters while all of them are too large; those that go are counted."""
        await self._weigh()
        if self._bytes <= self._largest:
            return
        self._until = self._bytes = 0  # some may have gone since they were weighed
        await self._weigh()
        while self._bytes > self._largest:
            sizes = await self._journal.call(_drop, self._journal, DROPPED_AT_ONCE)
            if not sizes:
                break
            self._bytes -= sum(sizes)

    async def _weigh(self) -> None:
        """Add those that have come since the last time, in slices: nobody waits long for one."""
        count = WEIGHED_AT_ONCE
        while count == WEIGHED_AT_ONCE:
            count, size, until = await self._stream.read(Reader.weigh_letters, self._until, WEIGHED_AT_ONCE)
            self._bytes += size
            self._until = max(self._until, until)


def _drop(journal: Journal, limit: int) -> list[int]:
    """Delete the oldest dead letters, so many at most, and count them as over the quota; return the size of each."""
    with journal.transaction():
        sizes = [size for (size,) in journal.all("drop_letters", limit)]
        journal.many("upsert_note", [(OVER_QUOTA, counted(journal.note(OVER_QUOTA), {LETTER_BYTES: len(sizes)}))])
    return sizes
