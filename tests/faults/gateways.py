"""The gateway that dies at a chosen point, and what is left of it in its journal."""

import os
from collections import Counter
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.programs import Gateway, program
from tests.servers.processes import Process, find_program
from tests.servers.waiting import until

INJECTED = Path(__file__).with_name("injected")
STARTING = 45.0  # seconds

SCALED = {
    "circuit_breaker": "gateway.consumers.delivery:BREAK_SECONDS",
    "longest_follower_pause": "gateway.consumers.handover:_LONGEST_PAUSE",
    "longest_retry_after": "gateway.consumers.handover:_LONGEST_REQUEST",
    "influxdb_timeout": "gateway.outgoing.client:SECONDS[influxdb]",
    "flood_idle_ns": "gateway.domain.notification.flood:IDLE_NS",
}
"""Pauses of the gateway that a test may shorten: name -> where it is. In seconds unless the name says else."""

DELIVERY_FACTS = ("NotificationSent", "NotificationFailed", "NotificationSuppressed", "NotificationDeferred")
RECEIVED_FACTS = ("MachineStateChanged", "SensorStatusChanged")
"""What their messages say; time and ids follow from when they came."""


@dataclass(frozen=True)
class Ledger:
    """What a journal holds: readings, those that differ by time, sensor and id, dead letters by reason, alert facts."""

    readings: int
    unique: int
    dead_letters: Counter[str]
    alerts: Counter[str]


class MortalGateway(Gateway):
    """A gateway that can be armed with a point at which it kills itself (`injected/injection.py`)."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._safe = self._process
        self.kills = 0

    def arm(self, point: str, number: int = 1) -> None:
        """Let the next process end at the `number`-th passing of a point. It has to be dead now."""
        self._process = self._injected(f"VIBRATION_KILL={point}:{number}")

    def scale(self, **pauses: float) -> None:
        """Shorten pauses, by the names of SCALED, for as long as it is not armed."""
        self._process = self._safe = self._injected(
            f"VIBRATION_SCALED={' '.join(f'{SCALED[name]}={value}' for name, value in pauses.items())}"
        )

    def trace(self, file: Path, calls: str) -> None:
        """Write its system calls of these names, with the first two bytes of texts in hexadecimal, to a file."""
        options = ["-f", "--seccomp-bpf", "-qq", "-xx", "-s", "2", "-e", f"trace={calls}", "-o", str(file)]
        words: list[str | Path] = [
            find_program("strace"),
            *options,
            program("vibration-gateway"),
            "run",
            "-c",
            self.config,
        ]
        self._process = Process(words, log=self.log)

    def put_on_path(self, folder: Path) -> None:
        """Let it find the packages in a folder."""
        self._process = self._safe = self._injected(folder=folder)

    def _injected(self, *assignments: str, folder: Path = INJECTED) -> Process:
        assert not self.running
        path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        words = [f"PYTHONPATH={path}", *assignments, str(program("vibration-gateway"))]
        return Process([find_program("env"), *words, "run", "-c", self.config], log=self.log)

    def launch(self) -> None:
        """Start it without waiting for anything: it may die before it is ready."""
        self._process.start(lambda: True, STARTING)

    def wait_for_death(self, timeout: float = 20) -> None:
        """Wait until it has killed itself; the next start is of a gateway that does not."""
        until(lambda: not self.running, timeout, "the gateway to die where it was told to")
        assert self._process.stop() == -9, f"it ended in another way; its log ends:\n{self._process.log_tail()}"
        self.kills += 1
        self._process = self._safe

    def kill(self) -> None:
        super().kill()
        self.kills += 1

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait_for_end(self, timeout: float) -> int:
        """Wait until it has ended by itself or by a signal, and return its exit code."""
        until(lambda: not self.running, timeout, "the gateway to end")
        code = self._process.stop()
        assert code is not None
        return code

    def has_taken(self, messages: int) -> bool:
        """Tell whether it has processed so many messages since its start, or is dead."""
        try:
            return not self.running or self.metric("messages_received_total") >= messages
        except (OSError, HTTPException):  # it died while it answered
            return not self.running

    def last_seq(self) -> int:
        """Return the highest sequence number of a reading: their number and that of some facts. It costs nothing."""
        return int(self.rows("SELECT coalesce(max(seq), 0) FROM readings")[0][0])

    def ledger(self) -> Ledger:
        unique = "SELECT count(*), (SELECT count(*) FROM (SELECT DISTINCT event_us, sensor, event_id FROM readings))"
        ((readings, distinct),) = self.rows(f"{unique} FROM readings")
        return Ledger(
            readings,
            distinct,
            Counter(dict(self.rows("SELECT reason, count(*) FROM dead_letters GROUP BY reason"))),
            Counter(dict(self.rows("SELECT type, count(*) FROM events WHERE type LIKE 'Alert%' GROUP BY type"))),
        )

    def integrity(self) -> list[str]:
        """Return what SQLite's full check of the file says; ["ok"] if nothing is wrong."""
        return [row[0] for row in self.rows("PRAGMA integrity_check")] + [
            f"foreign key: {row}" for row in self.rows("PRAGMA foreign_key_check")
        ]

    def conclusions(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return everything in the journal, in order, but for what no two runs have in common.

        That is: sequence numbers, receive stamps, record stamps and delivery events; nor that another gateway announces
        alerts of the same sensors, which is told at one of them.
        """
        names, received = (", ".join(f"'{name}'" for name in group) for group in (DELIVERY_FACTS, RECEIVED_FACTS))
        stamped = ", ".join(
            f"CASE WHEN type IN ({received}) THEN NULL ELSE {column} END"
            for column in ("id", "time", "correlation_id", "causation_id")
        )
        columns = f"type, subject, data, {stamped}"
        return {
            "readings": self.rows(
                "SELECT event_us, sensors.id, event_id, time, level, baseline, flags, body"
                " FROM readings JOIN sensors ON sensor = key ORDER BY seq"
            ),
            "facts": self.rows(
                f"SELECT {columns} FROM events"  # noqa: S608 - made of constants
                f" WHERE type NOT IN ({names}) AND subject <> 'broker topics' ORDER BY seq"
            ),
            "alerts": self.rows(
                "SELECT id, sensor_id, state, opened, alert FROM alerts WHERE sensor_id <> 'broker topics' ORDER BY id"
            ),
            "dead letters": self.rows("SELECT topic, reason, detail, element, payload FROM dead_letters ORDER BY seq"),
            "sensors": self.rows("SELECT id, tags, unit, location FROM sensors ORDER BY key"),
        }
