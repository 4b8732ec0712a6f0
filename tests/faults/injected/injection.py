# ruff: noqa: SLF001 - to reach into the gateway is what this is for
"""Makes a gateway die at a chosen point, or gives it a defect. Nothing of this is in the product.

VIBRATION_KILL is `POINT:NUMBER`: the process ends itself with SIGKILL when it passes that point for the NUMBER-th time.
VIBRATION_SCALED is `MODULE:NAME=PAUSE …`: pauses that a test cannot wait for; `MODULE:TABLE[KEY]` is one of a table.
VIBRATION_MUTATION is the name of a defect; the tests of the rows concerned have to fail with it.
"""

import asyncio
import importlib
import inspect
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

KILL, SCALED, MUTATION = "VIBRATION_KILL", "VIBRATION_SCALED", "VIBRATION_MUTATION"


def _find(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


# As Any: what is put into their place has other types
PIPELINE: Any = importlib.import_module("gateway.ingest.processor")
Journal = _find("gateway.journal.sqlite.writer", "Journal")
Mqtt5Subscriber = _find("gateway.mqtt.mqtt5_subscriber", "Mqtt5Subscriber")
PahoSubscriber = _find("gateway.mqtt.paho_subscriber", "PahoSubscriber")
SUBSCRIBERS = (Mqtt5Subscriber, PahoSubscriber)
HANDED_OVER = 0.1  # s in which paho's own thread has written what it was given
Messages = _find("gateway.journal.outbox.rows", "Messages")
influx_client: Any = importlib.import_module("gateway.consumers.influx.client")
Database: Any = influx_client.Database
InfluxWriter = _find("gateway.consumers.influx.writer", "InfluxWriter")
EmailHandler = _find("gateway.handlers.mail.handler", "EmailHandler")


def die() -> None:
    """End the process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def countdown(number: int) -> Callable[[], None]:
    """Return what to call at a point: the `number`-th call is the last."""
    passed = iter(range(1, sys.maxsize))

    def pass_by() -> None:
        if next(passed) == number:
            die()

    return pass_by


def around(owner: Any, name: str, before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    """Call `before` and `after` around each call of a function or coroutine function."""
    original = getattr(owner, name)

    def called(*arguments: Any, **options: Any) -> Any:
        if before is not None:
            before()
        result = original(*arguments, **options)
        if after is not None:
            after()
        return result

    async def awaited(*arguments: Any, **options: Any) -> Any:
        if before is not None:
            before()
        result = await original(*arguments, **options)
        if after is not None:
            after()
        return result

    setattr(owner, name, awaited if inspect.iscoroutinefunction(original) else called)


def with_database(change: Callable[[Any, sqlite3.Connection], Any]) -> None:
    """Let `change` have the journal and its connection once it is open, and use what it returns instead."""
    original = Journal.__init__

    def build(journal: Any, *arguments: Any) -> None:
        original(journal, *arguments)
        journal._db = change(journal, journal._db)

    Journal.__init__ = build


class Connection:
    """The journal's connection, which tells `on_commit` of every COMMIT and is otherwise the same."""

    def __init__(self, database: sqlite3.Connection, on_commit: Callable[[], None]) -> None:
        self._database = database
        self._on_commit = on_commit

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "COMMIT":
            self._on_commit()
        return self._database.execute(statement, *values)

    def executemany(self, statement: str, rows: Iterable[Any]) -> sqlite3.Cursor:
        return self._database.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)


def kill_in_commit(number: int) -> None:
    """Kill while the commit of the `number`-th batch writes its pages: a thread watches the write-ahead log grow."""
    state = {"write": 0}
    original = Journal.write

    def write(journal: Any, batch: Any) -> None:
        state["write"] += 1
        original(journal, batch)
        if state["write"] == number:
            die()  # should the watching thread have been too slow

    def watch(log: Path) -> None:
        size = log.stat().st_size
        while log.stat().st_size == size:
            pass
        die()

    def watched(journal: Any, database: sqlite3.Connection) -> Any:
        def on_commit() -> None:
            if state["write"] == number:
                threading.Thread(target=watch, args=[Path(f"{journal._path}-wal")], daemon=True).start()

        return Connection(database, on_commit)

    Journal.write = write
    with_database(watched)


