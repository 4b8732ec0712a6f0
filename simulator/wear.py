"""How wear goes on: factors of what a healthy machine measures, as plain functions of the elapsed seconds.

1.0 is a machine without wear. Real ones grow, or jump within two minutes, so one exponential is not enough.
"""

import numpy as np

from simulator.features import Samples


def growth(elapsed: Samples, *, after: float, over: float, to: float) -> Samples:
    """Grow along the logistic curve: first exponentially, time constant `over` (s), then levelling off at `to`."""
    age = np.maximum(0.0, elapsed - after)
    return to / (1.0 + (to - 1.0) * np.exp(-age / over))


def jump(elapsed: Samples, *, after: float, over: float, to: float) -> Samples:
    """Rise in a straight line from 1 to the factor `to` within `over` seconds."""
    return 1.0 + (to - 1.0) * np.clip((elapsed - after) / over, 0.0, 1.0)


def steps(elapsed: Samples, *, after: float, every: float, by: float, to: float) -> Samples:
    """One step of `by` at `after` and another each `every` seconds, up to the factor `to`."""
    taken = np.floor((elapsed - after) / every) + 1
    risen: Samples = np.minimum(to, 1.0 + by * np.maximum(0.0, taken))
    return risen
