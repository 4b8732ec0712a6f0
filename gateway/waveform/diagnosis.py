"""What is wrong with a machine, as far as a block of samples shows it: findings, each with its evidence and a grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from gateway.waveform.bearings import Bearing
from gateway.waveform.signal import Array, Envelope, Signal, envelope, features, floor_of, spectrum

Grade = Literal["possible", "probable", "clear"]

_SLIP = 0.02
"""A rolling element slides a little: a bearing's frequencies may be off by this share."""
_STANDS_OUT = 6.0
"""Times the noise around it that a line of a spectrum has to be: of a thousand lines of noise (Rayleigh) none is."""
_RINGS, _RINGS_ON = 3.1, 2.2
"""The same for the mean of seven envelope spectra, whose noise stays below 3, and for its harmonics."""
_PROBABLE, _CLEAR = 5.0, 8.0
_HARMONICS = 3
_ROUGH = 2.8
"""mm/s, zone B/C of ISO 20816-3 for machines of group 2 on a rigid support: below it a shape alone is no fault."""
_LEAST_TURNS = 8
"""Turns of the shaft in a block without which its harmonics cannot be told apart."""
_FASTEST = 2000.0


@dataclass(frozen=True)
class Machine:
    """What is known of a machine. `speed` in Hz, `line` the frequency of the mains in Hz."""

    speed: float | None = None
    bearings: Sequence[Bearing] = ()
    teeth: int | None = None
    line: float | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and by what it is seen: each line has its numbers."""

    fault: str
    grade: Grade
    evidence: list[str]
    strength: float


@dataclass(frozen=True)
class Diagnosis:
    """The findings, the strongest first, and what could not be looked for and why."""

    findings: list[Finding]
    remarks: list[str] = field(default_factory=list)


def diagnose(signal: Signal, machine: Machine) -> Diagnosis:
    """Return what a block shows."""
    remarks, findings = list(signal.remarks), list[Finding]()
    speed = machine.speed
    if speed is not None and (not np.isfinite(speed) or not 0 < speed <= _FASTEST or speed >= signal.rate / 4):
        remarks.append(f"a speed of {speed:g} Hz cannot be with {signal.rate:g} samples a second; it is left out")
        speed = None
    if speed is None:
        remarks.append("without a speed neither bearings nor what turns with the shaft can be looked for")
        return Diagnosis(findings, remarks)
    if signal.seconds * speed < _LEAST_TURNS:
        remarks.append(f"the block holds {signal.seconds * speed:.1f} turns of the shaft; {_LEAST_TURNS} are needed")
        return Diagnosis(findings, remarks)
    findings += _bearing_faults(signal, speed, machine.bearings, remarks)
    findings += _shaft_faults(signal, speed, machine, remarks)
    return Diagnosis(sorted(findings, key=lambda each: -each.strength), remarks)


@dataclass(frozen=True)
class _Line:
    """A line that stands out, at `frequency`, `over` times the noise around it."""

    frequency: float
    over: float
    amplitude: float


def _line_at(lines: Array, floor: Array, step: float, frequency: float, slip: float) -> _Line:
    """Return the largest line near a frequency."""
    reach = max(frequency * slip, 1.5 * step)
    first, last = int(np.floor((frequency - reach) / step)), int(np.ceil((frequency + reach) / step)) + 1
    first = max(1, first)
    if first >= len(lines):
        return _Line(frequency, 0.0, 0.0)
    place = first + int(np.argmax(lines[first:last]))
    return _Line(place * step, float(lines[place] / floor[place]), float(lines[place]))


def _is_of_shaft(frequency: float, speed: float, step: float) -> bool:
    """Tell whether a frequency is a multiple of the shaft's as far as the block tells the two apart."""
    return abs(frequency - round(frequency / speed) * speed) <= 1.5 * step