def kill_in_transaction(number: int) -> None:
    """Kill while the `number`-th batch is being written, its readings in the transaction and its facts not yet."""
    pull = countdown(number)
    write, insert_facts = Journal.write, Journal._insert_facts
    state = {"writing": False}

    def writing(journal: Any, batch: Any) -> None:
        state["writing"] = True
        write(journal, batch)
        state["writing"] = False

    def inserting(journal: Any, batch: Any) -> None:
        if state["writing"]:
            pull()
        insert_facts(journal, batch)

    Journal.write, Journal._insert_facts = writing, inserting


def kill_at(point: str, number: int) -> None:
    """Arrange for the end at a point."""
    # whose function (of several, the one that is used), its name, whether after it rather than before
    points: dict[str, tuple[Any, str, bool]] = {
        "received": (SUBSCRIBERS, "batch", True),
        "before-commit": (Journal, "write", False),
        "after-commit": (Journal, "write", True),
        "before-acknowledgement": (SUBSCRIBERS, "acknowledge", False),
        "influxdb-has-it": (InfluxWriter, "_post", True),
        "before-outbox": (Messages, "enqueue", False),
        "before-mail": (EmailHandler, "send", False),
        "after-mail": (EmailHandler, "send", True),
    }
    if point in {"in-commit", "in-transaction"}:
        (kill_in_commit if point == "in-commit" else kill_in_transaction)(number)
        return
    owners, name, is_after = points[point]
    pull = countdown(number)
    for owner in owners if isinstance(owners, tuple) else (owners,):
        around(owner, name, None if is_after else pull, pull if is_after else None)


def acknowledge_first() -> None:
    """Acknowledge what has come before anything of it is on disk."""
    for owner in SUBSCRIBERS:
        owner.batch = _acknowledging(owner, owner.batch)


def _acknowledging(owner: Any, original: Any) -> Any:
    async def batch(subscriber: Any) -> Any:
        messages = await original(subscriber)
        owner.acknowledge(subscriber, messages)  # written at once, as far as the system takes it
        if owner is PahoSubscriber:
            await asyncio.sleep(HANDED_OVER)
        return messages

    return batch


def no_deduplication() -> None:
    """Know no reading again, and let the journal take it."""

    def without_index(_journal: Any, database: sqlite3.Connection) -> sqlite3.Connection:
        database.execute("DROP INDEX IF EXISTS readings_key")
        return database

    PIPELINE.Batch.same_time = lambda *_: {}
    Journal.find_reading = lambda *_: None
    with_database(without_index)


def batching_api() -> None:
    """Write to InfluxDB by the client's own batches, in the background."""
    original = Database.__init__

    def build(database: Any, section: Any) -> None:
        original(database, section)
        library = influx_client.InfluxDBClient(str(section.url), section.token.get_secret_value(), org=section.org)
        database._api = library.write_api()

    async def send(_database: Any, _nothing: None) -> Any:
        return influx_client.Answer(204)

    Database.__init__ = build
    Database.draft = lambda self, lines: self._api.write(self._section.bucket, self._section.org, b"\n".join(lines))
    Database.send = send


def synchronous_normal() -> None:
    """Commit without waiting for the disk."""

    def relaxed(_journal: Any, database: sqlite3.Connection) -> sqlite3.Connection:
        database.execute("PRAGMA synchronous = NORMAL")
        return database

    with_database(relaxed)


MUTATIONS = {
    "acknowledge-first": acknowledge_first,
    "no-deduplication": no_deduplication,
    "batching-api": batching_api,
    "synchronous-normal": synchronous_normal,
}


def inject() -> None:
    """Do what the environment asks for."""
    if mutation := os.environ.get(MUTATION):
        MUTATIONS[mutation]()
    for setting in os.environ.get(SCALED, "").split():
        where, _, value = setting.partition("=")
        module, _, name = where.partition(":")
        name, _, key = name.rstrip("]").partition("[")
        found = getattr(importlib.import_module(module), name)  # it has to be there
        pause = float(value) if "." in value else int(value)
        if key:
            found.update({key: pause})
        else:
            setattr(sys.modules[module], name, pause)
    if kill := os.environ.get(KILL):
        point, _, number = kill.partition(":")
        kill_at(point, int(number))
