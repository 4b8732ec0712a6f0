"""Reading the journal: the followers' streams, and what the command line and the page ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any

import msgspec

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.baseline_events import CHANGES
from gateway.domain.detection.limits import Limits
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.event_log import EventRecord, LogSlice, StoredReading
from gateway.domain.model.assets import AssetPath, asset_of
from gateway.domain.model.events import DomainEvent
from gateway.errors import GatewayError
from gateway.journal.sqlite.codec import REGISTRY_SEQ, SNAPSHOT_SEQ, KnownSensor, decode_state, decode_tags
from gateway.journal.sqlite.connection import load_queries, open_for_reading
from gateway.journal.sqlite.recovery import check_slice

READINGS = "VibrationRecorded"
_LONGEST_CORRECTION_US = 2_000
_TREND_READINGS, _TREND_NEWEST = 1000, 100
_TREND_SEARCHED, _TREND_SEARCHED_REPLACED = 200_000, 20_000
"""Entries of an index that are looked at for one trend: some 20 ms."""
MAX_STEP_BYTES = 8_000_000
"""A step ends with the reading that makes it larger than this, however few there are."""
_LONGEST_TAIL = 100_000
_FAR = 9_200_000_000
_ALL = 2**63 - 1
_STEPS_BETWEEN_LOOKS = 5_000


class Reader:
    """A connection that changes nothing; for one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._sql = load_queries()
        self._db = open_for_reading(path)
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
        try:
            yield
        finally:
            self._db.set_progress_handler(None, 0)

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
        self._look_for_moves()
        found: list[tuple[Any, ...]] = []
        if readings:
            found, complete = self._up_to_size(after, until, limit)
            if not complete:
                until = found[-1][0]
        facts = self._db.execute(self._sql["events_after"], (after, until, limit)).fetchall()
        if len(facts) == limit:
            until = facts[-1][0]
        kept = [self._reading(row) for row in found if row[0] <= until]
        return LogSlice(kept, [_entry(row) for row in facts], until)

    def sensors(self) -> list[KnownSensor]:
        """Return the registry, in the order in which the sensors were first seen."""
        return [
            KnownSensor(key, intern(id_), decode_tags(tags), intern(unit), intern(location), first_seen)
            for key, id_, tags, unit, location, first_seen in self._db.execute(self._sql["sensors"])
        ]

    def alerts(self, *, everything: bool, limit: int = -1, after: str | None = None) -> list[Alert]:
        """Return the open alerts, oldest first, or all, newest first; with a limit the worst, or the newest ones.

        Of all, only those that follow the alert whose id is `after`.
        """
        rows = self.rows("alerts", after, limit) if everything else self.rows("worst_alerts", limit)
        return [msgspec.json.decode(alert, type=Alert) for (alert,) in rows]

    def count_open_alerts(self) -> dict[str, int]:
        """Return severity -> number of open alerts."""
        return dict(self._db.execute(self._sql["count_open_alerts"]))

    def alerts_of(self, sensor_id: str, before_ns: int, limit: int) -> list[Alert]:
        """Return the alerts of a sensor, or of a part of the gateway, opened before a time, the newest first."""
        rows = self._db.execute(self._sql["alerts_of_sensor"], (sensor_id, before_ns, limit))
        return [msgspec.json.decode(alert, type=Alert) for (alert,) in rows]

    def alert(self, alert_id: str) -> Alert:
        """Return the alert with an id, or the one whose id begins so. Raises GatewayError if there is not one."""
        rows = self._db.execute(self._sql["alert"], (alert_id,)).fetchall()
        if len(rows) != 1:
            raise GatewayError(f"{'more than one' if rows else 'no'} alert has an id that begins with {alert_id!r}")
        return msgspec.json.decode(rows[0][0], type=Alert)

    def find_alert(self, alert_id: str) -> Alert | None:
        """Return the alert with exactly this id, or None."""
        rows = self._db.execute(self._sql["alert"], (alert_id,)).fetchall()
        found = [msgspec.json.decode(alert, type=Alert) for (alert,) in rows]
        return next((alert for alert in found if alert.id == alert_id), None)

    def alert_events(self, alert_id: str) -> list[EventRecord]:
        """Return the facts about an alert, oldest first."""
        return [_entry(row) for row in self._db.execute(self._sql["events_of_subject"], (alert_id,))]

    def alert_changes(self, sensor_id: str | None, limit: int) -> list[EventRecord]:
        """Return the newest changes of all alerts, or of a sensor's, the newest first."""
        return [_entry(row) for row in self._db.execute(self._sql["alert_changes"], (sensor_id, limit))]

    def find_reading(self, event_id: str) -> StoredReading | None:
        """Return the newest reading with an id, or None. What followed from it says when it was; else this takes long.

        About a second for every ten million readings.
        """
        for entry in self.entries_caused_by(event_id, 1):
            if found := self.reading_behind(entry.fact):
                return found
        key = self._db.execute(self._sql["reading_with_id"], (event_id,)).fetchone()
        return None if key is None else self._with_key(key, event_id)

    def reading_behind(self, fact: DomainEvent) -> StoredReading | None:
        """Return the reading that a fact about its sensor followed from, or None; quick, unlike `find_reading`."""
        self._look_for_moves()  # who follows facts alone has not come past them
        event_id, sensor = fact.causation_id, self._key(fact.subject)
        row = self._db.execute(self._sql["replaced_reading"], (fact.time_ns, sensor, event_id)).fetchone()
        return self._with_key((fact.time_ns // 1000, sensor), event_id) if row is None else self._reading(row)

    def _with_key(self, key: tuple[int, int], event_id: str) -> StoredReading | None:
        row = self._db.execute(self._sql["reading_with_key"], (*key, event_id)).fetchone()
        return None if row is None else self._reading(row)

    def ids_that_begin(self, text: str) -> list[str]:
        """Return the ids of events and messages that begin with a text: those that are just it first, two at most.

        Only where no fact or message has such an id are the readings looked through, which takes long.
        """
        found = self.rows("ids_that_begin", text) or self.rows("readings_that_begin", text)
        return [id_ for (id_,) in found]

    def entries_with_id(self, event_id: str) -> list[EventRecord]:
        """Return the facts with an id: one, or none."""
        return [_entry(row) for row in self._db.execute(self._sql["events_with_id"], (event_id,))]

    def entries_caused_by(self, event_id: str, limit: int) -> list[EventRecord]:
        """Return what followed directly from an event, the first ones first."""
        return [_entry(row) for row in self._db.execute(self._sql["events_caused_by"], (event_id, limit))]

    def cause_of_notification(self, notification_id: str) -> str | None:
        """Return the id of the fact that a notification tells of, or None if there is no such notification."""
        row = self._db.execute(self._sql["cause_of_notification"], (notification_id,)).fetchone()
        return row[0] if row else None

    def dead_letters_that_mention(self, text: str, limit: int) -> list[dict[str, Any]]:
        """Return the newest dead letters whose payload holds a text."""
        names = ("seq", "received", "topic", "reason", "detail", "payload")
        rows = self._db.execute(self._sql["dead_letters_that_mention"], (text, limit))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def baseline_facts(self, sensor_id: str | None = None) -> list[DomainEvent]:
        """Return what was ever learned, set or wanted learned anew, of a sensor or of all, oldest first."""
        entries = (entry for type_ in CHANGES for entry in self.entries(sensor_id, type_, None, None, -1))
        return [entry.fact for entry in sorted(entries, key=attrgetter("seq"))]

    def outbox_of(self, fact_id: str) -> list[tuple[str, str, int, str]]:
        """Return (handler, state, attempts, what the other side said) of the notifications that tell of a fact."""
        return self._db.execute(self._sql["outbox_of_change"], (fact_id,)).fetchall()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement of queries.sql gives."""
        return self._db.execute(self._sql[query], values).fetchall()

    def count_readings(self) -> int:
        """Return the number of readings."""
        return self._number("count_readings")

    def count_dead_letters(self) -> int:
        """Return the number of dead letters."""
        return self._number("count_dead_letters")

    def dead_letters_by_reason(self) -> dict[str, int]:
        """Return reason -> number of dead letters."""
        return dict(self._db.execute(self._sql["dead_letters_by_reason"]))

    def outbox_counts(self) -> list[tuple[str, str, int]]:
        """Return (handler, state, number of notifications)."""
        return self._db.execute(self._sql["count_outbox"]).fetchall()

    def dead_letters(self, reason: str | None, limit: int, topic: str | None = None) -> list[dict[str, Any]]:
        """Return the newest dead letters, without their payloads; only those with `topic` in their topic."""
        names = ("seq", "received", "topic", "reason", "detail", "element", "bytes")
        rows = self._db.execute(self._sql["dead_letters"], (reason, limit, topic))
        return [dict(zip(names, row, strict=True)) for row in rows]

    def dead_letter(self, seq: int) -> dict[str, Any] | None:
        """Return a dead letter whole, or None."""
        names = ("seq", "received", "topic", "reason", "detail", "element", "payload")
        row = self._db.execute(self._sql["dead_letter"], (seq,)).fetchone()
        return row and dict(zip(names, row, strict=True))

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
            " ORDER BY time DESC LIMIT ?"
        )
        # The bodies, which may be large, are not sorted: each is read when its turn comes.
        for seq, _ in self._db.execute(query, (*coarse_values, *values, limit, *values, limit, limit)):
            yield self._reading(self._db.execute(self._sql["reading"], (seq,)).fetchone())

    def reading_bounds(self, since_ns: int | None, until_ns: int | None) -> tuple[int, int]:
        """Return the first and the last seq of the readings with since <= time < until; 1, 0 if none."""
        window = -_ALL if since_ns is None else since_ns, _ALL if until_ns is None else until_ns
        first, last = self._db.execute(self._sql["reading_bounds"], window).fetchone()
        return (1, 0) if first is None else (first, last)

    def readings_after(self, after: int, until: int, limit: int) -> list[StoredReading]:
        """Return the first readings with after < seq <= until: `limit` at most, fewer where they are large."""
        return [self._reading(row) for row in self._up_to_size(after, until, limit)[0]]

    def summaries(self, step: int, after: int, until: int) -> list[tuple[int, int, float, float, float, int]]:
        """Return the rollup rows, of `step` seconds each, that the readings after < seq <= until come to."""
        return self._db.execute(self._sql["summaries"], (after, until, step)).fetchall()

    def levels(
        self, table: str, sensor_id: str, window: tuple[int, int], step: int, limit: int
    ) -> list[tuple[int, float, float, float, int]]:
        """Return (time, lowest, mean, highest, number of readings) of a sensor for every `step` seconds of a window.

        `window` is [start, end[ in seconds; the rows come from a table of rollups, and from the readings after its
        cursor: the newest, if it is far behind.
        """
        done = self.cursors().get(table, 0)
        done = max(done, self.last_seq() - _LONGEST_TAIL)
        query = self._sql["levels"].replace("ROLLUPS", table)
        return self._db.execute(query, (self._key(sensor_id), *window, done, step, limit)).fetchall()

    def rollup_bounds(self, table: str, sensor_id: str) -> tuple[int, int]:
        """Return the first and the last time in a table of rollups; the wrong way round if there is none."""
        query = f"SELECT min(time), max(time) FROM {table} WHERE sensor = ?"  # noqa: S608 - a table's name
        first, last = self._db.execute(query, (self._key(sensor_id),)).fetchone()
        return (_FAR, -_FAR) if first is None else (first, last)

    def sensors_with_rollups_before(self, table: str, time: int) -> list[int]:
        """Return the keys of the sensors that have a row from before a time, in seconds, in a table of rollups."""
        query = f"SELECT key FROM sensors WHERE (SELECT min(time) FROM {table} WHERE sensor = key) < ?"  # noqa: S608 - a table's name
        return [key for (key,) in self._db.execute(query, (time,))]

    def trend(self, sensor_id: str, since_ns: int, until_ns: int) -> list[tuple[int, float, float | None]]:
        """Return (time in ns, level, baseline) of readings in since <= time < until, the oldest first.

        Of very many only some, evenly spread, and the newest; among very many other sensors' not the whole span.
        """
        bounds = (since_ns // 1000, until_ns // 1000, _TREND_SEARCHED, self._key(sensor_id), since_ns, until_ns)
        found = self._db.execute(self._sql["trend_candidates"], (*bounds, _TREND_SEARCHED_REPLACED))
        seqs = [seq for (seq,) in found]
        stride = len(seqs) // _TREND_READINGS + 1
        chosen = msgspec.json.encode([*seqs[:-_TREND_NEWEST:stride], *seqs[-_TREND_NEWEST:]]).decode()
        return self._db.execute(self._sql["trend_readings"], (chosen, since_ns, until_ns)).fetchall()

    def limits(self, sensor_id: str) -> Limits | None:
        """Return what a sensor's level is compared with, as of the last snapshot; None if that knows nothing."""
        row = self._db.execute("SELECT state FROM detector WHERE sensor = ?", (self._key(sensor_id),)).fetchone()
        return decode_state(row[0]).limits if row else None

    def place(self, sensor_id: str) -> AssetPath:
        """Return the site, area and machine of a sensor; empty where they are not known."""
        self._look_for_moves()
        self._read_names(after=self._newest_sensor)
        _, tags = self._sensors.get(self._key(sensor_id), ("", {}))
        return asset_of(tags)

    def last_readings(self, after: int = 0, until: int = _ALL) -> dict[int, StoredReading]:
        """Return sensor key -> its newest reading, for the keys after < key <= until.

        Those since the last snapshot are looked through; of the other sensors the snapshot knows the newest time.
        """
        snapshot = self._db.execute(self._sql["note"], (SNAPSHOT_SEQ,)).fetchone()
        recent = self._db.execute(self._sql["newest_since"], (int(snapshot[0]) if snapshot else 0, after, until))
        found = {row[2]: self._reading(row) for row in recent}
        for key, encoded in self._db.execute(self._sql["detectors"], (after, until)):
            if key not in found:
                state = decode_state(encoded)
                row = self._db.execute(self._sql["newest_known"], (key, state.newest_us, state.replaced_ns)).fetchone()
                if row is not None:
                    found[key] = self._reading(row)
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
            yield _entry(row)

    def count(self, sensor_id: str | None, since_ns: int | None, until_ns: int | None) -> int:
        """Return the number of readings measured in since <= time < until."""
        where, values = self._window("time", since_ns, until_ns, sensor_id)
        query = f"SELECT count(*) FROM readings WHERE {' AND '.join(['1', *where])}"  # noqa: S608 - made of constants
        count: int = self._db.execute(query, values).fetchone()[0]
        return count

    def count_entries(self, subject: str | None, type_: str | None, since_ns: int | None, until_ns: int | None) -> int:
        """Return the number of facts with since <= time < until."""
        return sum(1 for _ in self.entries(subject, type_, since_ns, until_ns, -1))

    def size(self) -> int:
        """Return the bytes of the file, without its write-ahead log."""
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        size: int = self._db.execute("PRAGMA page_size").fetchone()[0]
        return pages * size

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

    def _up_to_size(self, after: int, until: int, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the first readings after a sequence number, and whether they are all up to `until`."""
        found: list[tuple[Any, ...]] = []
        size = 0
        for row in self._db.execute(self._sql["readings_after"], (after, until, limit)):
            found.append(row)
            size += len(row[-1])
            if size > MAX_STEP_BYTES:
                return found, False
        return found, len(found) < limit

    def _look_for_moves(self) -> None:
        """Read again where the sensors are if one has moved to another machine."""
        moved = self._db.execute(self._sql["note"], (REGISTRY_SEQ,)).fetchone()
        if moved != self._moved:
            self._read_names(after=0)
            self._moved = moved

    def _read_names(self, after: int) -> None:
        for key, id_, tags in self._db.execute(self._sql["names"], (after,)):
            now = intern(id_), decode_tags(tags)
            if self._sensors.get(key) != now:  # who was given the tags keeps them: they are there once
                self._sensors[key] = now
            self._newest_sensor = key

    def _reading(self, row: tuple[Any, ...]) -> StoredReading:
        seq, time, key, level, baseline, flags, event_id, received, body = row
        if key not in self._sensors:
            self._read_names(after=self._newest_sensor)
        sensor_id, tags = self._sensors[key]
        return StoredReading(seq, time, sensor_id, tags, level, baseline, flags, event_id, received, body)


def _entry(row: tuple[Any, ...]) -> EventRecord:
    seq, id_, type_, time, recorded, subject, correlation, causation, data = row
    return EventRecord(
        seq, DomainEvent(id_, type_, time, subject, correlation, causation, msgspec.json.decode(data)), recorded
    )