def _bearing_faults(signal: Signal, speed: float, bearings: Sequence[Bearing], remarks: list[str]) -> list[Finding]:
    """Return which parts of which bearings ring: what they are met with stands out of the envelope spectrum."""
    if not bearings:
        return []
    highest = max(bearing.inner for bearing in bearings) * speed * (_HARMONICS + 0.5)
    if highest > signal.rate / 8:
        remarks.append(f"{signal.rate:g} samples a second are too few to hear bearings ring at this speed")
        return []
    found = envelope(signal, highest)
    findings = list[Finding]()
    for bearing in bearings:
        parts = (
            Part("outer race", bearing, bearing.outer, 0.0),
            Part("inner race", bearing, bearing.inner, 1.0),
            Part("rolling element", bearing, 2 * bearing.element, bearing.cage),
        )
        findings += [each for part in parts if (each := _ringing(found, speed, part)) is not None]
    return _strongest(findings)


@dataclass(frozen=True)
class Part:
    """A part of a bearing: how often it is met in a turn of the shaft, and what that is modulated with."""

    name: str
    bearing: Bearing
    order: float
    side: float


def _ringing(found: Envelope, speed: float, part: Part) -> Finding | None:
    """Return a part that rings: its frequency stands out, and its harmonics and side lines make it surer."""
    lines, step = found.lines, found.step
    ones = np.ones(len(lines))
    first = _line_at(lines, ones, step, part.order * speed, _SLIP)
    if first.over < _RINGS or _is_of_shaft(first.frequency, speed, step):
        return None
    near = (_line_at(lines, ones, step, first.frequency * k, _SLIP / 4) for k in range(2, _HARMONICS + 1))
    more = [each for each in near if each.over >= _RINGS_ON]
    sides = list[_Line]()
    if part.side:
        places = [each.frequency + sign * part.side * speed for each in (first, *more) for sign in (-1, 1)]
        sides = [each for place in places if (each := _line_at(lines, ones, step, place, 0.0)).over >= _RINGS_ON]
    strength = first.over + sum(each.over for each in (*more, *sides)) / 3
    grade: Grade = "possible"
    if strength >= _PROBABLE:
        grade = "clear" if strength >= _CLEAR and (more or sides) else "probable"
    low, high, count = found.bands
    others = f" and {len(more)} harmonic{'s' if len(more) > 1 else ''} stand" if more else " stands"
    seen = (
        f"{first.frequency:.1f} Hz{others} {first.over:.1f} x out of the envelope spectrum (mean of {count} bands from"
        f" {low:.0f} to {high:.0f} Hz); expected at {part.order * speed:.1f} Hz, {part.order:.3f} x the shaft's"
        f" {speed:.2f} Hz"
    )
    evidence = [seen]
    if sides:
        evidence.append(
            f"{len(sides)} side lines {part.side * speed:.1f} Hz beside, up to {max(x.over for x in sides):.1f} x"
        )
    return Finding(f"{part.name} of bearing {part.bearing.name}".strip(), grade, evidence, strength)


def _strongest(findings: list[Finding]) -> list[Finding]:
    """Leave out what is much weaker than the strongest: its harmonics and side lines fall on others' places."""
    most = max((each.strength for each in findings), default=0.0)
    return [each for each in findings if each.strength >= 0.5 * most]


