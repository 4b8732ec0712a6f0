"""What an entry point names, loaded and made: the boundary behind which third parties' code begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from gateway.errors import ConfigError
from gateway.security.redact import redact


def build_foreign(where: str, point: EntryPoint, settings: Any, *, is_ours: bool = False) -> Any:
    """Return what an entry point makes of the table `[where]`, such as `handlers.mail`, or of a section in its place.

    Raises ConfigError with one line, `where.KEY: reason`, for each setting to mend, whatever the code raises: a mistake
    of a third party's must not end the gateway. No line shows a value, and neither does the chain of exceptions, since
    any value may be a secret; unless the code `is_ours`, its own words are searched for them.
    """
    problems: list[str] = []
    try:
        return _load(where, point)(where.partition(".")[2] or where, settings)
    except ConfigError:
        raise
    except KeyError as error:
        problems = [f"{where}.{error.args[0]}: is required" if error.args else f"{where}: KeyError"]
    except (TypeError, ValueError) as error:
        problems = _validation_problems(error, where) or [f"{where}: {error}"]
    except Exception as error:  # noqa: BLE001 - the boundary; what else it says is not about the settings, and may quote them
        problems = [f"{where}: {point.name} cannot be made of these settings: {type(error).__name__}"]
    if not is_ours:
        problems = [where + redact(problem.removeprefix(where), _texts(settings)) for problem in problems]
    raise ConfigError(problems)


def _validation_problems(error: Exception, where: str) -> list[str]:
    """Return what pydantic says, if it was that; a plugin's own process imports it only if the plugin does."""
    if type(error).__module__.partition(".")[0] != "pydantic_core":
        return []
    from gateway.config import validation_problems  # noqa: PLC0415 - as above

    return validation_problems(error, where)  # type: ignore[arg-type] # it is a ValidationError, as just asked


def _load(where: str, point: EntryPoint) -> Any:
    try:
        return point.load()
    except (AttributeError, ImportError) as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - the boundary: an import of a third party's may do anything
        reason = type(error).__name__
    raise ConfigError([f"{where}.type: {point.name} cannot be loaded: {reason}"])


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)
