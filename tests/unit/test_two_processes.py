"""What the two processes say to each other, over a real socket; the processes themselves are tried in tests/system."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.api import DeliveryError
from gateway.app import remote, supervisor
from gateway.app.followers import Ingest
from gateway.app.link import Job
from gateway.app.remote import SILENT, RemoteIngest
from gateway.app.supervisor import Supervisor
from gateway.domain.engine.commands import Acknowledge, MoveCursor, TakeMessage
from gateway.errors import NotFoundError
from gateway.journal import Stream
from gateway.telemetry.metrics import Metrics
from tests.readings import NOON_NS, Plant, plant, reading
from tests.servers.waiting import until_async

WITHIN = 10.0


class Publisher:
    """Publishes nothing whose topic is `refused`."""

    def __init__(self) -> None:
        self.published: list[str] = []

    async def publish(self, topic: str, payload: str, traceparent: str = "", *, may_go: bool = False) -> None:
        if topic == "refused":
            raise DeliveryError("not allowed to", retry=False, retry_after=3.0)
        self.published.append(f"{topic} {payload} {traceparent} {may_go}")

    def expect(self, topic: str, payload: str, *, may_go: bool = False) -> None:
        self.published.append(f"expected {topic} {payload} {may_go}")


class Condition:
    """An ingest that cannot do its job."""

    broker_problems = ("no broker",)

    def reasons(self) -> list[str]:
        return ["no broker", "a full disk"]

    def dead(self) -> list[str]:
        return []


@dataclass
class Both:
    """Both ends: ingest's plant, publisher and metrics, and what the followers have of them."""

    plant: Plant
    stream: Stream
    publisher: Publisher
    metrics: Metrics
    here: RemoteIngest
    shown: Metrics
    serving: asyncio.Future[bool]


async def nobody(*_: object) -> None:
    """Report to nobody."""


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    ours, theirs = socket.socketpair()
    (down, up), (reader, writer) = [await asyncio.open_connection(sock=each) for each in (ours, theirs)]
    with plant(tmp_path) as made, closing(Stream(made.journal, made.path)) as stream:
        metrics, shown, publisher = Metrics(), Metrics(), Publisher()
        shown.beside({})
        ingest = Ingest(made.journal, stream, Condition(), publisher)
        kept = Supervisor(_no_job, made.journal, ingest, metrics, nobody)
        last = made.journal.next_seq - 1
        here = RemoteIngest(made.path, last, made.journal.last_fact, writer, shown)
        work: list[Awaitable[object]] = [kept.tell(up, last), here.listen(reader)]
        tasks = [asyncio.ensure_future(each) for each in work]
        serving = asyncio.ensure_future(kept.serve(down, up))
        yield Both(made, stream, publisher, metrics, here, shown, serving)
        for task in (*tasks, serving):
            task.cancel()
        await asyncio.gather(*tasks, serving, return_exceptions=True)
        for each in (up, writer):
            each.close()


def _no_job() -> Job:
    raise AssertionError("nothing is started here")


async def test_commands_are_executed_and_their_errors_come_back(both: Both) -> None:
    await both.here.ask(MoveCursor("influx", 7))
    assert await both.stream.cursor("influx") == 7
    assert await both.here.ask(TakeMessage("mail", NOON_NS)) is None
    with pytest.raises(NotFoundError, match="no open alert"):
        await both.here.ask(Acknowledge("nothing", "anna", "", NOON_NS))


async def test_what_is_written_wakes_a_stream_of_the_other_process(both: Both) -> None:
    with closing(Stream(both.here, both.plant.path)) as followed:
        both.here.announce = followed.announce
        before = followed.last_seq
        both.plant.take(*(reading(second, 8.0) for second in range(3)))
        both.stream.announce()
        async with asyncio.timeout(WITHIN):
            await followed.wait(before)
            step = await followed.step(before, 100, readings=True)
        assert step.until == both.stream.last_seq
        assert [each.fact.type for each in step.entries] == [
            each.fact.type for each in (await both.stream.step(before, 100, readings=True)).entries
        ]
        assert len(step.readings) == 3
        assert await followed.cursor("nobody") == 0


async def test_publishing_is_ingests_and_its_refusals_come_back(both: Both) -> None:
    await both.here.publish("a", "b", "c", may_go=True)
    both.here.expect("d", "e")
    with pytest.raises(DeliveryError, match="not allowed to") as caught:
        await both.here.publish("refused", "")
    assert (caught.value.retry, caught.value.retry_after) == (False, 3.0)
    assert both.publisher.published == ["a b c True", "expected d e False"]


async def test_how_ingest_is_and_what_it_counts_is_seen_from_the_followers(both: Both) -> None:
    both.metrics.readings_stored.inc(5)
    both.metrics.rejected.labels("not_json").inc(2)
    both.shown.rejected.labels("not_json").inc()
    both.shown.count_notification("mail", "sent", 0.2)
    both.metrics.broker_connected.set(1)
    await until_async(
        lambda: both.shown.shown.get_sample_value("vibration_gateway_broker_connected"), WITHIN, "metrics"
    )
    assert both.here.reasons() == ["no broker", "a full disk"]
    assert both.here.broker_problems == ["no broker"]
    values = {tuple(labels.values()): numbers for labels, numbers in both.shown.values()}
    assert values["not_json",]["rejected_total"] == 3
    assert values[()]["readings_stored_total"] == 5
    assert values[()]["notification_latency_seconds_count"] == 1
    assert both.here.dead() == []


async def test_an_ingest_that_says_nothing_is_told_of(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "HUNG", -1.0)
    assert both.here.dead() == [SILENT]
    assert both.here.reasons()[0] == SILENT


async def test_followers_that_say_nothing_hang_and_those_that_live_do_not(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "HUNG", 0.5)
    monkeypatch.setattr(remote, "EVERY", 0.05)
    living = asyncio.ensure_future(both.here.live())
    done, _ = await asyncio.wait([both.serving], timeout=1.0)
    assert not done
    living.cancel()
    assert await asyncio.wait_for(both.serving, WITHIN)
