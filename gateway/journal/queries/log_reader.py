"""Reading the log: what follows a sequence number, and readings and facts by time, sensor, type and cause."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from heapq import merge
from operator import itemgetter
from pathlib import Path
from sys import intern
from typing import Any

import msgspec

from gateway.domain.detection.state import Sensor
from gateway.domain.engine.event_log import (
    BODY,
    SENSOR,
    TIME,
    EventRecord,
    LogSlice,
    ReadingRow,
    StoredReading,
    stored_reading,
)
from gateway.domain.model.assets import asset_of
from gateway.domain.model.events import DomainEvent
from gateway.domain.model.naming import ambiguous, names_of, published_in
from gateway.errors import NotFoundError
from gateway.journal.sealed.blocks import Blocks
from gateway.journal.sqlite.codec import REGISTRY_SEQ, SNAPSHOT_SEQ, KnownSensor, decode_state, decode_tags
from gateway.journal.sqlite.connection import load_queries, open_for_reading
from gateway.journal.sqlite.recovery import check_slice

_LONGEST_CORRECTION_US = 2_000
MAX_STEP_BYTES = 8_000_000
"""A step ends with the reading that makes it larger than this, however few there are."""
_ALL = 2**63 - 1
_STEPS_BETWEEN_LOOKS = 5_000


class LogReader:
    """A connection that changes nothing; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._sql = load_queries()
        self._db = open_for_reading(path)
        self._blocks = Blocks(self._db, self._sql)
        self._sensors: dict[int, tuple[str, dict[str, str]]] = {}
        self._newest_sensor = 0
        self._moved: tuple[str] | None = None

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def name(self, key: int) -> tuple[str, dict[str, str]] | None:
        """Return the id and the tags of a sensor, or None if the registry has not been read since it was entered."""
        return self._sensors.get(key)

    def know(self, sensors: Iterable[Sensor]) -> None:
        """Take over the registry from who has just read it: what it says of a sensor is in memory once."""
        self._moved = self._db.execute(self._sql["note"], (REGISTRY_SEQ,)).fetchone()
        for sensor in sensors:
            self._sensors[sensor.key] = sensor.id, sensor.tags
            self._newest_sensor = max(self._newest_sensor, sensor.key)

    @contextmanager
    def interrupted_if(self, enough: Callable[[], bool]) -> Iterator[None]:
        """End what is asked within the block with sqlite3.OperationalError as soon as `enough` says so."""
        self._db.set_progress_handler(enough, _STEPS_BETWEEN_LOOKS)
        self._blocks.enough = enough
        try:
            yield
        finally:
            self._db.set_progress_handler(None, 0)
            self._blocks.enough = lambda: False

    def check(self, table: str, after: int, until: int) -> None:
        """Look through the rows after < seq <= until. Raises sqlite3.DatabaseError if something is wrong."""
        check_slice(self._db, table, after, until)

    def last_seq(self) -> int:
        """Return the highest sequence number there is."""
        return self._number("last_seq")

    def step(self, after: int, limit: int, *, readings: bool = True, known: int = 0) -> LogSlice:
        """Return what follows `after`, at most `limit` readings and `limit` facts, both complete up to `until`.

        The readings are bounded in bytes as well: an event may be a thousand times as large as most are. Everything up
        to `known` is on disk: after the last row there may be numbers that a replay of dead letters left unused.
        """
        until = max(self.last_seq(), known)
        self.look_for_moves()
        found: list[ReadingRow] = []
        if readings:
            found, complete = self._up_to_size(after, until, limit)
            if not complete:
                until = found[-1][0]
        facts = self._db.execute(self._sql["events_after"], (after, until, limit)).fetchall()
        if len(facts) == limit:
            until = facts[-1][0]
        kept = [self._reading(row) for row in found if row[0] <= until]
        return LogSlice(kept, [entry_of(row) for row in facts], until)

    def sensors(self) -> list[KnownSensor]:
        """Return the registry, in the order in which the sensors were first seen."""
        return [
            KnownSensor(
                key, intern(id_), decode_tags(tags), intern(unit), intern(location), first_seen, published or id_
            )
            for key, id_, tags, unit, location, first_seen, published in self._db.execute(self._sql["sensors"])
        ]

    def called(self, asked: str) -> str:
        """Return the name of the sensor that is meant. Raises NotFoundError, or ConflictError where it is not clear."""
        rows: list[tuple[str, str, str | None]] = self.rows("sensors_with_id", asked, published_in(asked))
        known = [(id_, published or id_, asset_of(decode_tags(tags))) for id_, tags, published in rows]
        found = [id_ for id_, _, _ in known if id_ == asked]
        found = found or [id_ for id_, published, place in known if asked in names_of(published, place)]
        if not found:
            raise NotFoundError(f"no sensor {asked!r} has published yet")
        if len(found) > 1:
            raise ambiguous(asked, found)
        return found[0]

    def subject(self, asked: str) -> str:
        """Return the name of the sensor that is meant, or what was asked for: it may be something else than a sensor.

        Raises ConflictError where it may be several sensors.
        """
        try:
            return self.called(asked)
        except NotFoundError:
            return asked

    def reading_behind(self, fact: DomainEvent) -> StoredReading | None:
        """Return the reading that a fact about its sensor followed from, or None; quick, unlike `find_reading`."""
        self.look_for_moves()  # who follows facts alone has not come past them
        event_id, sensor = fact.causation_id, self._key(fact.subject)
        row = self._db.execute(self._sql["replaced_reading"], (fact.time_ns, sensor, event_id)).fetchone()
        row = row or self._blocks.replaced(fact.time_ns, sensor, event_id)
        return self._with_key((fact.time_ns // 1000, sensor), event_id) if row is None else self._reading(row)

    def _with_key(self, key: tuple[int, int], event_id: str) -> StoredReading | None:
        row = self._db.execute(self._sql["reading_with_key"], (*key, event_id)).fetchone()
        row = row or self._blocks.with_key(*key, event_id)
        return None if row is None else self._reading(row)

    def entries_with_id(self, event_id: str) -> list[EventRecord]:
        """Return the facts with an id: one, or none."""
        return [entry_of(row) for row in self._db.execute(self._sql["events_with_id"], (event_id,))]

    def entries_caused_by(self, event_id: str, limit: int) -> list[EventRecord]:
        """Return what followed directly from an event, the first ones first."""
        return [entry_of(row) for row in self._db.execute(self._sql["events_caused_by"], (event_id, limit))]

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement of queries.sql gives."""
        return self._db.execute(self._sql[query], values).fetchall()

    def cursors(self) -> dict[str, int]:
        """Return consumer -> last sequence number it is done with."""
        return dict(self._db.execute("SELECT consumer, seq FROM cursors"))

    def readings(
        self, sensor_id: str | None, since_ns: int | None, until_ns: int | None, limit: int
    ) -> Iterator[StoredReading]:
        """Yield the newest `limit` readings measured in since <= time < until, the newest first.

        The search goes along the index in event time; readings whose clock was replaced come from an index of theirs.
        """
        where, values = self._window("time", since_ns, until_ns, sensor_id)
        coarse, coarse_values = [], []
        if since_ns is not None:
            coarse.append("event_us >= ?")
            coarse_values.append(since_ns // 1000 - _LONGEST_CORRECTION_US)
        if until_ns is not None:
            coarse.append("event_us <= ?")
            coarse_values.append(until_ns // 1000)
        own = " AND ".join(["NOT flags & 2", *coarse, *where])
        replaced = " AND ".join(["flags & 2", *where])
        query = (
            f"SELECT seq, time FROM (SELECT * FROM readings WHERE {own} ORDER BY event_us DESC, time DESC LIMIT ?)"  # noqa: S608 - made of the constants above
            f" UNION ALL SELECT seq, time FROM (SELECT * FROM readings WHERE {replaced} ORDER BY time DESC LIMIT ?)"
            " ORDER BY time DESC, seq DESC LIMIT ?"
        )
        # The bodies, which may be large, are not sorted: each is read when its turn comes.
        places = self._db.execute(query, (*coarse_values, *values, limit, *values, limit, limit)).fetchall()
        sensor = None if sensor_id is None else self._key(sensor_id)
        sealed = self._blocks.newest_first(sensor, *_bounds(since_ns, until_ns))
        yielded = before = 0
        for _, seq in merge(((time, seq) for seq, time in places), sealed, reverse=True):
            if yielded == limit:
                return
            if seq != before and (reading := self._with_seq(seq)) is not None:
                yielded, before = yielded + 1, seq
                yield reading

    def _with_seq(self, seq: int) -> StoredReading | None:
        """Return the reading with a sequence number, sealed or not; None if it has gone meanwhile."""
        row = self._db.execute(self._sql["reading"], (seq,)).fetchone() or self._blocks.reading(seq)
        return None if row is None else self._reading(row)

    def reading_bounds(self, since_ns: int | None, until_ns: int | None) -> tuple[int, int]:
        """Return the first and the last seq of the readings with since <= time < until; 1, 0 if none."""
        window = _bounds(since_ns, until_ns)
        first, last = self._db.execute(self._sql["reading_bounds"], window).fetchone()
        if (sealed := self._blocks.bounds(*window)) is None:
            return (1, 0) if first is None else (first, last)
        return sealed if first is None else (sealed[0], max(last, sealed[1]))

    def readings_after(self, after: int, until: int, limit: int) -> list[StoredReading]:
        """Return the first readings with after < seq <= until: `limit` at most, fewer where they are large."""
        return [self._reading(row) for row in self._up_to_size(after, until, limit)[0]]

    def last_readings(self, after: int = 0, until: int = _ALL) -> dict[int, StoredReading]:
        """Return sensor key -> its newest reading, for the keys after < key <= until.

        Those since the last snapshot are looked through; of the other sensors the snapshot knows the newest time.
        """
        snapshot = self._db.execute(self._sql["note"], (SNAPSHOT_SEQ,)).fetchone()
        recent = self._db.execute(self._sql["newest_since"], (int(snapshot[0]) if snapshot else 0, after, until))
        found = {row[SENSOR]: self._reading(row) for row in recent}
        for key, encoded in self._db.execute(self._sql["detectors"], (after, until)):
            if key not in found:
                state = decode_state(encoded)
                newest_us, replaced_ns = state.newest_us, state.replaced_ns
                row = self._db.execute(self._sql["newest_known"], (key, newest_us, replaced_ns)).fetchone()
                sealed = self._blocks.newest_known(key, newest_us, replaced_ns) if replaced_ns or not row else None
                rows = [each for each in (row, sealed) if each is not None]
                if rows:
                    found[key] = self._reading(max(rows, key=itemgetter(TIME)))
        return found

    def entries(
        self, subject: str | None, type_: str | None, since_ns: int | None, until_ns: int | None, limit: int
    ) -> Iterator[EventRecord]:
        """Yield the newest `limit` facts with since <= time < until, the newest first."""
        where, values = ["1"], []
        for column, value in (("subject", subject), ("type", type_)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        window, bounds = self._window("time", since_ns, until_ns, None)
        query = (
            "SELECT seq, id, type, time, recorded, subject, correlation_id, causation_id, data FROM events"  # noqa: S608 - made of the constants above
            f" WHERE {' AND '.join([*where, *window])} ORDER BY seq DESC LIMIT ?"
        )
        for row in self._db.execute(query, (*values, *bounds, limit)):
            yield entry_of(row)

    def count(self, sensor_id: str | None, since_ns: int | None, until_ns: int | None) -> int:
        """Return the number of readings measured in since <= time < until."""
        where, values = self._window("time", since_ns, until_ns, sensor_id)
        query = f"SELECT count(*) FROM readings WHERE {' AND '.join(['1', *where])}"  # noqa: S608 - made of constants
        sensor = None if sensor_id is None else self._key(sensor_id)
        with self.at_once():
            count: int = self._db.execute(query, values).fetchone()[0]
            return count + self._blocks.count(sensor, *_bounds(since_ns, until_ns))

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let all that is asked within the block see one state of the journal: nothing is sealed between."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN")
        try:
            yield
        finally:
            self._db.execute("ROLLBACK")

    def count_entries(self, subject: str | None, type_: str | None, since_ns: int | None, until_ns: int | None) -> int:
        """Return the number of facts with since <= time < until."""
        return sum(1 for _ in self.entries(subject, type_, since_ns, until_ns, -1))

    def _window(
        self, column: str, since_ns: int | None, until_ns: int | None, sensor_id: str | None
    ) -> tuple[list[str], list[Any]]:
        conditions = {f"{column} >= ?": since_ns, f"{column} < ?": until_ns}
        if sensor_id is not None:
            conditions["sensor = ?"] = self._key(sensor_id)
        given = {text: value for text, value in conditions.items() if value is not None}
        return list(given), list(given.values())

    def _key(self, sensor_id: str) -> int:
        row = self._db.execute("SELECT key FROM sensors WHERE id = ?", (sensor_id,)).fetchone()
        return row[0] if row else -1

    def _number(self, query: str) -> int:
        number: int = self._db.execute(self._sql[query]).fetchone()[0]
        return number

    def _up_to_size(self, after: int, until: int, limit: int) -> tuple[list[ReadingRow], bool]:
        """Return the first readings after a sequence number, and whether they are all up to `until`."""
        found: list[ReadingRow] = []
        size = 0
        with self.at_once():
            for row in self._rows_after(after, until, limit):
                found.append(row)
                size += len(row[BODY])
                if size > MAX_STEP_BYTES:
                    return found, False
        return found, len(found) < limit

    def _rows_after(self, after: int, until: int, limit: int) -> Iterator[ReadingRow]:
        sealed = 0
        if after < self._blocks.last:
            for row in self._blocks.rows(after, until, limit):
                sealed += 1
                yield row
        yield from self._db.execute(self._sql["readings_after"], (after, until, limit - sealed))

    def look_for_moves(self) -> None:
        """Read again where the sensors are if one has moved to another machine, or has been purged."""
        moved = self._db.execute(self._sql["note"], (REGISTRY_SEQ,)).fetchone()
        if moved != self._moved:
            there = self._read_names(after=0)
            self._sensors = {key: name for key, name in self._sensors.items() if key in there}
            self._moved = moved

    def _read_names(self, after: int) -> set[int]:
        """Read the names of the sensors with a higher key; return the keys."""
        there = set[int]()
        for key, id_, tags in self._db.execute(self._sql["names"], (after,)):
            now = intern(id_), decode_tags(tags)
            if self._sensors.get(key) != now:  # who was given the tags keeps them: they are there once
                self._sensors[key] = now
            self._newest_sensor = key
            there.add(key)
        return there

    def _reading(self, row: ReadingRow) -> StoredReading:
        key = row[SENSOR]
        if key not in self._sensors:
            self._read_names(after=self._newest_sensor)
        return stored_reading(row, *self._sensors[key])


def _bounds(since_ns: int | None, until_ns: int | None) -> tuple[int, int]:
    return -_ALL if since_ns is None else since_ns, _ALL if until_ns is None else until_ns


def entry_of(row: tuple[Any, ...]) -> EventRecord:
    """Return a fact as the journal's row gives it."""
    seq, id_, type_, time, recorded, subject, correlation, causation, data = row
    return EventRecord(
        seq, DomainEvent(id_, type_, time, subject, correlation, causation, msgspec.json.decode(data)), recorded
    )
