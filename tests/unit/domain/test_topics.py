import pytest

from gateway.domain.inputs.topics import TopicTemplates

READING = "vibration/{site}/{area}/{machine}/{sensor}/reading"


def test_a_template_says_what_to_subscribe_to_and_what_the_levels_mean() -> None:
    templates = TopicTemplates([READING, "raw/{sensor}"])
    assert templates.filters == ["vibration/+/+/+/+/reading", "raw/+"]
    assert templates.match("vibration/plant-1/hall-2/pump-7/VB-1/reading") == {
        "site": "plant-1",
        "area": "hall-2",
        "machine": "pump-7",
        "sensor": "VB-1",
    }
    assert templates.match("raw/VB-9") == {"sensor": "VB-9"}


def test_the_first_template_that_fits_counts() -> None:
    assert TopicTemplates(["a/{machine}/b", "a/{sensor}/b"]).match("a/x/b") == {"machine": "x"}


@pytest.mark.parametrize("topic", ["", "raw", "raw/a/b", "raw/a/reading/", "Raw/a/reading", "raw/a/status"])
def test_other_topics_do_not_fit(topic: str) -> None:
    assert TopicTemplates(["raw/{sensor}/reading"]).match(topic) is None


def test_empty_levels_and_any_text_are_captured_as_they_are() -> None:
    templates = TopicTemplates(["raw/{machine}/{sensor}"])
    assert templates.match("raw//a b{c}é") == {"machine": "", "sensor": "a b{c}é"}


@pytest.mark.parametrize(
    ("template", "filter_", "topic"),
    [
        ("/plant/{sensor}", "/plant/+", "/plant/VB-1"),
        ("plant/{sensor}/", "plant/+/", "plant/VB-1/"),
        ("hall 2/{sensor}", "hall 2/+", "hall 2/VB-1"),
        ("Prüfstand/泵/{sensor}", "Prüfstand/泵/+", "Prüfstand/泵/VB-1"),
        ("{sensor}", "+", "VB-1"),
    ],
)
def test_whatever_a_plant_calls_its_topics(template: str, filter_: str, topic: str) -> None:
    templates = TopicTemplates([template])
    assert templates.filters == [filter_]
    assert templates.match(topic) == {"sensor": "VB-1"}
    assert templates.match(topic.strip("/ ").replace("VB-1", "VB-1/x")) is None


@pytest.mark.parametrize(
    "template",
    ["a/+", "a/#", "a/{Sensor}", "a/x{sensor}", "a/{}", "a/{sensor", "{x}/{x}", "$share/g/{sensor}", "a/\0"],
)
def test_a_template_that_means_nothing_is_refused_with_the_reason(template: str) -> None:
    with pytest.raises(ValueError, match=r"level|twice|broker"):
        TopicTemplates([template])
