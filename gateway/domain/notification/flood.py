"""When it is too much: floods of alerts on a route, and alerts of a sensor that come and go."""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct

_MINUTE_NS = 60 * 10**9
IDLE_NS, LONGEST_NS = 30 * 10**9, 5 * _MINUTE_NS
"""A flood's first digest goes when nothing has come for so long, at the latest so long after it began."""


URGENT_NS = 3 * 10**9
"""While much is gathered, what is worse than that goes at once; what else is so within so long goes together."""

MOST_MACHINES = 1000
"""So many a route remembers as critical: what is forgotten of more only goes sooner than it need."""


class Noise(Struct, frozen=True):
    """More than `flood_count` alerts in the window are a flood, until fewer than `flood_end` are (ISA-18.2).

    A sensor whose alert is raised more than `flap_count` times in its window flaps. 0 turns either off. `inhibit`: what
    follows from something else that is told of already is not, nor what a machine in one of `stopped_states` (in small
    letters) does to its sensors. `notice_ns` before a silence ends there is a notice.
    """

    flood_count: int = 10
    flood_end: int = 5
    flood_window_ns: int = 10 * _MINUTE_NS
    flap_count: int = 5
    flap_window_ns: int = 30 * _MINUTE_NS
    inhibit: bool = True
    stopped_states: frozenset[str] = frozenset({"stopped", "off"})
    notice_ns: int = 15 * _MINUTE_NS


class Traffic(Struct):
    """The last changes that a route led to, when its last digest went, and when each machine was critical last."""

    times: list[int] = []
    flooding: bool = False
    digest_ns: int = 0
    critical: dict[str, int] = {}

    def note(self, now_ns: int, noise: Noise) -> None:
        """Take in a change; `flooding` then says whether it belongs to a flood."""
        self.times = [*self.times, now_ns][-noise.flood_count - 1 :]
        recent = len(self.times) - bisect_right(self.times, now_ns - noise.flood_window_ns)
        if noise.flood_count == 0 or recent < noise.flood_end:
            self.flooding = False
        elif recent > noise.flood_count:
            self.flooding = True

    def is_news(self, machine: str, now_ns: int, window_ns: int) -> bool:
        """Take in that a machine is critical; tell whether it has not been for as long as a window."""
        before_ns = self.critical.get(machine)
        kept = {name: at_ns for name, at_ns in self.critical.items() if name != machine}
        self.critical = dict([*kept.items(), (machine, now_ns)][-MOST_MACHINES:])
        return before_ns is None or before_ns <= now_ns - window_ns

    def digest_due(self, since_ns: int, now_ns: int, noise: Noise) -> int:
        """Return when the digest goes that has gathered since `since_ns`, the last time just now."""
        due_ns = min(now_ns + IDLE_NS, since_ns + LONGEST_NS)
        return max(due_ns, self.digest_ns + noise.flood_window_ns) if self.digest_ns else due_ns


class Flaps(Struct):
    """When a sensor's alert was raised, the last few times."""

    times: list[int] = []

    def note(self, now_ns: int, noise: Noise) -> None:
        """Take in that the alert was raised."""
        self.times = [*self.times, now_ns][-noise.flap_count - 1 :]

    def flapping(self, now_ns: int, noise: Noise) -> bool:
        """Tell whether it comes and goes."""
        recent = len(self.times) - bisect_right(self.times, now_ns - noise.flap_window_ns)
        return noise.flap_count > 0 and recent > noise.flap_count