def _shaft_faults(signal: Signal, speed: float, machine: Machine, remarks: list[str]) -> list[Finding]:
    """Return what is seen at the orders of the shaft, where the vibration is rough enough to be a fault at all."""
    velocity = features(signal).velocity
    lines, step = spectrum(signal)
    if signal.unit not in {"", "mm/s"}:
        frequencies = np.maximum(np.arange(len(lines)) * step, 1.0)
        lines = lines * ({"g": 9806.65}.get(signal.unit, 1e3) / (2 * np.pi * frequencies))
        lines[: max(1, int(2 / step))] = 0.0
    floor = floor_of(lines)
    findings = _meshing(lines, floor, step, speed, machine)
    if velocity is None:
        remarks.append("imbalance, misalignment and looseness are not looked for: there is no velocity of this block")
        return findings
    if velocity < _ROUGH:
        return findings
    orders = {k: _line_at(lines, floor, step, k * speed, 0.005) for k in (0.5, 1, 1.5, 2, 2.5, *range(3, 11))}
    rms = {order: each.amplitude / 2**0.5 if each.over >= _STANDS_OUT else 0.0 for order, each in orders.items()}
    said = f"velocity {velocity:.1f} mm/s RMS"

    def finding(fault: str, share: float, *evidence: str) -> None:
        grade: Grade = "clear" if share > 0.9 else "probable" if share > 0.7 else "possible"  # noqa: PLR2004
        findings.append(Finding(fault, grade, [*evidence, said], 20 * share))

    electrical = _electrical(lines, floor, step, speed, machine.line)
    if electrical is not None and electrical.amplitude / 2**0.5 >= 0.5 * velocity:  # most of it
        share = electrical.amplitude / 2**0.5 / velocity
        finding("electrical", share, f"{electrical.frequency:.1f} Hz, twice the line's, has {share:.0%} of it")
        return findings
    high = [k for k in range(3, 11) if rms[k] >= 0.1 * max(rms[1], rms[2], 0.1)]
    halves = [k for k in (0.5, 1.5, 2.5) if rms[k] >= 0.1 * max(rms[1], rms[2], 0.1)]
    if len(high) >= 4 or (len(halves) >= 2 and len(high) >= 2):  # noqa: PLR2004 - many
        share = min(1.0, 0.5 + 0.1 * len(high) + 0.1 * len(halves))
        named = ", ".join(f"{k:g}" for k in sorted((*halves, *high)))
        finding("looseness", share, f"the orders {named} of the shaft stand out, 1 x has {rms[1]:.1f} mm/s")
    elif rms[2] >= 0.6 * rms[1] and rms[2] >= 0.35 * velocity:
        finding("misalignment", min(1.0, 0.5 + rms[2] / (rms[1] + rms[2])),
                f"2 x ({2 * speed:.1f} Hz) has {rms[2]:.1f} mm/s, 1 x {rms[1]:.1f}")  # fmt: skip
    elif rms[1] >= 0.8 * velocity:
        finding("imbalance", rms[1] / velocity, f"1 x ({speed:.1f} Hz) has {rms[1]:.1f} of {velocity:.1f} mm/s")
    return findings


def _meshing(lines: Array, floor: Array, step: float, speed: float, machine: Machine) -> list[Finding]:
    """Return a gear whose mesh has side lines at the shaft's speed: a mesh alone is what every gear has."""
    if not machine.teeth:
        return []
    mesh = _line_at(lines, floor, step, machine.teeth * speed, 0.005)
    if mesh.over < _STANDS_OUT:
        return []
    places = [mesh.frequency + k * speed for k in (-3, -2, -1, 1, 2, 3)]
    sides = [_line_at(lines, floor, step, place, 0.0) for place in places]
    standing = [each for each in sides if each.over >= _STANDS_OUT and each.amplitude >= 0.1 * mesh.amplitude]
    if len(standing) < 4:  # noqa: PLR2004 - two on each side
        return []
    share = sum(each.amplitude for each in standing) / mesh.amplitude
    grade: Grade = "clear" if share > 1 else "probable" if share > 0.5 else "possible"  # noqa: PLR2004
    seen = (
        f"{len(standing)} side lines {speed:.1f} Hz apart about the mesh at {mesh.frequency:.1f} Hz"
        f" ({machine.teeth} teeth) have together {share:.0%} of it"
    )
    return [Finding("gear", grade, [seen], 20 * min(share, 2.0))]


def _electrical(lines: Array, floor: Array, step: float, speed: float, line: float | None) -> _Line | None:
    if line is None or _is_of_shaft(2 * line, speed, step):
        return None
    found = _line_at(lines, floor, step, 2 * line, 0.002)
    return found if found.over >= _STANDS_OUT else None
