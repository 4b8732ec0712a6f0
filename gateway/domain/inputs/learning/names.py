"""What the name of a number says: the quantity, the statistic, the axis and the unit, in the words that senders use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from gateway.domain.inputs.paths import Path

MAX_CHARACTERS: Final = 200
"""Characters of a name that are looked at."""

MAX_REMEMBERED: Final = 10_000
"""Paths whose meaning is remembered."""

_WORD = re.compile(r"RMS|[A-Z]+(?![a-z])|[A-Z]?[a-zµ]+|[0-9]+|[°%²]")


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


KINDS: Final = {
    word: kind
    for kind, words in {
        "acceleration": "acceleration accelerations accel accl acc accelerometer accelero beschleunigung grms",
        "velocity": "velocity velocities velo vel geschwindigkeit schwinggeschwindigkeit ips",
        "displacement": "displacement disp displ deflection",
        "vibration": "vibration vibrations vib vibro vibra strength vibe schwingung overall amplitude",
        "temperature": "temperature temperatures temp temps tmp temperatur celsius fahrenheit degc degf",
        "kurtosis": "kurtosis kurt",
        "crest_factor": "crest crestfactor cf scheitelfaktor",
        "rpm": "rpm rotational shaft drehzahl",
        "load": "load",
        "speed": "speed",
    }.items()
    for word in words.split()
}
SHORT_KINDS: Final = {"a": "acceleration", "v": "velocity", "d": "displacement", "t": "temperature"}
"""What one letter says, if the letter is all that is left of a name besides statistic and axis."""

STATISTICS: Final = {
    word: statistic
    for statistic, words in {
        "rms": "rms eff effective effektivwert rootmeansquare",
        "peak": "peak pk max maximum zeropeak truepeak 0pk",
    }.items()
    for word in words.split()
}
AXES: Final = (("x", "y", "z"), ("horizontal", "vertical", "axial"), ("radial", "tangential", "axial"), ("h", "v", "a"))
_AXES: Final = word_set("x y z horizontal vertical axial radial tangential hor ver axi")

OTHER: Final = word_set(
    "mean avg average min minimum std stdev stddev deviation sd variance skewness skew median sum count"
    " threshold thresholds thr limit limits alarm alarms warning warn trip setpoint setting settings config"
    " configuration baseline reference ref event events error errors err fault status state code flag valid"
    " offset scale gain sensitivity calibration frequency freq frequencies hz khz band bands fft spectrum"
    " spectra spectral amps bin bins harmonic order p2p pp pkpk ptp battery batt bat voltage volt volts current"
    " power rssi snr signal link quality lqi humidity pressure baro gyro gyroscope mag magnetometer angle tilt"
    " pitch roll yaw heading latitude longitude altitude gps time timestamp ts date age uptime interval period"
    " duration seq sequence counter index idx version firmware hour hours minute minutes day days ultrasound"
    " ultrasonic sonic sound noise audio db ge gse envelope enveloped enveloping peakvue demod range"
)
"""Words that make a number something else, wherever in its own name they stand."""
REPEATS: Final = word_set(
    "threshold thresholds limit limits alarm alarms errors config settings setpoints gyro raw original fft spectrum"
    " metadata"
)
"""Words that make everything below them something else."""
PLAIN: Final = word_set(
    "value val values data fields payload measurement reading sensor metric factor axis object decoded uplink message"
)
"""Words that say nothing."""
CALM: Final = word_set("machine surface external motor bearing process object probe housing")
INNER: Final = word_set("internal board chip cpu core mcu ambient device node gateway ic die env environment air")
"""Of temperatures: the machine's own and others."""

_UNITS: Final = {
    tuple(words.split()): unit
    for unit, spellings in {
        "mm/s": ("mm s", "mm sec", "mm per s", "mm per sec", "mms", "mmps", "mm second"),
        "in/s": ("in s", "in sec", "inch s", "inch sec", "ips", "in per s", "ins"),
        "m/s²": (
            "m s 2",
            "m s2",
            "m s²",
            "ms 2",
            "ms2",
            "mps 2",
            "mps2",
            "m per s 2",
            "m sec 2",
            "m s ²",
            "ms ²",
            "mss",
        ),
        "m/s": ("m s", "m sec", "mps"),
        "cm/s": ("cm s", "cm sec"),
        "g": ("g", "grms", "gs"),
        "mg": ("mg", "millig"),
        "°C": ("c", "celsius", "degc", "deg c", "° c", "cel"),
        "°F": ("f", "fahrenheit", "degf", "deg f", "° f"),
        "K": ("kelvin",),
        "µm": ("um", "micron", "microns", "µm"),
        "mm": ("mm",),
        "mil": ("mil", "mils"),
        "rpm": ("rpm",),
        "%": ("percent", "pct", "%"),
        "excess": ("excess",),
    }.items()
    for words in spellings
}
_LONGEST_UNIT: Final = max(map(len, _UNITS))

_K = "|".join(sorted((word for word in KINDS if len(word) > 2), key=len, reverse=True))  # noqa: PLR2004
_S = r"rms|peak|pk|max|min|avg|mean"
_COMPOUND = re.compile(
    rf"(?P<axis>[xyz])?(?P<stat>(?:{_S}))?(?P<kind>{_K}|[avdg])?(?P<stat2>(?:{_S}))?(?P<axis2>[xyz])?(?P<unit>g|mg|mms|ms2|c|f)?"
)


