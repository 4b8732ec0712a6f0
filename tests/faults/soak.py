"""Load for long with random faults: `python -m tests.faults.soak [--minutes 30] [--rate 2000] [--seed 1] [--out FILE]`.

A gateway, a broker behind a proxy, InfluxDB and a mail server; one fault after the other, drawn from the seed. In the
first third of the time the gateway is also killed; from then on one process lives through everything, and when that has
gone on for a sixth of the time, its memory and its open files are watched. Afterwards nothing may be missing or there
twice.
"""

import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table

from tests.accounting import alert_changes
from tests.faults.gateways import MortalGateway
from tests.faults.messages import BASELINE, CRITICAL, topic
from tests.faults.proxy import FaultProxy
from tests.faults.results import machine, megabytes
from tests.faults.sender import CATCHING_UP, Sender
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.processes import ServerMissingError
from tests.servers.smtp import SmtpServer
from tests.servers.waiting import until

SENSORS = 100
EXCEEDS_FOR, EXCEEDS_EVERY = 10, 20  # seconds in which one sensor after the other is above its limit
SAMPLE = 1.0  # seconds
MOST_GROWTH = 5.0  # MB in the run after the warm-up


def _reading(number: int, seconds: float) -> tuple[str, str]:
    index = number % SENSORS
    turn, into = divmod(seconds, EXCEEDS_EVERY)
    exceeds = index == int(turn) % SENSORS and into < EXCEEDS_FOR
    sensor = f"S-{index:03}"
    data = {
        "sensorId": sensor,
        "vibrationLevel": CRITICAL if exceeds else BASELINE,
        "baselineVibrationLevel": BASELINE,
    }
    moment = datetime.now(UTC).isoformat(timespec="microseconds")
    event = {"eventId": f"soak-{number}", "eventType": "VibrationRecorded", "timestamp": moment, "data": data}
    return topic(sensor), json.dumps(event)


@dataclass
class Plant:
    """The gateway and everything around it."""

    broker: Mosquitto
    proxy: FaultProxy
    influx: Influx
    smtp: SmtpServer
    gateway: MortalGateway


@contextmanager
def plant(folder: Path) -> Iterator[Plant]:
    broker, influx, smtp = Mosquitto(folder), Influx(folder), SmtpServer(folder)
    proxy = FaultProxy(broker.port)
    with ExitStack() as stack:
        for server in (broker, influx, smtp, proxy):
            server.start()
            stack.callback(server.stop)
        gateway = MortalGateway(
            folder / "gateway", broker, influx=influx, smtp=smtp, changes={"mqtt": {"port": proxy.port}}
        )
        stack.callback(gateway.stop)
        gateway.start()
        yield Plant(broker, proxy, influx, smtp, gateway)


def restart_broker(here: Plant, pause: float) -> None:
    here.broker.stop()
    last(pause)
    here.broker.start()


def stop_influxdb(here: Plant, pause: float) -> None:
    here.influx.database.stop()
    last(pause)
    here.influx.start_database()


def stop_mail(here: Plant, pause: float) -> None:
    here.smtp.stop()
    last(pause)
    here.smtp.start()


def reload(here: Plant, _pause: float) -> None:
    before = _starts(here.gateway)
    here.gateway.signal(signal.SIGHUP)
    until(lambda: _starts(here.gateway) > before, 30, "the new start")


def cut(here: Plant, _pause: float) -> None:
    here.proxy.cut()


def kill(here: Plant, pause: float) -> None:
    here.gateway.kill()
    last(pause)
    here.gateway.start(ready=False)


Fault = Callable[[Plant, float], None]
FAULTS: dict[str, Fault] = {
    "broker restarted": restart_broker,
    "InfluxDB away": stop_influxdb,
    "mail server away": stop_mail,
    "SIGHUP": reload,
    "connection cut": cut,
}
DEADLY: dict[str, Fault] = {"kill -9": kill}


