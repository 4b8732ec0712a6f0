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

    inside("dpkg", "-i", "/0.8.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.8.0"
    configuration = debian / "etc/vibration-gateway/gateway.toml"
    assert inside("stat", "-c", "%U:%G %a", "/etc/vibration-gateway/gateway.toml").strip() == (
        "root:vibration-gateway 640"
    )
    assert inside("stat", "-c", "%U %a", "/var/lib/vibration-gateway").strip() == "vibration-gateway 750"
    assert not (debian / "etc/systemd/system/multi-user.target.wants/vibration-gateway.service").exists()
    inside(
        "chroot",
        "--userspec=vibration-gateway",
        "/",
        "vibration-gateway",
        "check",
        "-c",
        f"/{configuration.relative_to(debian)}",
    )
    inside(
        "sh",
        "-c",
        "! /opt/vibration-gateway/bin/python -c 'import pip' && ! /opt/vibration-gateway/bin/python -c 'import numpy'",
    )
    size = sum(int(line.split()[0]) for line in inside("du", "-sk", "/opt/vibration-gateway").splitlines())
    assert size * 1024 < 90_000_000

    configuration.write_text(configuration.read_text() + "\n# the plant's own\n")
    inside(
        "chroot",
        "--userspec=vibration-gateway",
        "/",
        "vibration-gateway",
        "init",
        "-c",
        "/etc/vibration-gateway/gateway.toml",
    )
    journal = debian / "var/lib/vibration-gateway/journal.db"
    assert journal.exists()
    inside("dpkg", "-i", "/0.9.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.9.0"
    assert configuration.read_text().endswith("# the plant's own\n")
    inside(
        "chroot",
        "--userspec=vibration-gateway",
        "/",
        "vibration-gateway",
        "events",
        "count",
        "-c",
        "/etc/vibration-gateway/gateway.toml",
    )
    inside("dpkg", "-i", "/0.8.0.deb")
    assert inside("vibration-gateway", "--version").strip() == "vibration-gateway 0.8.0"

    inside("dpkg", "--purge", "vibration-gateway")
    assert journal.exists()
    assert not configuration.exists()
    assert not (debian / "opt/vibration-gateway").exists()