_PRECEDENCE: Final = (
    "crest_factor", "kurtosis", "temperature", "rpm", "velocity", "acceleration", "displacement", "load", "speed",
    "vibration", "",
)  # fmt: skip
"""Which word of a name counts, if it has several: the crest factor of an acceleration is none."""
_KINDS_OF_UNITS: Final = {
    unit: kind
    for kind, units in {
        "acceleration": "g mg m/s²",
        "velocity": "mm/s in/s cm/s m/s",
        "temperature": "°C °F K",
        "displacement": "µm mm mil",
        "rpm": "rpm",
        "kurtosis": "excess",
    }.items()
    for unit in units.split()
}
_ROOT_MEAN_SQUARE: Final = frozenset(("root", "mean", "square"))
_OF_LOADS: Final = frozenset(("load", "motor", "machine", "engine", "spindle", "drive"))


class Word(NamedTuple):
    """A word of a path: which name it is of, where in it, and in lower case."""

    name: int
    start: int
    end: int
    text: str


class Meaning(NamedTuple):
    """What a path says. `kind` is "" where nothing does; `statistic` is "rms", "peak" or "".

    `template` has {axis} in place of `axis`. `rest` counts words that mean nothing here, `preferred` orders paths that
    say the same.
    """

    kind: str
    statistic: str
    axis: str
    template: Path
    unit: str
    rest: int
    preferred: int


def words_of(path: Sequence[str]) -> list[Word]:
    """Return the words of a path's names: `velocityRmsX`, `x_rms_ACC_G` and `ax` have three, four and two."""
    found: list[Word] = []
    for at, name in enumerate(path):
        for match in _WORD.finditer(name[:MAX_CHARACTERS]):
            found += _split(Word(at, match.start(), match.end(), match[0].casefold()))
    return found


def _split(word: Word) -> list[Word]:
    """Split what several words have grown together to, such as `accx`, `zrms` and `vrms`."""
    text = word.text
    if text in KINDS or text in STATISTICS or text in OTHER or text in PLAIN or len(text) == 1:
        return [word]
    parts = _COMPOUND.fullmatch(text)
    if parts is None:
        return [word]
    spans = sorted(parts.span(group) for group, value in parts.groupdict().items() if value)
    return [Word(word.name, word.start + a, word.start + b, text[a:b]) for a, b in spans]


@lru_cache(maxsize=MAX_REMEMBERED)
def meaning_of(path: Path) -> Meaning | None:
    """Return what a path means, or None where its name says that it is none of what is judged."""
    words = words_of(path)
    if {word.text for word in words} >= _ROOT_MEAN_SQUARE:
        words = [
            word._replace(text="rms" if word.text == "root" else "axis") if word.text in _ROOT_MEAN_SQUARE else word
            for word in words
        ]
    last = max((word.name for word in words if not _says_nothing(word)), default=len(path) - 1)
    own = [word for word in words if word.name == last]
    if any(word.text in OTHER for word in own) or any(word.text in REPEATS for word in words):
        return None
    axis = next((word for word in reversed(words) if word.text in _AXES), None)
    unit, rest = _unit([word for word in own if word != axis])
    kind = _kind([word.text for word in rest], [word.text for word in reversed(words) if word.name < last], unit)
    if kind == "load" and not unit and any(word.text not in _OF_LOADS for word in rest):
        return None
    return Meaning(
        kind,
        _statistic({word.text for word in words}, kind),
        path[axis.name][axis.start : axis.end] if axis else "",
        _with_axis(path, axis),
        unit,
        sum(
            word.text not in SHORT_KINDS
            and word.text not in KINDS
            and word.text not in STATISTICS
            and word.text not in PLAIN
            for word in rest
        ),
        sum((word.text in CALM) - (word.text in INNER) for word in words),
    )


def _says_nothing(word: Word) -> bool:
    return word.text in PLAIN or word.text in _AXES or word.text.isdecimal()


def _unit(words: list[Word]) -> tuple[str, list[Word]]:
    """Return the unit that a name ends with, and the words before it."""
    for length in range(min(_LONGEST_UNIT, len(words)), 0, -1):
        if unit := _UNITS.get(tuple(word.text for word in words[-length:])):
            return unit, words[:-length]
    return "", words


def _kind(own: list[str], above: list[str], unit: str) -> str:
    """Return what is measured, by the words of the name, those above it from the nearest on, or the unit."""
    found = {KINDS[word] for word in own if word in KINDS}
    short = [word for word in own if word not in STATISTICS and word not in PLAIN and not word.isdecimal()]
    if not found and len(short) == 1 and short[0] in SHORT_KINDS:
        found = {SHORT_KINDS[short[0]]}
    of_unit = _KINDS_OF_UNITS.get(unit, "")
    if of_unit and not found - {"vibration", "speed"}:
        return of_unit
    if not found:
        named = [KINDS[word] for word in above if word in KINDS]
        found = {next((kind for kind in named if kind != "vibration"), named[0] if named else "")}
    return min(found, key=_PRECEDENCE.index)


def _statistic(words: set[str], kind: str) -> str:
    if "rms" in words or words & {"eff", "effective", "effektivwert"}:
        return "rms"
    return "peak" if any(STATISTICS.get(word) == "peak" for word in words) and kind != "crest_factor" else ""


def _with_axis(path: Path, axis: Word | None) -> Path:
    if axis is None:
        return path
    name = path[axis.name]
    return (*path[: axis.name], f"{name[: axis.start]}{{axis}}{name[axis.end :]}", *path[axis.name + 1 :])
