"""What every table of the file is: frozen, strict, and silent about its values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of the file. Its repr shows no values, since any of them may have come from a secret.

    Validators are built once, with the whole file's: for each table by itself they lengthen every start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    __str__ = __repr__
