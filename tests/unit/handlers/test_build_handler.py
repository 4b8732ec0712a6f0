import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import BaseModel

from gateway.domain.notification.model import Notification
from gateway.errors import ConfigError
from gateway.handlers.mail.handler import EmailHandler
from gateway.plugins import registry
from gateway.plugins.registry import HANDLER_GROUP, build_handler

SECRET = "hunter2-and-more"
EMAIL = {"host": "smtp.example.com", "from": "gateway@example.com", "to": ["anna@example.com"]}
SMS = {"account_sid": "AC1", "auth_token": SECRET, "from": "+15005550006", "to": ["+46700000000"]}


def problems_of(type_: str, settings: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the settings, after looking for the secret in the whole chain of exceptions."""
    with pytest.raises(ConfigError) as caught:
        build_handler("ours", type_, settings)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    return caught.value.problems


def test_builds_what_the_design_shows() -> None:
    login = {"username": "gateway", "password": SECRET, "security": "starttls", "port": 587}
    assert isinstance(build_handler("mail", "email", {**EMAIL, **login}), EmailHandler)
    assert build_handler("sms", "sms", {**SMS, "base_url": "https://api.twilio.com"})


def test_imports_a_client_library_only_when_it_is_asked_for() -> None:
    code = "import sys, gateway.handlers; print({'httpx', 'aiosmtplib'} & sys.modules.keys())"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"hots": SECRET}, "handlers.ours.hots: unknown key"),
        ({"from": None}, "handlers.ours.from: must be a mail address in ASCII"),
        ({"from": SECRET}, "handlers.ours.from: must be a mail address in ASCII"),
        ({"to": [f"anna@example.com\r\nRCPT TO:<{SECRET}@x>"]}, "handlers.ours.to.0: must be a mail address in ASCII"),
        ({"to": ["Anna <a@b>, Bert <b@b>"]}, "handlers.ours.to.0: must be a mail address in ASCII"),
        ({"to": []}, "handlers.ours.to: "),
        ({"port": SECRET}, "handlers.ours.port: "),
        ({"security": SECRET}, "handlers.ours.security: must be 'none', 'starttls' or 'tls'"),
        ({"ca": f"/nowhere/{SECRET}"}, "handlers.ours.ca: Path does not point to a file"),
        ({"ca": __file__}, "handlers.ours.ca: is not a readable file of certificates in PEM"),
        ({"username": "gateway"}, "handlers.ours: username and password go together"),
        ({"password": SECRET}, "handlers.ours: username and password go together"),
        (
            {"username": "gateway", "password": SECRET, "security": "none"},
            "handlers.ours.username: a login needs an encrypted connection",
        ),
    ],
)
def test_names_the_key_of_a_bad_email_setting_and_not_its_value(changes: dict[str, Any], problem: str) -> None:
    (line,) = problems_of("email", {**EMAIL, **changes})
    assert line.startswith(problem)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_login_in_the_clear_may_stay_on_this_machine(host: str) -> None:
    login = {"username": "gateway", "password": SECRET, "security": "none"}
    assert build_handler("mail", "email", {**EMAIL, **login, "host": host})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"base_url": "http://api.twilio.com"}, "handlers.ours.base_url: must begin with https://"),
        ({"base_url": f"https://user:{SECRET}@api.twilio.com"}, "handlers.ours.base_url: must be an address"),
        ({"base_url": "https://api.twilio.com:99999999"}, "handlers.ours.base_url: must be an address"),
        ({"base_url": "not an address"}, "handlers.ours.base_url: must be an address"),
        ({"auth_token": ""}, "handlers.ours.auth_token: "),
        ({"account_sid": f"../{SECRET}"}, "handlers.ours.account_sid: "),
        ({"to": ["0700000000"]}, "handlers.ours.to.0: must be a phone number with its country"),
        ({"to": "+46700000000"}, "handlers.ours.to: "),
    ],
)
def test_names_the_key_of_a_bad_sms_setting_and_not_its_value(changes: dict[str, Any], problem: str) -> None:
    (line,) = problems_of("sms", {**SMS, **changes})
    assert line.startswith(problem)


HOOK = {"url": "https://example.com/hook", "secret": "whsec_" + "A" * 44}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "http://example.com"}, "handlers.ours.url: must begin with https:// (http only with allow_private"),
        ({"url": f"https://u:{SECRET}@example.com"}, "handlers.ours.url: must be an address"),
        ({"url": "ftp://example.com"}, "handlers.ours.url: must be an address"),
        ({"url": "https://example.com/#x"}, "handlers.ours.url: must be an address"),
        ({"secret": SECRET}, "handlers.ours.secret: must be 24 to 64 random bytes in base64"),
        ({"secret": "A" * 20}, "handlers.ours.secret: must be 24 to 64 random bytes in base64"),
        ({"headers": {"Host": SECRET}}, "handlers.ours.headers: 'Host' cannot be sent"),
        ({"headers": {"X": f"{SECRET}\r\nHost: x"}}, "handlers.ours.headers: 'X' cannot be sent"),
        ({"headers": {"a b": SECRET}}, "handlers.ours.headers: 'a b' cannot be sent"),
    ],
)
def test_names_the_key_of_a_bad_webhook_setting_and_not_its_value(changes: dict[str, Any], problem: str) -> None:
    (line,) = problems_of("webhook", {**HOOK, **changes})
    assert line.startswith(problem)


@pytest.mark.parametrize(
    ("type_", "settings", "key"),
    [("email", EMAIL, "subject"), ("email", EMAIL, "body"), ("sms", SMS, "text"), ("log", {}, "text")],
)
def test_a_template_with_an_unknown_field_is_named(type_: str, settings: dict[str, Any], key: str) -> None:
    (line,) = problems_of(type_, {**settings, key: "{severity} {sensr}"})
    assert line.startswith(f"handlers.ours.{key}: there is no field {{sensr}}; there are alert, area, ")
    assert build_handler("ours", type_, {**settings, key: "{severity} {sensor}"})


def test_names_every_problem_at_once() -> None:
    lines = problems_of("sms", {"from": "+15005550006", "to": []})
    assert sorted(line.partition(": ")[0].removeprefix("handlers.ours.") for line in lines) == [
        "account_sid",
        "auth_token",
        "to",
    ]


@pytest.mark.parametrize("type_", ["log", "memory"])
def test_a_handler_without_settings_takes_none(type_: str) -> None:
    assert problems_of(type_, {"path": SECRET}) == ["handlers.ours.path: unknown key"]


def test_names_the_types_that_there_are(offer: Callable[[object], None]) -> None:
    offer(Pager)
    assert problems_of("smoke-signal", {}) == [
        "handlers.ours.type: no such type; there are apprise, email, log, memory, pager, sms, webhook"
    ]


class Pager:
    def __init__(self, _name: str, settings: Mapping[str, Any]) -> None:
        self.number = int(settings["number"])

    async def send(self, notification: Notification) -> str:
        return notification.id


class Blocking:
    def __init__(self, _name: str, _settings: Mapping[str, Any]) -> None:
        pass

    def send(self, notification: Notification) -> str:
        return notification.id


class Model(BaseModel):
    number: int


def with_model(_name: str, settings: Mapping[str, Any]) -> Pager:
    Model.model_validate(settings)
    raise AssertionError("the settings of these tests are bad")


def unreadable(_name: str, settings: Mapping[str, Any]) -> Pager:
    raise OSError(f"cannot open {settings['number']}")


def unnamed(_name: str, _settings: Mapping[str, Any]) -> Pager:
    raise KeyError


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    """Return a function that installs its argument as the handler type "pager"."""

    def install(factory: object) -> None:
        class Installed(EntryPoint):
            def load(self) -> object:
                return factory

        def points(*, group: str) -> list[EntryPoint]:
            return [Installed("pager", "pagers:Pager", group)]

        monkeypatch.setattr(registry, "entry_points", points)

    return install


@pytest.mark.parametrize(
    ("factory", "settings", "problem"),
    [
        (Pager, {}, "handlers.ours.number: is required"),
        (Pager, {"number": SECRET}, "handlers.ours: invalid literal for int() with base 10: '***'"),
        (Pager, {"number": [SECRET]}, "handlers.ours: int() argument must be a string"),
        (with_model, {"number": {"inner": SECRET}}, "handlers.ours.number: must be a whole number"),
        (Blocking, {"number": 1}, "handlers.ours.type: pager is not a handler, it has no `async def send"),
        (lambda: None, {}, "handlers.ours: "),
        (unreadable, {"number": SECRET}, "handlers.ours: pager cannot be made of these settings: OSError"),
        (unnamed, {}, "handlers.ours: KeyError"),
    ],
)
def test_hides_values_in_what_a_third_party_says(
    offer: Callable[[object], None], factory: object, settings: dict[str, Any], problem: str
) -> None:
    offer(factory)
    (line,) = problems_of("pager", settings)
    assert line.startswith(problem)


def test_a_third_party_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = EntryPoint("pager", "no_such_module:Pager", HANDLER_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda **_: [missing])
    assert problems_of("pager", {}) == ["handlers.ours.type: pager cannot be loaded: No module named 'no_such_module'"]


def test_a_third_party_cannot_take_the_place_of_a_built_in(offer: Callable[[object], None]) -> None:
    offer(Pager)
    assert isinstance(build_handler("mail", "email", EMAIL), EmailHandler)
