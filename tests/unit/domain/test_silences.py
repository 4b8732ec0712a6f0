"""What a silence may be: nobody mutes everything, however it is spelled."""

from typing import Any

import pytest

from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.silences import KINDS, mutes_everything, wanted

TIME_NS = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"machines": ["*"]},
        {"sites": ["*"], "areas": ["*"], "machines": ["*"], "sensors": ["*"]},
        {"machines": ["pump-1", "*"]},
        {"kinds": KINDS},
        {"kinds": KINDS[::-1], "sensors": ["*"]},
    ],
)
def test_everything_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it does not mute everything"):
        wanted({"until": "2030-01-01T00:00:00Z", **parts}, "anna", "", TIME_NS)


@pytest.mark.parametrize(
    "matchers",
    [
        Matchers(machines=("p*",)),
        Matchers(machines=("?*",)),  # a name that begins with a question mark
        Matchers(sites=("*",), sensors=("VB-1",)),
        Matchers(machines=("*",), kinds=("sensor",)),
        Matchers(kinds=KINDS[:2]),
    ],
)
def test_what_leaves_something_is_not_everything(matchers: Matchers) -> None:
    assert not mutes_everything(matchers)
