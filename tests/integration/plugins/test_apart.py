"""Third parties' plugins in processes of their own: whatever they do is an error of one call."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from gateway.api import ConsumerContext, Context, EventRecord, StoredReading, Taken, Trend, Wants
from gateway.config.values import system_zone
from gateway.domain.inputs.decoders import DecoderError, decoded
from gateway.domain.inputs.memory import Memory
from gateway.domain.model.events import DomainEvent, Message
from gateway.errors import ConfigError
from gateway.plugins import foreign
from gateway.plugins import process as process_module
from gateway.plugins.foreign import ForeignDecoder, ForeignHandler, FullForeignConsumer, apart, foreign_consumer
from gateway.plugins.process import EndedError, PluginProcess
from tests.integration.plugins.failing import WAYS
from tests.notifications import CRITICAL
from tests.servers.waiting import until

WITHIN, PATIENTLY = 0.3, 60.0
HANGING = {
    "stops itself", "sleeps", "computes", "prints for ever", "prints one line for ever", "stops its event loop",
    "forgets all modules", "forgets a builtin", "recurses to the end of the stack", "closes every file",
    "writes into every file", "forks and ends",
}  # fmt: skip
"""They come to no end by themselves, or to one that nobody sees."""
RETURNS = {"returns None": "NoneType", "returns an object": "object", "returns bytes": "bytes"}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_FIRST_PAUSE", 0.0)
    monkeypatch.setattr(process_module, "GRACE", 0.2)


def point(name: str) -> EntryPoint:
    return EntryPoint(name, f"tests.integration.plugins.failing:{name}", "a group")


def made(name: str, role: Any = "handler", settings: object = None) -> PluginProcess:
    return apart(role, f"{role}s.ours", point(name), settings or {})


@pytest.fixture(scope="module")
def process() -> Iterator[PluginProcess]:
    """Return the process that all the ways of failing share: after each, it is well again."""
    found = made("Handler")
    yield found
    found.end()


@pytest.fixture
def handler(process: PluginProcess) -> ForeignHandler:
    return ForeignHandler(process)


@pytest.fixture(scope="module")
def consumer() -> Iterator[Any]:
    found = foreign_consumer(made("Consumer", "consumer"))
    yield found
    found.process.end()


async def said(handler: ForeignHandler, reason: str, within: float = WITHIN) -> str:
    """Send a message with a time-out, as the notifier does; return the answer, or the error's name and words."""
    try:
        async with asyncio.timeout(within):
            return await handler.send(replace(CRITICAL, reason=reason))
    except Exception as error:  # noqa: BLE001 - what it raises is what is asked for
        return f"{type(error).__name__}: {error}"


