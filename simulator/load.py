"""The load generator: many sensors' readings at an even rate, and how fast the broker acknowledged them."""

import asyncio
import math
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count, cycle, islice
from random import Random

import msgspec

from simulator import events, wire
from simulator.crowd import crowd
from simulator.formats import EVENT, Format
from simulator.publishing import PATIENCE, PATIENCE_WHEN_STOPPED, Broker
from simulator.times import rfc3339

IN_FLIGHT = 1000  # messages; fewer where the broker's Receive Maximum says so
IN_ONE_WRITE = 200  # messages
TICK = 0.001  # s between two looks at what is due
BASELINE, EXCEEDING = 4.0, 3.2  # m/s², and its multiple for a sensor that is to raise an alert
LATENCY_UNIT = 1e-5  # s; latencies are counted to this precision
LAST_PACKET_ID = 65535
BAD, TWICE, LATE = 0.01, 0.01, 0.05  # shares of the messages of a disturbed load


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to send. `rate` is in readings/s, 0 for as fast as possible; `batch` readings make one message.

    With a form other than the event, `rate` and `count` are in messages.
    """

    rate: float = 5000.0
    sensors: int = 1000
    machines: int = 100
    batch: int = 1
    count: float = math.inf
    duration: float = math.inf
    alert_every: int = 0
    disturbed: bool = False
    seed: int = 0
    form: Format = EVENT


@dataclass(slots=True)
class Result:
    """Readings sent, acknowledged and refused, whether the connection was lost, and how long it took (s).

    `latencies` counts the messages by their time from publish to PUBACK, in LATENCY_UNIT.
    """

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: bool = False
    seconds: float = 0.0
    latencies: Counter[int] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        """Compute the latency from publish to PUBACK, in ms, below which this share of the messages lies."""
        left = share * self.latencies.total()
        for units, messages in sorted(self.latencies.items()):
            left -= messages
            if left <= 0:
                return units * LATENCY_UNIT * 1000
        return 0.0


@dataclass(slots=True)
class _Clock:
    """The time as RFC 3339 with microseconds; no two calls give the same, so each sensor's times increase."""

    last: int = 0  # µs since the epoch
    second: int = -1
    text: bytes = b""  # of that second, up to the decimal point

    def tick(self) -> bytes:
        self.last = max(self.last + 1, time.time_ns() // 1000)
        second, fraction = divmod(self.last, 1_000_000)
        if second != self.second:
            self.second, self.text = second, rfc3339(datetime.fromtimestamp(second, UTC))[:20].encode()
        return b"%s%06dZ" % (self.text, fraction)


@dataclass(frozen=True, slots=True)
class _Sensor:
    topic: bytes
    template: bytes  # an event, with % places for its id, time, level, difference and sequence


def _sensors(load: Load) -> Iterator[_Sensor]:
    for number in range(1, load.sensors + 1):
        sensor_id, machine = f"LOAD-{number:06d}", f"machine-{(number - 1) % load.machines + 1:04d}"
        yield _Sensor(wire.text(f"vibration/load/hall-1/{machine}/{sensor_id}/reading"), _template(sensor_id, machine))


def _template(sensor_id: str, machine: str) -> bytes:
    """Write the event once with marks that no other part of it contains, and make of the marks places for values."""
    data = events.Data(
        sensor_id=sensor_id,
        vibration_level=-1.5,
        baseline_vibration_level=BASELINE,
        difference=-2.5,
        sequence=-3,
    )
    event = events.Event(
        event_id="<id>", timestamp="<time>", source="VibrationSensor", sensor_location=f"Hall 1, {machine}", data=data
    )
    template = msgspec.json.encode(event).replace(b"%", b"%%")
    for mark, place in ((b"<id>", b"%s"), (b"<time>", b"%s"), (b"-1.5", b"%s"), (b"-2.5", b"%s"), (b":-3", b":%d")):
        template = template.replace(mark, place)
    return template


def _levels(seed: int, factor: float) -> Iterator[tuple[bytes, bytes]]:
    """Repeat some noisy levels around `factor` times the baseline, each with its difference from the baseline."""
    random = Random(seed)
    levels = [round(BASELINE * factor * (1.0 + 0.04 * max(-3.0, min(3.0, random.gauss()))), 3) for _ in range(997)]
    return cycle([(b"%.3f" % level, b"%.3f" % (level - BASELINE)) for level in levels])


def payloads(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield each message's topic, payload and number of readings, the sensors in turn, up to `load.count` readings."""
    return _events(load) if load.form is EVENT else _devices(load)


def _devices(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    normal, exceeding = _levels(load.seed, 1.0), _levels(load.seed, EXCEEDING)

    def level(number: int) -> float:
        exceeds = load.alert_every and number % load.alert_every == 0
        return float(next(exceeding if exceeds else normal)[0])

    messages = crowd(load.form, sensors=load.sensors, machines=load.machines, level=level)
    for _, message in zip(count() if load.count == math.inf else range(int(load.count)), messages, strict=False):
        yield wire.text(message.topic), message.payload, 1


def _events(load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    sensors, clock = list(_sensors(load)), _Clock()
    normal, exceeding = _levels(load.seed, 1.0), _levels(load.seed, EXCEEDING)
    run = str(uuid.uuid4())[:24].encode()  # a run's ids never meet another's, whatever the seed
    ids, left = count(), load.count
    for turn in count():
        for number, sensor in enumerate(sensors, 1):
            if left <= 0:
                return
            size = int(min(load.batch, left))
            left -= size
            levels = exceeding if load.alert_every and number % load.alert_every == 0 else normal
            sequences = range(turn * load.batch, turn * load.batch + size)
            parts = [
                sensor.template % (b"%s%012x" % (run, identity), clock.tick(), *level, sequence)
                for sequence, identity, level in zip(sequences, ids, levels, strict=False)
            ]
            yield sensor.topic, parts[0] if load.batch == 1 else b"[%s]" % b",".join(parts), size


def disturbed(messages: Iterator[tuple[bytes, bytes, int]], load: Load) -> Iterator[tuple[bytes, bytes, int]]:
    """Add messages that are cut off and messages that come twice, none of which counts, and let some come late.

    A late one comes after the next two of its sensor.
    """
    random = Random(load.seed)
    held: deque[tuple[int, tuple[bytes, bytes, int]]] = deque()
    for number, message in enumerate(messages):
        while held and held[0][0] <= number:
            yield held.popleft()[1]
        if random.random() < LATE:
            held.append((number + 2 * load.sensors, message))
            continue
        yield message
        topic, payload, _ = message
        if random.random() < BAD:
            yield topic, payload[: len(payload) // 2], 0
        if random.random() < TWICE:
            yield topic, payload, 0
    yield from (message for _, message in held)


class _Sender:
    """One connection; sends what is due and counts what comes back."""

    def __init__(self, load: Load, protocol: str, stop: asyncio.Event) -> None:
        self.result = Result()
        self._load = load
        self._protocol = protocol
        self._stop = stop
        self._window = IN_FLIGHT
        # An id is free again when it comes round: far fewer are in flight
        self._packet_ids = cycle(range(1, LAST_PACKET_ID + 1))
        self._in_flight: dict[int, tuple[float, int]] = {}  # packet id -> when it was sent, how many readings
        self._moved = asyncio.Event()

    async def connect(self, broker: Broker) -> None:
        """Connect; OSError or wire.ProtocolError if the broker cannot be reached or refuses us."""
        self._reader, self._writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls())
        client_id = f"vibration-simulator-load-{uuid.uuid4().hex[:8]}"
        self._writer.write(wire.connect(client_id, broker.protocol, broker.username, broker.password))
        buffer = bytearray()
        while not (packets := list(wire.split(buffer))):
            received = await self._reader.read(4096)
            if not received:
                raise wire.ProtocolError("the broker closed the connection")
            buffer += received
        kind, body = packets[0]
        if kind != wire.CONNACK or len(body) < wire.SHORTEST_CONNACK:
            raise wire.ProtocolError("the broker did not answer the connection request")
        self._window = min(IN_FLIGHT, wire.receive_maximum(body, broker.protocol))

    async def run(self) -> None:
        """Send everything, then wait for what is not acknowledged, at most PATIENCE without progress."""
        began = time.perf_counter()
        receiving, waking = asyncio.create_task(self._receive()), asyncio.create_task(self._wake_when_stopped())
        try:
            await self._send(began, receiving)
            while self._in_flight and not receiving.done():
                await self._progress()
        except ConnectionError:  # writing notices a lost connection before reading does
            self.result.lost = True
        except TimeoutError:
            pass  # the result says how many acknowledgements are missing
        self.result.seconds = time.perf_counter() - began
        self.result.lost |= receiving.done()
        for task in (receiving, waking):
            task.cancel()
        await asyncio.gather(receiving, waking, return_exceptions=True)
        self._writer.write(wire.DISCONNECT)
        self._writer.close()

    async def _send(self, began: float, receiving: asyncio.Task[None]) -> None:
        messages, sent = payloads(self._load), 0
        if self._load.disturbed:
            messages = disturbed(messages, self._load)
        while not (self._stop.is_set() or receiving.done()):
            elapsed = time.perf_counter() - began
            due, room = self._due(elapsed) - sent, self._window - len(self._in_flight)
            if due < 1 and elapsed >= self._load.duration:
                return
            if room == 0:
                await self._progress()
            elif due < 1:
                await asyncio.sleep(TICK)
            else:
                chunk = list(islice(messages, int(min(due, room, IN_ONE_WRITE))))
                if not chunk:
                    return
                await self._write(chunk)
                sent += len(chunk)

    def _due(self, elapsed: float) -> float:
        """Compute how many messages are to be sent by now."""
        if self._load.rate == 0:
            return math.inf if elapsed < self._load.duration else 0.0
        return self._load.rate * min(elapsed, self._load.duration) / self._load.batch

    async def _write(self, chunk: list[tuple[bytes, bytes, int]]) -> None:
        now, properties = time.perf_counter(), wire.no_properties(self._protocol)
        packets = []
        for topic, payload, size in chunk:
            packet_id = next(self._packet_ids)
            self._in_flight[packet_id] = now, size
            self.result.sent += size
            packets.append(wire.publish(topic, packet_id, properties, payload))
        self._writer.write(b"".join(packets))
        await self._writer.drain()
        await asyncio.sleep(0)  # acknowledgements are read while nothing has to be waited for

    async def _receive(self) -> None:
        """Count acknowledgements until the connection ends."""
        buffer = bytearray()
        try:
            while received := await self._reader.read(65536):
                buffer += received
                now = time.perf_counter()
                for kind, body in wire.split(buffer):
                    if kind == wire.PUBACK:
                        self._count(body, now)
                self._moved.set()
        finally:
            self._moved.set()

    def _count(self, body: bytes, now: float) -> None:
        packet_id, taken = wire.acknowledged(body)
        sent_at, size = self._in_flight.pop(packet_id)
        if taken:
            self.result.acknowledged += size
            self.result.latencies[round((now - sent_at) / LATENCY_UNIT)] += 1
        else:
            self.result.refused += size

    async def _wake_when_stopped(self) -> None:
        await self._stop.wait()
        self._moved.set()

    async def _progress(self) -> None:
        """Wait for the next acknowledgements or the stop; TimeoutError if neither comes."""
        self._moved.clear()
        async with asyncio.timeout(PATIENCE_WHEN_STOPPED if self._stop.is_set() else PATIENCE):
            await self._moved.wait()


async def generate(broker: Broker, load: Load, stop: asyncio.Event) -> Result:
    """Send the load; wire.ProtocolError if there is no connection to begin with."""
    sender = _Sender(load, broker.protocol, stop)
    try:
        async with asyncio.timeout(PATIENCE):
            await sender.connect(broker)
    except OSError as error:
        reason = str(error) or f"no answer in {PATIENCE:g} s"
        raise wire.ProtocolError(f"no connection to {broker}: {reason}") from error
    await sender.run()
    return sender.result
