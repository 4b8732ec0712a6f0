"""The command line: `vibration-simulator run | replay | load | score`."""

import click

from simulator.cli.load import load
from simulator.cli.replay import replay
from simulator.cli.run import run
from simulator.cli.score import score


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(package_name="vibration-gateway", prog_name="vibration-simulator", message="%(prog)s %(version)s")
def main() -> None:
    """Publish simulated vibration sensors, recorded measurements or load over MQTT, and judge what was found."""


for _command in (run, replay, load, score):
    main.add_command(_command)
