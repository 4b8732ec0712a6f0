"""The tables that say who is told: what they become, and every mistake in them named."""

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gateway.config import Config, load, load_rules, noise_of, route_table, standing_silences
from gateway.config.to_notification import zone_of
from gateway.domain.model.timefmt import microseconds
from gateway.domain.notification.matching import Matchers
from gateway.domain.notification.oncall import Hours
from gateway.domain.notification.routing import EscalationStep
from gateway.errors import ConfigError
from gateway.plugins.registry import build_plugins

BASE = """
[gateway]
id = "edge-1"
state_dir = "state"
timezone = "Europe/Stockholm"
[mqtt]
topics = ["vibration/{sensor}/reading"]
[handlers.mail]
type = "log"
[handlers.sms]
type = "log"
"""
STOCKHOLM = ZoneInfo("Europe/Stockholm")

Read = Callable[[str], Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read(text: str) -> Config:
        file = tmp_path / "gateway.toml"
        file.write_text(BASE + text)
        return load(file, {})

    return read


def test_a_route_with_everything(read: Read) -> None:
    config = read("""
[[routes]]
name = "pumps"
severity = "warning"
areas = ["hall-2"]
machines = ["pump-*"]
kinds = ["machine"]
handlers = ["mechanics"]
times = { days = ["mon-fri", "sun"], from = "06:00", to = "18:00", timezone = "UTC" }
quiet = { from = "22:00", to = "06:00" }
resolved = true
group_by = "area"
group_wait = "1m"
repeat = "4h"
escalation = [{ after = "15m", handlers = ["sms"] }]
fallback = "sms"
[oncall.mechanics]
handlers = ["mail", "sms"]
""")
    route = route_table(config).by_name["pumps"]
    assert route.matchers == Matchers(areas=("hall-2",), machines=("pump-*",), kinds=("machine",))
    assert route.times == Hours(ZoneInfo("UTC"), frozenset({0, 1, 2, 3, 4, 6}), 360, 1080)
    assert route.quiet == Hours(STOCKHOLM, start=1320, end=360)
    assert route.steps == (EscalationStep(15 * 60 * 10**9, ("sms",)),)
    assert (route.repeat_ns, route.group_wait_ns, route.fallback) == (4 * 3600 * 10**9, 60 * 10**9, "sms")
    assert route_table(config).resolve(["mechanics"], 0) in {("mail",), ("sms",)}


def test_times_without_a_zone_are_those_of_the_gateway(read: Read) -> None:
    config = read("""
[[silences]]
name = "shutdown"
areas = ["hall-2"]
owner = "anna"
reason = "summer"
starts = 2026-07-01T00:00:00
until = 2026-08-01T00:00:00Z
""")
    (silence,) = standing_silences(config)
    begin = microseconds(datetime(2026, 6, 30, 22, tzinfo=ZoneInfo("UTC"))) * 1000
    assert (silence.id, silence.starts_ns, silence.owner) == ("shutdown", begin, "anna")


def test_a_silence_may_end_before_noon_somewhere_else(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    config = read("""
[[silences]]
name = "shutdown"
areas = ["hall-2"]
owner = "anna"
reason = "summer"
starts = 2026-07-01T12:00:00
until = 2026-07-01T11:00:00Z
""")
    (silence,) = standing_silences(config)
    assert silence.ends_ns == silence.starts_ns + 3600 * 10**9


def test_without_a_zone_it_is_the_systems(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "BASE", BASE.replace('timezone = "Europe/Stockholm"\n', ""))
    monkeypatch.setenv("TZ", ":America/New_York")
    assert zone_of(read("")).key == "America/New_York"
    monkeypatch.setenv("TZ", "nowhere/at-all")
    assert zone_of(read("")).key == "UTC"


TAGGED = """
[[routes]]
severity = "warning"
handlers = ["mail"]
group_by = "line"
tags = { line = ["L1", "M*"] }
[[silences]]
name = "s"
owner = "anna"
reason = ""
tags.line = ["L2"]
until = 2026-01-01T00:00:00Z
"""


def test_what_a_topic_captures_is_routed_silenced_and_grouped_by(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(BASE.replace("{sensor}", "{site}/{line}/{sensor}") + TAGGED)
    (route,) = route_table(load(file, {})).by_name.values()
    assert (route.matchers, route.group_by) == (Matchers(tags={"line": ("L1", "M*")}), "line")
    (silence,) = standing_silences(load(file, {}))
    assert silence.matchers == Matchers(tags={"line": ("L2",)})
    assert load_rules(file, {}).routes[0].group_by == "line"


def test_nothing_about_noise_gives_the_defaults_of_isa(read: Read) -> None:
    noise = noise_of(read(""))
    assert (noise.flood_count, noise.flood_end, noise.flood_window_ns) == (10, 5, 600 * 10**9)


ROUTE = '[[routes]]\nseverity = "warning"\nhandlers = ["mail"]\n'
SILENCE = '[[silences]]\nname = "s"\nowner = "anna"\nreason = ""\n'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[routes]]\nseverity = "warning"\nhandlers = ["nobody"]', "routes #1.handlers: there is no [handlers"),
        (ROUTE + 'fallback = "nobody"', "routes #1.fallback: there is no [handlers.nobody]"),
        (ROUTE + 'escalation = [{ after = "5m", handlers = ["x"] }]', "routes #1.escalation #1.handlers: there is no"),
        (ROUTE + 'name = "a"\n' + ROUTE + 'name = "a"', "more than one table with the name 'a'"),
        (ROUTE + ROUTE + 'name = "route 1"', "routes #2.name"),
        ('[oncall.mail]\nhandlers = ["sms"]', "oncall.mail: [handlers.mail] has this name already"),
        ('[oncall.week]\nhandlers = ["week"]', "oncall.week.handlers: there is no [handlers.week]"),
        ('[oncall.week]\nhandlers = ["mail"]\nhandover = "08:00"', "oncall.week.handover: a handover is a day"),
        (ROUTE + 'quiet = { from = "22:00", to = "22:00" }', "routes #1.quiet: from and to leave no time"),
        (ROUTE + 'quiet = { from = "25:00", to = "06:00" }', "a time of day is hours and minutes"),
        (ROUTE + "times = { days = [] }", "there is no day in it"),
        (ROUTE + 'times = { days = ["someday"] }', "days are mon, tue"),
        (ROUTE + 'times = { timezone = "Mars/Olympus" }', "routes #1.times.timezone: a time zone is a name such as"),
        (ROUTE + 'machines = ["*-pump"]', "a star stands at the end only"),
        (ROUTE + 'group_by = "colour"', "routes #1.group_by: must be machine, area, site, none, or a placeholder"),
        (ROUTE + 'tags.line = ["L1"]', "routes #1.tags.line: no topic has this placeholder (there are: none"),
        (ROUTE + 'tags.site = ["L1"]', "it is a key of its own: sites"),
        (ROUTE + 'tags.line = ["*1"]', "a star stands at the end only"),
        (SILENCE + 'tags.line = ["L1"]\nuntil = 2026-01-01T00:00:00Z', "silences #1.tags.line: no topic has"),
        (ROUTE + 'kinds = ["person"]', "routes #1.kinds"),
        (SILENCE + "until = 2026-01-01T00:00:00Z", "it must name a site, an area"),
        (SILENCE + 'machines = ["*"]\nuntil = 2026-01-01T00:00:00Z', "it must name a site, an area"),
        (SILENCE + 'machines = ["m"]', "it needs an end (until), or hours"),
        (SILENCE + 'machines = ["m"]\nstarts = 2026-02-01T00:00:00Z\nuntil = 2026-01-01T00:00:00Z', "must be after"),
        (
            SILENCE + 'machines = ["m"]\nstarts = 2026-07-01T12:00:00Z\nuntil = 2026-07-01T13:30:00',
            "silences #1.until: it must be after starts",
        ),
        (SILENCE + 'machines = ["m"]\nuntil = 0001-01-01T00:00:00+23:59', "silences #1.until: it is before the year 1"),
        (
            SILENCE + 'machines = ["m"]\nstarts = 0001-01-01T00:00:00+23:59\nuntil = 9999-12-31T23:59:59-23:59',
            "silences #1.starts: it is before the year 1",
        ),
        ("[noise]\nflood_end = 11", "noise: flood_end is above flood_count"),
        ('[heartbeat]\nurl = "nowhere"', "heartbeat.url"),
        ('[heartbeat]\nurl = "http://x/"\nevery = "10ms"', "heartbeat.every"),
        ('[otel]\nendpoint = "nowhere"', "otel.endpoint"),
        ('[otel]\nendpoint = "http://x/"\nheaders = { "a b" = "c" }', "otel.headers"),
        ('[otel]\nendpoint = "http://x/"\nheaders = { a = "b\\nc" }', "a: a header is one line of ASCII"),
    ],
)  # fmt: skip
def test_each_mistake_is_named(read: Read, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert problem in str(raised.value)


def test_traces_without_the_extra_are_refused_before_anything_starts(
    read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read('[otel]\nendpoint = "http://x/"')
    assert build_plugins(config).consumers == {}

    monkeypatch.setattr("gateway.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[otel\]'"):
        build_plugins(config)


@pytest.mark.parametrize(
    ("text", "extra"),
    [
        ("[http]\nport = 8080", "http: this needs the extra 'page'"),
        ('[handlers.m]\ntype = "email"', "handlers.m: this needs the extra 'email'"),
        ('[handlers.m]\ntype = "apprise"', "handlers.m: this needs the extra 'apprise'"),
    ],
)
def test_what_is_not_installed_is_named_before_anything_starts(
    read: Read, monkeypatch: pytest.MonkeyPatch, text: str, extra: str
) -> None:
    monkeypatch.setattr("gateway.extras.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=re.escape(extra)):
        build_plugins(read(text))


@pytest.mark.parametrize(("text", "rate"), [("20/h", (20, 3600)), ("5/10m", (5, 600)), ("1 / 30s", (1, 30))])
def test_a_rate_is_a_number_in_a_time(read: Read, text: str, rate: tuple[int, int]) -> None:
    found = read(f'[handlers.x]\ntype = "log"\nrate = "{text}"').handlers["x"]
    assert found.rate == (rate[0], rate[1] * 10**9)
    assert "rate" not in found.settings


@pytest.mark.parametrize("text", ["h", "0/h", "20", "20/", "-1/h", "20/fortnight", "1e3/h"])
def test_what_is_no_rate_is_refused(read: Read, text: str) -> None:
    with pytest.raises(ConfigError, match=r"handlers\.x\.rate"):
        read(f'[handlers.x]\ntype = "log"\nrate = "{text}"')
