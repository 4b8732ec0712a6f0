"""The two programs as users run them: processes of their own, a configuration file, a command line."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import MappingProxyType
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.ports import HOST, free_port
from tests.servers.processes import Process
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer
from tests.servers.waiting import until

MAIL, SMS = "maintenance-mail", "oncall-sms"
STARTING = 45.0  # seconds
COMMAND = 60.0  # seconds

Tables = dict[str, Any]


def program(name: str) -> Path:
    """Return the path of a console script of this virtual environment."""
    return Path(sys.executable).with_name(name)


class Gateway:
    """`vibration-gateway run` with a configuration of its own; a restart keeps its port and its state.

    It tells of warnings by mail and of critical alerts by SMS too, if it is given servers for them. `changes` are laid
    over the tables of the configuration: a dict changes keys of a table, None leaves a key or a table out.
    """

    def __init__(
        self,
        folder: Path,
        broker: Mosquitto,
        *,
        influx: Influx | None = None,
        smtp: SmtpServer | None = None,
        twilio: TwilioServer | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.state_dir = folder / "state"
        self.config = folder / "gateway.toml"
        self.log = folder / "gateway.log"
        tables = self._tables(broker, influx) | _telling(folder, smtp, twilio)
        self.config.write_text(to_toml(_changed(tables, changes or {})))
        self._process = Process([program("vibration-gateway"), "run", "-c", self.config], log=self.log)

    def _tables(self, broker: Mosquitto, influx: Influx | None) -> Tables:
        tables: Tables = {
            "gateway": {"id": "edge-1", "state_dir": str(self.state_dir)},
            "mqtt": {
                "host": broker.host,
                "port": broker.port,
                "topics": ["vibration/{site}/{area}/{machine}/{sensor}/reading"],
            },
            "http": {"host": HOST, "port": self.port},
            "journal": {"commit_within": "50ms"},  # tests wait for what is on disk
        }
        if influx is not None:
            token = secret(self.config.with_name("influx-token"), influx.token)
            tables["influxdb"] = {"url": influx.url, "org": influx.org, "bucket": influx.bucket, "token": token}
        return tables

    def start(self, *, ready: bool = True) -> None:
        """Start it and wait until it is ready, or, where it cannot be, until it answers."""
        self._process.start(lambda: self.answers("/-/ready" if ready else "/-/healthy"), STARTING)

    def launch(self) -> None:
        """Start it and wait for nothing."""
        self._process.start(lambda: True)

    def stop(self, timeout: float = 10) -> None:
        """Ask it to end; AssertionError unless it does, with exit code 0."""
        code = self._process.stop(timeout)
        assert code in {None, 0}, f"the gateway ended with exit code {code}; its log ends:\n{self._process.log_tail()}"

    def kill(self) -> None:
        self._process.kill()

    @property
    def running(self) -> bool:
        return self._process.running

    @property
    def pid(self) -> int:
        return self._process.pid

    def answers(self, path: str) -> bool:
        try:
            return self._fetch(path)[0] == HTTPStatus.OK
        except (OSError, HTTPException):
            return False

    def get(self, path: str) -> Any:
        """Return the JSON of an answer, whatever its status: with the token, to which nothing is hidden."""
        token = self.state_dir / "http-token"
        known = {"Authorization": f"Bearer {token.read_text().strip()}"} if token.exists() else {}
        return json.loads(self._fetch(path, known)[1])

    def _fetch(self, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> tuple[int, bytes]:
        """Ask by the cheapest means, since it is done again and again while something is measured."""
        with closing(HTTPConnection(HOST, self.port, timeout=10)) as connection:
            connection.request("GET", path, headers=dict(headers))
            response = connection.getresponse()
            return response.status, response.read()

    def metrics(self) -> dict[str, float]:
        """Return name without prefix -> value; `name{value,…}` with the values of the labels, in their order."""
        text = self._fetch("/metrics")[1].decode()
        return {
            _metric(sample.name, sample.labels): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def metric(self, name: str) -> float:
        """Return a metric, 0 for one that has not been counted yet."""
        return self.metrics().get(name, 0.0)

    def stored(self) -> int:
        """Return how many readings the process has stored since it was started."""
        return int(self.metric("readings_stored_total"))

    def count(self) -> int:
        """Return how many readings the journal holds."""
        return int(self.command("events", "count"))

    @contextmanager
    def journal(self) -> Iterator[sqlite3.Connection]:
        """Open the journal for reading, whether the gateway runs or not."""
        uri = f"{(self.state_dir / 'journal.db').as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
            yield database

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.journal() as database:
            return database.execute(query).fetchall()

    def readings(self) -> int:
        """Return the number of readings in the journal, quicker than a command of the gateway does."""
        return int(self.rows("SELECT count(*) FROM readings")[0][0])

    def wait_for_count(self, readings: int, timeout: float = 30) -> None:
        """Wait until the journal holds so many readings, and its command says so."""
        until(lambda: self.readings() >= readings, timeout, f"{readings} readings in the journal")
        assert self.count() >= readings

    def command(self, *words: str) -> str:
        """Run a command with this configuration and return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{' '.join(words)}: exit code {done.returncode}: {done.stderr}"
        return done.stdout

    def ask(self, *words: str) -> Any:
        """Run a command and return the JSON that it printed."""
        return json.loads(self.command(*words, "-o", "json"))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        command = [str(program("vibration-gateway")), *words, "-c", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=COMMAND)

    def said(self) -> list[dict[str, Any]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def resident_bytes(self, *, peak: bool = False) -> int:
        """Return the memory that the process occupies, now or at most so far."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        name = "VmHWM:" if peak else "VmRSS:"
        return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) * 1024

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime


def simulator(broker: Mosquitto, *words: str) -> list[str]:
    """Return the command line of the simulator: the command, where the broker is, its options, and JSON."""
    command, *options = words
    where = ["--host", broker.host, "--port", str(broker.port)]
    return [str(program("vibration-simulator")), command, *where, *options, "--quiet", "-o", "json"]


@contextmanager
def simulating(broker: Mosquitto, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the simulator beside the block; `report` ends the waiting for it."""
    pipe = subprocess.PIPE
    with subprocess.Popen(simulator(broker, *words), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def report(process: subprocess.Popen[str], timeout: float = COMMAND) -> dict[str, Any]:
    """Wait for the end of the simulator and return its report."""
    output, errors = process.communicate(timeout=timeout)
    assert process.returncode == 0, errors
    found: dict[str, Any] = json.loads(output)
    return found


def simulate(broker: Mosquitto, *words: str, timeout: float = COMMAND) -> dict[str, Any]:
    """Run the simulator to its end and return its report."""
    with simulating(broker, *words) as process:
        return report(process, timeout)


EACH_ALONE = {"flood_count": 0, "flap_count": 0, "inhibit": False}
"""With routes that do not group: one message for each change and handler, so that they can be counted."""


def to_toml(tables: Tables) -> str:
    """Return tables, tables of tables and lists of tables as TOML. Texts are escaped as in JSON, which is the same."""
    lines: list[str] = []
    for name, table in tables.items():
        for header, values in _sections(name, table):
            lines += [header, *(f"{key} = {_value(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)


def _sections(name: str, table: Any) -> Iterator[tuple[str, Tables]]:
    if isinstance(table, list):
        yield from ((f"[[{name}]]", values) for values in table)
    elif all(isinstance(values, dict) for values in table.values()):
        yield from ((f"[{name}.{key}]", values) for key, values in table.items())
    else:
        yield f"[{name}]", table


def _telling(folder: Path, smtp: SmtpServer | None, twilio: TwilioServer | None) -> Tables:
    handlers: Tables = {}
    routes = []
    if smtp is not None:
        handlers[MAIL] = _mail(folder, smtp)
        routes.append({"severity": "warning", "handlers": [MAIL], "group_by": "none"})
    if twilio is not None:
        handlers[SMS] = {
            "type": "sms",
            "base_url": twilio.base_url,
            "account_sid": twilio.account_sid,
            "auth_token": secret(folder / "twilio-token", twilio.auth_token),
            "from": "+15005550006",
            "to": ["+46700000000"],
        }
        routes.append({"severity": "critical", "handlers": [SMS], "group_by": "none"})
    return {"handlers": handlers, "routes": routes, "noise": EACH_ALONE}


def _mail(folder: Path, smtp: SmtpServer) -> Tables:
    table: Tables = {
        "type": "email",
        "host": smtp.host,
        "port": smtp.port,
        "security": smtp.security,
        "from": "gateway@example.com",
        "to": ["maintenance@example.com"],
    }
    if smtp.ca is not None:
        table["ca"] = str(smtp.ca)
    if smtp.username is not None:
        table["username"] = smtp.username
        table["password"] = secret(folder / "smtp-password", str(smtp.password))
    return table


def secret(file: Path, text: str) -> str:
    """Put a secret into a file, and return what the configuration says instead of it."""
    file.write_text(f"{text}\n")
    file.chmod(0o600)
    return f"${{FILE:{file}}}"


def _changed(tables: Tables, changes: Mapping[str, Any]) -> Tables:
    merged = dict(tables)
    for key, value in changes.items():
        merged[key] = _changed(merged.get(key) or {}, value) if isinstance(value, Mapping) else value
    return {key: value for key, value in merged.items() if value is not None}


def _metric(name: str, labels: Mapping[str, str]) -> str:
    short = name.removeprefix("vibration_gateway_")
    return f"{short}{{{','.join(labels.values())}}}" if labels else short
