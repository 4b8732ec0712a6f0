"""More than one gateway: how one reports to a centre, and what makes one the centre."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from gateway.config.section import Section
from gateway.config.tls import TlsSection
from gateway.config.values import Duration, Host, Name, Port

_MINUTE_NS = 60 * 10**9


class FleetSection(Section):
    """The broker of the centre that this gateway reports to, and whose orders it takes if `orders` says so."""

    host: Host
    port: Port = 1883
    username: str | None = None
    password: SecretStr | None = None
    tls: TlsSection | None = None
    protocol: Literal["5", "3.1.1"] = "5"
    keepalive: Annotated[Duration, Field(ge=10**9, le=65_535 * 10**9)] = 30 * 10**9
    orders: bool = True

    @model_validator(mode="after")
    def _login(self) -> Self:
        if self.password is not None and self.username is None:
            raise ValueError("a password needs a username")
        return self


class CentreSection(Section):
    """This gateway is the centre of others: they report to the broker of [mqtt].

    With `gateways` only these are heard, and each is missed from the start; without it, whoever the broker lets in.
    """

    gateways: tuple[Name, ...] = ()
    silent_after: Annotated[Duration, Field(ge=_MINUTE_NS, le=24 * 60 * _MINUTE_NS)] = 2 * _MINUTE_NS
    lag: Annotated[int, Field(ge=1000)] = 100_000
    keep: Annotated[Duration, Field(ge=24 * 60 * _MINUTE_NS)] = 400 * 24 * 60 * _MINUTE_NS
