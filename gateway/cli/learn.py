"""inputs learn: a configuration out of what was heard, tested on what was heard."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.cli import PROBLEMS
from gateway.cli.output import Duration, Moment, config_option, open_reader
from gateway.config import load
from gateway.config.learning import written
from gateway.domain.model.events import Message
from gateway.mqtt.listening import listen

NS = 1_000_000_000
_MOST_DEAD_LETTERS = 1000


@click.command()
@config_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--topic", "topics", multiple=True, help="What to listen to, such as 'ncd/#'; or the topic of each FILE.")
@click.option("--for", "duration", type=Duration(), default="60s", show_default=True, help="How long to listen.")
@click.option("--dead-letters", is_flag=True, help="Learn from what was not understood.")
@click.option("--received", type=Moment(), help="When the messages in FILES came.  [default: now]")
def learn(
    config_path: Path,
    files: tuple[Path, ...],
    topics: tuple[str, ...],
    duration: int,
    *,
    dead_letters: bool,
    received: int | None,
) -> None:
    """Write the [[inputs]] that would read what sensors say.

    It listens at the broker for a while, or reads FILES or the dead letters. What is only guessed says so: read it
    before you add it to the configuration. Exit code 3 if there is nothing to learn.
    """
    if dead_letters:
        messages = _dead(config_path)
    elif files:
        messages = of_files(files, topics, time.time_ns() if received is None else received)
    elif topics:
        messages = asyncio.run(listen(load(config_path).mqtt, topics, duration / NS))
    else:
        raise click.UsageError("say --topic, --dead-letters, or name FILES with their --topic")
    lines = list(written(messages, is_timed=received is not None or not files))
    click.echo("\n".join(lines))
    sys.exit(0 if any(line == "[[inputs]]" for line in lines) else PROBLEMS)


def of_files(files: Sequence[Path], topics: Sequence[str], received_ns: int) -> list[Message]:
    """Return files as messages on their topics, or all on one. Raises UsageError where the topics do not fit."""
    if len(topics) not in {1, len(files)}:
        raise click.UsageError(f"{len(files)} files have one --topic, or one each; these are {len(topics)}")
    several = topics if len(topics) == len(files) else [topics[0]] * len(files)
    return [Message(topic, file.read_bytes(), received_ns) for file, topic in zip(files, several, strict=True)]


def _dead(config_path: Path) -> list[Message]:
    reader = open_reader(config_path)
    letters = (reader.dead_letter(each["seq"]) for each in reversed(reader.dead_letters(None, _MOST_DEAD_LETTERS)))
    return [Message(each["topic"], each["payload"], each["received"]) for each in letters if each is not None]
