"""What is installed only for those who want it, and how to get it."""

from __future__ import annotations

from importlib.util import find_spec

MODULES = {
    "apprise": ("apprise",),
    "email": ("aiosmtplib",),
    "otel": ("opentelemetry.proto",),
    "page": ("fastapi", "uvicorn"),
    "parquet": ("pyarrow",),
    "waveform": ("numpy",),
}
"""Extra of the package -> what it brings that cannot be done without."""


def lacking(extra: str) -> str | None:
    """Return what to do about an extra that is not installed; None if there is nothing to do."""
    if all(_is_there(module) for module in MODULES.get(extra, ())):
        return None
    return (
        f"this needs the extra '{extra}': install the gateway again with it, as by .venv/bin/pip install '.[{extra}]'"
        " in the checkout (docs/deployment.md#extras)"
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False
