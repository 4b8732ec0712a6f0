"""Why nothing was learned."""

from __future__ import annotations

from gateway.domain.detection.detector import SETTLED
from gateway.domain.detection.operating_state import known_baselines
from gateway.domain.detection.rules import Rules
from gateway.domain.detection.state import SensorState
from gateway.domain.model.timefmt import in_words


def why_not_learned(state: SensorState, rules: Rules) -> str | None:
    """Return why a sensor has no learned baseline in any operating state, or None if it has one or needs none."""
    if rules.baseline is not None or any(baseline.source in SETTLED for baseline in known_baselines(state)):
        return None
    all_states = [state.learning, *(known.learning for known in (state.others or {}).values())]
    learnings = [learning for learning in all_states if learning is not None]
    if not learnings:
        return "there was no reading to learn from: the machine stood still, had just started, or was above its limits"
    longest = max(learnings, key=lambda learning: learning.count)
    if longest.count < rules.learning_readings:
        states = f", in the operating state that it was in most, of {len(learnings)}" if len(learnings) > 1 else ""
        return f"{longest.count} readings to learn from{states}; learning_readings is {rules.learning_readings}"
    span_ns = (state.judged_ns or longest.first_ns) - longest.first_ns
    if span_ns < rules.learning_ns:
        return f"the readings to learn from span {in_words(span_ns)}; learning is {in_words(rules.learning_ns)}"
    return "too few of its readings are above zero and of a running machine"
