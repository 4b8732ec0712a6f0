import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC

import pytest

from gateway.api import Context, DeliveryError, Trend
from gateway.domain.notification.model import Notification
from gateway.plugins.isolation import Isolated
from gateway.plugins.registry import attach
from tests.notifications import CRITICAL


class Foreign:
    """A third party's handler that does what its notification's reason says."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.threads: set[int] = set()
        self.context: Context | None = None

    def attach(self, context: Context) -> None:
        self.context = context

    async def send(self, notification: Notification) -> str:
        self.threads.add(threading.get_ident())
        assert self.context is not None
        trend = await self.context.trend(notification.sensor_id, 1, 2)
        return f"{len(trend.levels)} readings, {self.context.timezone}"


class Blocking(Foreign):
    async def send(self, _notification: Notification) -> str:
        self.release.wait()
        return "at last"


class Leaving(Foreign):
    async def send(self, _notification: Notification) -> str:
        raise SystemExit(3)


class Refusing(Foreign):
    def attach(self, context: Context) -> None:
        raise RuntimeError(f"I want no {type(context).__name__}")


class Showing(Foreign):
    async def preview(self, notification: Notification) -> Mapping[str, str]:
        return {"text": notification.reason}


async def trend(_sensor_id: str, _since_ns: int, _until_ns: int) -> Trend:
    await asyncio.sleep(0)
    assert threading.current_thread() is threading.main_thread()  # where the journal is asked
    return Trend([1, 2], [4.0, 4.1], [None, None])


def isolated(handler: Foreign) -> Isolated:
    made = Isolated("foreign", handler)
    attach(made, Context(UTC, trend))
    return made


async def test_it_runs_in_one_thread_of_its_own_and_reaches_what_the_gateway_offers() -> None:
    foreign = Foreign()
    handler = isolated(foreign)
    assert {await handler.send(CRITICAL), await handler.send(CRITICAL)} == {"2 readings, UTC"}
    assert len(foreign.threads) == 1
    assert foreign.threads != {threading.get_ident()}


async def test_one_that_blocks_holds_up_nobody_and_gets_nothing_until_it_returns() -> None:
    foreign = Blocking()
    handler = isolated(foreign)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await handler.send(CRITICAL)
    assert not foreign.release.is_set()
    with pytest.raises(DeliveryError, match="stuck in an earlier message") as caught:
        await handler.send(CRITICAL)
    assert caught.value.retry
    foreign.release.set()
    async with asyncio.timeout(10):
        while True:
            try:
                assert await handler.send(CRITICAL) == "at last"
                break
            except DeliveryError:
                await asyncio.sleep(0)


async def test_one_that_ends_the_program_ends_only_its_call() -> None:
    handler = isolated(Leaving())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="SystemExit: 3"):
            await handler.send(CRITICAL)


async def test_one_that_cannot_be_attached_fails_by_the_message_and_not_the_gateway() -> None:
    handler = isolated(Refusing())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="I want no Context"):
            await handler.send(CRITICAL)


async def test_it_shows_what_it_would_send_if_it_can() -> None:
    assert await isolated(Showing()).preview(CRITICAL) == {"text": CRITICAL.reason}
    with pytest.raises(DeliveryError, match="cannot show"):
        await isolated(Foreign()).preview(CRITICAL)
