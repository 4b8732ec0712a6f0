"""Dead letters by the kind of their topic and the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.heard import MOST_GROUPS, MOST_KINDS, MOST_LETTERS, SAMPLES, Letter, heard


def letters(*topics: str, reason: str = "not_understood") -> list[Letter]:
    """Return a letter on each topic, the newest first."""
    return [Letter(len(topics) - at, 1000 - at, topic, reason, "no input fits") for at, topic in enumerate(topics)]


@pytest.mark.parametrize(
    ("topics", "patterns"),
    [
        (["mill/dev-7/data", "mill/dev-8/data"], ["mill/+/data"]),
        (["mill/saw/data", "mill/fan/data"], ["mill/+/data"]),
        (["mill/saw/temperature", "mill/saw/velocity"], ["mill/saw/temperature", "mill/saw/velocity"]),
        (["mill/saw", "mill/saw/data"], ["mill/saw", "mill/saw/data"]),
        (["/a b/ü"], ["/a b/ü"]),
    ],
)
def test_the_level_that_varies_is_left_open(topics: list[str], patterns: list[str]) -> None:
    assert sorted(group.pattern for group in heard(letters(*topics)).groups) == patterns


def test_a_group_is_of_one_reason_and_has_its_newest_message() -> None:
    found = heard([*letters("a/dev-1", "a/dev-2", "a/dev-1"), *letters("a/dev-3", reason="not_json")])
    assert [(group.newest.reason, group.messages, group.topics) for group in found.groups] == [
        ("not_understood", 3, 2), ("not_json", 1, 1),
    ]  # fmt: skip
    assert (found.groups[0].newest.topic, found.groups[0].newest.seq, found.groups[0].samples) == (
        "a/dev-1",
        3,
        [3, 2, 1],
    )
    assert found.in_words() == "heard, not understood: 4 messages on 3 topics"


def test_what_was_understood_is_none() -> None:
    assert heard(letters("influx", reason="consumer_refused")).in_words() == ""
    assert heard(letters("a/dev-1", reason="id_conflict")).groups == []
    assert heard(letters("a")).in_words() == "heard, not understood: 1 message on 1 topic"


@pytest.mark.parametrize("levels", [2, 200])
def test_of_a_flood_a_bounded_part_is_kept(levels: int) -> None:
    topics = [f"{'/'.join(chr(97 + at % 26) * (1 + at // 26) for _ in range(levels))}" for at in range(MOST_LETTERS)]
    found = heard(letters(*topics))
    assert not found.is_whole
    assert found.in_words().startswith(f"heard, not understood: at least {MOST_LETTERS} messages on ")
    assert len(found.groups) <= MOST_GROUPS < MOST_KINDS


@given(st.lists(st.tuples(st.text("ab/7", max_size=12), st.sampled_from(["invalid", "not_json"])), max_size=60))
def test_every_message_is_in_one_group(topics: list[tuple[str, str]]) -> None:
    found = heard([Letter(len(topics) - at, 0, topic, reason, "") for at, (topic, reason) in enumerate(topics)])
    assert sum(group.messages for group in found.groups) == found.messages == len(topics)
    for group in found.groups:
        assert len(group.samples) == min(group.messages, SAMPLES)
        assert group.pattern.count("/") == group.newest.topic.count("/")
