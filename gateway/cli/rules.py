"""rules: the rules of detection, tested."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.backtest.report import describe_entry
from gateway.backtest.rule_tests import Result, load_tests, run_test
from gateway.backtest.running import AlertEntry
from gateway.cli import PROBLEMS
from gateway.cli.output import output_option, print_json, rules_option
from gateway.cli.tables import inert
from gateway.config import load_rules


@click.group()
def rules() -> None:
    """Test the rules of detection."""


@rules.command()
@rules_option
@output_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def test(config_path: Path | None, output: str, file: Path) -> None:
    """Run the tests in FILE: given readings, expect alerts. Exit code 3 if the rules do not meet them."""
    config = load_rules(config_path)
    results = [run_test(each, config) for each in load_tests(file).tests]
    failed = sum(not result.met for result in results)
    if output == "json":
        print_json({"tests": len(results), "failed": failed, "results": [_describe(result) for result in results]})
    else:
        for result in results:
            _print(result)
        click.echo(f"{len(results)} tests, {failed} failed")
    sys.exit(PROBLEMS if failed else 0)


def _describe(result: Result) -> dict[str, object]:
    unexpected = [describe_entry(entry) for entry in result.unexpected]
    return {"name": result.name, "met": result.met, "missing": result.missing, "unexpected": unexpected}


def _print(result: Result) -> None:
    click.echo(inert(f"{'ok    ' if result.met else 'FAILED'}  {result.name}"))
    for text in result.missing:
        click.echo(inert(f"        expected, but not found: {text}"))
    for entry in result.unexpected:
        click.echo(inert(f"        found, but not expected: {_shown(entry)}"))


def _shown(entry: AlertEntry) -> str:
    ended = "" if entry.cleared_row is None else f", cleared at {entry.cleared_row}"
    return f"{entry.severity} ({entry.kind}) {entry.sensor_id} at {entry.row}{ended}: {entry.reason}"
