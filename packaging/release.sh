#!/bin/sh
# A release is a tag: `make release` builds what the tag, the version and the changelog agree on, and refuses anything else.
set -eu
cd "$(dirname "$0")/.."
version=$("$BIN"/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
refuse() { echo "no release: $1" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || refuse "there are changes that no commit has (git status)"
[ "$(git describe --exact-match --tags HEAD 2>/dev/null)" = "v$version" ] || refuse "this commit is not tagged v$version (git tag -s v$version)"
grep -q "^## $version - " CHANGELOG.md || refuse "CHANGELOG.md has no section '## $version - DATE'"
command -v dpkg-buildpackage >/dev/null || refuse "the Debian package needs apt-get install debhelper dpkg-dev python3-venv"
exec sh packaging/dist.sh
