"""The benchmarks: `python -m bench` measures, prints tables, and writes docs/performance.md from what it found.

Results are kept in bench/results/latest.json, part by part: with `--only` the other parts stay as they were.
"""

import sys
from collections.abc import Callable, Iterator

import click

from bench import report
from bench.figures import Figure, known_parts, machine, save_part, show
from bench.growth import growth
from bench.mapped import mapped
from bench.online import latency, sustained
from bench.plant import CONSOLE, RESULTS
from bench.rest import rest
from bench.stages import stages
from bench.throughput import backlog, throughput
from tests.servers.processes import ServerMissingError

PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "stages": stages,
    "mapped": mapped,
    "throughput": throughput,
    "sustained": sustained,
    "latency": latency,
    "rest": rest,
    "growth": growth,
    "backlog": backlog,
}
LATEST = RESULTS / "latest.json"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(PARTS)), help="This part; may be given several times.")
@click.option("--page/--no-page", default=True, show_default=True, help="Write docs/performance.md and its chart.")
def main(only: tuple[str, ...], *, page: bool) -> None:
    """Measure on real servers. Exit code 1 if a goal is missed."""
    RESULTS.mkdir(exist_ok=True)
    where = machine(RESULTS)
    CONSOLE.print("  ".join(f"{name}: {value}" for name, value in where.items()))
    missed = False
    try:
        for name in only or PARTS:
            found = list(PARTS[name]())
            show(name, found)
            save_part(LATEST, name, where, found)
            missed |= any(figure.met is False for figure in found)
    except ServerMissingError as missing:
        raise click.ClickException(str(missing)) from missing
    if page and known_parts(LATEST) >= PARTS.keys():
        report.write(LATEST)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
