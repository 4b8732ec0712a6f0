"""What happens to messages between a sensor and the broker: twice, out of order, late, lost, damaged, all at once."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random

from simulator.publishing import Message
from simulator.scenario import Transport

MOST_DAMAGE = 8  # bytes changed in a damaged message


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment in real seconds since the start, at which there is nothing to send.

    Who waits for the next message must not have to work out a dropout of days, or an endless one, before it comes.
    """

    after: float


@dataclass(frozen=True, slots=True)
class Due(Moment):
    """A message that is sent at a moment, and the ids of the sensors whose measurements are in it."""

    message: Message
    sensors: frozenset[str] = frozenset()


def disturb(due: Iterable[Moment], faults: Sequence[Transport], *, seed: int, speed: float) -> Iterator[Moment]:
    """Yield the messages as they arrive, in the order of time; `due` comes in that order too.

    The windows of the faults are in simulated seconds, of which `speed` pass in a real one; how much later a message
    comes is in real ones. Retained states are left alone. A moment at which nothing arrives remains as a moment.
    """
    random, numbers = Random(f"{seed}/transport"), count()
    waiting: list[tuple[float, int, Moment]] = []
    for each in due:
        while waiting and waiting[0][0] <= each.after:
            yield heapq.heappop(waiting)[2]
        for made in _disturbed(each, faults, random, speed) if isinstance(each, Due) else ():
            heapq.heappush(waiting, (made.after, next(numbers), made))
        if not waiting or waiting[0][0] > each.after:
            yield Moment(each.after)
    while waiting:
        yield heapq.heappop(waiting)[2]


def _disturbed(due: Due, faults: Sequence[Transport], random: Random, speed: float) -> list[Due]:
    copies = [due]
    if due.message.retain:
        return copies
    for fault in faults:
        if _meets(fault, due, speed) and random.random() < fault.share:
            copies = [made for each in copies for made in _one(each, fault, random, speed)]
    return copies


def _meets(fault: Transport, due: Due, speed: float) -> bool:
    inside = fault.after <= due.after * speed < fault.until
    return inside and (not fault.sensors or not fault.sensors.isdisjoint(due.sensors))


def _one(due: Due, fault: Transport, random: Random, speed: float) -> list[Due]:
    """Apply a fault to one message: what comes of it."""
    match fault.kind:
        case "duplicate":
            return [due, replace(due, after=due.after + fault.by)]
        case "reorder":
            return [replace(due, after=due.after + random.uniform(0, fault.by))]
        case "delay":
            return [replace(due, after=due.after + fault.by)]
        case "burst":
            return [replace(due, after=fault.until / speed)]
        case "corrupt":
            return [replace(due, message=replace(due.message, payload=damaged(due.message.payload, random)))]
        case "drop" | "last-will":
            return []


def damaged(payload: bytes, random: Random) -> bytes:
    """Change some bytes of a message, and in every second case cut its end off."""
    changed = bytearray(payload)
    for _ in range(random.randint(1, MOST_DAMAGE)):
        changed[random.randrange(len(changed))] = random.randrange(256)
    return bytes(changed[: random.randrange(len(changed))] if random.random() < 0.5 else changed)  # noqa: PLR2004 - half
