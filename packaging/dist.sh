#!/bin/sh
# Everything that a release consists of, in dist/: `make dist`. Of one commit it is the same wherever it is made.
set -eu
cd "$(dirname "$0")/.."
version=$("$BIN"/python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
rm -rf dist build/edge
PATH="$(realpath "$BIN"):$PATH" "$BIN"/uv build -q --no-build-isolation --wheel --sdist

# What a plant's device gets, without pip: of this the lists speak, and this the Debian package holds.
python3 -m venv --without-pip build/edge
"$BIN"/uv pip install -q --python build/edge/bin/python --require-hashes -r requirements/run.lock
"$BIN"/uv pip install -q --python build/edge/bin/python --no-deps "dist/vibration_gateway-$version-py3-none-any.whl"
.venv/release/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
    -o "dist/vibration-gateway-$version.cdx.json" build/edge/bin/python
{
    printf '# Licences of what vibration-gateway %s brings along\n\n' "$version"
    .venv/release/bin/pip-licenses --python build/edge/bin/python --format markdown --with-urls --ignore-packages vibration-gateway
} >"dist/vibration-gateway-$version-licences.md"

if command -v dpkg-buildpackage >/dev/null; then
    UV="$BIN/uv" packaging/deb/build.sh "dist/vibration_gateway-$version-py3-none-any.whl" dist
else
    echo "no Debian package: that needs apt-get install debhelper dpkg-dev python3-venv" >&2
fi
(cd dist && sha256sum -- *.whl *.tar.gz *.deb *.json *.md >SHA256SUMS 2>/dev/null || true)
ls -l dist
