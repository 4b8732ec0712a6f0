"""Sealed blocks of a damaged journal: those that are whole are copied as they are, what leads to them is made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.domain.engine.event_log import BODY, RECEIVED, SENSOR
from gateway.domain.inputs.native import decode_event
from gateway.journal.sealed import block, finding
from gateway.journal.sealed.block import Block
from gateway.journal.sealed.blocks import Blocks

_ORPHAN = "INSERT OR IGNORE INTO sensors (key, id, tags, unit, location, first_seen) VALUES (?, ?, '{}', ?, ?, ?)"

ROWS_AT_ONCE = 16
"""Blocks that are read at once: some 3 MB."""


def lost(damaged: sqlite3.Connection, connection: sqlite3.Connection) -> list[str]:
    """Return, in words, which readings were in blocks that could not be kept, as far as the damaged journal says so."""
    kept = {seq for (seq,) in connection.execute("SELECT seq FROM sealed")}
    rows = damaged.execute("SELECT seq, last FROM sealed_index ORDER BY seq").fetchall()
    return [f"{seq} to {last}" for seq, last in rows if seq not in kept]


def index_blocks(connection: sqlite3.Connection, sql: Mapping[str, str], entries: Iterable[tuple[Any, ...]]) -> int:
    """Fill the tables beside `sealed` from the blocks themselves, within a transaction; return how many readings.

    `entries` are the rows of `sealed_ids` that could be read: of segments of which one is missing the ids are read.
    """
    count = 0
    heads = []
    sizes = "length(head) + length(ids) + length(numbers) + length(bodies)"
    for head_part, size in connection.execute(f"SELECT head, {sizes} FROM sealed ORDER BY seq").fetchall():  # noqa: S608 - made above
        head = block.head_of(head_part)
        heads.append(head)
        connection.execute(sql["insert_sealed_index"], block.index_row(head, size))
        count += head.count
    found: dict[int, list[tuple[Any, ...]]] = {}
    for bucket, segment, content in entries:
        if finding.is_whole(content):
            found.setdefault(segment, []).append((bucket, segment, content))
    whole = {segment for segment, rows in found.items() if len({row[0] for row in rows}) == finding.BUCKETS}
    for segment in whole:
        connection.executemany(sql["insert_sealed_ids"], found[segment])
    for head in heads:
        if head.number // finding.SEGMENT not in whole:
            parts = connection.execute(sql["sealed_block"], (head.first,)).fetchone()
            hashes = finding.packed_hashes(map(block.id_hash, Block(parts).ids))
            connection.execute(sql["insert_sealed_hashes"], (head.number, hashes))
    return count


def name_orphans(connection: sqlite3.Connection, sql: Mapping[str, str]) -> None:
    """Give sealed readings whose sensor could not be read one again: the event itself says whose it is."""
    for seq, head_part in connection.execute("SELECT seq, head FROM sealed ORDER BY seq").fetchall():
        known = dict(connection.execute("SELECT key, id FROM sensors"))
        if all(key in known for key in block.head_of(head_part).sensors):
            continue
        rows = list(Block(connection.execute(sql["sealed_block"], (seq,)).fetchone()).rows())
        keys = {id_: key for key, id_ in known.items()}
        other = dict[int, int]()
        for row in rows:
            if row[SENSOR] in known or row[SENSOR] in other:
                continue
            event = decode_event(row[BODY])
            own = keys.setdefault(event.data.sensor_id, row[SENSOR])
            other[row[SENSOR]] = own
            values = (own, event.data.sensor_id, event.data.unit, event.sensor_location or "", row[RECEIVED])
            connection.execute(_ORPHAN, values)
        if any(key != own for key, own in other.items()):
            moved = [(*row[:SENSOR], other.get(row[SENSOR], row[SENSOR]), *row[SENSOR + 1 :]) for row in rows]
            made = block.seal(block.head_of(head_part).number, moved)  # type: ignore[arg-type] # rows of the same columns
            connection.execute(
                "UPDATE sealed SET head = ?, ids = ?, numbers = ?, bodies = ? WHERE seq = ?", (*made.parts, seq)
            )


def newest_times(connection: sqlite3.Connection, sql: Mapping[str, str], sensors: set[int]) -> dict[int, int]:
    """Return sensor -> the latest event time among its sealed readings, for some sensors."""
    found: dict[int, int] = {}
    blocks = Blocks(connection, sql)
    for place in range(len(blocks.index)) if sensors else ():
        made = blocks.block(place)
        if made is not None and not sensors.isdisjoint(made.head.sensors):
            for key, event_us in zip(made.sensors, made.events, strict=True):
                if key in sensors:
                    found[key] = max(found.get(key, event_us), event_us)
    return found
