"""diagnose: what a block of samples shows of the machine that it was measured on."""

from __future__ import annotations

import csv
import wave
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from gateway.cli.output import DEFAULT_CONFIG, output_option, print_json
from gateway.cli.tables import inert
from gateway.config import load_rules
from gateway.config.waveform import BearingSection
from gateway.errors import GatewayError
from gateway.extras import lacking

_LARGEST = 400_000_000
"""Bytes of a file."""
_WIDTHS = {2: "<i2", 4: "<i4"}


@click.command()
@click.option(
    "-c", "--config", "config_path", type=click.Path(path_type=Path, dir_okay=False), default=DEFAULT_CONFIG,
    show_default=True, help="The configuration that --machine is in.",
)  # fmt: skip
@output_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--rate", type=float, help="Samples a second; of a WAV file its own.")
@click.option("--column", type=int, default=1, show_default=True, help="Of a table, the first is 1.")
@click.option("--unit", default="", help="Of the samples: m/s², g or mm/s. Without it there is no velocity.")
@click.option("--machine", help="A [[machines]] table with its speed, bearings, teeth.")
@click.option("--rpm", type=float, help="The shaft's speed, in turns a minute.")
@click.option(
    "--bearing",
    "bearings",
    multiple=True,
    metavar="DESIGNATION|BALLS,BALL,PITCH[,ANGLE]",
    help="6205, or 9,7.94,39.04.",
)
@click.option("--teeth", type=click.IntRange(1), help="Of the gear on this shaft.")
@click.option("--line", type=float, help="The frequency of the mains: 50 or 60.")
def diagnose(  # noqa: PLR0917 - click hands them over by name
    config_path: Path, output: str, file: Path, rate: float | None, column: int, unit: str, machine: str | None,
    bearings: tuple[str, ...], **known: Any,
) -> None:  # fmt: skip
    """Say what a block of samples (CSV, WAV, NumPy) shows: features, and findings with their evidence."""
    if (problem := lacking("waveform")) is not None:
        raise GatewayError(problem)
    from gateway.waveform.diagnosis import Machine  # noqa: PLC0415 - numpy is an extra
    from gateway.waveform.diagnosis import diagnose as found_in  # noqa: PLC0415 - as above
    from gateway.waveform.signal import UnusableBlockError, features, signal_of  # noqa: PLC0415 - as above

    samples, own_rate = _samples(file, column)
    if (rate := rate or own_rate) is None:
        raise click.UsageError("--rate is needed: the file does not say how many samples a second it holds")
    sections = [_section(each) for each in bearings]
    if machine is not None:
        table = _table(config_path, machine)
        sections += table.bearings
        known = {"rpm": known["rpm"] or table.speed, "teeth": known["teeth"] or table.teeth,
                 "line": known["line"] or table.line_frequency}  # fmt: skip
    there, remarks = _geometry(sections)
    try:
        signal = signal_of(samples, rate, unit)
    except UnusableBlockError as error:
        raise GatewayError(f"{file}: {error}") from error
    speed = known["rpm"] / 60 if known["rpm"] else None
    diagnosis = found_in(signal, Machine(speed, there, known["teeth"], known["line"]))
    values, remarks = features(signal), [*remarks, *diagnosis.remarks]
    if output == "json":
        print_json(
            {
                "seconds": signal.seconds,
                "features": asdict(values),
                "findings": [asdict(each) for each in diagnosis.findings],
                "remarks": remarks,
            }
        )
        return
    velocity = values.why_not if values.velocity is None else f"velocity {values.velocity:.2f} mm/s"
    click.echo(
        f"{signal.seconds:.2f} s: RMS {values.rms:.4g} {unit}, peak {values.peak:.4g}, crest factor {values.crest:.2f},"
        f" kurtosis {values.kurtosis:.2f}, {velocity}"
    )
    for each in diagnosis.findings:
        click.echo(inert(f"{each.grade}: {each.fault}"))
        for line in each.evidence:
            click.echo(inert(f"    {line}"))
    if not diagnosis.findings:
        click.echo("Nothing is found of what was looked for.")
    for remark in remarks:
        click.echo(inert(f"Note: {remark}"), err=True)


