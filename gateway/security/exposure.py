"""What a configuration leaves open: files that others may read or change, secrets in the clear, weak tokens."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.config import Config
from gateway.config.loader import read_toml
from gateway.config.values import is_loopback
from gateway.security.secrets import LINK_KEY_FILE, TOKEN_FILE

STRONG_TOKEN = 22
"""Characters of a token that nobody guesses: 128 bits, as base64 writes them."""

_FEWEST_CHARACTERS = 8
_WORDS = ("password", "passwort", "secret", "changeme", "token", "admin", "demo", "12345", "qwerty")
_SECRET_KEY = re.compile(r"(?:^|[._])(?:password|token|secret)$|\.headers\.|^handlers\.[^.]+\.urls\.")
_FILE = re.compile(r"\$\{FILE:([^}]+)\}")
_OTHERS_READ, _OTHERS_CHANGE = stat.S_IROTH, stat.S_IWGRP | stat.S_IWOTH


def exposures(path: Path, config: Config) -> list[str]:
    """Return `key: what is open` for the configuration in a file. Connects to nothing, and quotes no secret."""
    texts = list(_texts(read_toml(path), ""))
    clear = [key for key, text in texts if text and "${" not in text and _SECRET_KEY.search(key)]
    found = [
        f"{key}: stands in the file in the clear; ${{FILE:…}} or ${{VARIABLE}} keeps it elsewhere" for key in clear
    ]
    if modes := _opened(path, _OTHERS_CHANGE | (_OTHERS_READ if clear else 0)):
        found.append(f"{path} itself: {modes}")
    for key, file in _secret_files(texts, config):
        if modes := _opened(file, _OTHERS_READ | _OTHERS_CHANGE):
            found.append(f"{key}: {file}: {modes}")
    return [*found, *_weak_tokens(config), *_open_page(config)]


def _texts(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _texts(part, f"{key}.{name}".lstrip("."))


def _secret_files(texts: list[tuple[str, str]], config: Config) -> Iterator[tuple[str, Path]]:
    for key, text in texts:
        yield from ((key, Path(name)) for name in _FILE.findall(text))
    if config.mqtt.tls is not None and config.mqtt.tls.key is not None:
        yield "mqtt.tls.key", config.mqtt.tls.key
    for name in (TOKEN_FILE, LINK_KEY_FILE):
        yield "gateway.state_dir", config.gateway.state_dir / name


def _opened(path: Path, forbidden: int) -> str:
    """Return what the mode of a file allows to others that it should not, in words."""
    try:
        mode = path.stat().st_mode
    except OSError:  # there is none, or it is not ours to look at
        return ""
    who = {_OTHERS_READ: "everybody on this device may read it", _OTHERS_CHANGE: "others than its owner may change it"}
    said = [words for bits, words in who.items() if mode & bits & forbidden]
    return f"{' and '.join(said)} (mode {stat.S_IMODE(mode):04o}); chmod 600, or 640 for a group" if said else ""


def _weak_tokens(config: Config) -> Iterator[str]:
    for key, section in (("http.token", config.http), ("influxdb.token", config.influxdb)):
        token = section.token if section is not None else None
        if token is not None and (why := _weakness(token.get_secret_value())):
            yield f"{key}: {why}; make one with: openssl rand -base64 32"


def _weakness(token: str) -> str:
    if any(word in token.lower() for word in _WORDS) or len(set(token)) < _FEWEST_CHARACTERS:
        return "is easily guessed"
    return "" if len(token) >= STRONG_TOKEN else f"is shorter than {STRONG_TOKEN} characters, and may be guessed"


def _open_page(config: Config) -> Iterator[str]:
    if config.http is None:
        return
    public = config.http.public_url
    if (
        public is None
        and is_loopback(config.http.host)
        and any(table.type in {"email", "sms"} for table in config.handlers.values())
    ):
        yield (
            "http.public_url: there is none, and the page is for this device alone, so messages have no link to their"
            " alert, nor to acknowledge it"
        )
    if public is not None and public.scheme == "http" and not is_loopback(public.host or ""):
        yield "http.public_url: is not https, so links and the token pass in the clear; put a proxy with TLS in front"
    elif public is None and not is_loopback(config.http.host) and not config.http.proxies:
        yield (
            f"http.host: the token passes in the clear to {config.http.host}; put a proxy with TLS in front, and set"
            " http.public_url"
        )
    if config.http.is_read_by_all and not is_loopback(config.http.host):
        yield "http.read: whoever reaches the page may read everything but addresses of people, and their names too"
