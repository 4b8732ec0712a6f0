import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.domain.inputs.sparkplug import Heard, Presence, Publication, hear
from gateway.domain.inputs.sparkplug_memory import Memory
from tests.conftest import required
from tests.servers.edge_node import DEVICE, GROUP, NAMES, NODE, edge_node
from tests.servers.mosquitto import Mosquitto, Recording
from tests.servers.waiting import until

SOURCE = f"{GROUP}/{NODE}/{DEVICE}"


class Host:
    """A host application: it hears what a recording has, and does what it has to answer."""

    def __init__(self, broker: Mosquitto, recording: Recording, *, begins_at: int = 0) -> None:
        self.heard: list[Heard] = []
        self.asked: list[Publication] = []
        self._broker, self._recording, self._at = broker, recording, begins_at
        self._memory = Memory()

    def hear_until(self, predicate: Callable[[Heard], object]) -> Heard:
        """Hear messages until one fits, and return what came of it."""
        found: list[Heard] = []

        def fits() -> bool:
            while not found and self._at < len(self._recording.messages):
                message = self._recording.messages[self._at]
                self._at += 1
                heard = hear(self._memory, message.topic, message.payload, time.time_ns())
                self.heard.append(heard)
                self._answer(heard)
                found.extend([heard] if predicate(heard) else [])
            return bool(found)

        until(fits, 20, "the expected message")
        return found[0]

    def _answer(self, heard: Heard) -> None:
        self.asked += heard.publications
        for asked in heard.publications:
            self._broker.publish(asked.topic, asked.payload, asked.qos, retain=asked.retain)

    def values(self, name: str) -> list[object]:
        return [metric.value for heard in self.heard for metric in heard.metrics if metric.name == name]


@pytest.fixture
def recording(mosquitto: Mosquitto) -> Iterator[Recording]:
    with mosquitto.record("spBv1.0/#", qos=0) as found:
        yield found


def has_data(heard: Heard) -> bool:
    return bool(heard.metrics) and not heard.presences


def came(heard: Heard) -> bool:
    return any(presence.online and presence.source == SOURCE for presence in heard.presences)


def test_a_node_is_heard_from_its_birth_to_its_death(
    mosquitto: Mosquitto, recording: Recording, tmp_path: Path
) -> None:
    host = Host(mosquitto, recording)
    with required(), edge_node(mosquitto.port, tmp_path):
        host.hear_until(came)
        data = host.hear_until(has_data)
    gone = host.hear_until(lambda heard: any(not presence.online for presence in heard.presences))
    assert host.asked == []
    assert [host.values(name)[0] for name in NAMES] == [2.5, -7, [0.5, 0.25]]
    assert [metric.name for metric in data.metrics] == [NAMES[0]]
    assert host.values(NAMES[0])[1] == 0.5
    assert Presence(SOURCE, online=False, names=NAMES) in gone.presences


def test_a_host_that_comes_later_asks_for_the_birth_and_hears_it(
    mosquitto: Mosquitto, recording: Recording, tmp_path: Path
) -> None:
    with required(), edge_node(mosquitto.port, tmp_path):
        recording.wait_for(lambda messages: any("/DDATA/" in message.topic for message in messages))
        host = Host(mosquitto, recording, begins_at=len(recording.messages))
        assert host.hear_until(lambda heard: heard.problem).metrics == []
        host.hear_until(came)
        host.hear_until(has_data)
    assert [asked.topic for asked in host.asked] == [f"spBv1.0/{GROUP}/NCMD/{NODE}"]
