"""The command line: one file per noun. It prints and exits, nothing else."""

from __future__ import annotations

import signal
import sqlite3
import sys
from typing import Any

import click
import msgspec

from gateway import __version__
from gateway.errors import ConfigError, GatewayError

FAILED, USAGE, PROBLEMS = 1, 2, 3
_SAY_WITHIN = 10
"""Seconds that the last words of a program may take."""

JOURNAL = "gateway.journal"
"""Where a command leaves the path of the journal that it reads, in click's `meta`."""

_COMMANDS = {
    "run": "gateway.cli.run:run",
    "check": "gateway.cli.check:check",
    "init": "gateway.cli.init:init",
    "backup": "gateway.cli.run:backup",
    "upgrade": "gateway.cli.upgrade:upgrade",
    "provision": "gateway.cli.provision:provision",
    "demo": "gateway.cli.demo:demo",
    "stats": "gateway.cli.stats:stats",
    "fleet": "gateway.cli.fleet:fleet",
    "inputs": "gateway.cli.inputs:inputs",
    "events": "gateway.cli.events:events",
    "alerts": "gateway.cli.alerts:alerts",
    "routes": "gateway.cli.routes:routes",
    "silences": "gateway.cli.silences:silences",
    "sensors": "gateway.cli.sensors:sensors",
    "baselines": "gateway.cli.baselines:baselines",
    "backtest": "gateway.cli.backtest:backtest",
    "diagnose": "gateway.cli.diagnose:diagnose",
    "rules": "gateway.cli.rules:rules",
    "deadletters": "gateway.cli.deadletters:deadletters",
    "influx": "gateway.cli.influx:influx",
    "trace": "gateway.cli.trace:trace",
    "audit": "gateway.cli.audit:audit",
    "users": "gateway.cli.access:users",
    "tokens": "gateway.cli.access:tokens",
    "handlers": "gateway.cli.handlers:handlers",
}


class _Commands(click.Group):
    """Imports a command only when it is asked for: `--help` and `events count` stay quick."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Raises GatewayError, with the journal's path, for one that cannot be read."""
        try:
            return super().invoke(ctx)
        except (sqlite3.Error, msgspec.MsgspecError) as error:
            where = ctx.meta.get(JOURNAL, "the journal")
            raise GatewayError(
                f"{where} cannot be read: {error}; if it is damaged, make an empty file journal.db.suspect beside it"
                " and restart the gateway, which then looks through all of it and keeps what can be read"
            ) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in _COMMANDS:
            return None
        if cmd_name in {"run", "fleet"}:  # whoever reloads it while it starts must not end it; it is told later
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(__import__(module, fromlist=[name]), name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="vibration-gateway %(version)s")
def cli() -> None:
    """Run and question the gateway between vibration sensors, their history and the people who look after machines.

    Every command takes -c FILE, the configuration. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the check found
    problems in the configuration.
    """


def main() -> None:
    """Run the program; errors that are meant for people are one line, without a traceback."""
    try:
        sys.exit(cli.main(standalone_mode=False))  # the code of a command that asked for one, else None: done
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(FAILED)
    except click.Abort:
        sys.exit(FAILED)
    except ConfigError as error:
        for problem in error.problems:
            click.echo(problem, err=True)
        sys.exit(PROBLEMS)
    except GatewayError as error:
        signal.alarm(
            _SAY_WITHIN
        )  # a stopped terminal takes nothing, and who starts the gateway again waits for its end
        click.echo(f"Error: {error}", err=True)
        signal.alarm(0)
        sys.exit(FAILED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {where}{error.strerror or error}; is it there, and may this user use it?", err=True)
        sys.exit(FAILED)
