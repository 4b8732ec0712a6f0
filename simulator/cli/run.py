"""run: simulated machines, over MQTT or into files."""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.progress import Progress

from simulator.cli.options import (
    DURATION,
    SPEED,
    STDERR,
    TIME,
    complete,
    connection_options,
    exit_unless_acknowledged,
    format_option,
    output_option,
    quiet_option,
    report,
    say,
    stop_on_signal,
)
from simulator.formats import FORMATS, Format
from simulator.publishing import Broker, Publisher

if TYPE_CHECKING:
    from simulator.scripting import Script

BAD_FILE = 3
NO_NUMPY = "simulated machines need numpy: .venv/bin/pip install '.[simulator]' in the checkout"


@click.command(short_help="Publish or write the readings of simulated machines.")
@connection_options
@click.option("--fleet", "fleet_file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file.")
@click.option(
    "--trial", type=click.IntRange(1, 1000), metavar="N", help="A fleet with N faults of each kind, to score."
)
@click.option("--seed", type=int, help="Repeats a run exactly; left out, a new one is chosen.")
@click.option("--start", type=TIME, help="The first time stamp, RFC 3339; left out, now.")
@click.option(
    "--duration",
    type=DURATION,
    help="In real time, such as 60s; left out, until interrupted. At the end it waits until the broker has acknowledged"
    " everything, at most 10 s without progress. With --out in simulated time.",
)
@click.option("--speed", default=1.0, show_default=True, type=SPEED, help="Simulated seconds a second.")
@click.option("--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write here what is wrong, and when.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write CSV files here; no broker is needed."
)
@format_option
@quiet_option
@output_option
def run(
    fleet_file: Path | None, trial: int | None, out: Path | None, output: str, *, quiet: bool, **options: Any
) -> None:
    """Publish the readings of a fleet of machines; without --fleet a small one, in which a pump's bearing fails.

    With --out the readings go into CSV files, one for each machine, as fast as they can be worked out.
    """
    if fleet_file and trial:
        raise click.UsageError("Give either --fleet or --trial")
    if out and options["duration"] is None:
        raise click.UsageError("--out needs --duration, such as --duration 30d")
    if out and options["format_name"] != "event":
        raise click.UsageError("--out writes CSV files, in which a --format has no meaning")
    speed, form = 1.0 if out else options["speed"], FORMATS[options["format_name"]]
    script = _script(fleet_file, trial, options["seed"], options["start"], speed, form)
    truth: Path | None = options["truth"]
    if out:
        _write(script, out, truth, options["duration"], output, quiet=quiet)
        return
    publisher, stopped = complete(_publish(script, options["broker"], options["duration"], truth))
    counts = {"published": publisher.published, "acknowledged": publisher.acknowledged, "dropped": publisher.dropped}
    report(counts | {"seed": script.seed}, output, quiet=quiet)
    exit_unless_acknowledged(publisher, stopped=stopped)


def _script(  # noqa: PLR0917 - what decides a run
    fleet_file: Path | None, trial: int | None, seed: int | None, start: datetime | None, speed: float, form: Format
) -> Script:
    """Make ready what is to be played; a file that cannot be used, and a missing numpy, end the program."""
    try:
        from simulator import scripting  # noqa: PLC0415 - numpy is an extra, and only this command needs it
    except ModuleNotFoundError as error:
        if error.name != "numpy":
            raise
        raise click.ClickException(NO_NUMPY) from error
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    try:
        fleet = scripting.choose_fleet(fleet_file, trial, seed, form)
        return scripting.Script(fleet, seed, start or datetime.now(UTC), speed, form)
    except scripting.FleetError as error:
        say(str(error))
        sys.exit(BAD_FILE)


async def _publish(
    script: Script, broker: Broker, duration: float | None, truth: Path | None
) -> tuple[Publisher, bool]:
    stop = stop_on_signal()
    publisher = Publisher(broker, say=say, announcements=script.first_states(), commands=script.commands())
    await script.publish(publisher, duration=duration, truth=truth, stop=stop)
    return publisher, stop.is_set()


def _write(script: Script, out: Path, truth: Path | None, duration: float, output: str, *, quiet: bool) -> None:
    readings = files = 0
    bar = Progress(console=STDERR, disable=quiet or not STDERR.is_terminal)
    try:
        with bar:
            task = bar.add_task(str(out), total=len(script.fleet.machines))
            for _, count in script.write(out, truth, duration):
                readings, files = readings + count, files + 1
                bar.update(task, completed=files)
    except OSError as error:
        raise click.ClickException(str(error)) from error
    report({"files": files, "readings": readings, "seed": script.seed}, output, quiet=quiet)
