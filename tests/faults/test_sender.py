"""The sender of the soak loses nothing, whatever happens to its connection."""

from collections.abc import Callable

import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.sender import IN_FLIGHT, Sender
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

RATE = 2000.0
TIMEOUT = 20.0


def restart(broker: Mosquitto, _proxy: FaultProxy, sender: Sender) -> None:
    broker.stop()
    wait_for_backlog(sender)
    broker.start()


def cut(_broker: Mosquitto, proxy: FaultProxy, sender: Sender) -> None:
    proxy.refuse()
    wait_for_backlog(sender)
    proxy.accept()


def swallow(_broker: Mosquitto, proxy: FaultProxy, _sender: Sender) -> None:
    connections = len(proxy.accepted)
    proxy.black_hole = True
    until(lambda: len(proxy.accepted) > connections, TIMEOUT, "another connection")
    proxy.black_hole = False


def wait_for_backlog(sender: Sender) -> None:
    until(lambda: sender.sent - sender.acknowledged >= 2 * IN_FLIGHT, TIMEOUT, "messages to wait")


@pytest.mark.parametrize("fail", [restart, cut, swallow])
def test_delivers_everything_in_order(
    mosquitto: Mosquitto, proxy: FaultProxy, fail: Callable[[Mosquitto, FaultProxy, Sender], None]
) -> None:
    sender = Sender(proxy.port, RATE, lambda number, _: ("soak", str(number)), patience=0.5)
    with mosquitto.record("soak") as recording:
        sender.start()
        until(lambda: sender.acknowledged > 500, TIMEOUT, "the first messages")
        fail(mosquitto, proxy, sender)
        before = sender.acknowledged
        until(lambda: sender.acknowledged > before + 500, TIMEOUT, "messages after the fault")
        sender.stop()
        recording.wait_for(lambda messages: messages and messages[-1].payload == str(sender.sent - 1).encode(), TIMEOUT)
        numbers = [int(message.payload) for message in recording.messages]

    assert len(proxy.accepted) > 1
    assert list(dict.fromkeys(numbers)) == list(range(sender.sent))