def _samples(file: Path, column: int) -> tuple[Any, float | None]:
    """Return the samples of a file, and its rate if it says so. Raises GatewayError."""
    import numpy as np  # noqa: PLC0415 - an extra

    if file.stat().st_size > _LARGEST:
        raise GatewayError(f"{file} is larger than {_LARGEST // 10**6} MB: take a part of it")
    try:
        if file.suffix.lower() == ".wav":
            return _wave(file)
        if file.suffix.lower() == ".npy":
            found = np.load(file, allow_pickle=False)
            return (found if found.ndim == 1 else found[:, column - 1]), None
        return _column(file, column), None
    except (OSError, ValueError, IndexError, EOFError, wave.Error, csv.Error) as error:
        raise GatewayError(f"{file} cannot be read as samples: {error}") from error


def _wave(file: Path) -> tuple[Any, float]:
    import numpy as np  # noqa: PLC0415 - an extra

    with wave.open(str(file), "rb") as source:
        width, channels = source.getsampwidth(), source.getnchannels()
        if width not in _WIDTHS:
            raise GatewayError(f"{file}: {8 * width} bits a sample are not read; 16 and 32 are")
        raw = source.readframes(source.getnframes())
        return np.frombuffer(raw, _WIDTHS[width])[::channels].astype(float), float(source.getframerate())


def _column(file: Path, column: int) -> list[float]:
    """Return a column of a table; lines before the first number are its head. What is no number is NaN."""
    found = list[float]()
    with file.open(newline="", encoding="utf-8-sig", errors="replace") as source:
        sample = source.read(4096)
        source.seek(0)
        delimiter = next((each for each in (";", "\t", ",") if each in sample), " ")
        for row in csv.reader(source, delimiter=delimiter, skipinitialspace=True):
            cells = [cell for cell in row if cell.strip()] if delimiter == " " else row
            if len(cells) < column:
                continue
            try:
                found.append(float(cells[column - 1]))
            except ValueError:
                if found:
                    found.append(float("nan"))
    return found


def _section(text: str) -> BearingSection:
    """Return what --bearing says."""
    parts = text.split(",")
    try:
        if len(parts) == 1:
            return BearingSection(designation=text)
        balls, ball, pitch, *angle = parts
        return BearingSection(
            balls=int(balls), ball=float(ball), pitch=float(pitch), angle=float(angle[0]) if angle else 0.0
        )
    except ValueError as error:
        raise click.UsageError(f"--bearing {text}: a designation, or BALLS,BALL,PITCH[,ANGLE]") from error


def _table(config_path: Path, machine: str) -> Any:
    found = [table for table in load_rules(config_path).machines if table.id == machine]
    if not found:
        raise GatewayError(f"{config_path} has no [[machines]] table with the id {machine!r}")
    return found[0]


def _geometry(sections: Sequence[BearingSection]) -> tuple[list[Any], list[str]]:
    """Return the bearings, and which are not known."""
    from gateway.waveform.bearings import Bearing, bearing_of, designations  # noqa: PLC0415 - as above

    known, remarks = list[Any](), list[str]()
    for number, each in enumerate(sections, start=1):
        if each.designation is not None:
            found = bearing_of(each.designation)
            if found is None:
                there = ", ".join(designations())
                remarks.append(f"the bearing {each.designation!r} is not in the table ({there}); give its geometry")
                continue
        else:
            assert each.balls is not None  # noqa: S101 - the section has seen to it
            found = Bearing(each.balls, each.ball or 0.0, each.pitch or 0.0, each.angle, str(number))
        place = f" at {each.position}" if each.position else ""
        known.append(Bearing(found.balls, found.ball, found.pitch, found.angle, f"{found.name}{place}"))
    return known, remarks