def _starts(gateway: MortalGateway) -> int:
    return gateway.log.read_text().count("the gateway is running")


def last(seconds: float) -> None:
    """Let a time pass."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds + 10, "the time to pass")


@dataclass(frozen=True)
class Sample:
    """Of the gateway's process: seconds (monotonic), resident memory in bytes, open files."""

    at: float
    resident: int
    files: int


class Watcher:
    """Looks at a process once a second."""

    def __init__(self, gateway: MortalGateway) -> None:
        self.samples: list[Sample] = []
        self._gateway = gateway
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(SAMPLE):
            self.samples.append(sample(self._gateway))


def sample(gateway: MortalGateway) -> Sample:
    files = len(os.listdir(f"/proc/{gateway.pid}/fd"))  # noqa: PTH208 - it is only counted
    return Sample(time.monotonic(), gateway.resident_bytes(), files)


def growth(samples: list[Sample]) -> float:
    """Return by how many MB the memory grew from the first to the last sample, by the line of least squares."""
    if len(samples) < 2:
        return 0.0
    slope = statistics.linear_regression([each.at for each in samples], [each.resident for each in samples]).slope
    return round(slope * (samples[-1].at - samples[0].at) / 1e6, 1)


def open_files(samples: list[Sample]) -> tuple[int, int]:
    """Return how many files were open in the first and in the last tenth of the time, as medians."""
    tenth = -(-len(samples) // 10)
    first, last = ([each.files for each in part] for part in (samples[:tenth], samples[-tenth:]))
    return statistics.median_low(first), statistics.median_low(last)


@dataclass(frozen=True)
class Report:
    """What came of it. Memory is in MB; `files` are those that stay open, after the warm-up and at the end."""

    minutes: float
    rate: float
    seed: int
    faults: dict[str, int]
    sent: int
    acknowledged: int
    stored: int
    missing: int
    twice: int
    in_influxdb: int
    alerts: int
    messages: int
    messages_repeated: int
    messages_withdrawn: int
    memory_first: float
    memory_last: float
    memory_peak: float
    memory_growth: float
    files: tuple[int, int]
    seconds_to_catch_up: float
    machine: str

    @property
    def problems(self) -> list[str]:
        """What should not be."""
        checks = {
            "readings are missing": self.missing,
            "readings are there twice": self.twice,
            "InfluxDB has another number of points": self.in_influxdb - self.sent,
            "alert changes were not told": self.alerts
            - (self.messages - self.messages_repeated + self.messages_withdrawn),
            "more messages were repeated than kills can explain": self.messages_repeated
            > self.faults.get("kill -9", 0),
            f"the memory grew by more than {MOST_GROWTH:g} MB": self.memory_growth > MOST_GROWTH,
            "files stay open": self.files[1] > self.files[0] + CONNECTIONS,
        }
        return [what for what, is_so in checks.items() if is_so]


def soak(here: Plant, minutes: float, rate: float, seed: int) -> Report:
    """Run it all and count."""
    draw = random.Random(seed)
    sender = Sender(here.broker.port, rate, _reading)
    sender.start()
    began = time.monotonic()
    faults = torment(here, draw, began + minutes * 20, {**FAULTS, **DEADLY})
    faults += torment(here, draw, began + minutes * 30, FAULTS)  # until it has had all of them once, it is not warm
    settle(here)
    before = sample(here.gateway)
    watcher = Watcher(here.gateway)
    faults += torment(here, draw, began + minutes * 60, FAULTS)
    stopped = time.monotonic()
    watcher.stop()
    sender.stop()
    until(lambda: here.gateway.readings() >= sender.sent, CATCHING_UP, "every reading in the journal")
    until(lambda: points(here) >= sender.sent, CATCHING_UP, "every point in InfluxDB")
    settle(here)
    told = [change for change in alert_changes(here.gateway) if change["data"]["kind"] == "machine"]
    until(lambda: len(mails(here)) + withdrawn(here) >= len(told), CATCHING_UP, "every mail")
    seconds = time.monotonic() - stopped
    after = sample(here.gateway)
    ledger, sent = here.gateway.ledger(), mails(here)
    return Report(
        minutes=minutes,
        rate=rate,
        seed=seed,
        faults=dict(faults),
        sent=sender.sent,
        acknowledged=sender.acknowledged,
        stored=ledger.unique,
        missing=sender.sent - ledger.unique,
        twice=ledger.readings - ledger.unique,
        in_influxdb=points(here),
        alerts=len(told),
        messages=sent.total(),
        messages_repeated=sent.total() - len(sent),
        messages_withdrawn=withdrawn(here),
        memory_first=megabytes(before.resident),
        memory_last=megabytes(after.resident),
        memory_peak=megabytes(here.gateway.resident_bytes(peak=True)),
        memory_growth=growth(watcher.samples),
        files=open_files(watcher.samples),
        seconds_to_catch_up=round(seconds, 1),
        machine=machine(),
    )


def torment(here: Plant, draw: random.Random, end: float, faults: dict[str, Fault]) -> Counter[str]:
    """Let fault follow fault until a time (monotonic), each once in a round; return how often there was which."""
    happened: Counter[str] = Counter()
    rounds = (name for _ in repeat(None) for name in draw.sample(list(faults), len(faults)))
    for name in rounds:
        last(draw.uniform(1, 6))
        if time.monotonic() >= end:
            break
        click.echo(f"{datetime.now():%H:%M:%S} {name}", err=True)  # noqa: DTZ005 - for who is looking on
        faults[name](here, draw.uniform(0.5, 5))
        happened[name] += 1
    return happened


def settle(here: Plant) -> None:
    """Wait until everything is connected and InfluxDB has caught up."""
    until(partial(here.gateway.answers, "/-/ready"), CATCHING_UP, "the gateway to be ready")
    until(lambda: here.gateway.metric("influx_lag_readings") < STEP, CATCHING_UP, "InfluxDB to catch up")


CONNECTIONS = 2  # to InfluxDB that are kept for the next request, or not
STEP = 5000  # readings that are on their way to InfluxDB at any time


def points(here: Plant) -> int:
    return here.influx.count("vibration", "level")


def withdrawn(here: Plant) -> int:
    """Return how many messages did not go because the alert was over before the mail server was there again."""
    return int(here.gateway.rows("SELECT count(*) FROM outbox WHERE state = 'withdrawn'")[0][0])


def mails(here: Plant) -> Counter[str]:
    """Return how often each mail about a sensor has come, by its id."""
    about = [received.message for received in here.smtp.messages if "S-" in received.message["Subject"]]
    return Counter(str(message["Message-ID"]) for message in about)


def show(report: Report, out: Path | None) -> None:
    table = Table("figure", "value")
    for name, value in asdict(report).items():
        shown = ", ".join(f"{key} {number}" for key, number in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), shown)
    Console().print(table)
    text = json.dumps({**asdict(report), "problems": report.problems})
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


@click.command()
@click.option("--minutes", default=30.0, show_default=True, type=click.FloatRange(0.5))
@click.option("--rate", default=2000.0, show_default=True, type=click.FloatRange(1), help="Readings a second.")
@click.option("--seed", default=1, show_default=True, help="Of the faults.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to keep the figures, as JSON.")
def main(minutes: float, rate: float, seed: int, out: Path | None) -> None:
    """Load for long with random faults. Exit code 1 if anything is missing, twice, or grows."""
    with TemporaryDirectory(prefix="soak-") as folder:
        try:
            with plant(Path(folder)) as here:
                report = soak(here, minutes, rate, seed)
        except ServerMissingError as missing:
            raise click.ClickException(str(missing)) from missing
    show(report, out)
    for problem in report.problems:
        click.echo(problem, err=True)
    sys.exit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
