"""The Debian package in a Debian of its own: installed, used, upgraded over a journal, removed, purged."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def package(folder: Path, version: str) -> Path:
    """Return the package that this checkout becomes under a version."""
    source, out = folder / f"source-{version}", folder / version
    out.mkdir()
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".venv", ".git", "dist", "build", ".*_cache"))
    settings = source / "pyproject.toml"
    text = settings.read_text().split("\n")
    number = next(number for number, line in enumerate(text) if line.startswith("version = "))
    text[number] = f'version = "{version}"'
    settings.write_text("\n".join(text))
    run(ROOT / ".venv/bin/uv", "build", "-q", "--wheel", "--python", ROOT / ".venv/bin/python", "--no-build-isolation",
        "-o", out, cwd=source)  # fmt: skip
    [wheel] = out.glob("*.whl")
    run("env", f"UV={ROOT / '.venv/bin/uv'}", source / "packaging/deb/build.sh", wheel, out, cwd=source)
    [made] = out.glob("*.deb")
    return made


@pytest.mark.timeout(1800)
def test_it_is_installed_upgraded_and_removed_without_touching_what_is_the_plants(tmp_path: Path) -> None:
    debian = tmp_path / "debian"
    run("mmdebstrap", "--variant=minbase", "--include=python3,adduser", "bookworm", debian)
    for version in ("0.8.0", "0.9.0"):
        shutil.copy(package(tmp_path, version), debian / f"{version}.deb")

    def inside(*command: str) -> str:
        return run("chroot", debian, *command)

    def gateway(*command: str) -> str:
        """Do as the service does, under its account."""
        program = ("vibration-gateway", *command, "-c", "/etc/vibration-gateway/gateway.toml")
        return inside("chroot", "--userspec=vibration-gateway", "/", *program)

    inside("dpkg", "-i", "/0.8.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.8.0"
    configuration = debian / "etc/vibration-gateway/gateway.toml"
    assert inside("stat", "-c", "%U:%G %a", "/etc/vibration-gateway/gateway.toml").strip() == (
        "root:vibration-gateway 640"
    )
    assert inside("stat", "-c", "%U %a", "/var/lib/vibration-gateway").strip() == "vibration-gateway 750"
    assert not (debian / "etc/systemd/system/multi-user.target.wants/vibration-gateway.service").exists()
    gateway("check")
    inside(
        "sh",
        "-c",
        "! /opt/vibration-gateway/bin/python -c 'import pip' && ! /opt/vibration-gateway/bin/python -c 'import numpy'",
    )
    assert int(inside("du", "-sm", "/opt/vibration-gateway").split()[0]) < 90

    configuration.write_text(configuration.read_text() + "\n# the plant's own\n")
    gateway("init")
    journal = debian / "var/lib/vibration-gateway/journal.db"
    assert journal.exists()
    inside("dpkg", "-i", "/0.9.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.9.0"
    assert configuration.read_text().endswith("# the plant's own\n")
    gateway("upgrade", "--check")
    gateway("events", "count")
    inside("dpkg", "-i", "/0.8.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.8.0"

    inside("dpkg", "--purge", "vibration-gateway")
    assert journal.exists()
    assert not configuration.exists()
    assert not (debian / "opt/vibration-gateway").exists()
