"""Rows 37 and 38: a reload with a mistake, and a crowd in front of the page. And the sync before an acknowledgement."""

import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import Make
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, reading, series
from tests.faults.results import Recorder, counted, megabytes
from tests.programs import report, simulating
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST
from tests.servers.waiting import until

VIEWERS, MOST = 1000, 100
RELOADS, RUNNING = 8, "the gateway is running"
PASSING = 2  # connections that may just be opened or closed


def test_row_37_a_reload_with_a_mistake(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 37: the old configuration stays and the mistake is in the log; a good one takes over without a loss."""
    gateway = make()
    gateway.start()
    old = gateway.config.read_text()
    gateway.config.write_text(old + '\n[detection]\nwarning_ratio = "a lot"\n[typo]\n')
    gateway.signal(signal.SIGHUP)
    until(lambda: "the old one stays" in gateway.log.read_text(), 10, "the refusal")
    (line,) = (line for line in gateway.said() if "the old one stays" in line["event"])
    problems = [problem.removeprefix(f"{gateway.config}: ") for problem in line["problems"]]
    assert {problem.partition(": ")[0] for problem in problems} == {"detection.warning_ratio", "typo"}
    pid = gateway.pid
    mosquitto.publish_all(series("S-1", [BASELINE] * 10))
    until(lambda: gateway.stored() == 10, 10, "readings under the old one")
    gateway.config.write_text(old + "\n[detection]\non_readings = 1\n")
    gateway.signal(signal.SIGHUP)
    mosquitto.publish_all(series("S-1", [BASELINE] * 10, start=10))
    until(lambda: "starting anew" in gateway.log.read_text(), 10, "the new one")
    until(lambda: gateway.readings() == 20, 20, "readings under the new one")
    until(lambda: gateway.answers("/-/ready"), 20, "the new one to run")
    mosquitto.publish(*reading("S-1", CRITICAL, second=30))
    until(lambda: gateway.ledger().alerts == {"AlertRaised": 1}, 10, "the alert of the new rule")
    assert gateway.pid == pid
    record(
        sent=21,
        stored=gateway.ledger().unique,
        alerts=counted(gateway.ledger().alerts),
        note="; ".join(problems),
    )


def test_row_37_reloads_leave_nothing_behind(
    make: Make, mosquitto: Mosquitto, influx: Influx, record: Recorder
) -> None:
    """Row 37: what a gateway had open is closed before the next one takes over, however often."""
    gateway = make(influx=influx)
    gateway.start()
    mosquitto.publish_all(series("S-1", [BASELINE] * 10))
    until(lambda: influx.count("vibration", "level") == 10, 20, "readings in InfluxDB")
    before = open_files(gateway)
    for number in range(1, RELOADS + 1):
        gateway.signal(signal.SIGHUP)
        until(lambda: gateway.log.read_text().count(RUNNING) > number, 20, "the new one")  # noqa: B023 - it waits here
        until(lambda: gateway.answers("/-/ready"), 20, "the new one to be ready")
    until(lambda: open_files(gateway) <= before + PASSING, 10, "the old ones' files to be closed")
    record(sent=10, stored=gateway.ledger().unique, note=f"{RELOADS} reloads; {before} open files, then as many")


def open_files(gateway: MortalGateway) -> int:
    return len(list(Path(f"/proc/{gateway.pid}/fd").iterdir()))


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have a socket for every viewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_row_38_a_thousand_viewers_that_do_not_read(make: Make, mosquitto: Mosquitto, record: Recorder) -> None:
    """Row 38: a hundred are served, the others are told to come later, and readings do not wait for any of them."""
    gateway = make()
    gateway.start()
    request = f"GET /api/v1/stream HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with ExitStack() as viewers, simulating(mosquitto, "load", "--rate", "1000", "--count", "5000") as load:
        sockets = []
        for _ in range(VIEWERS):
            viewer = viewers.enter_context(socket.create_connection((HOST, gateway.port), 10))
            viewer.sendall(request)
            sockets.append(viewer)
        answers = [first_line(viewer) for viewer in sockets]
        counts = report(load)
        until(lambda: gateway.readings() == 5000, 20, "every reading")
        assert gateway.answers("/-/ready")
        peak = megabytes(gateway.resident_bytes(peak=True))
    served = sum(answer.startswith("HTTP/1.1 200") for answer in answers)
    refused = sum(answer.startswith("HTTP/1.1 503") for answer in answers)
    assert served == MOST
    assert refused + served + answers.count("") == VIEWERS
    assert peak < 200
    assert gateway.metric("batch_seconds_bucket{1.0}") == gateway.metric("batch_seconds_count")
    record(
        sent=counts["sent"],
        acknowledged=counts["acknowledged"],
        stored=gateway.ledger().unique,
        peak_memory=peak,
        note=f"{served} served, {refused} refused with 503, {answers.count('')} cut off",
    )


def first_line(viewer: socket.socket) -> str:
    """Read as little as possible: the first line of the answer, or nothing if there is none."""
    text = b""
    try:
        while not text.endswith(b"\r\n"):
            byte = viewer.recv(1)
            if not byte:
                break
            text += byte
    except ConnectionError:
        return ""
    return text.decode().strip()


def test_row_02_on_disk_before_the_acknowledgement(
    make: Make, tmp_path: Path, mosquitto: Mosquitto, record: Recorder
) -> None:
    """Rows 1 to 3 for a power cut: the kernel is asked to write to the disk before each PUBACK is sent."""
    gateway = make()
    trace = tmp_path / "trace"
    gateway.trace(trace, "fsync,fdatasync,sendto,sendmsg")
    gateway.start()
    before = len(order(trace))
    messages = series("S-1", [BASELINE] * 20)
    for number, message in enumerate(messages, start=1):
        mosquitto.publish(*message)
        until(partial(has_acknowledged, trace, number), 10, "the acknowledgement")
    gateway.stop()
    happened = order(trace)[before:]
    acknowledged = [index for index, what in enumerate(happened) if what == "PUBACK"]
    parts = [happened[start:end] for start, end in zip([0, *acknowledged], acknowledged, strict=False)]
    assert len(parts) == len(messages)
    assert all("sync" in part for part in parts), parts
    syncs = sum(part.count("sync") for part in parts)
    record(sent=20, stored=20, note=f"{syncs} syncs and 20 PUBACKs, at least one sync before each")


def has_acknowledged(trace: Path, messages: int) -> bool:
    return order(trace).count("PUBACK") >= messages


def order(trace: Path) -> list[str]:
    """Return "sync" and "PUBACK" as they happened. A sync counts when it has returned, a PUBACK when it is sent.

    Those of the connection that reads back our own topics, in a thread of its own, acknowledge no reading.
    """
    found = []
    lines = trace.read_text().splitlines()
    main = lines[0].split()[0] if lines else ""
    for line in lines:
        if re.search(r"f(data)?sync(\(| resumed).*= 0", line):
            found.append("sync")
        elif line.startswith(main) and re.search(r'send(to|msg)\(.*"\\x40\\x', line):
            found.append("PUBACK")
    return found
