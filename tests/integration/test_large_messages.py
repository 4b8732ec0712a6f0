"""A message that is no reading, whatever it holds, takes no memory on its way past a real gateway."""

from pathlib import Path

from tests.faults.gateways import MortalGateway
from tests.faults.messages import series, topic
from tests.servers.mosquitto import Mosquitto
from tests.servers.waiting import until

SIZE = 100 * 1024 * 1024
ROOM = 16 * 1024 * 1024  # bytes


def test_a_message_of_100_mb_is_skipped_as_it_comes(mosquitto: Mosquitto, tmp_path: Path) -> None:
    gateway = MortalGateway(tmp_path / "gateway", mosquitto)
    gateway.start()
    mosquitto.publish_all(series("S-1", [4.0] * 100))
    until(lambda: gateway.stored() == 100, 20, "the readings before it")
    before = gateway.resident_bytes(peak=True)
    mosquitto.publish(topic("S-1"), b"[" * SIZE)
    mosquitto.publish_all(series("S-1", [4.0] * 100, start=100))
    until(lambda: gateway.stored() == 200, 30, "the readings after it")
    grown = gateway.resident_bytes(peak=True) - before
    (letter,) = gateway.ask("deadletters", "list")
    gateway.stop()
    assert letter["reason"] == "too_large"
    assert f"{SIZE} bytes" in letter["detail"]
    assert grown < ROOM, f"{grown / 1e6:.0f} MB"
