import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers.certificates import Certificates
from tests.servers.ports import HOST, free_port, is_listening
from tests.servers.processes import Process, find_program
from tests.servers.waiting import until

TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    qos: int
    retain: bool


class Recording:
    """The messages of one subscription, in the order of their arrival."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def wait_for(self, predicate: Callable[[list[Message]], object], timeout: float = TIMEOUT) -> list[Message]:
        """Wait until the predicate holds for the messages so far, and return them."""
        try:
            until(lambda: predicate(self.messages), timeout, "the expected messages")
        except AssertionError as error:
            raise AssertionError(f"{error}; received {len(self.messages)}, the last are {self.messages[-5:]}") from None
        return list(self.messages)


class Mosquitto:
    """A Mosquitto broker; a restart keeps its port and what it has persisted."""

    host = HOST
    username = "gateway"

    def __init__(
        self,
        tmp_path: Path,
        *,
        config_lines: Sequence[str] = (),
        password: str | None = None,
        tls: Certificates | None = None,
    ) -> None:
        self.port = free_port()
        self.password = password
        self._tls = tls
        self._folder = tmp_path / f"mosquitto-{self.port}"
        self._folder.mkdir(parents=True)
        config = self._folder / "mosquitto.conf"
        config.write_text("\n".join([*self._config(), *config_lines]) + "\n")
        self._process = Process([find_program("mosquitto"), "-c", config], log=self._folder / "mosquitto.log")

    def _config(self) -> list[str]:
        lines = [
            "user root",  # where the tests run as root it must not give up the right to its folder
            "persistence true",
            f"persistence_location {self._folder}/",
            "autosave_interval 1",
            "max_queued_messages 0",
            "log_dest stderr",
            f"listener {self.port} {self.host}",
            f"allow_anonymous {'true' if self.password is None else 'false'}",
        ]
        if self.password is not None:
            lines.append(f"password_file {self._write_passwords(self.password)}")
        if self._tls is not None:
            lines += [f"cafile {self._tls.ca}", f"certfile {self._tls.cert}", f"keyfile {self._tls.key}"]
        return lines

    def _write_passwords(self, password: str) -> Path:
        file = self._folder / "passwords"
        subprocess.run([find_program("mosquitto_passwd"), "-c", "-b", file, self.username, password], check=True)
        return file

    def start(self) -> None:
        self._process.start(lambda: is_listening(self.port))

    def stop(self) -> None:
        """End it as a service manager does; it saves its sessions and messages."""
        self._process.stop()

    def kill(self) -> None:
        """End it as a power cut does; what it has not saved since the last second is gone."""
        self._process.kill()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def publish(self, topic: str, payload: bytes | str, qos: int = 1, *, retain: bool = False) -> None:
        """Publish one message and wait until the broker has it."""
        self.publish_all([(topic, payload)], qos, retain=retain)

    def publish_all(self, messages: Iterable[tuple[str, bytes | str]], qos: int = 1, *, retain: bool = False) -> None:
        """Publish (topic, payload) pairs over one connection and wait until the broker has them all."""
        client, ready = mqtt.Client(CallbackAPIVersion.VERSION2), threading.Event()
        client.on_connect = lambda *_: ready.set()
        with self._connected(client, ready):
            for sent in [client.publish(topic, payload, qos, retain) for topic, payload in messages]:
                sent.wait_for_publish(TIMEOUT)
                assert sent.is_published(), f"the broker did not confirm message {sent.mid} in {TIMEOUT:g} s"

    @contextmanager
    def record(self, topic_filter: str, qos: int = 1) -> Iterator[Recording]:
        """Collect what matches the filter, retained messages first, until the block ends.

        The session is persistent: when the broker restarts, what it still has for the recording follows.
        """
        recording, ready = Recording(), threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"recording-{uuid.uuid4()}", clean_session=False)

        def subscribe(_client: object, _userdata: object, flags: mqtt.ConnectFlags, *_: object) -> None:
            if not flags.session_present:
                client.subscribe(topic_filter, qos)

        client.on_connect = subscribe
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _client, _userdata, message: recording.messages.append(
            Message(message.topic, bytes(message.payload), message.qos, message.retain)
        )
        with self._connected(client, ready):
            yield recording
            client.unsubscribe(topic_filter)  # or the broker would queue for a session that nobody resumes

    @contextmanager
    def _connected(self, client: mqtt.Client, ready: threading.Event) -> Iterator[None]:
        if self.password is not None:
            client.username_pw_set(self.username, self.password)
        if self._tls is not None:
            client.tls_set(str(self._tls.ca), str(self._tls.client_cert), str(self._tls.client_key))
        client.connect(self.host, self.port)
        client.loop_start()
        try:
            assert ready.wait(TIMEOUT), f"the broker did not take the connection in {TIMEOUT:g} s"
            yield
        finally:
            client.disconnect()
            client.loop_stop()
