"""What somebody's broker passed on, as `mosquitto_sub` has written it down: published again, byte for byte."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from simulator.publishing import Message, Publisher, published, wait_until
from simulator.replay import Pace, Problems
from simulator.times import parse_time

HEX = "record with -F '%I %t %x'"
_TWO_ZONES = re.compile(r"Z(?=[+-]\d{4}$)")  # mosquitto_sub's %j ends its times with "Z+0000"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message and when it was received."""

    time: datetime
    message: Message


def read_recording(lines: Iterable[bytes], problems: Problems) -> Iterator[Recorded]:
    """Read lines of `mosquitto_sub -F '%j'` or `-F '%I %t %x'`; those that cannot be used go to `problems`."""
    for number, line in enumerate(lines, 1):
        try:
            if line.strip():
                yield _from_json(line) if line.startswith(b"{") else _from_hex(line)
        except (ValueError, RecursionError) as error:
            problems.add(number, [str(error)])


def _from_json(line: bytes) -> Recorded:
    """Read a line of `%j`. What is not UTF-8 in a payload stands in it as it is, and comes out as it is."""
    said = json.loads(line.decode(errors="surrogateescape"))
    topic, payload = said.get("topic"), said.get("payload")
    if payload is None:
        payload = ""
    if not isinstance(topic, str) or not isinstance(payload, str):
        raise ValueError(f"topic or payload is no text, as %J writes them: {HEX}")  # noqa: TRY004 - a bad line, no bug
    content = payload.encode(errors="surrogateescape")
    length = said.get("payloadlen", len(content))
    if length != len(content):
        raise ValueError(f"{len(content)} of the payload's {length} bytes are there, %j ends at a zero: {HEX}")
    time = parse_time(_TWO_ZONES.sub("", str(said.get("tst"))))
    return Recorded(time, Message(_checked(topic), content, retain=bool(said.get("retain"))))


def _from_hex(line: bytes) -> Recorded:
    """Read a line of `%I %t %x`, whose topic may have blanks."""
    time, _, rest = line.decode().rstrip("\r\n").partition(" ")
    topic, _, payload = rest.rpartition(" ")
    return Recorded(parse_time(time), Message(_checked(topic), bytes.fromhex(payload)))


def _checked(topic: str) -> str:
    if not topic or topic.startswith("$") or any(character in topic for character in "+#\0"):
        raise ValueError(f"{topic!r} is no topic to publish to")
    return topic


async def publish_recording(
    publisher: Publisher, recorded: Iterable[Recorded], *, speed: float, stop: asyncio.Event
) -> None:
    """Publish each message when it is due, at the distances of the recording divided by the speed; none is dropped."""
    pace = Pace(speed)
    async with published(publisher, stop):
        for each in recorded:
            if not await publisher.wait_for_room(1, stop) or not await wait_until(pace.moment(each.time), stop):
                break
            await publisher.put(each.message)
