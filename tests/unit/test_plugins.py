"""Third parties' consumers: whatever they raise is a line, and the gateway goes on."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from gateway.api import Wants
from gateway.config import load
from gateway.errors import ConfigError
from gateway.plugins import registry as plugins
from gateway.plugins.foreign import ForeignConsumer
from gateway.plugins.registry import build_consumer, build_plugins, followers

SECRET = "hunter2-and-more"
LEAST = """
[gateway]
id = "edge-1"
state_dir = "/tmp/state"
[mqtt]
topics = ["vibration/{sensor}/reading"]
"""


class Report:
    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        self.name, self.url, self.settings = name, settings["url"], settings


def breaks_down(_name: str, settings: Mapping[str, Any]) -> Report:
    raise OSError(f"cannot open {settings['url']}")


def is_choosy(_name: str, settings: Mapping[str, Any]) -> Report:
    raise ValueError(f"{settings['url']} is not an address")


REPORTS = """
import pathlib
class Report:
    def __init__(self, name, settings):
        if settings["url"].startswith("/"):
            pathlib.Path(settings["url"]).write_text(repr((name, settings)))
    async def consume(self, readings, entries): ...
"""


Offer = Callable[..., None]


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Offer:
    """Return a function that installs a factory as the consumer type "report", or lets its import fail.

    A process of its own imports a module instead.
    """
    (tmp_path / "reports.py").write_text(REPORTS)
    monkeypatch.syspath_prepend(tmp_path)

    def install(factory: object = None, error: Exception | None = None) -> None:
        class Installed(EntryPoint):
            def load(self) -> object:
                if error is not None:
                    raise error
                return factory

        def installed(*, group: str, name: str = "report") -> list[EntryPoint]:
            return [Installed("report", "reports:Report", group)] if name == "report" else []

        monkeypatch.setattr(plugins, "entry_points", installed)

    return install


@pytest.mark.parametrize(
    ("factory", "settings", "problem"),
    [
        (Report, {}, "consumers.ours.url: is required"),
        (is_choosy, {"url": SECRET}, "consumers.ours: *** is not an address"),
        (breaks_down, {"url": SECRET}, "consumers.ours: report cannot be made of these settings: OSError"),
        (None, {}, "consumers.ours: 'NoneType' object is not callable"),
    ],
)
def test_what_its_maker_raises_is_a_line_without_a_value(
    offer: Offer, factory: object, settings: dict[str, Any], problem: str
) -> None:
    offer(factory)
    with pytest.raises(ConfigError) as caught:
        build_consumer("ours", "report", settings)
    assert caught.value.problems == [problem]
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [(ImportError("No module named 'reports'"), "No module named 'reports'"), (RuntimeError(SECRET), "RuntimeError")],
)
def test_one_that_cannot_be_loaded_is_named(offer: Offer, error: Exception, reason: str) -> None:
    offer(error=error)
    with pytest.raises(ConfigError) as caught:
        build_consumer("ours", "report", {})
    assert caught.value.problems == [f"consumers.ours.type: report cannot be loaded: {reason}"]
    assert caught.value.__context__ is None


def test_every_key_but_its_type_is_the_consumers_own(offer: Offer, tmp_path: Path) -> None:
    offer(Report)
    path, told = tmp_path / "gateway.toml", tmp_path / "told"
    path.write_text(LEAST + f"[consumers.ours]\ntype = 'report'\nurl = '{told}'\ntimeout = 5\nrate = 'often'\n")
    plugins_ = build_plugins(load(path, {}))
    assert isinstance(plugins_.consumers["ours"], ForeignConsumer)
    assert plugins_.problems() == []
    assert told.read_text() == repr(("ours", {"url": str(told), "timeout": 5, "rate": "often"}))


class Wanting(Report):
    wants = Wants(readings=False)

    async def start(self, context: object) -> None: ...

    def close(self) -> None: ...


def test_one_that_says_what_it_wants_must_have_the_whole_contract(offer: Offer) -> None:
    offer(Wanting)
    with pytest.raises(ConfigError) as caught:
        build_consumer("ours", "report", {"url": "x"})
    assert caught.value.problems == [
        "consumers.ours.type: report says what it wants, but has no `async def close`; see writing-a-consumer.md"
    ]


def test_a_type_that_does_not_exist_is_said_with_those_that_do(offer: Offer) -> None:
    offer(Report)
    with pytest.raises(ConfigError) as caught:
        build_consumer("ours", "memry", {})
    assert caught.value.problems == [
        "consumers.ours.type: there is no consumer of type 'memry' (there are: influxdb, memory, otel, report)"
    ]


def test_a_built_in_one_says_what_is_wrong_with_its_table() -> None:
    with pytest.raises(ConfigError) as caught:
        build_consumer("second", "influxdb", {"url": "http://localhost:8086", "org": "plant", "token": SECRET})
    assert caught.value.problems == ["consumers.second.bucket: is required"]


def test_who_follows_the_journal_by_which_name_and_whom_an_alert_is_about(offer: Offer, tmp_path: Path) -> None:
    offer(Report)
    path = tmp_path / "gateway.toml"
    path.write_text(
        LEAST
        + """
[influxdb]
url = "http://localhost:8086"
org = "plant"
bucket = "vibration"
token = "t"
[otel]
endpoint = "http://localhost:4318/v1/traces"
[consumers.ours]
type = "report"
url = "x"
[consumers.kept]
type = "memory"
"""
    )
    config = load(path, {})
    found = followers(config, build_plugins(config))
    assert [(one.name, one.subject, one.is_foreign, one.full is not None) for one in found] == [
        ("influx", "influxdb", False, True),
        ("otel", "otel", False, True),
        ("consumer.ours", "consumer.ours", True, False),
        ("consumer.kept", "consumer.kept", False, True),
    ]
    assert [one.wants.waits for one in found] == [True, False, True, True]


MINE = '[[inputs]]\nname = "mine"\ntopic = "%s"\nfields = { level = "a" }\n'


def test_an_input_whose_topics_are_all_those_of_events_would_read_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(LEAST + MINE % "vibration/{sensor}/reading")
    with pytest.raises(ConfigError, match=r"inputs\.mine\.topic: mqtt\.topics fits all of"):
        build_plugins(load(path, {}))


@pytest.mark.parametrize("topic", ["vibration/{sensor}/other", "{maker}/{sensor}/reading"])
def test_an_input_that_has_topics_of_its_own_is_built(tmp_path: Path, topic: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(LEAST + MINE % topic)
    assert [each.name for each in build_plugins(load(path, {})).inputs] == ["mine"]
