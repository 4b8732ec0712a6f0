"""What the centre knows of its gateways: their facts under their own places, what is open, their health, and orders.

One file, one connection, one thread. A fact that comes again changes nothing; one that is missing is seen by the place
of the fact before it, and asked for again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gateway.domain.alerting.alert import ALERT_FACTS
from gateway.errors import ConflictError, NotFoundError
from gateway.fleet.wire import Answer, Facts, Health, OpenAlert, Order, SentFact, Snapshot

P = ParamSpec("P")
T = TypeVar("T")

FILE_NAME = "fleet.db"
MOST_GATEWAYS = 1000
"""Gateways that are taken in; a broker that lets anybody write below any name would fill the disk."""
MOST_ALERTS = 5000
"""Open alerts that an answer has."""
_TWINS_NS = 600 * 10**9
"""After two processes have said in turns that they are one gateway, people are told for so long."""
_ORDER_COUNTS_NS = 86_400 * 10**9

_SCHEMA = """
CREATE TABLE IF NOT EXISTS gateways (
    id TEXT PRIMARY KEY, epoch TEXT NOT NULL DEFAULT '', last INTEGER NOT NULL DEFAULT 0, first_ns INTEGER NOT NULL,
    heard_ns INTEGER NOT NULL, instance TEXT NOT NULL DEFAULT '', former TEXT NOT NULL DEFAULT '',
    twins_ns INTEGER NOT NULL DEFAULT 0, health TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    gateway TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    time_ns INTEGER NOT NULL, received_ns INTEGER NOT NULL, subject TEXT NOT NULL, correlation_id TEXT NOT NULL,
    causation_id TEXT NOT NULL, data TEXT NOT NULL, PRIMARY KEY (gateway, epoch, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_received ON facts (received_ns);
CREATE TABLE IF NOT EXISTS alerts (
    gateway TEXT NOT NULL, id TEXT NOT NULL, seq INTEGER NOT NULL, severity TEXT NOT NULL, opened TEXT NOT NULL,
    alert TEXT NOT NULL, closed_ns INTEGER, PRIMARY KEY (gateway, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, gateway TEXT NOT NULL, alert TEXT NOT NULL, body TEXT NOT NULL, at_ns INTEGER NOT NULL,
    until_ns INTEGER NOT NULL, answered_ns INTEGER, done INTEGER, said TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS orders_open ON orders (gateway) WHERE answered_ns IS NULL;
"""


class Known(Struct, frozen=True):
    """A gateway as the centre knows it. Times are the centre's, in ns."""

    id: str
    epoch: str
    last: int
    first_ns: int
    heard_ns: int
    twins_ns: int
    health: Health | None


class UnknownGatewayError(ValueError):
    """Nobody may report under this name here; the text says why."""


class FleetStore:
    """Keeps it in a file. `allowed` are the only gateways that are taken in; none means all. `now` is in ns."""

    def __init__(
        self, path: Path, allowed: frozenset[str] = frozenset(), now: Callable[[], int] = time.time_ns
    ) -> None:
        self._allowed, self._now = allowed, now
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fleet")
        self._db: sqlite3.Connection = self._thread.submit(_open, path).result()
        for name in sorted(allowed):
            self._thread.submit(self._row, name, self._now()).result()

    async def ask(self, function: Callable[Concatenate[FleetStore, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a method in the store's thread, within a transaction."""

        def run() -> T:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                found = function(self, *args, **kwargs)
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
            return found

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def close(self) -> None:
        """End the thread."""
        self._thread.submit(self._db.close)
        self._thread.shutdown(wait=True)

    def hear(self, health: Health) -> list[Order]:
        """Take in how a gateway is; return what it is to be told. Raises UnknownGatewayError."""
        now = self._now()
        known = self._row(health.gateway, now)
        instance, former = self._db.execute(
            "SELECT instance, former FROM gateways WHERE id = ?", (health.gateway,)
        ).fetchone()
        twins = now if health.instance == former else known.twins_ns
        if health.instance != instance:
            instance, former = health.instance, instance
        self._db.execute(
            "UPDATE gateways SET heard_ns = ?, health = ?, instance = ?, former = ?, twins_ns = ? WHERE id = ?",
            (now, msgspec.json.encode(health).decode(), instance, former, twins, health.gateway),
        )
        orders = [Order("heard", after=known.last, id=str(uuid4()))]
        if health.epoch != known.epoch:  # facts may have been sent before anybody listened here
            orders.append(Order("snapshot"))
        elif health.sent > known.last:
            orders.append(Order("again", after=known.last))  # the broker has dropped what it was sent
        return orders

    def take(self, message: Facts) -> list[Order]:
        """Take in facts, each once; return what the gateway is to be told. Raises UnknownGatewayError."""
        now = self._now()
        known = self._row(message.gateway, now)
        last, orders = known.last, list[Order]()
        if message.epoch != known.epoch:  # new here, or with a new journal: what is open is asked for
            last, orders = message.after, [Order("snapshot")]
            self._begin_epoch(message.gateway, message.epoch)
        elif (first := self._is_another_past(message, last)) is not None:
            self._db.execute(
                "DELETE FROM facts WHERE gateway = ? AND epoch = ? AND seq >= ?",
                (message.gateway, message.epoch, first),
            )
            self._db.execute("DELETE FROM alerts WHERE gateway = ?", (message.gateway,))
            last, orders = first - 1, [Order("snapshot")]
        elif message.after > last:
            return [Order("again", after=last)]
        for fact in message.facts:
            if fact.seq > last:
                self._add(message, fact, now)
                last = fact.seq
        self._db.execute("UPDATE gateways SET last = ?, heard_ns = ? WHERE id = ?", (last, now, message.gateway))
        return orders

    def open(self, snapshot: Snapshot) -> list[Order]:
        """Take in all that is open at a gateway. What changed later is left as it is. Raises UnknownGatewayError."""
        now = self._now()
        known = self._row(snapshot.gateway, now)
        if snapshot.epoch != known.epoch:
            self._begin_epoch(snapshot.gateway, snapshot.epoch)
            self._db.execute("UPDATE gateways SET last = ? WHERE id = ?", (snapshot.sent, snapshot.gateway))
        ids = {str(each.alert.get("id")) for each in snapshot.alerts}
        if not snapshot.left_out:
            there = self._db.execute("SELECT id FROM alerts WHERE gateway = ?", (snapshot.gateway,)).fetchall()
            for (id_,) in there:
                if id_ not in ids:
                    self._close_alert(snapshot.gateway, id_, snapshot.until)
        for each in snapshot.alerts:
            self._set_alert(snapshot.gateway, each)
        self._db.execute("UPDATE gateways SET heard_ns = ? WHERE id = ?", (now, snapshot.gateway))
        return []

    def answered(self, answer: Answer) -> None:
        """Take in what came of an order; the first answer counts."""
        self._db.execute(
            "UPDATE orders SET answered_ns = ?, done = ?, said = ?"
            " WHERE id = ? AND gateway = ? AND answered_ns IS NULL",
            (self._now(), int(answer.done), answer.said[:300], answer.id, answer.gateway),
        )

    def order(self, gateway: str, alert_id: str, wish: Order) -> Order:
        """Have a gateway do something with an alert that is open there, as it is shown here now.

        Raises NotFoundError, or ConflictError for what is asked already and not answered yet.
        """
        row = self._db.execute(
            "SELECT id, severity FROM alerts"
            " WHERE gateway = ?1 AND closed_ns IS NULL AND substr(id, 1, length(?2)) = ?2",
            (gateway, alert_id),
        ).fetchall()
        if len(row) != 1 or not alert_id:
            raise NotFoundError(f"{gateway!r} has {'more than one' if row else 'no'} open alert {alert_id!r}")
        (found, severity), now = row[0], self._now()
        for (body,) in self._db.execute(
            "SELECT body FROM orders WHERE gateway = ? AND alert = ? AND answered_ns IS NULL", (gateway, found)
        ):
            if msgspec.json.decode(body)["do"] == wish.do:
                raise ConflictError(f"{gateway} is asked for that already and has not answered yet")
        order = replace(
            wish, id=str(uuid4()), alert=found, severity=severity, at_ns=now, until_ns=now + _ORDER_COUNTS_NS
        )
        body = msgspec.json.encode(order).decode()
        self._db.execute(
            "INSERT INTO orders (id, gateway, alert, body, at_ns, until_ns) VALUES (?, ?, ?, ?, ?, ?)",
            (order.id, gateway, found, body, now, order.until_ns),
        )
        return order

    def unanswered(self) -> list[tuple[str, Order]]:
        """Return (gateway, order) of what is to be asked (again); what is too late is answered by us."""
        now = self._now()
        self._db.execute(
            "UPDATE orders SET answered_ns = ?1, done = 0, said = 'the gateway has not answered within a day'"
            " WHERE answered_ns IS NULL AND until_ns < ?1",
            (now,),
        )
        rows = self._db.execute("SELECT gateway, body FROM orders WHERE answered_ns IS NULL ORDER BY at_ns LIMIT 1000")
        return [(gateway, msgspec.json.decode(body, type=Order)) for gateway, body in rows]

    def gateways(self) -> list[Known]:
        """Return all gateways, by name."""
        return [self._known(row) for row in self._db.execute(f"{_KNOWN} ORDER BY id")]

    def alerts(self, limit: int = MOST_ALERTS) -> list[dict[str, Any]]:
        """Return the open alerts of all gateways, the worst and then the oldest first, with what was asked of each."""
        asked: dict[tuple[str, str], dict[str, Any]] = {}
        rows = self._db.execute(
            "SELECT gateway, alert, body, at_ns, answered_ns, done, said FROM orders WHERE at_ns > ? ORDER BY at_ns",
            (self._now() - _ORDER_COUNTS_NS,),
        )
        for gateway, alert, body, at_ns, answered_ns, done, said in rows:
            order = msgspec.json.decode(body)
            answer = {"done": bool(done), "said": said} if answered_ns else {"done": None, "said": "not answered yet"}
            asked[gateway, alert] = {"do": order["do"], "by": order["by"], "atNs": at_ns, **answer}
        found = self._db.execute(
            "SELECT gateway, id, alert FROM alerts WHERE closed_ns IS NULL"
            " ORDER BY severity = 'critical' DESC, opened LIMIT ?",
            (limit,),
        )
        return [
            {**msgspec.json.decode(alert), "gateway": gateway, "asked": asked.get((gateway, id_))}
            for gateway, id_, alert in found
        ]

    def count_alerts(self) -> dict[tuple[str, str], int]:
        """Return (gateway, severity) -> how many alerts are open there."""
        rows = self._db.execute(
            "SELECT gateway, severity, count(*) FROM alerts WHERE closed_ns IS NULL GROUP BY gateway, severity"
        )
        return {(gateway, severity): count for gateway, severity, count in rows}

    def facts_of(self, gateway: str) -> list[tuple[str, int, str]]:
        """Return (epoch, seq, id) of all facts of a gateway that are here, in order of their coming."""
        return self._db.execute(
            "SELECT epoch, seq, id FROM facts WHERE gateway = ? ORDER BY received_ns, seq", (gateway,)
        ).fetchall()

    def forget(self, gateway: str) -> None:
        """Remove a gateway with all that is known of it. Raises NotFoundError, ConflictError for a configured one."""
        if gateway in self._allowed:
            raise ConflictError(f"{gateway} is in centre.gateways: remove it there, then forget it")
        if not self._db.execute("DELETE FROM gateways WHERE id = ?", (gateway,)).rowcount:
            raise NotFoundError(f"there is no gateway {gateway!r}")
        for table in ("facts", "alerts", "orders"):
            self._db.execute(f"DELETE FROM {table} WHERE gateway = ?", (gateway,))  # noqa: S608 - one of the above

    def trim(self, before_ns: int, limit: int = 10_000) -> int:
        """Remove facts and answered orders that came before a time; return how many facts."""
        self._db.execute("DELETE FROM orders WHERE answered_ns < ?", (before_ns,))
        self._db.execute("DELETE FROM alerts WHERE closed_ns < ?", (self._now() - _ORDER_COUNTS_NS,))
        return self._db.execute(
            "DELETE FROM facts WHERE (gateway, epoch, seq) IN"
            " (SELECT gateway, epoch, seq FROM facts WHERE received_ns < ? LIMIT ?)",
            (before_ns, limit),
        ).rowcount

    def _row(self, gateway: str, now: int) -> Known:
        """Return a gateway, made now if it is new. Raises UnknownGatewayError."""
        row = self._db.execute(f"{_KNOWN} WHERE id = ?", (gateway,)).fetchone()
        if row is not None:
            return self._known(row)
        if self._allowed and gateway not in self._allowed:
            raise UnknownGatewayError(f"{gateway!r} is not in centre.gateways")
        if self._db.execute("SELECT count(*) FROM gateways").fetchone()[0] >= MOST_GATEWAYS:
            raise UnknownGatewayError(f"{gateway!r} is one too many: {MOST_GATEWAYS} gateways are known")
        self._db.execute("INSERT INTO gateways (id, first_ns, heard_ns) VALUES (?, ?, 0)", (gateway, now))
        return Known(gateway, "", 0, now, 0, 0, None)

    def _known(self, row: tuple[Any, ...]) -> Known:
        id_, epoch, last, first_ns, heard_ns, twins_ns, health = row
        decoded = None if health is None else msgspec.json.decode(health, type=Health)
        return Known(id_, epoch, last, first_ns, heard_ns, twins_ns, decoded)

    def _begin_epoch(self, gateway: str, epoch: str) -> None:
        """Begin with a gateway's new journal: alerts of the old one can be open nowhere."""
        self._db.execute("UPDATE gateways SET epoch = ?, last = 0 WHERE id = ?", (epoch, gateway))
        self._db.execute("DELETE FROM alerts WHERE gateway = ?", (gateway,))

    def _is_another_past(self, message: Facts, last: int) -> int | None:
        """Return the first place where another fact is known than a gateway now has: its journal was put back."""
        seen = [fact for fact in message.facts if fact.seq <= last]
        if not seen:
            return None
        rows = self._db.execute(
            "SELECT seq, id FROM facts WHERE gateway = ? AND epoch = ? AND seq BETWEEN ? AND ?",
            (message.gateway, message.epoch, seen[0].seq, seen[-1].seq),
        )
        known: dict[int, str] = dict(rows.fetchall())
        oldest = self._db.execute(
            "SELECT min(seq) FROM facts WHERE gateway = ? AND epoch = ?", (message.gateway, message.epoch)
        ).fetchone()[0]
        for fact in seen:
            if oldest is not None and fact.seq > oldest and known.get(fact.seq) != fact.id:
                return fact.seq
        return None

    def _add(self, message: Facts, fact: SentFact, now: int) -> None:
        data = msgspec.json.encode(fact.data).decode()
        self._db.execute(
            "INSERT OR IGNORE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.gateway, message.epoch, fact.seq, fact.id, fact.type, fact.time_ns, now, fact.subject,
                fact.correlation_id, fact.causation_id, data,
            ),
        )  # fmt: skip
        if fact.type not in ALERT_FACTS or not isinstance(fact.data.get("id"), str):
            return
        if fact.data.get("state") == "cleared":
            self._close_alert(message.gateway, fact.data["id"], fact.seq)
        else:
            self._set_alert(message.gateway, OpenAlert(fact.seq, fact.data))

    def _close_alert(self, gateway: str, id_: str, seq: int) -> None:
        """Close an alert, unless it has changed later; it is kept for a day, so that a late snapshot opens it not."""
        self._db.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, '', '', '', ?) ON CONFLICT (gateway, id) DO UPDATE SET"
            " seq = excluded.seq, closed_ns = excluded.closed_ns WHERE excluded.seq > alerts.seq",
            (gateway, id_, seq, self._now()),
        )

    def _set_alert(self, gateway: str, found: OpenAlert) -> None:
        alert = {name: value for name, value in found.alert.items() if name not in _OF_THE_FACT}
        self._db.execute(
            "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT (gateway, id) DO UPDATE SET"
            " seq = excluded.seq, severity = excluded.severity, opened = excluded.opened, alert = excluded.alert,"
            " closed_ns = NULL"
            " WHERE excluded.seq > alerts.seq",
            (
                gateway, str(alert.get("id")), found.seq, str(alert.get("severity")), str(alert.get("openedAt")),
                msgspec.json.encode(alert).decode(),
            ),
        )  # fmt: skip


_OF_THE_FACT = {"openedNs", "newcomer", "finding"}

_KNOWN = "SELECT id, epoch, last, first_ns, heard_ns, twins_ns, health FROM gateways"


def has_twins(known: Known, now: int) -> bool:
    """Tell whether two processes have said lately that they are this gateway."""
    return known.twins_ns > now - _TWINS_NS


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    path.chmod(0o600)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(_SCHEMA)
    return db
