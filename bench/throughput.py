"""How fast a backlog is drained: by a subscriber that does nothing, by the gateway, and as most people do it."""

import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.figures import Figure, at_least, at_most
from bench.plant import ROOT, Plant, ended, plant, running
from bench.watching import PATIENCE, wait_for_readings
from gateway.ingest.processor import SNAPSHOT_READINGS
from tests.programs import Gateway, simulate
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import find_program
from tests.servers.waiting import until

BACKLOG = 100_000  # messages
ROUNDS = 3
SENSORS = 1000
HUGE = 1_000_000
TOPIC = "vibration/+/+/+/+/reading"
QUEUE = ["max_queued_bytes 0", "autosave_interval 600"]  # of the broker, which is not what is measured

NULL, WAY, PAHO = "null subscriber (mosquitto_sub)", "aiomqtt + json + influxdb-client", "paho + json + influxdb-client"
ALONE, WITH, OLD = "gateway", "gateway with InfluxDB", "gateway, MQTT 3.1.1"
GATEWAYS: Mapping[str, Mapping[str, Any]] = {
    ALONE: {"influxdb": None},
    WITH: {},
    OLD: {"influxdb": None, "mqtt": {"protocol": "3.1.1"}},
}
REFERENCES = {WAY: "aiomqtt_influxdb", PAHO: "paho_influxdb"}


@dataclass(frozen=True)
class Drain:
    """Messages/s, processor µs per message, and megabytes at most."""

    rate: float
    cpu: float = 0.0
    megabytes: float = 0.0