async def well(handler: ForeignHandler) -> str:
    """Return what it says once it is well again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await handler.send(CRITICAL)
            except EndedError:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_to_fail_is_an_error_of_one_call(handler: ForeignHandler, way: str) -> None:
    await well(handler)
    outcome = await said(handler, way, WITHIN if way in HANGING else PATIENTLY)
    if way in RETURNS:
        assert outcome == RETURNS[way]
    elif way == "returns fifty megabytes":
        assert outcome == "x" * 1000
    elif way.startswith("raises"):
        assert ":" in outcome
        assert len(outcome) < 1200
    assert (await well(handler)).startswith("well, ")
    assert handler.process.problem is None


@pytest.mark.parametrize("reason", ["waits", "waits whatever"])
async def test_one_that_ignores_its_end_is_ended_with_its_process(
    handler: ForeignHandler, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    if reason == "waits":
        monkeypatch.setattr(process_module, "GRACE", PATIENTLY)
    before = await well(handler)
    assert await said(handler, reason, 0.1) == "TimeoutError: "
    after = await well(handler)
    assert (after == before) is (reason == "waits")


async def test_one_that_nobody_waits_for_any_more_while_it_is_started_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = made("Handler", settings={"word": str(tmp_path)})
    handler, told = ForeignHandler(process), replace(CRITICAL, reason="exits")
    process.end()
    start, cancelled = process_module._started, threading.Event()  # noqa: SLF001 - where it can be held up

    def slowly(words: list[str], descriptor: int) -> Any:
        cancelled.wait(PATIENTLY)
        return start(words, descriptor)

    monkeypatch.setattr(process_module, "_started", slowly)
    asked = asyncio.ensure_future(handler.send(told))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    with capture_logs() as logs:
        cancelled.set()
        assert (await well(handler)).startswith(str(tmp_path))
    assert logs == [], "nothing has exited"


async def test_an_end_is_said_and_the_next_start_waits_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "_FIRST_PAUSE", 10.0)
    handler = ForeignHandler(made("Handler"))
    with pytest.raises(EndedError) as caught:
        await handler.send(replace(CRITICAL, reason="exits with a code"))
    assert str(caught.value) == "the process of handlers.ours failed in send: it has ended with exit code 7"
    assert (caught.value.delivered_maybe, caught.value.needs_person, caught.value.retry_after) == (True, True, 10.0)
    with pytest.raises(EndedError, match=r"it is started again in \d+ s") as caught:
        await handler.send(CRITICAL)
    assert not caught.value.delivered_maybe
    assert handler.process.problem == "the process of handlers.ours failed in send: it has ended with exit code 7"


async def test_what_the_gateway_offers_is_within_reach_after_a_new_start_too(handler: ForeignHandler) -> None:
    async def trend(sensor: str, since_ns: int, until_ns: int) -> Trend:
        assert (sensor, since_ns, until_ns) == ("VB-1", 1, 2)
        return Trend([1], [4.0], [None])

    zone = system_zone()
    handler.attach(Context(zone, trend, lambda alert, person: f"https://{alert}/{person}"))
    for _ in range(2):
        await well(handler)
        assert await said(handler, "asks", 10) == f"[4.0] {zone} https://a/anna"
        assert "Error" in await said(handler, "asks for junk", 10)
        await said(handler, "exits")


async def test_it_has_neither_our_files_nor_our_life(process: PluginProcess) -> None:
    await well(ForeignHandler(process))
    running = process._process  # noqa: SLF001 - nobody else knows it
    assert running is not None
    assert os.getsid(running.pid) == running.pid
    process.end()
    assert running.poll() == -signal.SIGKILL


async def test_what_a_child_left_behind_ends_with_it() -> None:
    process = made("Handler")
    handler = ForeignHandler(process)
    assert "left behind" in await said(handler, "leaves a child behind", 10)
    group = process._process.pid  # type: ignore[union-attr] # noqa: SLF001 - as above
    process.end()

    def is_gone() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone, 10, "the end of what it has started")


async def test_one_that_nobody_refers_to_any_more_has_ended() -> None:
    process = made("Handler")
    running = process._process  # noqa: SLF001 - as above
    assert running is not None
    del process
    until(lambda: running.poll() is not None, 10, "its end")


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("Handler", {"made": "raises ValueError"}, "handlers.ours: a defect"),
        ("Handler", {"made": "raises KeyError"}, "handlers.ours.a key: is required"),
        ("Nobody", {}, "handlers.ours.type: Nobody cannot be loaded"),
        ("NoHandler", {}, "handlers.ours.type: NoHandler is not a handler, it has no `async def send"),
    ],
)
def test_settings_to_mend_are_said_as_ever(name: str, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(name, settings=settings)
    assert caught.value.problems[0].startswith(problem)


@pytest.mark.parametrize("way", ["exits", "aborts", "sleeps", "raises SystemExit", "prints for ever"])
def test_one_that_cannot_be_made_ends_nobody(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(process_module, "START_WITHIN", 1.5)
    process = made("Handler", settings={"made": way})
    assert process.problem is not None
    assert "while it was made" in process.problem
    assert not process.is_up


def stored(event_id: str, seq: int = 1, level: float | None = 4.0) -> StoredReading:
    return StoredReading(seq, 1, "VB-1", {"site": "p"}, level, None, 0, event_id, 1, b"{}")


FACT = EventRecord(3, DomainEvent("x", "AlertRaised", 1, "VB-1", "c", "d", {"a": 1}), 1)


async def test_a_consumer_is_handed_rows_and_says_what_it_refuses(consumer: Any) -> None:
    taken = await consumer.consume([stored("a"), stored("b", 2, None)], [FACT])
    assert [(one.seq, one.reason) for one in taken.refused] == [(2, "not mine")]
    assert taken.skipped == 1


@pytest.mark.parametrize(
    "way", [*(way for way in WAYS if way.startswith("raises")), "exits", "is killed", "returns None"]
)
async def test_whatever_a_consumer_raises_is_an_error_of_one_step(consumer: Any, way: str) -> None:
    if way == "returns None":
        assert await consumer.consume([stored(way)], []) == Taken([])
        return
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any that is one, and no other kind
        await consumer.consume([stored(way)], [])
    assert type(caught.value).__name__ not in {"JournalError", "SystemExit"} or type(caught.value).__bases__ == (
        Exception,
    )
    while True:
        try:
            assert await consumer.consume([stored("a")], []) == Taken([])
            break
        except EndedError:
            await asyncio.sleep(0.01)


async def test_a_consumer_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, consumer: Any) -> None:
    await consumer.consume([stored("a")], [])
    monkeypatch.setattr(foreign, "CONSUME_WITHIN", 0.5)
    with pytest.raises(EndedError, match="it does not answer, and was ended"):
        await consumer.consume([stored("sleeps")], [])


async def test_one_that_says_what_it_wants_is_started_each_time() -> None:
    consumer = foreign_consumer(made("Wanting", "consumer"))
    assert isinstance(consumer, FullForeignConsumer)
    assert consumer.wants == Wants(facts=False, start="now")

    async def reading_behind(fact: DomainEvent) -> StoredReading | None:
        return stored(fact.id)

    async def facts_with_id(_id: str) -> list[EventRecord]:
        return [FACT]

    await consumer.start(ConsumerContext("edge-1", lambda: [({"a": "b"}, {"c": 1.0})], reading_behind, facts_with_id))
    for _ in range(2):
        (refused,) = (await consumer.consume([stored("a")], [])).refused
        assert refused.reason.startswith("edge-1 [({'a': 'b'}, {'c': 1.0})] 1 StoredReading(")
        consumer.process.end()
    await consumer.close()
    assert not consumer.process.is_up


def test_a_decoder_keeps_its_state_and_costs_a_dead_letter_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "DECODE_WITHIN", PATIENTLY)
    decoder, memory = ForeignDecoder(made("decode", "decoder")), Memory({})

    def read(payload: str) -> float:
        (reading,) = decoded("ours", decoder, Message("t", payload.encode(), 1), memory)
        return reading.values["level"]

    assert (read("a"), read("b")) == (1.0, 2.0)
    for way in ("raises ValueError", "raises SystemExit", "returns an object", "odd state"):
        with pytest.raises(DecoderError):
            read(way)
    assert read("c") == 3.0
    monkeypatch.setattr(foreign, "DECODE_WITHIN", 0.3)
    with pytest.raises(DecoderError, match="does not answer"):
        read("sleeps")
    with pytest.raises(DecoderError, match="'deadletters replay' reads it again"):
        read("d")
    until(lambda: decoder.process.is_up, 20, "its new start")
    monkeypatch.setattr(foreign, "DECODE_WITHIN", PATIENTLY)
    assert read("e") == 4.0


def test_a_decoder_that_eats_memory_costs_its_message() -> None:
    decoder = ForeignDecoder(made("decode", "decoder"))
    with pytest.raises(Exception, match=r"MemoryError|does not answer"):
        list(decoder("t", b"eats memory", 1, {}))


async def test_a_decoder_that_cannot_be_asked_is_an_alert_until_it_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign, "DECODE_WITHIN", PATIENTLY)
    decoder, reports = ForeignDecoder(made("decode", "decoder")), dict[str, str | None]()

    async def report(subject: str, problem: str | None) -> None:
        reports[subject] = problem

    with pytest.raises(EndedError):
        list(decoder("t", b"exits", 1, {}))
    watching = asyncio.ensure_future(foreign.watch_decoders([decoder], report))
    await asyncio.sleep(0)
    assert reports == {"decoders.ours": "the process of decoders.ours failed in decode: it has ended with exit code 0"}
    watching.cancel()
    await asyncio.to_thread(until, lambda: _reads(decoder), 20, "its new start")
    assert decoder.process.problem is None


def _reads(decoder: ForeignDecoder) -> bool:
    try:
        return bool(list(decoder("t", b"a", 1, {})))
    except RuntimeError:
        return False
