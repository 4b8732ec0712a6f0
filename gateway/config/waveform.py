"""What turns in a machine, for the diagnosis of its waveforms."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.config.section import Section

_Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BearingSection(Section):
    """A bearing, by its `designation` or by its geometry; `ball` and `pitch` are diameters in the same unit."""

    position: str = ""
    designation: str | None = None
    balls: Annotated[int, Field(ge=3, le=200)] | None = None
    ball: _Size | None = None
    pitch: _Size | None = None
    angle: Annotated[float, Field(ge=0, lt=90)] = 0.0

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        sizes = (self.balls, self.ball, self.pitch)
        if (self.designation is None) == any(size is None for size in sizes):
            raise ValueError("either its designation, or balls, ball and pitch")
        if self.ball is not None and self.pitch is not None and self.ball >= self.pitch:
            raise ValueError("ball is the diameter of a rolling element, and smaller than pitch")
        return self
