"""What a silence may be: nobody mutes everything, however it is spelled."""

from typing import Any

import msgspec
import pytest

from gateway.domain.model.alert_kinds import ALERT_KINDS
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.silences import Silence, added, of_fact, wanted

KINDS = tuple(ALERT_KINDS)
TIME_NS = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"machines": ["*"]},
        {"sites": ["*"], "areas": ["*"], "machines": ["*"], "sensors": ["*"]},
        {"machines": ["pump-1", "*"]},
        {"kinds": KINDS},
        {"tags": {"line": ["*"]}},
        {"tags": {"line": []}},
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
        Matchers(tags={"line": ("L*",)}),
    ],
)
def test_what_leaves_something_is_not_everything(matchers: Matchers) -> None:
    assert not matchers.match_everything()


@pytest.mark.parametrize("name", ["site", "area", "machine", "sensor"])
def test_what_has_a_list_of_its_own_is_no_tag(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}s"):
        wanted({"until": "2030-01-01T00:00:00Z", "tags": {name: ["x"]}}, "anna", "", TIME_NS)


def test_the_fact_that_a_silence_was_added_gives_it_back() -> None:
    parts = {"until": "2023-12-01T00:00:00Z", "machines": ["pump-*"], "kinds": ["machine"], "tags": {"line": ["L1"]}}
    silence = wanted(parts, "anna", "bearing change", TIME_NS)
    assert of_fact(added(silence, TIME_NS)) == silence
    assert msgspec.json.decode(msgspec.json.encode(silence), type=Silence) == silence


def test_a_silence_from_before_there_were_tags_names_none() -> None:
    fact = added(wanted({"until": "2023-12-01T00:00:00Z", "machines": ["pump-1"]}, "anna", "", TIME_NS), TIME_NS)
    del fact.data["tags"]
    assert of_fact(fact).matchers == Matchers(machines=("pump-1",))
