"""What is normal for which sensor, and who said so: told from the facts in the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.domain.baseline_facts import BASELINE_LEARNED, BASELINE_RELEARN, BASELINE_SET
from gateway.domain.events import Fact, rfc3339

CHANGES = {BASELINE_LEARNED: "learned", BASELINE_SET: "set", BASELINE_RELEARN: "relearn"}
"""Type of the fact -> what happened to the baseline, in a word."""


def described(fact: Fact) -> Mapping[str, Any]:
    """Return a change of a baseline as every interface shows it: what the fact holds, and what happened when."""
    return {"change": CHANGES[fact.type], "at": rfc3339(fact.time_ns), **fact.data}


def current(facts: Iterable[Fact]) -> list[Mapping[str, Any]]:
    """Return the baselines that hold after these facts, oldest first, in the order of sensors and operating states."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for fact in facts:
        if fact.type != BASELINE_RELEARN:
            found[fact.subject, fact.data.get("state", "")] = described(fact)
            continue
        state = fact.data["state"]
        gone = [key for key in found if key[0] == fact.subject and state in {None, key[1]}]
        for key in gone:
            del found[key]
    return [found[key] for key in sorted(found)]
