import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.inputs.topic_index import TopicIndex, filter_of, levels_of

Index = TopicIndex[str, tuple[str, dict[str, str]]]


def index(*templates: str) -> Index:
    made: Index = TopicIndex(lambda item, captured: (item, captured))
    for template in templates:
        made.add(levels_of(template), template)
    return made


@pytest.mark.parametrize(
    ("template", "topic", "captured"),
    [
        ("a/{sensor}/c", "a/b/c", {"sensor": "b"}),
        ("/neuron/{driver}", "/neuron/mqtt", {"driver": "mqtt"}),
        ("z/{sensor}", "z/pump 7 µ", {"sensor": "pump 7 µ"}),
        ("a/{rest...}", "a/b/c", {"rest": "b/c"}),
        ("a/{rest...}", "a", {"rest": ""}),
        ("{a}/{b}", "x/", {"a": "x", "b": ""}),
    ],
)
def test_a_template_captures_levels(template: str, topic: str, captured: dict[str, str]) -> None:
    assert index(template).match(topic) == [(template, captured)]


@pytest.mark.parametrize("topic", ["a/b", "a/b/c/d", "A/b/c", "", "a/+/c", "a/#"])
def test_other_topics_do_not_fit(topic: str) -> None:
    assert index("a/{sensor}/c").match(topic) == []


def test_what_fits_comes_in_the_order_it_was_added() -> None:
    made = index("{x}/b", "a/b", "a/{rest...}", "a/{y}")
    assert [item for item, _ in made.match("a/b")] == ["{x}/b", "a/b", "a/{rest...}", "a/{y}"]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a/+", r"\{rest\.\.\.\}"),
        ("a/x{b}", "either plain text or one"),
        ("{a}/{a}", "twice"),
        ("{a...}/b", "only the last level"),
        ("$share/group/a", "shared subscription"),
        ("$SYS/a", "broker's own"),
    ],
)
def test_a_bad_template_is_refused_with_the_reason(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        levels_of(template)


def test_a_template_is_subscribed_to_with_wildcards() -> None:
    assert filter_of(levels_of("/a/{b}/{rest...}")) == "/a/+/#"


LEVEL = st.text("ab", max_size=2)


@given(
    st.lists(st.lists(LEVEL | st.sampled_from(["{p}"]), min_size=1, max_size=4), max_size=8),
    st.lists(LEVEL, min_size=1),
)
def test_the_tree_finds_what_looking_at_each_template_finds(templates: list[list[str]], topic: list[str]) -> None:
    texts = ["/".join(levels) for levels in templates if levels.count("{p}") < 2]
    fitting = [
        text
        for text in texts
        if len(text.split("/")) == len(topic)
        and all(level in {"{p}", heard} for level, heard in zip(text.split("/"), topic, strict=True))
    ]
    assert [item for item, _ in index(*texts).match("/".join(topic))] == fitting
