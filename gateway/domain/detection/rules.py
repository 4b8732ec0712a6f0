"""The rules of detection for one sensor, as the configuration gives them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from gateway.domain.detection.iso10816 import Group, Support

SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS

Ratio = Annotated[float, Meta(gt=1)]
Share = Annotated[float, Meta(ge=0, lt=1)]
NotNegative = Annotated[float, Meta(ge=0)]
Positive = Annotated[float, Meta(gt=0)]
Number = Annotated[float, Meta()]
Count = Annotated[int, Meta(ge=1)]


class Threshold(Struct, frozen=True):
    """Limits of a quantity, by its key, and delays of its own: None are those of the rules it is among.

    It is beyond `warning` and `critical` from there up, beyond `warning_below` and `critical_below` from there down.
    """

    quantity: str
    warning: Number | None = None
    critical: Number | None = None
    warning_below: Number | None = None
    critical_below: Number | None = None
    on_readings: Count | None = None
    on_delay_ns: int | None = None
    off_readings: Count | None = None
    off_delay_ns: int | None = None
    hysteresis: Share | None = None


class Rules(Struct, frozen=True):
    """What decides, for one sensor. On- and off-delay hold when both their count and their time are reached.

    A warning is raised at `warning_sigma` robust standard deviations above a learned baseline; `warning_ratio` times
    the baseline decides where no spread has been learned. `critical_ratio` times the baseline is critical, unless the
    level is often as high when all is well. `drift_ratio` is what the smoothed level may slowly reach, `rise_ratio` by
    how many baselines the level may rise within `rise_window_ns`; 0 switches either off. Below `stopped_ratio` of its
    baseline a level is that of a machine standing still.

    Only `states` are states of the machine, those of standing still too; any other word says nothing. None: any may be.
    A smoothed level that stays below `fall_ratio` times the baseline for `fall_after_ns` has fallen for good; one of
    standing still for `still_after_ns`, though nobody says that the machine does, may be a sensor that has come off.
    A warning is due too where a `jumping_share` of the last few hundred readings lies beyond the limit, however short
    their rows. A shift of all sensors of a machine since its start is only learned anew up to `regime_ratio` times.

    `settling_ns` after a start or a change of the operating state nothing is judged or learned. `iso_group` and
    `iso_support` say which limits of ISO 10816-3 hold for `velocity_rms`; without a group none do. A sensor is silent
    after five times `interval_ns` (None: learned), but not before `silent_after_ns`. Readings that are not judged,
    though their level is beyond all that is known, are told of after `told_within_ns`. An alert that is `latching`
    stays open until somebody has acknowledged it, even when the level is back.

    The keys of the configuration, their bounds and their defaults are those of these fields; `_ns` is left out there.
    """

    baseline: Positive | None = None
    learning_ns: int = 7 * DAY_NS
    learning_readings: Annotated[int, Meta(ge=2, le=1_000_000)] = 100
    warning_sigma: Positive = 5.0
    warning_ratio: Ratio = 1.6
    critical_ratio: Ratio = 2.5
    on_readings: Count = 3
    on_delay_ns: int = 0
    off_readings: Count = 3
    off_delay_ns: int = 0
    hysteresis: Share = 0.1
    stopped_states: frozenset[str] = frozenset({"stopped", "off"})
    unknown_states: frozenset[str] = frozenset({"unknown"})
    stopped_ratio: Share = 0.1
    settling_ns: int = 180 * SECOND_NS
    states: frozenset[str] | None = None
    rpm_step: NotNegative = 0.1
    load_step: NotNegative = 0.25
    drift_ratio: NotNegative = 1.25
    fall_ratio: Share = 0.7
    fall_after_ns: int = 3 * DAY_NS
    still_after_ns: int = 7 * DAY_NS
    jumping_share: Share = 0.1
    regime_ratio: Ratio = 2.0
    rise_ratio: NotNegative = 0.0
    rise_window_ns: int = 3600 * SECOND_NS
    regime_change: bool = True
    iso_group: Group | None = None
    iso_support: Support = "rigid"
    thresholds: tuple[Threshold, ...] = ()
    interval_ns: int | None = None
    silent_after_ns: int = 300 * SECOND_NS
    told_within_ns: int = 600 * SECOND_NS
    latching: bool = False
