"""What influxdb-client costs beside urllib3 alone: `python -m bench.influx_client` prints medians of several runs."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import files, requires
from pathlib import Path
from statistics import median

import urllib3

from gateway.config import InfluxSection
from gateway.consumers.influx.client import SYNCHRONOUS, Database, InfluxDBClient
from gateway.consumers.influx.lines import to_lines
from tests.plant import stored

RUNS, REQUESTS, POINTS = 7, 40, 2500
TOKEN = "of-a-server-that-lives-for-one-run"  # noqa: S105 - nobody else has it
ONLY_ITS = ("influxdb-client", "reactivex", "python-dateutil")
"""What nobody else requires; certifi and urllib3 come with httpx, and for the system's certificates, anyway."""

SERVER = """
import sys
from tests.servers.influx_api import InfluxApi
api = InfluxApi()
api.take = lambda lines: (204, {})
api.start()
print(api.url, flush=True)
sys.stdin.read()
"""
IMPORT = """
import time
import urllib3, gateway.app.run
def resident():
    return int([line for line in open("/proc/self/status") if line.startswith("VmRSS")][0].split()[1])
before, began = resident(), time.process_time()
import gateway.consumers.influx.client
print(1000 * (time.process_time() - began), resident() - before, before, 1000 * began)
"""


def megabytes(package: str) -> float:
    """Return what a distribution takes up on the disk, without compiled bytecode, in MB."""
    found = [Path(str(each.locate())) for each in files(package) or [] if each.suffix != ".pyc"]
    return sum(path.stat().st_size for path in found if path.exists()) / 1e6


def needed(package: str) -> list[str]:
    """Return what it requires without extras."""
    return [each.split()[0].partition("<")[0] for each in requires(package) or [] if "extra ==" not in each]


def importing() -> tuple[float, ...]:
    """Return ms of processor time and kB that the import takes, then kB and ms of the gateway's other imports."""
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True) for _ in range(RUNS)
    ]
    values = [tuple(map(float, run.stdout.split())) for run in runs]
    return tuple(median(column) for column in zip(*values, strict=True))


def cost(write: Callable[[bytes], object], body: bytes) -> tuple[float, float]:
    """Return µs of processor time and of waiting for each point, in this process."""
    began, worked = time.perf_counter(), time.process_time()
    for _ in range(REQUESTS):
        write(body)
    points = REQUESTS * POINTS
    return 1e6 * (time.process_time() - worked) / points, 1e6 * (time.perf_counter() - began) / points


def writers(url: str) -> dict[str, Callable[[bytes], object]]:
    """Return name -> how it writes a body, without compression."""
    api = InfluxDBClient(url=url, token=TOKEN, org="plant", enable_gzip=False).write_api(write_options=SYNCHRONOUS)
    pool = urllib3.PoolManager()
    address = f"{url}/api/v2/write?org=plant&bucket=vibration&precision=ns"
    headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "text/plain"}
    return {
        "influxdb-client": lambda body: api.write("vibration", "plant", body),
        "urllib3": lambda body: pool.request("POST", address, body=body, headers=headers),
    }


def ours(url: str) -> tuple[asyncio.AbstractEventLoop, Callable[[bytes], object]]:
    """Return a loop, and how the gateway writes a body on it: drafted by influxdb-client, sent by the one client."""
    settings = {"url": url, "org": "plant", "bucket": "vibration", "token": TOKEN}
    loop = asyncio.new_event_loop()

    async def opened() -> Database:
        return Database(InfluxSection.model_validate(settings))

    database = loop.run_until_complete(opened())
    return loop, lambda body: loop.run_until_complete(database.send(database.draft([body])))


def read_line(server: subprocess.Popen[str]) -> str:
    """Return what a server says first: its address."""
    return server.stdout.readline().strip() if server.stdout is not None else ""


def main() -> None:
    for package in ONLY_ITS:
        print(f"{package}: {megabytes(package):.1f} MB, requires {', '.join(needed(package)) or 'nothing'}")
    ms, kilobytes, others, others_ms = importing()
    print(f"importing it: {ms:.0f} ms of processor time, {kilobytes / 1000:.1f} MB of memory")
    print(f"the gateway's other imports: {others_ms:.0f} ms, {others / 1000:.1f} MB")
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = read_line(server)
        loop, write = ours(url)
        ways = writers(url) | {"the gateway": write}
        readings = [stored(f"VB-{number % 50}", second=number) for number in range(POINTS)]
        body = b"\n".join(to_lines(readings, []))
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(RUNS):
            for name, write in ways.items():
                found[name].append(cost(write, body))
        for name, runs in found.items():
            worked, took = (median(values) for values in zip(*runs, strict=True))
            print(
                f"{name}: {worked:.3f} µs of processor time a point, {took:.3f} µs a point, {POINTS} points a request"
            )
        loop.close()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
