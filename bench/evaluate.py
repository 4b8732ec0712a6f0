"""Every figure of detection, goal beside value: `python -m bench.evaluate FOLDER [--part NAME …]`."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from bench import backtests
from bench.cases import cases
from bench.detection_cost import cost
from bench.figures import Figure, machine, save, show
from bench.fleet_score import fleet
from bench.plant import RESULTS
from bench.waveforms import waveforms
from bench.whole_system import whole_system
from gateway.errors import GatewayError
from tests.servers.processes import ServerMissingError

NEEDS = {
    "waveforms": "ims",
    "ims": "ims",
    "femto": "femto",
    "skab": "skab",
    "factory": "factory",
    "fan": "fan",
    "cases": "detection-cases",
    "system": "ims",
}
"""Part -> the data set's folder."""

Measure = Callable[[], Iterator[Figure]]


def _measures(folder: Path) -> dict[str, Measure]:
    """Return part -> what measures it."""
    return {
        "waveforms": partial(waveforms, folder),
        "ims": partial(backtests.ims, folder),
        "femto": partial(backtests.femto, folder),
        "skab": partial(backtests.skab, folder),
        "factory": partial(backtests.factory, folder),
        "fan": partial(backtests.fan, folder),
        "cases": partial(cases, folder),
        "fleet": fleet,
        "cost": cost,
        "system": partial(whole_system, folder),
    }


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--part", "parts", multiple=True, type=click.Choice([*NEEDS, "fleet", "cost"]), help="Only this; repeatable."
)
def main(folder: Path, parts: tuple[str, ...]) -> None:
    """Measure on the data in FOLDER and compare with the goals. Exit code 1 if a goal is missed.

    The figures are also written to bench/results/evaluation.json.
    """
    wanted = {part: measure for part, measure in _measures(folder).items() if not parts or part in parts}
    missing = sorted({str(folder / NEEDS[part]) for part in wanted if part in NEEDS} - _folders(folder))
    if missing:
        raise click.UsageError(f"there is no {', no '.join(missing)}")
    figures: list[Figure] = []
    try:
        for part, measure in wanted.items():
            found = list(measure())
            show(part, found)
            figures += found
    except (ServerMissingError, GatewayError, OSError) as error:
        raise click.ClickException(str(error)) from error
    RESULTS.mkdir(exist_ok=True)
    save(RESULTS / "evaluation.json", machine(RESULTS), figures)
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


def _folders(folder: Path) -> set[str]:
    return {str(path) for path in folder.iterdir() if path.is_dir()}


if __name__ == "__main__":
    main()
