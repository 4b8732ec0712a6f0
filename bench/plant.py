"""The servers around a gateway, for as long as a measurement takes."""

import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.programs import Gateway
from tests.servers.influxdb import Influx
from tests.servers.mosquitto import Mosquitto
from tests.servers.smtp import SmtpServer
from tests.servers.twilio import TwilioServer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
BROKER_CONFIG = ROOT / "config" / "mosquitto" / "mosquitto.conf"

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 160)

logging.getLogger("mail.log").setLevel(logging.ERROR)  # the mail server's remarks on its own future


@dataclass(frozen=True)
class Plant:
    """A broker configured as shipped, InfluxDB, a mail server with STARTTLS and a login, and Twilio's API."""

    folder: Path
    broker: Mosquitto
    influx: Influx
    smtp: SmtpServer
    twilio: TwilioServer

    def gateway(self, name: str = "gateway", changes: dict[str, Any] | None = None) -> Gateway:
        """Make a gateway with everything on, in a folder of its own."""
        return Gateway(
            self.folder / name,
            self.broker,
            influx=self.influx,
            smtp=self.smtp,
            twilio=self.twilio,
            changes={"gateway": {"id": name}, **(changes or {})},
        )


def _broker_config(changes: Sequence[str]) -> list[str]:
    """Return the shipped configuration with some keys changed: Mosquitto refuses one that is there twice."""
    changed = {line.split()[0] for line in changes}
    shipped = BROKER_CONFIG.read_text().splitlines()
    return [*(line for line in shipped if line.split()[:1] and line.split()[0] not in changed), *changes]


@contextmanager
def plant(broker_lines: Sequence[str] = ()) -> Iterator[Plant]:
    """Start the servers, the broker with some lines of its configuration changed.

    They write beside the results: a folder for temporary files may be in memory only.
    """
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="run-") as name, ExitStack() as stack:
        folder = Path(name)
        servers = Plant(
            folder,
            Mosquitto(folder, config_lines=_broker_config(broker_lines)),
            Influx(folder),
            SmtpServer(folder, security="starttls", username="gateway", password="a-mail-password"),  # noqa: S106 - opens nothing but this server
            TwilioServer(),
        )
        for server in (servers.broker, servers.influx, servers.smtp, servers.twilio):
            server.start()
            stack.callback(server.stop)
        yield servers


@contextmanager
def ended(gateway: Gateway) -> Iterator[Gateway]:
    """Leave no gateway behind, whatever happens in the block."""
    try:
        yield gateway
    finally:
        gateway.kill()


@contextmanager
def running(gateway: Gateway) -> Iterator[Gateway]:
    """Run a gateway for the length of the block."""
    with ended(gateway):
        gateway.start()
        yield gateway
        gateway.stop(timeout=30)
