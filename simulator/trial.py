"""A fleet to try detection on: a month of many sensors, with a number of faults of each kind, drawn from a seed.

A tenth of the sensors stay healthy, on machines of their own, of which every second one is put together a little
differently in the middle of the month. Each other sensor has one fault, after a week to learn and some days more.
Faults of the machine show in the acceleration (bearings, gears) three times in four, else in the velocity (the shaft).
"""

import math
from collections.abc import Callable
from random import Random
from typing import Any

from simulator.fleet import Fleet
from simulator.times import SECONDS

DAYS = 30
INTERVAL = "5m"
SENSORS_PER_MACHINE = 4
BEARINGS = ("outer-race", "inner-race", "ball", "gear")
SHAFTS = ("imbalance", "parallel-misalignment", "looseness")
SHAFT_SHARE = 0.25

Made = dict[str, Any]

SHIFT: Made = {"after": "17d", "to": 1.3}


def trial_fleet(faults: int, seed: int) -> Fleet:
    """Make a fleet with so many faults of each kind: ten sensors for each, four to a machine."""
    random = Random(f"{seed}/trial")
    wrong: list[Callable[[Random], Made]] = [make for make in KINDS for _ in range(faults)]
    random.shuffle(wrong)
    machines = _machines("hall", wrong, random)
    healthy = _machines("annex", [_nothing] * faults, random)
    for machine in healthy[::2]:
        machine.update(cycle=_two_shifts(random), shifts=[SHIFT])
    return Fleet.model_validate({"site": "trial", "machines": machines + healthy})


def _machines(area: str, wrong: list[Callable[[Random], Made]], random: Random) -> list[Made]:
    groups = [wrong[first : first + SENSORS_PER_MACHINE] for first in range(0, len(wrong), SENSORS_PER_MACHINE)]
    return [_machine(area, number, group, random) for number, group in enumerate(groups, 1)]


def _machine(area: str, number: int, wrong: list[Callable[[Random], Made]], random: Random) -> Made:
    return {
        "id": f"machine-{number:02}",
        "area": area,
        "description": f"Trial Machine {number}, {area}",
        "rpm": random.choice((980.0, 1480.0, 2960.0)),
        "load": 0.8,
        "cycle": random.choice((_always, _two_shifts, _two_speeds))(random),
        "sensors": [_sensor(f"{area}-{number:02}-{place}", make, random) for place, make in enumerate(wrong, 1)],
    }


def _sensor(name: str, make: Callable[[Random], Made], random: Random) -> Made:
    return {
        "id": name,
        "interval": INTERVAL,
        "baseline": round(random.uniform(1.5, 6.0), 2),
        "send_baseline": False,
        "noise": round(random.uniform(0.03, 0.06), 3),
        "wander": round(random.uniform(0.01, 0.03), 3),
        **make(random),
    }


def _always(_: Random) -> list[Made]:
    return []


def _two_shifts(random: Random) -> list[Made]:
    return [
        {"state": "running", "lasts": "15h"},
        {"state": "idle", "lasts": "30m", "speed": 0.5, "load": 0.1},
        {"state": "stopped", "lasts": f"{random.randint(420, 540)}m", "speed": 0, "load": 0},
    ]


def _two_speeds(random: Random) -> list[Made]:
    return [
        {"state": "full speed", "lasts": f"{random.randint(4, 9)}h"},
        {"state": "part speed", "lasts": f"{random.randint(2, 5)}h", "speed": 0.7, "load": 0.6},
    ]


def _nothing(_: Random) -> Made:
    return {}


def _after(random: Random) -> str:
    return _text(random.uniform(10, 20) * SECONDS["d"])


def _text(seconds: float) -> str:
    return f"{seconds:.0f}s"


def _log_uniform(random: Random, low: float, high: float) -> float:
    return math.exp(random.uniform(math.log(low), math.log(high)))


def _fault(random: Random) -> str:
    return random.choice(SHAFTS if random.random() < SHAFT_SHARE else BEARINGS)


def _growth(random: Random) -> Made:
    after, over = random.uniform(10, 17), _log_uniform(random, 4, 36)
    wear: Made = {
        "kind": "growth",
        "fault": _fault(random),
        "after": _text(after * SECONDS["d"]),
        "over": _text(over * SECONDS["h"]),
        "to": round(random.uniform(3, 5), 1),
    }
    if random.random() < 0.5:  # noqa: PLR2004 - half of them
        wear["repaired"] = _text((after + random.uniform(7, 9)) * SECONDS["d"])
    return {"wear": wear}


def _jump(random: Random) -> Made:
    to = round(random.uniform(2, 4), 1)
    return {"wear": {"kind": "jump", "fault": _fault(random), "after": _after(random), "over": "2m", "to": to}}


def _steps(random: Random) -> Made:
    every = _text(random.uniform(4, 24) * SECONDS["h"])
    to = round(random.uniform(2.5, 4), 1)
    wear = {"kind": "steps", "fault": _fault(random), "after": _after(random), "every": every, "by": 0.4, "to": to}
    return {"wear": wear}


def _window(random: Random, kind: str, hours: tuple[float, float], **more: object) -> Made:
    lasts = _text(random.uniform(*hours) * SECONDS["h"])
    return {"faults": [{"kind": kind, "after": _after(random), "lasts": lasts, **more}]}


def _dropout(random: Random) -> Made:
    return _window(random, "dropout", (6, 72))


def _stuck(random: Random) -> Made:
    return _window(random, "stuck", (24, 96))


def _drift(random: Random) -> Made:
    over = _text(random.uniform(2, 5) * SECONDS["d"])
    return _window(random, "drift", (144, 216), over=over, to=round(random.uniform(0.3, 0.6), 2))


def _spike(random: Random) -> Made:
    return _window(random, "spike", (48, 120), share=0.02, to=8.0)


def _floor(random: Random) -> Made:
    return _window(random, "floor", (24, 96))


def _clock(random: Random) -> Made:
    return _window(random, "clock", (24, 96), by=random.choice(("-400d", "-30d", "300d")))


KINDS = (_growth, _jump, _steps, _dropout, _stuck, _drift, _spike, _floor, _clock)
