"""Reading the journal: the log, and what the command line and the page ask for beside it."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import fsum
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.domain.alerting.alert import Alert
from gateway.domain.detection.baseline_events import CHANGES
from gateway.domain.detection.limits import Limits
from gateway.domain.engine.event_log import BODY, LEVEL, SENSOR, TIME, EventRecord, ReadingRow, StoredReading
from gateway.domain.model.assets import AssetPath, asset_of
from gateway.domain.model.events import DomainEvent, Message
from gateway.errors import GatewayError
from gateway.journal.queries.log_reader import MAX_STEP_BYTES, LogReader, entry_of
from gateway.journal.queries.resolutions import SECOND_NS
from gateway.journal.sealed.blocks import NEXT
from gateway.journal.sealed.finding import hashes_in
from gateway.journal.sqlite.codec import OVER_QUOTA, decode_counts, decode_state

if TYPE_CHECKING:
    from gateway.domain.inputs.heard import Heard

READINGS = "VibrationRecorded"
BEGINNING = 13
"""Characters of an alert's id that a short link has: two groups of it."""

_TREND_READINGS, _TREND_NEWEST = 1000, 100
_TREND_SEARCHED, _TREND_SEARCHED_REPLACED = 200_000, 20_000
"""Entries of an index that are looked at for one trend: some 20 ms."""
_SHOWN_ORIGINAL = 400
"""Bytes of a message that a trace shows."""
_LONGEST_TAIL = 100_000
_FAR = 9_200_000_000


