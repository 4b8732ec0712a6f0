"""The files of a TLS connection out, to a broker."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Self

from pydantic import model_validator

from gateway.config.section import Section


class TlsSection(Section):
    """Files in PEM. Without `ca` the system's certificates count; `cert` and `key` identify the gateway."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        for path in (self.ca, self.cert, self.key):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        self.context()
        return self

    def context(self) -> ssl.SSLContext:
        """Return a context that verifies the broker, by its host name too. Raises ValueError for a bad file."""
        try:
            context = ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise ValueError(f"{self.ca} is not a readable file of certificates in PEM") from error
        self._identify(context)
        return context

    def refresh(self, context: ssl.SSLContext) -> None:
        """Read the files into a context that exists: what is new counts from the next connection on.

        An authority that the file does not have any more stays trusted. Raises ValueError for a bad file.
        """
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        except OSError as error:
            raise ValueError(f"{self.ca} is not a readable file of certificates in PEM") from error
        self._identify(context)

    def _identify(self, context: ssl.SSLContext) -> None:
        if self.cert is None:
            return
        try:
            context.load_cert_chain(self.cert, self.key, password="")  # never asks for one on a terminal
        except OSError as error:
            reason = "are not a readable certificate and its key in PEM, without a password"
            raise ValueError(f"{self.cert} and {self.key} {reason}") from error
