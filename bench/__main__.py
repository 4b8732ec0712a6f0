"""The benchmarks: `python -m bench [--seconds 60]` prints a table and writes bench/results/latest.json."""

import sys
from collections.abc import Callable, Iterator
from functools import partial

import click

from bench.figures import Figure, machine, save, show
from bench.measures import drain, latency, sustained
from bench.plant import CONSOLE, RESULTS
from tests.servers.processes import ServerMissingError

Measure = Callable[[], Iterator[Figure]]


@click.command()
@click.option("--seconds", default=60, show_default=True, type=click.IntRange(1), help="Length of the sustained load.")
def main(seconds: int) -> None:
    """Measure throughput, latency, memory, start and drain on real servers. Exit code 1 if a goal is missed."""
    measures: dict[str, Measure] = {
        "Sustained load, memory, start": partial(sustained, seconds=seconds),
        "Latency from reading to SMS": latency,
        "Drain of a backlog": drain,
    }
    RESULTS.mkdir(exist_ok=True)
    where = machine(RESULTS)
    CONSOLE.print("  ".join(f"{name}: {value}" for name, value in where.items()))
    figures: list[Figure] = []
    try:
        for title, measure in measures.items():
            found = list(measure())
            show(title, found)
            figures += found
    except ServerMissingError as missing:
        raise click.ClickException(str(missing)) from missing
    save(RESULTS / "latest.json", where, figures)
    sys.exit(1 if any(figure.met is False for figure in figures) else 0)


if __name__ == "__main__":
    main()