class Reader(LogReader):
    """The log, and what was made of it: alerts, baselines, levels, dead letters, messages."""

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
        """Return the alert with exactly this id, or the only one whose id begins as a link has it; or None."""
        rows = self._db.execute(self._sql["alert"], (alert_id,)).fetchall()
        found = [msgspec.json.decode(alert, type=Alert) for (alert,) in rows]
        exact = next((alert for alert in found if alert.id == alert_id), None)
        return found[0] if exact is None and len(found) == 1 and len(alert_id) == BEGINNING else exact

    def alert_events(self, alert_id: str) -> list[EventRecord]:
        """Return the facts about an alert, oldest first."""
        return [entry_of(row) for row in self._db.execute(self._sql["events_of_subject"], (alert_id,))]

    def alert_changes(self, sensor_id: str | None, limit: int) -> list[EventRecord]:
        """Return the newest changes of all alerts, or of a sensor's, the newest first."""
        return [entry_of(row) for row in self._db.execute(self._sql["alert_changes"], (sensor_id, limit))]

    def find_reading(self, event_id: str) -> StoredReading | None:
        """Return the newest reading with an id, or None. What followed from it says when it was; else this takes long.

        That is an entry of an index for each reading that is not sealed yet, and one for every 262,144 that are.
        """
        for entry in self.entries_caused_by(event_id, 1):
            if found := self.reading_behind(entry.fact):
                return found
        key = self._db.execute(self._sql["reading_with_id"], (event_id,)).fetchone()
        row = self._blocks.with_id(event_id)
        if row is not None and (key is None or row[1] > key[0]):
            return self._reading(row)
        return None if key is None else self._with_key(key, event_id)

    def ids_that_begin(self, text: str) -> list[str]:
        """Return the ids of events and messages that begin with a text: those that are just it first, two at most.

        Only where no fact or message has such an id are the readings looked through, which takes long.
        """
        if found := self.rows("ids_that_begin", text):
            return [id_ for (id_,) in found]
        ids = {id_ for (id_,) in self.rows("readings_that_begin", text)} | self._blocks.ids_that_begin(text)
        return sorted(ids)[:2]

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
        """Return what was ever learned, set or wanted learned anew, of a sensor or of all, oldest first.

        Raises ConflictError where it may be several sensors.
        """
        name = None if sensor_id is None else self.subject(sensor_id)
        entries = (entry for type_ in CHANGES for entry in self.entries(name, type_, None, None, -1))
        return [entry.fact for entry in sorted(entries, key=attrgetter("seq"))]

    def outbox_of(self, fact_id: str) -> list[tuple[str, str, int, str]]:
        """Return (handler, state, attempts, what the other side said) of the notifications that tell of a fact."""
        return self._db.execute(self._sql["outbox_of_change"], (fact_id,)).fetchall()

    def before(self, since_ns: int) -> int | None:
        """Return the `seq` before all that came since a time by our clock; None if nothing has. It reads every row."""
        found: int | None = self._db.execute(self._sql["before"], (since_ns,)).fetchone()[0]
        sealed = self._blocks.first_received(since_ns)
        return found if sealed is None else sealed - 1 if found is None else min(found, sealed - 1)

    def count_readings(self) -> int:
        """Return the number of readings."""
        return self._number("count_readings")

    def to_seal(self, until: int, limit: int) -> list[ReadingRow]:
        """Return the first readings up to a sequence number that are not sealed: so many at most, fewer if large."""
        found: list[ReadingRow] = []
        size = 0
        for row in self._db.execute(self._sql["to_seal"], (until, limit)):
            found.append(row)
            size += len(row[BODY])
            if size > MAX_STEP_BYTES:
                break
        return found

    def next_block_number(self) -> int:
        """Return the number of the next sealed block."""
        noted = self._db.execute(self._sql["note"], (NEXT,)).fetchone()
        return max(self._blocks.index.next_number, int(noted[0]) if noted else 0)

    def hashes_of_blocks(self, first: int, end: int) -> list[tuple[int, array[int]]]:
        """Return (place within the segment, 32 bits of each id) of the blocks with first <= number < end."""
        found = []
        for number, packed in self._db.execute(self._sql["sealed_hashes"], (first, end)):
            hashes = hashes_in(packed)
            found.append((number - first, array("I", self._blocks.hashes(number)) if hashes is None else hashes))
        return found

    def sealed_figures(self) -> tuple[int, int, int]:
        """Return the number of sealed blocks, of the readings in them, and their bytes."""
        found: tuple[int, int, int] = self._db.execute(self._sql["sealed_figures"]).fetchone()
        return found

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

    def weigh_letters(self, after: int, limit: int) -> tuple[int, int, int]:
        """Return how many of the first `limit` dead letters after a number there are, their bytes, and the last one."""
        found: tuple[int, int, int] = self._db.execute(self._sql["weigh_letters"], (after, limit)).fetchone()
        return found

    def heard(self) -> Heard:
        """Return what was heard and not understood, of the newest dead letters."""
        from gateway.domain.inputs.heard import MOST_LETTERS, Letter, heard  # noqa: PLC0415 - only for who asks

        return heard(map(Letter._make, self._db.execute(self._sql["newest_dead_letters"], (MOST_LETTERS,))))

    def dead_letter_begins(self, seq: int, size: int) -> tuple[bytes, int]:
        """Return the first bytes of a dead letter's payload, and how many it has; nothing of one that is gone."""
        row = self._db.execute(self._sql["dead_letter_begins"], (seq, size)).fetchone()
        return row or (b"", 0)

    def dead_messages(self, numbers: Sequence[int], largest: int) -> list[Message]:
        """Return the messages that dead letters are of, the oldest first; none of more than `largest` bytes."""
        rows = self._db.execute(self._sql["dead_messages"], (msgspec.json.encode(numbers).decode(), largest))
        return [Message(topic, payload, received) for topic, payload, received in rows]

    def dead_letter(self, seq: int) -> dict[str, Any] | None:
        """Return a dead letter whole, or None."""
        names = ("seq", "received", "topic", "reason", "detail", "element", "payload")
        row = self._db.execute(self._sql["dead_letter"], (seq,)).fetchone()
        return row and dict(zip(names, row, strict=True))

    def original_of(self, seq: int) -> tuple[int, str, str, bytes, int] | None:
        """Return what an input made a reading of: when it came, input, topic, payload's beginning, and its bytes."""
        found: tuple[int, str, str, bytes, int] | None = self._db.execute(
            self._sql["original_of"], (seq, _SHOWN_ORIGINAL)
        ).fetchone()
        return found

    def waveform_of(self, event_id: str) -> tuple[int, str, dict[str, Any], int] | None:
        """Return the waveform that a reading has its features of: when it came, topic, what is known, its samples."""
        row = self._db.execute(self._sql["waveform_of"], (event_id,)).fetchone()
        return row and (row[0], row[1], msgspec.json.decode(row[2]), row[3])

    def summaries(self, step: int, after: int, until: int) -> list[tuple[int, int, float, float, float, int]]:
        """Return the rollup rows, of `step` seconds each, that the readings after < seq <= until come to."""
        with self.at_once():
            rows = self._db.execute(self._sql["summaries"], (after, until, step)).fetchall()
            return rows if after >= self._blocks.last else [*self._sealed_summaries(step, after, until), *rows]

    def _sealed_summaries(
        self, step: int, after: int, until: int
    ) -> Iterator[tuple[int, int, float, float, float, int]]:
        found = defaultdict[tuple[int, int], list[float]](list)
        for row in self._blocks.rows(after, until):
            if (level := row[LEVEL]) is not None:
                found[row[SENSOR], row[TIME] // SECOND_NS // step * step].append(level)
        for (sensor, begin), levels in sorted(found.items()):
            low, high = min(levels), max(levels)
            yield sensor, begin, low, max(min(fsum(levels) / len(levels), high), low), high, len(levels)

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
        sensor, window_us = self._key(sensor_id), (since_ns // 1000, until_ns // 1000)
        bounds = (*window_us, _TREND_SEARCHED, sensor, since_ns, until_ns)
        with self.at_once():
            rows = self._db.execute(self._sql["trend_candidates"], (*bounds, _TREND_SEARCHED_REPLACED)).fetchall()
            seqs = sorted({*(seq for (seq,) in rows), *self._sealed_trend(sensor, (since_ns, until_ns), len(rows))})
            stride = len(seqs) // _TREND_READINGS + 1
            chosen = [*seqs[:-_TREND_NEWEST:stride], *seqs[-_TREND_NEWEST:]]
            encoded = msgspec.json.encode(chosen).decode()
            found = self._db.execute(self._sql["trend_readings"], (encoded, since_ns, until_ns)).fetchall()
            sealed = (self._blocks.level(seq) for seq in chosen if seq <= self._blocks.last)
            found += [each for each in sealed if each and each[1] is not None and since_ns <= each[0] < until_ns]
        return sorted(found, key=itemgetter(0))

    def _sealed_trend(self, sensor: int, window_ns: tuple[int, int], searched: int) -> Iterator[int]:
        since_ns, until_ns = window_ns
        yield from self._blocks.measured(sensor, (since_ns // 1000, until_ns // 1000), _TREND_SEARCHED - searched)
        yield from self._blocks.replaced_between(sensor, since_ns, until_ns, _TREND_SEARCHED_REPLACED)

    def limits(self, sensor_id: str) -> Limits | None:
        """Return what a sensor's level is compared with, as of the last snapshot; None if that knows nothing."""
        row = self._db.execute("SELECT state FROM detector WHERE sensor = ?", (self._key(sensor_id),)).fetchone()
        return decode_state(row[0]).limits if row else None

    def place(self, sensor_id: str) -> AssetPath:
        """Return the site, area and machine of a sensor; empty where they are not known."""
        self.look_for_moves()
        self._read_names(after=self._newest_sensor)
        _, tags = self._sensors.get(self._key(sensor_id), ("", {}))
        return asset_of(tags)

    def not_judged(self, sensor: int) -> dict[str, int]:
        """Return how many readings of a sensor were not judged, by the reason, up to the last snapshot."""
        row = self._db.execute("SELECT state FROM detector WHERE sensor = ?", (sensor,)).fetchone()
        return (decode_state(row[0]).not_judged or {}) if row else {}

    def over_quota(self) -> dict[str, int]:
        """Return quota -> how much was over it since the journal was made."""
        row = self._db.execute(self._sql["note"], (OVER_QUOTA,)).fetchone()
        return decode_counts(row and row[0])

    def note(self, name: str) -> str | None:
        """Return the small text that is kept under a name, or None."""
        row = self._db.execute(self._sql["note"], (name,)).fetchone()
        return None if row is None else str(row[0])

    def count_sensors(self) -> int:
        """Return how many sensors are known."""
        return int(self._db.execute("SELECT count(*) FROM sensors").fetchone()[0])

    def fact_before(self, seq: int) -> int:
        """Return the sequence number of the last fact before this one; 0 if there is none."""
        row = self._db.execute("SELECT max(seq) FROM events WHERE seq < ?", (seq,)).fetchone()
        return int(row[0] or 0)

    def size(self) -> int:
        """Return the bytes of the file, without its write-ahead log."""
        pages: int = self._db.execute("PRAGMA page_count").fetchone()[0]
        size: int = self._db.execute("PRAGMA page_size").fetchone()[0]
        return pages * size
