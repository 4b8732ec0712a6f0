"""deadletters: what came in and could not be used, with the reason."""

from __future__ import annotations

import base64
from collections import Counter
from pathlib import Path
from typing import Any

import click

from gateway.cli.commands import change
from gateway.cli.output import at, config_option, open_reader, output_option, print_facts, print_json, print_table
from gateway.cli.tables import inert
from gateway.config import load
from gateway.domain.inputs.native import REASONS
from gateway.domain.model.timefmt import rfc3339
from gateway.errors import GatewayError
from gateway.heard import not_understood
from gateway.journal import Reader

_COLUMNS = ("seq", "received", "topic", "reason", "detail", "element", "bytes")


_GROUP = ("messages", "topics", "pattern", "reason", "newest", "seq", "detail", "looksLike", "topic", "payload")
_MOST_REASONS = 5
_MOST_LOOKED_AT = 10_000
_MOST_REPLAYED = 1_000_000
_LONGEST = 18
"""Digits that a number of the journal can have."""


class Number(click.ParamType[int]):
    """The number of a dead letter."""

    name = "number"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        text = str(value)
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST and int(text)):
            self.fail(f"{value!r} is not the number of a dead letter; 'deadletters list' shows them as seq", param, ctx)
        return int(text)


@click.group()
def deadletters() -> None:
    """Messages that were acknowledged but are not readings. None is ever thrown away silently."""


@deadletters.command()
@config_option
def count(config_path: Path) -> None:
    """Print how many there are, as one integer."""
    click.echo(open_reader(config_path).count_dead_letters())


@deadletters.command("list")
@config_option
@output_option
@click.option("--reason", type=click.Choice(sorted(REASONS)), help="For this reason only.")
@click.option("--topic", help="Only with this in their topic: a sensor's name.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=100, show_default=True, help="The newest so many.")
def list_(config_path: Path, output: str, reason: str | None, topic: str | None, limit: int) -> None:
    """List dead letters, the newest first."""
    found = [_readable(letter) for letter in open_reader(config_path).dead_letters(reason, limit, topic)]
    if output == "json":
        print_json(found)
    else:
        rows = [[at(letter[name]) if name == "received" else letter[name] for name in _COLUMNS] for letter in found]
        print_table(_COLUMNS, rows, empty="There are no dead letters.", below=["topic", "detail"])


@deadletters.command()
@config_option
@output_option
def groups(config_path: Path, output: str) -> None:
    """Show what was heard and not understood: by the kind of topic and the reason, the most first.

    `inputs learn --dead-letters` writes the [[inputs]] that would read it.
    """
    found = not_understood(open_reader(config_path))
    if output == "json":
        print_json(found)
        return
    rows = [[at(group[name]) if name == "newest" else group[name] for name in _GROUP] for group in found["groups"]]
    print_table(_GROUP, rows, empty="Everything was understood.", below=["detail", "looksLike", "topic", "payload"])
    if rows:
        click.echo(f"\n{inert(_capitalised(found['summary']))}.")


def _capitalised(text: str) -> str:
    """Return a text as the beginning of a sentence."""
    return text[:1].upper() + text[1:]


@deadletters.command()
@config_option
@output_option
@click.argument("seq", type=Number())
def show(config_path: Path, output: str, seq: int) -> None:
    """Show one dead letter with its payload."""
    letter = open_reader(config_path).dead_letter(seq)
    if letter is None:
        raise GatewayError(f"there is no dead letter {seq}; 'deadletters list' shows those there are")
    payload: bytes = letter.pop("payload")
    facts = _readable(letter) | {"meaning": REASONS.get(letter["reason"])}
    if output == "json":
        print_json({**facts, "payloadBase64": base64.b64encode(payload).decode()})
        return
    print_facts({**facts, "received": at(facts["received"])})
    click.echo()
    click.echo(inert(payload.decode(errors="backslashreplace")))


@deadletters.command()
@config_option
@output_option
@click.option("--all", "everything", is_flag=True, help="Every one.")
@click.option("--reason", type=click.Choice(sorted(REASONS)), help="Every one with this reason.")
@click.argument("numbers", metavar="[SEQ]...", type=Number(), nargs=-1)
def replay(config_path: Path, output: str, reason: str | None, numbers: tuple[int, ...], *, everything: bool) -> None:
    """Take dead letters through the gateway again, after what was wrong has been mended.

    What a consumer did not take is handed to it again, which only a running gateway can do.

    Those that can be used now leave the dead letters; the others stay as they are. What a machine or a sensor said of
    itself counts only if it has said nothing since.
    """
    if (bool(numbers), everything, reason is not None).count(True) != 1:
        raise click.UsageError("name dead letters by their numbers or by a --reason, or say --all")
    if reason is not None:
        numbers = tuple(letter["seq"] for letter in open_reader(config_path).dead_letters(reason, _MOST_REPLAYED))
        if not numbers:
            raise GatewayError(f"there are no dead letters with the reason {reason}")
    outcome = change(
        load(config_path),
        "/api/v1/deadletters/replay",
        {"numbers": list(numbers)},
        lambda operations: operations.replay(numbers),
    )
    if outcome["asked"] < len(numbers):
        raise GatewayError("not all of these are dead letters that can be replayed; 'deadletters list' shows them")
    left = _left(open_reader(config_path), set(numbers) - set(outcome["replayed"]), everything=everything)
    if output == "json":
        print_json(outcome)
    else:
        click.echo(f"{len(outcome['replayed'])} of {outcome['asked']} could be used")
        for why, count in left.most_common(_MOST_REASONS):
            click.echo(inert(f"{count} still cannot be used: {why}"))
        for problem in outcome["problems"]:
            click.echo(inert(f"could not be asked: {problem}"))
    if len(outcome["replayed"]) < outcome["asked"]:
        raise click.exceptions.Exit(1)


def _left(reader: Reader, numbers: set[int], *, everything: bool) -> Counter[str]:
    """Return why dead letters still are: reason and detail -> how many."""
    found = [letter for letter in reader.dead_letters(None, _MOST_LOOKED_AT) if everything or letter["seq"] in numbers]
    return Counter(f"{letter['reason']}: {letter['detail']}" for letter in found)


def _readable(letter: dict[str, Any]) -> dict[str, Any]:
    return {**letter, "received": rfc3339(letter["received"])}
