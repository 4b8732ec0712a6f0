"""The table `[influxdb]`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AnyHttpUrl, Field

from gateway.config.section import Section
from gateway.config.values import Authorities, Duration, Token
from gateway.domain.model.quantities import BY_KEY


def _without_user(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.username or url.password:  # it is shown in errors
        raise ValueError("must be an address without a user and a password; the token is a key of its own")
    return url


def _without_path(url: AnyHttpUrl) -> AnyHttpUrl:
    if url.path not in {None, "", "/"} or url.query or url.fragment:
        raise ValueError("must be an address such as http://proxy.example.com:3128, without a path")
    return url


OURS_IN_INFLUXDB = frozenset(
    {"time", "level", "baseline", "difference", "ratio", "severity", "kind", "state", "reason", "alert_id", *BY_KEY}
)
"""Names of our points' fields, and of tags that no topic captures: no placeholder's tag may have one of them."""


class InfluxSection(Section):
    """The database for the history. Without this section the journal keeps it."""

    url: Annotated[AnyHttpUrl, AfterValidator(_without_user)]
    org: Annotated[str, Field(min_length=1)]
    bucket: Annotated[str, Field(min_length=1)]
    token: Token
    ca: Authorities | None = None
    proxy: Annotated[AnyHttpUrl, AfterValidator(_without_path)] | None = None
    oldest: Duration = 0  # 0 is any
