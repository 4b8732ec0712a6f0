"""Both subscribers, over both protocols, do the same at a real broker and on a network that fails."""

import asyncio
import ssl
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gateway.config import MqttSection
from gateway.domain.inputs.native import KEPT_BYTES
from gateway.domain.model.events import Message
from gateway.mqtt import inbox, subscriber
from gateway.mqtt.incidents import SESSION, Incidents
from gateway.mqtt.listening import listen
from gateway.mqtt.losses import Session
from gateway.mqtt.mqtt5_subscriber import Mqtt5Subscriber
from gateway.mqtt.paho_subscriber import PahoSubscriber
from tests.faults.proxy import FaultProxy
from tests.faults.scripted import ScriptedBroker
from tests.integration.subscribing import (
    CLIENT,
    FILTER,
    KINDS,
    PAHO_LEAVES_OPEN,
    PATIENCE,
    TOPIC,
    Kind,
    numbered,
    publish,
    published,
    publisher_of,
    settings,
    taking,
)
from tests.servers.certificates import issue
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port
from tests.servers.waiting import until_async


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


class TestAtTheBroker:
    async def test_messages_come_in_order_with_what_is_known_of_them(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port) as taker:
            before = time.time_ns()
            await publish(mosquitto, numbered(300))
            taken = await taker.until(300)
        assert [message.payload for message in taken] == numbered(300)
        assert {(message.topic, message.duplicate, message.retained) for message in taken} == {(TOPIC, False, False)}
        assert all(message.packet_id for message in taken)
        assert len({message.generation for message in taken}) == 1
        assert all(before <= message.received_ns <= time.time_ns() for message in taken)

    async def test_an_announced_traceparent_comes_along(self, kind: Kind, mosquitto: Mosquitto) -> None:
        parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        publisher = publisher_of(MqttSection.model_validate(settings(kind, mosquitto.port)))
        task = asyncio.create_task(publisher.run())
        async with taking(kind, mosquitto.port) as taker:
            for traceparent in (parent, ""):
                await published(publisher, TOPIC, traceparent)
            taken = await taker.until(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [message.traceparent for message in taken] == [parent if kind.protocol == "5" else "", ""]

    async def test_what_was_not_acknowledged_comes_again_and_is_marked(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port, acknowledges=False) as taker:
            await publish(mosquitto, numbered(15))
            first = await taker.until(15)
            taker.subscriber.acknowledge(first[:5])
            await publish(mosquitto, [b"15"])
            await taker.until(16)
        async with taking(kind, mosquitto.port) as taker:
            await taker.until_different({*numbered(16)[5:]})
            await publish(mosquitto, [b"last"])
            await taker.until_different({b"last"})
        again = [message for message in taker.taken if message.payload not in numbered(5)]
        assert len(taker.taken) - len(again) < 5, "nothing was acknowledged; the last ones may not have got there"
        assert [message.payload for message in again] == [*numbered(16)[5:], b"last"]
        assert [message.duplicate for message in again] == [True] * 11 + [False]
        assert [message.packet_id for message in again[:11]] == [message.packet_id for message in first[5:]]
        async with taking(kind, mosquitto.port) as taker:
            await publish(mosquitto, [b"new"])
            await taker.until_different({b"new"})
            assert len(taker.taken) < 12, "nothing was acknowledged; the last ones may not have got there"

    async def test_retained_and_unconfirmed_messages(self, kind: Kind, mosquitto: Mosquitto) -> None:
        await publish(mosquitto, [b"old"], retain=True)
        async with taking(kind, mosquitto.port) as taker:
            (old,) = await taker.until(1)
            await publish(mosquitto, [b"live"], retain=True)
            await publish(mosquitto, [b"unconfirmed"], qos=0)
            _, live, unconfirmed = await taker.until(3)
        assert old.retained
        assert not live.retained
        assert (unconfirmed.payload, unconfirmed.packet_id) == (b"unconfirmed", 0)

    async def test_a_subscription_that_has_left_the_configuration_is_removed(
        self, kind: Kind, mosquitto: Mosquitto
    ) -> None:
        async with taking(kind, mosquitto.port, filters=(FILTER, "other/#")):
            pass
        async with taking(kind, mosquitto.port, obsolete=("other/#",)) as taker:
            await asyncio.to_thread(mosquitto.publish_all, [("other/reading", b"no"), (TOPIC, b"yes")])
            assert [message.payload for message in await taker.until(1)] == [b"yes"]

    async def test_a_large_message_and_the_small_ones_after_it(self, kind: Kind, mosquitto: Mosquitto) -> None:
        large = b"x" * 20_000_000
        async with taking(kind, mosquitto.port) as taker:
            await publish(mosquitto, [large, *numbered(50)])
            first, *others = await taker.until(51)
        whole = (large, 0)
        beginning = (large[:KEPT_BYTES], len(large))  # what is too large is cut while it comes in; paho cannot
        assert (first.payload, first.cut_from) == (beginning if kind.build is Mqtt5Subscriber else whole)
        assert [message.payload for message in others] == numbered(50)

    async def test_what_nobody_takes_is_left_to_the_broker(
        self, kind: Kind, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "FULL_BYTES", 2_000_000)
        held: list[int] = []
        original = inbox.Inbox.put

        def put(self: inbox.Inbox, chunk: list[Message], size: int) -> None:
            original(self, chunk, size)
            held.append(self._bytes)

        monkeypatch.setattr(inbox.Inbox, "put", put)
        payloads = [b"%06d" % number + b"x" * 100_000 for number in range(200)]
        section = MqttSection.model_validate(settings(kind, mosquitto.port))
        async with kind.build(section, CLIENT, [FILTER]) as made:
            await made.subscribed.wait()
            await publish(mosquitto, payloads)
            await until_async(lambda: held and held[-1] > 2_000_000, PATIENCE, "the inbox to be full")
            taken: list[Message] = []
            async with asyncio.timeout(PATIENCE):
                while len(taken) < len(payloads):
                    messages = await made.batch()
                    assert sum(len(message.payload) for message in messages) <= 4_500_000
                    made.acknowledge(messages)
                    taken += messages
        assert [message.payload for message in taken] == payloads
        assert max(held) < 3_000_000

    async def test_with_tls_and_a_certificate_of_ones_own(self, kind: Kind, tmp_path: Path) -> None:
        files = issue(tmp_path / "certificates")
        broker = Mosquitto(tmp_path, tls=files, password="right", config_lines=["require_certificate true"])
        broker.start()
        tls = {"ca": str(files.ca), "cert": str(files.client_cert), "key": str(files.client_key)}
        login: dict[str, Any] = {"username": broker.username, "password": "right"}
        async with taking(kind, broker.port, tls=tls, **login) as taker:
            await publish(broker, [b"x" * 1000] * 1000)
            await taker.until(1000)
        broker.stop()

    async def test_leaving_is_quick(self, kind: Kind, mosquitto: Mosquitto) -> None:
        async with taking(kind, mosquitto.port):
            began = time.monotonic()
        assert time.monotonic() - began < 2


class TestRefused:
    async def test_by_a_broker_that_knows_the_password(self, kind: Kind, tmp_path: Path) -> None:
        broker = Mosquitto(tmp_path, password="right")
        broker.start()
        login: dict[str, Any] = {"username": broker.username, "password": "wrong"}
        async with taking(kind, broker.port, connected=False, **login) as taker:
            problem = await taker.problem("refused the connection")
        broker.stop()
        assert problem == "the broker refused the connection: Not authorized; check [mqtt] in the configuration"

    async def test_where_nobody_listens(self, kind: Kind) -> None:
        port = free_port()
        async with taking(kind, port, connected=False) as taker:
            problem = await taker.problem("no connection")
        assert problem == f"no connection to the broker at {HOST}:{port} (Connection refused); trying again"

    async def test_under_a_name_that_does_not_exist(self, kind: Kind) -> None:
        async with taking(kind, 1883, host="no-such-host.invalid", connected=False) as taker:
            problem = await taker.problem("no connection")
        assert "Name or service not known" in problem or "Temporary failure in name resolution" in problem

    @pytest.mark.filterwarnings(PAHO_LEAVES_OPEN)
    async def test_by_a_broker_with_somebody_elses_certificate(self, kind: Kind, tmp_path: Path) -> None:
        broker = Mosquitto(tmp_path, tls=issue(tmp_path / "theirs"))
        broker.start()
        tls = {"ca": str(issue(tmp_path / "ours").ca)}
        async with taking(kind, broker.port, tls=tls, connected=False) as taker:
            problem = await taker.problem("no connection")
        broker.stop()
        assert "its certificate is not to be trusted" in problem
        assert "check mqtt.tls.ca and mqtt.host" in problem

    @pytest.mark.filterwarnings(PAHO_LEAVES_OPEN)
    async def test_by_a_broker_that_wants_no_tls(self, kind: Kind, mosquitto: Mosquitto, tmp_path: Path) -> None:
        tls = {"ca": str(issue(tmp_path / "ours").ca)}
        async with taking(kind, mosquitto.port, tls=tls, connected=False) as taker:
            problem = await taker.problem("no connection")
        assert problem.startswith(f"no connection to the broker at {HOST}:{mosquitto.port} (")


class TestOnABadNetwork:
    async def test_a_connection_that_is_cut(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, acknowledges=False) as taker:
            await publish(mosquitto, numbered(10))
            before = list(await taker.until(10))
            proxy.cut()
            await taker.problem("the connection to the broker has ended")
            taker.subscriber.acknowledge(before)  # of a connection that is no more
            await publish(mosquitto, numbered(10, "later "))
            await taker.until(30)
            again = taker.taken[10:30]
            taker.subscriber.acknowledge(again)
            await taker.until_connected()
        assert [message.payload for message in again] == numbered(10) + numbered(10, "later ")
        assert [message.duplicate for message in again] == [True] * 10 + [False] * 10
        assert {message.generation for message in before}.isdisjoint(message.generation for message in again)

    async def test_one_whose_server_has_nothing_more_to_say(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        async with taking(kind, proxy.port) as taker:
            proxy.half_close()
            await taker.problem("the connection to the broker has ended", within=5)
            await publish(mosquitto, numbered(10))
            await taker.until(10, within=40)

    async def test_one_that_swallows_everything(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, keepalive="2s") as taker:
            proxy.black_hole = True
            await taker.problem("Keep alive timeout", within=2 * 2 + 1)  # and a second for the test itself
            proxy.black_hole = False
            await publish(mosquitto, numbered(10))
            await taker.until(10, within=60)

    async def test_one_that_ends_in_the_middle_of_a_packet(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        payloads = [b"%d " % number + b"x" * 1000 for number in range(100)]
        async with taking(kind, proxy.port) as taker:
            proxy.truncate_after = 30_500
            proxy.cut()
            await taker.problem("the connection to the broker has ended")
            await publish(mosquitto, payloads)
            await taker.until(20, within=40)
            proxy.truncate_after = None
            await taker.until_different(set(payloads), within=60)
        first = {message.payload: message for message in taker.taken[::-1]}
        assert list(dict.fromkeys(message.payload for message in taker.taken)) == payloads
        assert all(len(message.payload) == len(payload) for payload, message in first.items())

    async def test_one_that_ends_at_once_again_and_again(
        self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy
    ) -> None:
        proxy.close_after_connack = True
        async with taking(kind, proxy.port, connected=False) as taker:
            await taker.problem("does another program use our client id 'gateway-under-test'", within=40)
            pauses = [later - earlier for earlier, later in pairwise(proxy.accepted)]
            assert min(pauses) > 0.45, (
                "the shortest first pause is half a second; that each is twice as long, a unit test shows"
            )
            proxy.close_after_connack = False
            await taker.until_connected()
            await publish(mosquitto, numbered(10))
            await taker.until(10)

    async def test_quiet_is_no_fault(self, kind: Kind, mosquitto: Mosquitto, proxy: FaultProxy) -> None:
        async with taking(kind, proxy.port, keepalive="1s") as taker:
            await until_async(lambda: proxy.pings >= 4, PATIENCE, "more pings than any limit lasts")
            assert taker.subscriber.problems == []
            assert len(proxy.accepted) == 1
            await publish(mosquitto, numbered(1))
            await taker.until(1)


def test_without_the_package_paho_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    section = MqttSection(topics=("plant/{sensor}/reading",))
    assert isinstance(subscriber.make_subscriber(section, CLIENT, [FILTER]), Mqtt5Subscriber)
    said: list[str] = []
    monkeypatch.setattr(subscriber.log, "warning", lambda event, **_: said.append(event))
    monkeypatch.setitem(sys.modules, "gateway.mqtt.mqtt5_subscriber", None)
    assert isinstance(subscriber.make_subscriber(section, CLIENT, [FILTER]), PahoSubscriber)
    assert said == ["the mqtt5 package cannot be used here, so the slower paho-mqtt is"]


def test_the_context_is_one_that_verifies(tmp_path: Path) -> None:
    section = MqttSection.model_validate(
        {"topics": ["a/{sensor}"], "tls": {"ca": str(issue(tmp_path / "certificates").ca)}}
    )
    assert section.tls is not None
    context = section.tls.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize("kind", [KINDS["mqtt5"], KINDS["paho-5"]], ids=["mqtt5", "paho-5"])
async def test_a_session_that_another_client_takes_is_an_incident(kind: Kind) -> None:
    broker, now = ScriptedBroker([b"\xe0\x02\x8e\x00"]), [0.0]
    broker.start()
    incidents = Incidents(lambda: now[0])
    section = MqttSection.model_validate(settings(kind, broker.port))
    async with kind.build(section, CLIENT, [FILTER], session=Session(CLIENT, incidents)) as made:
        await until_async(lambda: any("taken over" in each for each in made.problems), PATIENCE, "the end")
    broker.stop()
    now[0] = 10.0
    found = incidents.standing()[SESSION]
    assert found is not None
    assert found[0] == "critical"
    assert f"another client with the client id '{CLIENT}' has taken" in found[1]


@pytest.mark.filterwarnings(PAHO_LEAVES_OPEN)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_an_authority_that_was_replaced_on_disk_counts_from_the_next_connection_on(
    kind: Kind, tmp_path: Path
) -> None:
    folder = tmp_path / "certificates"
    broker = Mosquitto(tmp_path, tls=issue(folder))
    broker.start()
    section = MqttSection.model_validate({**settings(kind, broker.port), "tls": {"ca": str(folder / "ca.pem")}})
    publisher = publisher_of(section)
    publishing = asyncio.create_task(publisher.run())
    async with kind.build(section, CLIENT, [FILTER]) as made:
        await made.subscribed.wait()
        await published(publisher, "status", "")
        broker.stop()
        for file in folder.iterdir():
            file.unlink()
        await until_async(lambda: made.problems, PATIENCE, "the end of the connection")
        issue(folder)
        broker.start()
        await until_async(lambda: not made.problems, PATIENCE, "the connection to the renewed broker")
        await published(publisher, "status", "")
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    broker.stop()


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_over_websockets(tmp_path: Path, protocol: str) -> None:
    broker = Mosquitto(tmp_path, config_lines=[f"listener {(port := free_port())} {HOST}", "protocol websockets"])
    broker.start()
    mqtt = {"host": HOST, "port": port, "topics": ["plant/{sensor}/reading"], "protocol": protocol}
    section = MqttSection.model_validate({**mqtt, "transport": "websockets"})
    publisher = publisher_of(section)
    publishing = asyncio.create_task(publisher.run())
    async with subscriber.make_subscriber(section, CLIENT, [FILTER]) as made:
        await made.subscribed.wait()
        await published(publisher, TOPIC, "")
        (message,) = await made.batch()
        made.acknowledge([message])
    heard = await listen(section, [TOPIC], 1)
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
    broker.stop()
    assert message.topic == heard[0].topic == TOPIC
