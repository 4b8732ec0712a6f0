"""The announcer's connection to a broker that takes everything and answers nothing more."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from gateway.config import MqttSection
from tests.faults.gateways import MortalGateway
from tests.faults.scripted import PUBLISH, ScriptedBroker
from tests.integration.subscribing import publisher_of
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

STAGES = 5.0  # seconds that the parts of the gateway have for their end
MARGIN = 3.0  # for a busy machine


class MuteBroker(ScriptedBroker):
    """Answers everything until it has acknowledged one message, "online"; then nothing."""

    def __init__(self) -> None:
        super().__init__([])
        self.mute = False

    def answer(self, kind: int, body: bytes) -> list[bytes]:
        if self.mute:
            return []
        self.mute = kind & 0xF0 == PUBLISH
        return super().answer(kind, body)


@pytest.fixture
def broker() -> Iterator[MuteBroker]:
    broker = MuteBroker()
    broker.start()
    yield broker
    broker.stop()


async def test_a_cancellation_is_not_lost_on_a_mute_broker(broker: MuteBroker) -> None:
    section = MqttSection(host=broker.host, port=broker.port, topics=("vibration/{sensor}",))
    running = asyncio.ensure_future(publisher_of(section).run())
    while not broker.mute:  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)  # until the acknowledgement is read
    running.cancel()
    began = time.monotonic()
    done, _ = await asyncio.wait([running], timeout=STAGES)
    assert done
    assert running.cancelled()
    assert time.monotonic() - began < STAGES


def test_a_gateway_whose_broker_is_mute_ends_when_it_is_told_to(broker: MuteBroker, tmp_path: Path) -> None:
    gateway = MortalGateway(tmp_path / "gateway", cast("Mosquitto", broker))
    gateway.launch()
    until(lambda: broker.mute, 20, "the gateway to be online")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait_for_end(STAGES + MARGIN) == 0
    assert "left behind" not in gateway.log.read_text()
