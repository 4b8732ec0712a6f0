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
class Due:
    """A message and when it is sent, in real seconds since the start."""

    after: float
    message: Message


def disturb(due: Iterable[Due], faults: Sequence[Transport], *, seed: int, speed: float) -> Iterator[Due]:
    """Yield the messages as they arrive, in the order of time; `due` comes in that order too.

    The windows of the faults are in simulated seconds, of which `speed` pass in a real one; how much later a message
    comes is in real ones. Retained states are left alone.
    """
    random, numbers = Random(f"{seed}/transport"), count()
    waiting: list[tuple[float, int, Due]] = []
    for each in due:
        while waiting and waiting[0][0] <= each.after:
            yield heapq.heappop(waiting)[2]
        for made in _disturbed(each, faults, random, speed):
            heapq.heappush(waiting, (made.after, next(numbers), made))
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
    return inside and (not fault.sensors or due.message.topic.split("/")[-2] in fault.sensors)


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
