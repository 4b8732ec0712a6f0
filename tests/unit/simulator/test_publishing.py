import asyncio
import time

from simulator.publishing import Broker, Message, Publisher, wait_until


def publisher(kept: int) -> Publisher:
    return Publisher(Broker(), say=lambda _: None, kept=kept)


async def test_without_a_broker_the_oldest_readings_are_dropped_and_counted() -> None:
    away = publisher(kept=3)
    for number in range(5):
        await away.put(Message("t", b"%d" % number))
    assert (away.published, away.acknowledged, away.dropped) == (5, 0, 2)


async def test_retained_states_are_no_readings() -> None:
    away = publisher(kept=3)
    await away.put(Message("t", b"offline", retain=True))
    assert away.published == 0


async def test_a_stop_ends_the_wait_for_room() -> None:
    away, stop = publisher(kept=3), asyncio.Event()
    await away.put(Message("t", b"1"))
    assert await away.wait_for_room(2, stop)
    stop.set()
    assert not await away.wait_for_room(3, stop)


async def test_waiting_ends_at_its_time_or_at_a_stop() -> None:
    stop = asyncio.Event()
    assert await wait_until(time.monotonic() + 0.001, stop)
    assert await wait_until(time.monotonic() - 1, stop)
    stop.set()
    assert not await wait_until(time.monotonic() + 60, stop)
    assert not await wait_until(time.monotonic() - 1, stop)


def test_a_broker_shows_its_address_and_never_its_password() -> None:
    broker = Broker("host", 1884, username="u", password="s3cret")
    assert "s3cret" not in repr(broker)
    assert str(broker) == "host:1884"
