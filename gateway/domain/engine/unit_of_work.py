"""What one batch of messages leads to, ready to be written in one transaction."""

from __future__ import annotations

from msgspec import Struct, field
from msgspec.structs import replace

from gateway.domain.alerting.alert import Alert
from gateway.domain.alerting.open_alerts import Change
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.event_log import BODY, ReadingRow
from gateway.domain.inputs.results import Publication
from gateway.domain.model.events import DomainEvent, Rejected


class DeadLetter(Struct, frozen=True):
    """A rejected message on its way into the journal; `digest` and `packet_id` recognise it when redelivered."""

    seq: int
    received_ns: int
    topic: str
    packet_id: int
    digest: bytes
    rejected: Rejected
    retained: bool = False


class Original(Struct, frozen=True):
    """A message as it came, and the readings that were made of it: those from `seq` to `last`."""

    seq: int
    last: int
    received_ns: int
    input: str
    topic: str
    packet_id: int
    digest: bytes
    payload: bytes


class WaveformRow(Struct, frozen=True):
    """A block of samples on its way into the journal. `about` is everything else that is known of it, in JSON."""

    event_id: str
    sensor_id: str
    time_us: int
    received_ns: int
    topic: str
    packet_id: int
    digest: bytes
    about: bytes
    samples: bytes


class UnitOfWork(Struct):
    """New rows in the order of their sequence numbers, and how many readings were known already or came late.

    `rejected` finds the dead letters by (digest, packet_id). `replayed` are the numbers of dead letters that are none
    any more, `measured` those of waveforms whose readings are among these. `memory` is what inputs remember from now
    on, or None for what they have forgotten; `ignored` counts what an input left out on purpose, `remarks`
    what it made the best of, and `news` are those (input, text) that are new; `forgotten` is what had to go too soon.
    `not_judged` counts the readings that were passed over, by the reason; `publications` are to be sent. `size` are the
    bytes of the messages. The first `indexed` readings are in `bodies`, by (event_us, sensor key) and event id.
    `is_move` says that one of the sensors was elsewhere before, or bears another name now: those in `renamed`, as (name
    before, name, the id that it publishes). `over_quota` counts what was refused or not kept, by the quota; `is_replay`
    says that the messages are dead letters, which were within it before.
    """

    next_seq: int
    recorded_ns: int = 0
    messages: int = 0
    size: int = 0
    sensors: dict[int, Sensor] = field(default_factory=dict)
    readings: list[ReadingRow] = field(default_factory=list)
    facts: list[tuple[int, DomainEvent]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    alerts: dict[str, Alert] = field(default_factory=dict)
    bodies: dict[tuple[int, int], dict[str, bytes]] = field(default_factory=dict)
    indexed: int = 0
    rejected: set[tuple[bytes, int]] = field(default_factory=set)
    replayed: list[int] = field(default_factory=list)
    originals: list[Original] = field(default_factory=list)
    waveforms: list[WaveformRow] = field(default_factory=list)
    measured: list[int] = field(default_factory=list)
    memory: dict[str, bytes | None] = field(default_factory=dict)
    ignored: dict[str, int] = field(default_factory=dict)
    publications: list[Publication] = field(default_factory=list)
    remarks: dict[str, int] = field(default_factory=dict)
    news: list[tuple[str, str]] = field(default_factory=list)
    forgotten: int = 0
    duplicates: int = 0
    late: int = 0
    clock_replaced: int = 0
    not_judged: dict[str, int] = field(default_factory=dict)
    over_quota: dict[str, int] = field(default_factory=dict)
    unused: int = 0
    is_move: bool = False
    is_replay: bool = False
    renamed: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def first_seq(self) -> int:
        """The first of its sequence numbers; the last is the one before `next_seq`."""
        rows = len(self.readings) + len(self.facts) + len(self.dead_letters) + self.unused
        return self.next_seq - rows

    def take_seq(self) -> int:
        """Return the next sequence number."""
        seq = self.next_seq
        self.next_seq += 1
        return seq

    def same_time(self, event_us: int, sensor: int) -> dict[str, bytes]:
        """Return event id -> body of the new readings that a sensor has at a time; most batches never ask."""
        for row in self.readings[self.indexed :]:
            self.bodies.setdefault((row[1], row[2]), {})[row[3]] = row[BODY]
        self.indexed = len(self.readings)
        return self.bodies.get((event_us, sensor), {})

    def add(self, change: Change) -> None:
        """Take in a fact, and the alert that it changed."""
        self.facts.append((self.take_seq(), change.fact))
        if change.alert is not None:
            self.alerts[change.alert.id] = change.alert

    def count_over(self, quota: str) -> None:
        """Count something that is over a quota."""
        self.over_quota[quota] = self.over_quota.get(quota, 0) + 1

    def drop_dead_letters(self, keep: int) -> None:
        """Forget all dead letters but the first `keep`; their sequence numbers stay unused."""
        self.unused += len(self.dead_letters) - keep
        del self.dead_letters[keep:]

    def start_at(self, seq: int) -> None:
        """Give the rows numbers from `seq` on: while this batch could not be written, something else was."""
        by = seq - self.first_seq
        if by:
            self.readings = [(row[0] + by, *row[1:]) for row in self.readings]
            self.facts = [(number + by, fact) for number, fact in self.facts]
            self.dead_letters = [replace(letter, seq=letter.seq + by) for letter in self.dead_letters]
            self.originals = [replace(each, seq=each.seq + by, last=each.last + by) for each in self.originals]
            self.next_seq += by
