"""One connection to the broker: what it has not acknowledged is kept, and sent again after a reconnect."""

import asyncio
import math
import secrets
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

IN_FLIGHT = 20  # what Mosquitto accepts of one client unless it is configured otherwise
KEPT = 10_000  # messages that wait for an acknowledgement; the oldest goes first
FIRST_RETRY, LONGEST_RETRY = 0.25, 10.0  # s
PATIENCE = 10.0  # s without an acknowledgement, after which what is still missing is given up at the end
PATIENCE_WHEN_STOPPED = 0.75  # s
# MQTT 5 reason codes that waiting does not cure: protocol, client id, credentials, rights, ban
PERMANENT = frozenset({0x84, 0x85, 0x86, 0x87, 0x8A})


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are there."""

    host: str = "localhost"
    port: int = 1883
    protocol: str = "5"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None

    def tls(self) -> ssl.SSLContext | None:
        """Trust the broker's authority, if one is named; OSError (SSLError too) if its file cannot be used."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published, always at QoS 1."""

    topic: str
    payload: bytes
    retain: bool = False


class RefusedError(Exception):
    """The broker refuses us for a reason that waiting does not cure."""


class Publisher:
    """Publishes in order, at least once each; `run` keeps the connection, `put` hands it messages.

    `announcements` are published at each connection, before everything else. What comes on a topic of `commands` is
    handed to its function. `say` is told when the connection is lost and when it is back. `published`, `acknowledged`
    and `dropped` count readings, and the retained states only with `count_retained`.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        say: Callable[[str], None],
        announcements: Sequence[Message] = (),
        commands: Mapping[str, Callable[[bytes], None]] | None = None,
        kept: int = KEPT,
        count_retained: bool = False,
    ) -> None:
        self.published = 0
        self.acknowledged = 0
        self.dropped = 0
        self.broker = broker
        self._tls = broker.tls()
        self._client_id = f"vibration-simulator-{secrets.token_hex(4)}"
        self._say = say
        self._announcements = announcements
        self._commands = commands or {}
        self._kept = kept
        self._count_retained = count_retained
        self._numbers = count()
        self._waiting: OrderedDict[int, Message] = OrderedDict()
        self._unsent: OrderedDict[int, Message] = (
            OrderedDict()
        )  # those of `_waiting` that this connection has not sent yet
        self._changed = asyncio.Condition()

    async def put(self, message: Message) -> None:
        """Queue a message; while the broker is away and the queue is full, the oldest is dropped and counted."""
        if len(self._waiting) >= self._kept:
            oldest, _ = self._waiting.popitem(last=False)
            self._unsent.pop(oldest, None)
            self.dropped += 1
        number = next(self._numbers)
        self._waiting[number] = self._unsent[number] = message
        self.published += self._is_counted(message)
        await self._tell()

    async def wait_for_room(self, messages: int, stop: asyncio.Event) -> bool:
        """Wait until so many messages can be put without dropping another; False if `stop` was set before that."""
        fewer = self._kept - messages + 1
        if len(self._waiting) >= fewer:
            await _wait_within_bounds(self._wait_for_fewer_than(fewer), stop, 0.0)
        return len(self._waiting) < fewer

    async def wait_until_acknowledged(self) -> None:
        """Wait until the broker has everything; TimeoutError after PATIENCE without progress."""
        while missing := len(self._waiting):
            async with asyncio.timeout(PATIENCE):
                await self._wait_for_fewer_than(missing)

    async def _wait_for_fewer_than(self, number: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < number)

    async def run(self) -> None:
        """Connect, publish, and connect again whenever the connection is lost; RefusedError if that is hopeless."""
        delay = FIRST_RETRY
        lost: aiomqtt.MqttError | None = None
        while True:
            began = time.monotonic()
            try:
                async with self._connected() as client, asyncio.TaskGroup() as tasks:
                    if lost is not None:
                        self._say(f"connected to {self.broker}")
                    await self._publish_all(client, tasks)
            except* aiomqtt.MqttError as errors:
                lost = _first(errors)
            _raise_if_permanent(lost, self.broker)
            if time.monotonic() - began > LONGEST_RETRY:
                delay = FIRST_RETRY
            self._say(f"no connection to {self.broker}: {lost}; the next attempt is in {delay:g} s")
            await asyncio.sleep(delay)
            delay = min(2 * delay, LONGEST_RETRY)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiomqtt.Client]:
        async with AsyncExitStack() as stack:
            entering = asyncio.create_task(stack.enter_async_context(self._client()))
            try:
                client = await asyncio.shield(entering)
            except asyncio.CancelledError:
                # aiomqtt connects in a thread, and leaves a half-made connection behind when it is cancelled meanwhile
                await asyncio.wait({entering}, timeout=PATIENCE_WHEN_STOPPED)
                entering.cancel()
                raise
            yield client

    def _client(self) -> aiomqtt.Client:
        version = aiomqtt.ProtocolVersion.V5 if self.broker.protocol == "5" else aiomqtt.ProtocolVersion.V311
        client = aiomqtt.Client(
            self.broker.host,
            self.broker.port,
            username=self.broker.username,
            password=self.broker.password,
            identifier=self._client_id,
            protocol=version,
            keepalive=15,
            timeout=5,
            max_inflight_messages=IN_FLIGHT,
            tls_context=self._tls,
        )
        client.pending_calls_threshold = IN_FLIGHT
        return client

    async def _publish_all(self, client: aiomqtt.Client, tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(self._listen(client))
        for topic in self._commands:
            await client.subscribe(topic, qos=1)
        for message in self._announcements:
            await client.publish(message.topic, message.payload, qos=1, retain=message.retain)
        window = asyncio.Semaphore(IN_FLIGHT)
        self._unsent = self._waiting.copy()
        while True:
            await window.acquire()
            async with self._changed:
                await self._changed.wait_for(lambda: self._unsent)
            number, message = self._unsent.popitem(last=False)
            tasks.create_task(self._publish(client, window, number, message))

    async def _publish(self, client: aiomqtt.Client, window: asyncio.Semaphore, number: int, message: Message) -> None:
        # Without a time limit: a lost connection, also one that only the keepalive notices, ends the whole group
        await client.publish(message.topic, message.payload, qos=1, retain=message.retain, timeout=math.inf)
        window.release()
        if self._waiting.pop(number, None) is not None:
            self.acknowledged += self._is_counted(message)
            await self._tell()

    def _is_counted(self, message: Message) -> bool:
        return self._count_retained or not message.retain

    async def _listen(self, client: aiomqtt.Client) -> None:
        """Hand on what comes; the iterator fails with the MqttError of a lost connection."""
        async for message in client.messages:
            if isinstance(message.payload, bytes) and message.topic.value in self._commands:
                self._commands[message.topic.value](message.payload)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _first(errors: ExceptionGroup[aiomqtt.MqttError]) -> aiomqtt.MqttError:
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _raise_if_permanent(error: aiomqtt.MqttError | None, broker: Broker) -> None:
    code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    if isinstance(code, ReasonCode) and code.value in PERMANENT:
        raise RefusedError(f"the broker at {broker} refused the connection: {str(code).lower()}")


@asynccontextmanager
async def published(publisher: Publisher, stop: asyncio.Event) -> AsyncIterator[None]:
    """Keep the publisher connected while the body puts messages; then wait, within bounds, for what is missing."""
    try:
        async with asyncio.TaskGroup() as tasks:
            connection = tasks.create_task(publisher.run())
            yield
            await _wait_within_bounds(publisher.wait_until_acknowledged(), stop, PATIENCE_WHEN_STOPPED)
            connection.cancel()
    except ExceptionGroup as group:  # the first of the two has failed, and the other was cancelled for it
        raise group.exceptions[0] from group


async def _wait_within_bounds(waiting: Coroutine[None, None, None], stop: asyncio.Event, when_stopped: float) -> None:
    """Wait until it is done or has failed, at most `when_stopped` seconds longer than until `stop` is set."""
    done = asyncio.create_task(waiting)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({done, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({done}, timeout=when_stopped)
    for task in (done, stopped):
        task.cancel()
    await asyncio.gather(done, stopped, return_exceptions=True)


async def wait_until(moment: float, stop: asyncio.Event) -> bool:
    """Wait for a time of the monotonic clock; False as soon as `stop` is set. Others run even if that time is past."""
    delay = moment - time.monotonic()
    if delay <= 0:
        await asyncio.sleep(0)
        return not stop.is_set()
    with suppress(TimeoutError):
        async with asyncio.timeout(delay):
            await stop.wait()
    return not stop.is_set()
