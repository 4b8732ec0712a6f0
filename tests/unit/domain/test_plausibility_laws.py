"""The law of plausibility: no sequence of messages hides a machine whose level stays critical."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.alerting.alert import RAISED
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import Sensor
from gateway.domain.engine.engine import Engine
from gateway.domain.model.assets import MachineState, asset_of
from tests.examples import examples
from tests.readings import NOON_NS, SECOND
from tests.unit.domain.test_engine import engine, sensor
from tests.unit.domain.test_plausibility import healthy, receive

RULES = Rules(learning_readings=12, learning_ns=0)
"""With what was learned, a level from 10.3 on is critical; and from 20.6 on in a state that nobody knows."""

HEARD = 10
"""Readings are received so many seconds apart; that they are is known no finer."""

TOLD_READINGS = RULES.told_within_ns // (HEARD * SECOND) + RULES.on_readings + 2
"""So many readings after the first that was critical somebody is told: some are judged before the first that is not."""

words = st.sampled_from([None, "running", "stopped", "off", "0", "unknown", "", "normal-2", "fast", "x"])
"""What a message says of the state of its machine."""

offsets = st.sampled_from([0, 290, 301, -30, -290, -3600, -20 * 3600, -25 * 3600, 10**6, -(10**9)]) | st.integers(
    -90_000, 400
)
"""By how many seconds the time of a reading is wrong."""

units = st.sampled_from(["m/s²", "m/s²", "m/s²", "g", "mm/s", "furlong"])

messages = st.fixed_dictionaries(
    {
        "offset": offsets,
        "operatingState": words,
        "unit": units,
        "baselineVibrationLevel": st.none() | st.sampled_from([1e-6, 4.0, 1e6]),
        "rpm": st.none() | st.sampled_from([0.0, 900.0, 1500.0, 1e9]),
        "level": st.floats(25, 60).map(lambda level: round(level, 2)),
        "said": st.none() | words,
    }
)
"""What its account may publish: the true level, which is critical, with anything else; and its machine's state."""


def one_law() -> tuple[Engine, Sensor]:
    one = sensor()
    made = engine(one, rules=RULES)
    healthy(made, one, 0)
    healthy(made, one, 600, state="running")
    return made, one


@examples(60)
@given(st.lists(messages, min_size=1, max_size=5), st.integers(1, 20))
def test_somebody_is_told_in_time_whatever_a_message_says_beside_the_level(
    kinds: list[dict[str, Any]], each: int
) -> None:
    """They come in blocks of `each`, again and again: of one kind, alternating, or anything in between."""
    made, one = one_law()
    for at in range(TOLD_READINGS):
        kind = dict(kinds[at // each % len(kinds)])
        said, offset, level = kind.pop("said"), kind.pop("offset"), kind.pop("level") + 0.01 * (at % 7)
        second = 1300 + HEARD * at
        if said is not None:
            made.signal(MachineState(asset_of(one.tags), said), NOON_NS + second * SECOND)
        if any(change.fact.type == RAISED for change in receive(made, one, second, second + offset, level, **kind)):
            return
    raise AssertionError(f"nobody was told: {one.state.not_judged}, {one.state.doubt}")