def throughput() -> Iterator[Figure]:
    """Let everybody drain the same backlog, several times; the figures are medians."""
    found: dict[str, list[Drain]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, drain in _round():
            found[name].append(drain)
    middle = {name: _median(drains) for name, drains in found.items()}
    for name, drain in middle.items():
        yield _rate(name, drain, middle)
    for name, drain in middle.items():
        if drain.cpu:
            third = middle[WAY].cpu / 3
            note = "start not counted" if name in GATEWAYS else "with its start"
            figure = f"{name}: processor time"
            yield (
                at_most(figure, drain.cpu, third, "µs", note)
                if name == WITH
                else Figure(figure, drain.cpu, "µs", note=note)
            )
            yield Figure(f"{name}: memory at its peak", drain.megabytes, "MB")


def _rate(name: str, drain: Drain, middle: Mapping[str, Drain]) -> Figure:
    note = f"{drain.rate / middle[NULL].rate:.2f} × the null subscriber, {drain.rate / middle[WAY].rate:.1f} × aiomqtt"
    if name == ALONE:
        return at_least(name, drain.rate, max(0.5 * middle[NULL].rate, 5 * middle[WAY].rate), "readings/s", note)
    if name == WITH:
        return at_least(name, drain.rate, 5 * middle[WAY].rate, "readings/s", note)
    return Figure(name, drain.rate, "readings/s", note=note)


def _median(drains: list[Drain]) -> Drain:
    return Drain(*(median(getattr(drain, name) for drain in drains) for name in ("rate", "cpu", "megabytes")))


def _round() -> Iterator[tuple[str, Drain]]:
    """Make everybody's session, queue one backlog for all, and let one after the other drain it."""
    with plant(QUEUE) as servers:
        gateways = {
            name: servers.gateway(f"gateway-{number}", {**changes, "mqtt": {**_broker(changes, name)}})
            for number, (name, changes) in enumerate(GATEWAYS.items())
        }
        null_subscriber(servers.broker, 0)
        for module in REFERENCES.values():
            _reference(servers, module, 0)
        for gateway in gateways.values():
            with running(gateway):
                pass
        queue_backlog(servers.broker, BACKLOG)
        yield NULL, Drain(BACKLOG / null_subscriber(servers.broker, BACKLOG))
        for name, gateway in gateways.items():
            yield name, drained(gateway, BACKLOG, influx=name == WITH)
        for name, module in REFERENCES.items():
            yield name, _reference(servers, module, BACKLOG)


def _broker(changes: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**changes.get("mqtt", {}), "client_id": name.replace(" ", "-").replace(",", "")}


def queue_backlog(broker: Mosquitto, count: int) -> None:
    """Publish readings that nobody takes yet."""
    simulate(broker, "load", "--rate", "0", "--count", str(count), "--sensors", str(SENSORS), timeout=PATIENCE)


def null_subscriber(broker: Mosquitto, count: int) -> float:
    """Let mosquitto_sub take so many messages; return the seconds. With 0 it makes its session and leaves."""
    session = ["-V", "mqttv5", "-i", "null", "-c", "-x", "3600", "-D", "connect", "receive-maximum", "2000"]
    where = [find_program("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port), "-q", "1", "-t", TOPIC]
    end = ["-C", str(count)] if count else ["-E"]
    began = time.perf_counter()
    subprocess.run([*where, *session, *end], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)
    return time.perf_counter() - began


def drained(gateway: Gateway, count: int, *, influx: bool = False) -> Drain:
    """Start a gateway and let it drain its backlog, with `influx` up to the last point in the database."""
    with ended(gateway):
        gateway.launch()
        began = time.perf_counter()
        rate, cpu = wait_for_readings(gateway, count)
        if influx:
            until(lambda: gateway.metric("influx_points_written_total") >= count, PATIENCE, "every point")
            rate = count / (time.perf_counter() - began)
            cpu = gateway.cpu_seconds() / count * 1e6
        peak = gateway.resident_bytes(peak=True) / 1e6
        stored = gateway.count()
        gateway.stop(timeout=30)
    if stored != count:
        raise RuntimeError(f"the journal holds {stored} readings after a backlog of {count}")
    return Drain(rate, cpu, peak)


def _reference(servers: Plant, module: str, count: int) -> Drain:
    """Run one of the references to its end, which is when InfluxDB has everything."""
    influx = servers.influx
    words = [str(servers.broker.port), str(count), influx.url, influx.token, influx.org, influx.bucket]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    command = [sys.executable, "-m", f"bench.references.{module}", *words]
    with subprocess.Popen(command, cwd=ROOT) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(0.05)
    if process.returncode:
        raise RuntimeError(f"{module} ended with exit code {process.returncode}")
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Drain(count / seconds, cpu / max(count, 1) * 1e6, peak / 1e6)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123 - a pseudo-file
            return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def backlog() -> Iterator[Figure]:
    """Let the gateway drain a million messages, and measure how soon it is ready with what it then holds."""
    with plant(QUEUE) as servers:
        gateway = servers.gateway(changes={"influxdb": None})
        with running(gateway):
            pass
        queue_backlog(servers.broker, HUGE)
        drain = drained(gateway, HUGE)
        yield Figure(f"drain of {HUGE:,}", drain.rate, "readings/s", note=f"{drain.cpu:.1f} µs of processor time each")
        yield Figure("memory at its peak", drain.megabytes, "MB")
        size = sum(file.stat().st_size for file in gateway.state_dir.glob("journal.db*"))
        yield Figure("journal, bytes for each reading", size / HUGE, "bytes")
        yield _start(gateway, "ready after an orderly end", f"{HUGE:,} readings in the journal")
        replayed = SNAPSHOT_READINGS - 1000
        simulate(servers.broker, "load", "--rate", "10000", "--count", str(replayed), timeout=PATIENCE)
        until(lambda: gateway.stored() >= replayed, PATIENCE, "the readings that are to be replayed")
        gateway.kill()
        yield _start(gateway, "ready after a crash", f"about {replayed:,} readings replayed")
        gateway.stop(timeout=30)


def _start(gateway: Gateway, name: str, note: str) -> Figure:
    began = time.monotonic()
    gateway.start()
    return at_most(name, time.monotonic() - began, 3.0, "s", note)
