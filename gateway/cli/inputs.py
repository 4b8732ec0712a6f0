"""inputs: what sensors say, and how it is understood."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from gateway.cli import PROBLEMS
from gateway.cli.gateway_status import inputs_heard
from gateway.cli.learn import NS, learn, of_files
from gateway.cli.output import Duration, Moment, config_option, output_option, print_json, print_table
from gateway.cli.tables import inert
from gateway.config import load
from gateway.config.presets import preset, preset_names
from gateway.config.to_inputs import load_inputs
from gateway.domain.inputs.explain import Step
from gateway.domain.inputs.family import Family
from gateway.domain.inputs.results import InputHeard, Outcome, Reading
from gateway.domain.inputs.specs import InputSpec
from gateway.domain.inputs.topic_index import Level
from gateway.domain.inputs.trial import Trial, described_reading
from gateway.domain.model.events import Message
from gateway.errors import GatewayError
from gateway.mqtt.listening import listen
from gateway.plugins.decoders import load_decoder

READING = ("sensor", "axis", "time", "time from", "level", "unit", "quantities")
INPUT = ("name", "topics", "format", "sensor", "quantities", "messages", "ignored", "unused", "remarks")
PRESET = ("preset", "what it is for", "gives", "add")
STEP = ("path", "raw", "quantity", "value", "remark")


@click.group()
def inputs() -> None:
    """See and test how messages of sensors are understood."""


inputs.add_command(learn)


@inputs.command("list")
@config_option
@output_option
def list_(config_path: Path, output: str) -> None:
    """List the inputs, in the order in which they are asked, and what they have done in a gateway that runs."""
    known = inputs_heard(config_path)
    found = [_described(spec) | _done(known.get(spec.name)) for spec in load_inputs(config_path, load_decoder)]
    if output == "json":
        print_json(found)
    else:
        rows = [[_joined(each.get(name)) for name in INPUT] for each in found]
        print_table(
            INPUT, rows, empty="There are no [[inputs]].", spare=["messages", "ignored"], below=["unused", "remarks"]
        )


def _done(heard: InputHeard | None) -> dict[str, object]:
    """Return what an input has done; nothing is known of it if no gateway runs."""
    if heard is None:
        return {}
    return {"messages": heard.messages, "ignored": heard.ignored, "unused": heard.unused, "remarks": heard.remarks}


def _joined(value: object) -> object:
    if isinstance(value, dict):
        return "; ".join(f"{text} ({count} ×)" for text, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _described(spec: InputSpec) -> dict[str, object]:
    fields = [*spec.fields, *(field for _, field in spec.rows.tags.values())] if spec.rows else list(spec.fields)
    return {
        "name": spec.name,
        "topics": [_topic(levels) for levels in spec.topics],
        "format": spec.format,
        "sensor": spec.sensor.text if spec.sensor else None,
        "quantities": list(dict.fromkeys(field.quantity for field in fields)),
    }


def _topic(levels: Sequence[Level]) -> str:
    return "/".join(f"{{{name}}}" if name else literal for literal, name in levels)


@inputs.command()
@config_option
@output_option
def presets(config_path: Path, output: str) -> None:  # noqa: ARG001 - every command takes a configuration
    """List the devices and servers whose messages are known: what each preset gives, and what is left to add."""
    found = [preset(name) for name in preset_names()]
    if output == "json":
        print_json([asdict(each) | {"topics": each.topics} for each in found])
    else:
        rows = [(each.name, each.what, f"Gives: {each.gives}", f"Add: {each.add}") for each in found]
        print_table(PRESET, rows, empty="There are no presets.", below=("gives", "add"))


@inputs.command()
@config_option
@output_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--topic", "topics", multiple=True, help="Of each file, or one for all of them.")
@click.option("--live", type=Duration(), help="Instead of FILES what the broker sends for so long, such as 30s.")
@click.option("--received", type=Moment(), help="When the messages came.  [default: now]")
@click.option(
    "--expect", type=click.Path(path_type=Path, dir_okay=False), help="The readings that should come out, in JSON."
)
def test(  # noqa: PLR0917 - click's signature
    config_path: Path,
    output: str,
    files: tuple[Path, ...],
    topics: tuple[str, ...],
    live: int | None,
    received: int | None,
    expect: Path | None,
) -> None:
    """Show how the messages in FILES, or those that come now, are read, one after the other.

    Live it listens to --topic, else to all that the inputs want; the gateway may run meanwhile. Exit code 3 if nothing
    comes out, or something else than expected.
    """
    if (live is None) != bool(files):
        raise click.UsageError("say which FILES, or --live and for how long")
    trial = Trial(Family(load_inputs(config_path, load_decoder)))
    if live is None:
        messages = of_files(files, topics, time.time_ns() if received is None else received)
    else:
        filters = topics or trial.family.filters
        messages = asyncio.run(listen(load(config_path).mqtt, filters, live / NS))
    for message in messages:
        trial.add(message)
    problems = trial.problems(_expected(expect))
    if output == "json":
        print_json(trial.described())
    else:
        _show(trial, problems)
    sys.exit(PROBLEMS if problems else 0)


def _expected(path: Path | None) -> Any:
    if path is None:
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise GatewayError(f"{path} is not JSON: {error}") from None


def _show(trial: Trial, problems: Sequence[str]) -> None:
    """Print everything, for people."""
    for (message, out), described in zip(trial.outcomes, trial.described()["messages"], strict=True):
        _show_message(trial, message, out, described)
    rows = [list(_row(reading)) for reading in trial.readings]
    print_table(READING, rows, empty="No readings.", below=("quantities",))
    for _, out in trial.outcomes:
        for status in out.statuses:
            click.echo(inert(f"{status.source} is {status.status}"))
    for problem in problems:
        click.echo(inert(problem))


def _show_message(trial: Trial, message: Message, out: Outcome, described: dict[str, Any]) -> None:
    click.echo(inert(f"{message.topic} ({len(message.payload)} bytes): {_verdict(out)}"))
    for ignored in out.ignored:
        click.echo(inert(f"  input {ignored.input} leaves it: {ignored.reason}"))
    for note in [*out.notes, *(rejected.detail for rejected in out.rejected)]:
        click.echo(inert(f"  {note}"))
    rows = [_step(step) for step in trial.family.steps(message, out)]
    if rows:
        print_table(STEP, rows, empty="")
    if described["unused"]:
        click.echo(inert("  numbers that no field uses: " + ", ".join(described["unused"])))
    click.echo()


def _verdict(out: Outcome) -> str:
    if out.input is None:
        return "left out" if out.is_ignored else "no input reads it"
    waits = ": a part of a waveform, and others have not come yet" if out.waits else ""
    return f"input {out.input} reads it{waits}" + (f", {out.filtered} parts left out" if out.filtered else "")


def _step(step: Step) -> list[object]:
    return [step.path, step.raw, step.quantity, step.value, step.said]


def _row(reading: Reading) -> Sequence[object]:
    quantities = ", ".join(f"{name} {value:.4g}" for name, value in reading.values.items())
    return [*list(described_reading(reading).values())[:-1], quantities]
