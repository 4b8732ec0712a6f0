"""Two connections that end each other are told from those that end by themselves."""

import pytest

from gateway.mqtt.incidents import CONNECTIONS, Incidents
from gateway.mqtt.twins import IN, OUT, Twins

Story = list[tuple[float, str, str]]


def after(story: Story) -> tuple[Twins, Incidents]:
    """Tell what happened when to which connection."""
    now = [0.0]
    incidents = Incidents(lambda: now[0])
    twins = Twins(incidents, lambda: now[0])
    for at, what, which in story:
        now[0] = at
        getattr(twins, what)(which)
    now[0] += 10
    return twins, incidents


BROKER_RESTARTS: Story = [(0, "came", IN), (0.5, "came", OUT), (9, "went", IN), (9, "went", OUT)]
FIGHT: Story = [
    (0, "came", IN),
    (1, "came", OUT),
    (1.01, "went", IN),
    (2.0, "went", OUT),
    (2.01, "came", IN),
]


@pytest.mark.parametrize(
    "story",
    [FIGHT, [(at, what, OUT if which == IN else IN) for at, what, which in FIGHT]],
    ids=["the first first", "the second first"],
)
def test_two_that_end_each_other(story: Story) -> None:
    twins, incidents = after(story)
    assert "mqtt.publish_username" in twins.problem
    found = incidents.standing()[CONNECTIONS]
    assert found is not None
    assert found[0] == "critical"
    twins.well()
    assert twins.problem == ""


@pytest.mark.parametrize(
    "story",
    [
        FIGHT[:3],
        [(10 * number + at, what, which) for number in range(3) for at, what, which in BROKER_RESTARTS],
        [(second, what, which) for second in range(9) for which in (IN, OUT) for what in ("came", "went")],
        [*FIGHT[:3], (100, "came", IN), (200, "came", OUT), (200.1, "went", IN)],
        [(0, "went", IN), (0, "came", OUT), (1, "went", IN), (1, "came", OUT)],
    ],
    ids=["once", "the broker ends both", "none of them lasts", "long apart", "one was never there"],
)
def test_what_ends_by_itself(story: Story) -> None:
    twins, incidents = after(story)
    assert twins.problem == ""
    assert incidents.standing()[CONNECTIONS] is None
