"""A rolling bearing's geometry, and the frequencies at which its defects are struck."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DefectFrequencies:
    """How often each part is struck, in Hz at the given shaft speed."""

    outer: float  # BPFO
    inner: float  # BPFI
    ball: float  # BSF
    cage: float  # FTF


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearing:
    """Number of balls, ball and pitch diameter in one unit, contact angle in degrees."""

    balls: int
    ball_diameter: float
    pitch_diameter: float
    contact_angle: float = 0.0

    def frequencies(self, shaft: float) -> DefectFrequencies:
        """Return the kinematic frequencies (Harris, Rolling Bearing Analysis) for a shaft speed in Hz.

        The outer ring stands still, and nothing slips.
        """
        ratio = self.ball_diameter / self.pitch_diameter * math.cos(math.radians(self.contact_angle))
        return DefectFrequencies(
            outer=self.balls / 2 * shaft * (1 - ratio),
            inner=self.balls / 2 * shaft * (1 + ratio),
            ball=self.pitch_diameter / (2 * self.ball_diameter) * shaft * (1 - ratio**2),
            cage=shaft / 2 * (1 - ratio),
        )


ZA_2115 = Bearing(balls=16, ball_diameter=0.331, pitch_diameter=2.815, contact_angle=15.17)
"""Rexnord ZA-2115, inches: the bearing of the NASA/IMS data set."""
