"""Rows 8 to 13 and 26: what a broker and the network to it can do wrong."""

import json
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from simulator import wire
from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import CRITICAL, event, reading, series, topic
from tests.faults.proxy import FaultProxy
from tests.faults.results import Recorder, counted
from tests.faults.scripted import ScriptedBroker
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import find_program
from tests.servers.waiting import until

DYNAMIC_SECURITY = "mosquitto_dynamic_security.so"


def said(gateway: MortalGateway, words: str) -> int:
    """Return how many lines of the log have these words."""
    return sum(words in line["event"] for line in gateway.said())


def is_ready(gateway: MortalGateway) -> bool:
    return gateway.answers("/-/ready")


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(4, id="quick"),
        pytest.param(600, id="long", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_row_08_a_broker_out_of_reach_for_long(
    make: Make, mosquitto: Mosquitto, proxy: FaultProxy, record: Recorder, *, seconds: float
) -> None:
    """Row 8: it tries again, less and less often, and gets what the broker has queued meanwhile."""
    gateway = make(changes={"mqtt": {"port": proxy.port}})
    gateway.start()
    proxy.refuse()
    until(lambda: not is_ready(gateway), 10, "the gateway to notice")
    began = time.monotonic()
    mosquitto.publish_all(series("S-1", [4.0] * 500))
    until(lambda: time.monotonic() - began > seconds, seconds + 10, "the outage to have lasted")
    proxy.accept()
    back = time.monotonic()
    until(lambda: is_ready(gateway), 60, "the connection")
    recovered = time.monotonic() - back
    until(lambda: gateway.stored() == 500, 20, "what was queued")
    assert gateway.ledger().unique == 500
    record(
        sent=500,
        acknowledged=500,
        stored=500,
        seconds_to_recover=round(recovered, 1),
        note=f"out of reach for {seconds} s",
    )


def test_row_10_a_broker_that_has_frozen(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 10: a connection that is only half there is noticed within twice the keepalive."""
    keepalive = 2
    gateway = make(changes={"mqtt": {"keepalive": f"{keepalive}s"}})
    gateway.start()
    mosquitto.pause()
    began = time.monotonic()
    until(lambda: not is_ready(gateway), 2 * keepalive + 1, "the gateway to notice")  # and a second for the test itself
    noticed = time.monotonic() - began
    mosquitto.resume()
    mosquitto.publish_all(series("S-1", [4.0] * 50))
    until(lambda: is_ready(gateway), 20, "the connection")
    until(lambda: gateway.stored() == 50, 20, "the readings")
    record(sent=50, stored=50, note=f"noticed after {noticed:.1f} s with a keepalive of {keepalive} s")


def test_row_10_a_network_that_swallows_everything(
    make: Make, mosquitto: Mosquitto, proxy: FaultProxy, record: Recorder
) -> None:
    """Row 10: the same for a firewall that drops packets; a connection through it is given up."""
    keepalive = 2
    gateway = make(changes={"mqtt": {"keepalive": f"{keepalive}s", "port": proxy.port}})
    gateway.start()
    proxy.black_hole = True
    began = time.monotonic()
    until(lambda: not is_ready(gateway), 2 * keepalive + 1, "the gateway to notice")
    noticed = time.monotonic() - began
    mosquitto.publish_all(series("S-1", [4.0] * 50))
    proxy.black_hole = False
    proxy.cut()
    until(lambda: gateway.stored() == 50, 20, "the readings")
    record(sent=50, stored=50, note=f"noticed after {noticed:.1f} s with a keepalive of {keepalive} s")


def test_row_11_closed_after_every_connack(
    make: Make, mosquitto: Mosquitto, proxy: FaultProxy, record: Recorder
) -> None:
    """Row 11: each pause is longer than the one before, and it recovers by itself."""
    gateway = make(changes={"mqtt": {"port": proxy.port}})
    proxy.close_after_connack = True
    gateway.start(ready=False)
    until(lambda: said(gateway, "connected to the broker") >= 3, 30, "three connections")
    pauses = [later - earlier for earlier, later in pairwise(connections(gateway))]
    assert pauses[1] > 1.5 * pauses[0], pauses
    proxy.close_after_connack = False
    back = time.monotonic()
    until(lambda: is_ready(gateway), 40, "the connection")
    recovered = time.monotonic() - back
    mosquitto.publish_all(series("S-1", [4.0] * 50))
    until(lambda: gateway.stored() == 50, 20, "readings")
    text = ", ".join(f"{pause:.1f}" for pause in pauses)
    record(sent=50, stored=50, seconds_to_recover=round(recovered, 1), note=f"pauses between connections: {text} s")


def connections(gateway: MortalGateway) -> list[float]:
    """Return when the subscriber was connected, in seconds."""
    lines = [line for line in gateway.said() if line["event"] == "connected to the broker"]
    return [datetime.fromisoformat(line["timestamp"]).timestamp() for line in lines]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_row_12_a_refused_subscription(make: Make, tmp_path: Path, record: Recorder, *, protocol: str) -> None:
    """Row 12: not ready, and the reason names the topic; it does not try in a loop."""
    rules = tmp_path / "rules.json"
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    rules.write_text(json.dumps({"defaultACLAccess": access}))
    lines = [f"plugin {plugin()}", f"plugin_opt_config_file {rules}"]
    broker = Mosquitto(tmp_path, config_lines=lines)
    broker.start()
    gateway = make(broker, changes={"mqtt": {"protocol": protocol}})
    gateway.start(ready=False)
    reason = "the broker refused the subscription to vibration/+/+/+/+/reading"
    until(lambda: any(reason in text for text in gateway.get("/-/ready")["reasons"]), 10, "the reason")
    assert not is_ready(gateway)
    assert said(gateway, reason) == 1
    assert said(gateway, "connected to the broker") == 1
    gateway.stop()
    broker.stop()
    record(note=f"MQTT {protocol}: {reason}")


def plugin() -> Path:
    """Return the path of the broker's own access control; it is part of the broker's package."""
    folders = [*Path("/usr/lib").glob("*-linux-*"), Path("/usr/lib"), Path("/usr/local/lib"), Path("/usr/lib64")]
    found = [folder / DYNAMIC_SECURITY for folder in folders if (folder / DYNAMIC_SECURITY).exists()]
    assert found, f"{DYNAMIC_SECURITY} is not installed beside {find_program('mosquitto')}"
    return found[0]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_row_13_two_gateways_with_one_client_id(
    make: Make, mosquitto: Mosquitto, record: Recorder, *, protocol: str
) -> None:
    """Row 13: the broker gives the session to the later one each time; they do not fight for it, and say why.

    What the session holds is for the journal that it was begun with: the other one neither stores nor acknowledges it.
    """
    changes = {"mqtt": {"protocol": protocol}}
    first, second = make(changes=changes), make(changes=changes)
    first.start()
    second.start(ready=False)
    began = time.monotonic()
    hint = "does another program use our client id 'vibration-gateway-edge-1'"
    until(lambda: said(first, hint) + said(second, hint), 40, "the hint")
    seconds = time.monotonic() - began
    fights = said(first, "connected to the broker") + said(second, "connected to the broker")
    assert fights <= 8, "a storm"
    mosquitto.publish_all(series("S-1", [4.0] * 50))
    first.stop()
    missed = "nothing is stored or acknowledged"
    until(lambda: missed in "; ".join(second.get("/-/ready")["reasons"]), 60, "why the one that is left does nothing")
    second.stop()
    first.start()
    until(lambda: first.readings() >= 50, 20, "the readings, in the journal that they are for")
    assert second.readings() == 0
    record(sent=50, stored=50, note=f"MQTT {protocol}: {fights} connections in {seconds:.0f} s, then even fewer")


BAD_TOPICS = [b"\xff\xfe/hall/pump-1/S-1/reading", b"vibration/+/hall/pump-1/S-1/reading", b"#", b"", b"a\x00b"]


def test_row_26_topics_that_are_none(make: Make, record: Recorder) -> None:
    """Row 26: a broker passes invalid and wildcard topics on: dead letters, acknowledged, and the others flow."""
    payload = reading(second=1)[1]
    topics = [*BAD_TOPICS, topic("S-1").encode()]
    packets = [publish(name, number, payload) for number, name in enumerate(topics, start=1)]
    broker = ScriptedBroker(packets)
    broker.start()
    gateway = make(broker)
    gateway.start()
    until(lambda: gateway.stored() == 1, 10, "the good one")
    until(lambda: sorted(broker.acknowledged) == list(range(1, len(topics) + 1)), 10, "every acknowledgement")
    assert gateway.ledger().dead_letters == {"topic_mismatch": len(BAD_TOPICS)}
    assert broker.subscriptions == 1
    gateway.command("deadletters", "list")
    gateway.stop()
    broker.stop()
    record(
        sent=len(topics), stored=1, dead_letters=counted(gateway.ledger().dead_letters), note="one connection for all"
    )


def publish(name: bytes, packet_id: int, payload: bytes) -> bytes:
    return wire.publish(len(name).to_bytes(2, "big") + name, packet_id, b"\0", payload)


def test_row_26_a_sensor_whose_name_is_a_wildcard(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 26: its alerts are announced on a topic that is one; the announcer's connection stays."""
    name = "S/+/#"
    gateway = make(changes={"mqtt": {"topics": ["plant/{machine}/reading"]}})
    gateway.start()
    with mosquitto.record("vibration/#") as recording:
        events = [event(name, CRITICAL, second=second) for second in range(3)]
        mosquitto.publish_all(("plant/pump-1/reading", json.dumps(each).encode()) for each in events)
        recording.wait_for(lambda got: any(message.topic.startswith("vibration/alerts/") for message in got))
        topics = [message.topic for message in recording.messages if "alerts" in message.topic]
        statuses = [message.payload for message in recording.messages if message.topic.endswith("/status")]
    assert topics == ["vibration/alerts/-/-/pump-1/S%2F%2B%2F%23"]
    assert statuses == [b"online"]
    record(sent=3, stored=gateway.readings(), alerts=counted(gateway.ledger().alerts), note=topics[0])


def test_row_10_the_servers_side_is_closed_only(
    make: Make, mosquitto: Mosquitto, proxy: FaultProxy, record: Recorder
) -> None:
    """Row 10: a half-closed connection is given up at once."""
    gateway = make(changes={"mqtt": {"port": proxy.port}})
    gateway.start()
    before = said(gateway, "connected to the broker")
    proxy.half_close()
    until(lambda: said(gateway, "connected to the broker") > before, 20, "another connection")
    mosquitto.publish_all(series("S-1", [4.0] * 50))
    until(lambda: gateway.stored() == 50, 20, "the readings")
    record(sent=50, stored=50)
