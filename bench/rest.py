"""What an edge device does for most of its life: a hundred readings a second, and nobody asks anything."""

import time
from collections.abc import Iterator

from bench.figures import Figure, at_most
from bench.plant import plant, running
from bench.watching import PATIENCE, rows
from tests.programs import Gateway, report, simulating

SENSORS = 100
MEGABYTE = 1_000_000
SETTLING, MINUTE = 3.0, 60.0  # s
MOST_WRITTEN = 3.0  # times the payload
MOST_PROCESSOR = {100: 2.0, 1000: 12.0}  # readings/s -> % of a core


def rest() -> Iterator[Figure]:
    """Measure bytes written to the device, the processor's time and memory at an even, low rate, without InfluxDB."""
    for rate in (100, 1000, 2000):
        with plant() as servers, running(servers.gateway(changes={"influxdb": None})) as gateway:
            load = ("--rate", str(rate), "--sensors", str(SENSORS), "--duration", f"{SETTLING + MINUTE + 2:g}s")
            with simulating(servers.broker, "load", *load) as process:
                time.sleep(SETTLING)  # the load is to be even
                before, cpu, stored, began = (
                    _written(gateway),
                    gateway.cpu_seconds(),
                    gateway.stored(),
                    time.monotonic(),
                )
                time.sleep(MINUTE)
                seconds = time.monotonic() - began
                written, share = _written(gateway) - before, 100 * (gateway.cpu_seconds() - cpu) / seconds
                readings = gateway.stored() - stored
                report(process, PATIENCE)
            payload = readings * rows(gateway, "SELECT avg(length(body)) FROM readings")[0][0]
        at = f"at {rate:,}/s"
        yield Figure(f"{at}: written to the device", written / seconds / 1000, "kB/s", note=f"{SENSORS} sensors")
        if rate in {100, 2000}:
            yield at_most(f"{at}: the same", written / payload, MOST_WRITTEN, "x the payload")
        if rate in MOST_PROCESSOR:
            yield at_most(f"{at}: gateway's processor time", share, MOST_PROCESSOR[rate], "% of a core")


def _written(gateway: Gateway) -> int:
    """Return the bytes that the system has written to a device for the gateway, or is about to."""
    with open(f"/proc/{gateway.pid}/io", encoding="ascii") as lines:  # noqa: PTH123 - no file of ours
        return int(next(line for line in lines if line.startswith("write_bytes:")).split()[1])
