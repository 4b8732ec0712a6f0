"""Drain one backlog by every program that is on the PATH: JSON, compare, InfluxDB, an HTTP request for an alert.

Each has a durable session at the same broker and writes a measurement of its own into the same database. What is not
installed is named and left out: Telegraf comes from its maker, Node-RED by `npm install --global node-red`.
"""

import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click

from bench.figures import Figure, machine, save, show
from bench.plant import CONSOLE, RESULTS, Plant, plant
from bench.throughput import QUEUE, SENSORS
from bench.watching import PATIENCE
from tests.programs import MAIL, SMS, Gateway, simulate
from tests.servers.processes import Process, find_program
from tests.servers.waiting import until
from tests.servers.webhook import WebhookServer

HERE = Path(__file__).parent
GATEWAY = "gateway"
MOST_QUEUED = 100_000  # messages
EVERY = 0.1  # s between two looks at the database
ONE_SENSOR_EXCEEDS = ("--alert-every", str(SENSORS))


@dataclass(frozen=True)
class Peer:
    """A program, the measurement that it writes, and the command that starts it in a folder of its own."""

    program: str
    measurement: str
    command: Callable[[Path], list[str | Path]]


def _node_red(folder: Path) -> list[str | Path]:
    shutil.copytree(HERE / "node-red", folder, dirs_exist_ok=True)
    return [find_program("node-red"), "--userDir", folder, "--settings", folder / "settings.js", folder / "flows.json"]


def _telegraf(_folder: Path) -> list[str | Path]:
    return [find_program("telegraf"), "--config", HERE / "telegraf.conf"]


PEERS = {
    "Telegraf": Peer("telegraf", "telegraf", _telegraf),
    "Node-RED": Peer("node-red", "node_red", _node_red),
}


@dataclass(frozen=True)
class Drain:
    """Readings/s from the start and from the first point on, and processor seconds for all of it."""

    from_the_start: float
    from_the_first: float
    cpu: float


@click.command()
@click.option("--count", default=MOST_QUEUED, show_default=True, help="Messages in the backlog.")
@click.option("--rounds", default=3, show_default=True, help="The figures are medians of so many.")
def main(count: int, rounds: int) -> None:
    """Measure everybody who is there, and say who is not."""
    RESULTS.mkdir(exist_ok=True)
    there = {name: peer for name, peer in PEERS.items() if shutil.which(peer.program)}
    for name in PEERS.keys() - there.keys():
        CONSOLE.print(f"{name} is not on the PATH and is left out")
    where = machine(RESULTS)
    found: dict[str, list[Drain]] = defaultdict(list)
    for _ in range(rounds):
        for name, drain in _round(there, count):
            found[name].append(drain)
    figures = list(_figures({name: _median(drains) for name, drains in found.items()}))
    show(f"a backlog of {count:,} with InfluxDB, up to its last point", figures)
    save(RESULTS / "peers.json", where, figures)


def _median(drains: list[Drain]) -> Drain:
    return Drain(
        *(median(getattr(each, key) for each in drains) for key in ("from_the_start", "from_the_first", "cpu"))
    )


def _figures(found: Mapping[str, Drain]) -> Iterator[Figure]:
    ours = found[GATEWAY]
    for name, drain in found.items():
        of_start, of_first = (
            f"the gateway has {mine / theirs:.2f} ×"
            for mine, theirs in (
                (ours.from_the_start, drain.from_the_start),
                (ours.from_the_first, drain.from_the_first),
            )
        )
        yield Figure(f"{name}: from the start of the program", drain.from_the_start, "readings/s", note=of_start)
        yield Figure(f"{name}: from its first point on", drain.from_the_first, "readings/s", note=of_first)
        yield Figure(f"{name}: processor time, with its start", drain.cpu, "s")


def _round(there: Mapping[str, Peer], count: int) -> Iterator[tuple[str, Drain]]:
    """Make everybody's session, queue one backlog for all, and let one after the other drain it."""
    with plant(QUEUE) as servers, _receiver() as receiver:
        ways = {GATEWAY: _gateway(servers, receiver)} | {
            name: (_process(servers, peer, receiver.url), peer.measurement) for name, peer in there.items()
        }
        for way in ways.values():
            _open_session(servers, *way)
        simulate(servers.broker, "load", "--rate", "0", "--count", str(count), *ONE_SENSOR_EXCEEDS, timeout=PATIENCE)
        for name, way in ways.items():
            yield name, _drain(servers, *way, count)


@contextmanager
def _receiver() -> Iterator[WebhookServer]:
    server = WebhookServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


Way = tuple["Gateway | Process", str]


def _gateway(servers: Plant, receiver: WebhookServer) -> Way:
    hook = {"type": "webhook", "url": receiver.url, "secret": receiver.secret, "allow_private": True}
    routes = [{"severity": "warning", "handlers": ["hook"]}]
    return servers.gateway(changes={"handlers": {MAIL: None, SMS: None, "hook": hook}, "routes": routes}), "vibration"


def _process(servers: Plant, peer: Peer, url: str) -> Process:
    folder = servers.folder / peer.program
    folder.mkdir()
    values = {
        "BROKER_HOST": servers.broker.host,
        "BROKER_PORT": str(servers.broker.port),
        "INFLUX_URL": servers.influx.url,
        "INFLUX_TOKEN": servers.influx.token,
        "INFLUX_ORG": servers.influx.org,
        "INFLUX_BUCKET": servers.influx.bucket,
        "ALERTS_URL": url,
    }
    os.environ.update(values)
    return Process(peer.command(folder), log=folder / "log")


def _points(servers: Plant, measurement: str) -> int:
    return servers.influx.count(measurement, "level")


def _start(way: Gateway | Process) -> None:
    if isinstance(way, Gateway):
        way.launch()
    else:
        way.start(lambda: True)


def _open_session(servers: Plant, way: Gateway | Process, measurement: str) -> None:
    """Let it connect and subscribe: one reading after the other is published until one has reached the database."""
    _start(way)

    def has_one() -> bool:
        simulate(servers.broker, "load", "--rate", "0", "--count", "1")
        if not way.running:
            raise RuntimeError(f"{measurement}: the program has ended")
        return _points(servers, measurement) > 0

    until(has_one, PATIENCE, f"the first point of {measurement}")
    way.stop()


def _drain(servers: Plant, way: Gateway | Process, measurement: str, count: int) -> Drain:
    """Start it and wait until the database has the whole backlog."""
    before = _points(servers, measurement)
    first, first_at = 0, 0.0
    began = time.perf_counter()
    _start(way)
    found = 0
    while found < count:
        found = _points(servers, measurement) - before
        if found and not first_at:
            first, first_at = found, time.perf_counter()
        if time.perf_counter() - began > PATIENCE:
            raise RuntimeError(f"{measurement} has {found} of {count} points after {PATIENCE} s")
        time.sleep(EVERY)
    ended = time.perf_counter()
    cpu = _cpu_seconds(way.pid)
    way.stop(timeout=30)
    return Drain(count / (ended - began), (found - first) / max(ended - first_at, EVERY), cpu)


def _cpu_seconds(pid: int) -> float:
    """Return what a process and those of its children that have ended have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
