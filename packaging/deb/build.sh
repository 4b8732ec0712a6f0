#!/bin/sh
# A Debian package of a wheel: packaging/deb/build.sh WHEEL FOLDER. Needs debhelper, dpkg-dev, python3-venv, and uv ($UV).
set -eu
wheel=$(realpath "$1")
folder=$(realpath "$2")
UV=$(realpath "${UV:-.venv/bin/uv}")
export UV
here=$(realpath "$(dirname "$0")/../..")
version=$(basename "$wheel" | cut -d- -f2)
maintainer=${MAINTAINER:-Vibration gateway maintainers <maintainers@vibration-gateway.invalid>}
python=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
next=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % (sys.version_info[0], sys.version_info[1] + 1))')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/src/debian/source"
cd "$work/src"
cp "$wheel" "$here/requirements/run.lock" "$here/packaging/deb/gateway.toml" "$here/config/mosquitto/mosquitto.conf" \
    "$here/config/systemd/vibration-gateway.service" .
cp "$here/config/gateway.toml" example.toml
cp "$here"/packaging/deb/rules "$here"/packaging/deb/postinst "$here"/packaging/deb/prerm "$here"/packaging/deb/postrm debian/
for script in postinst prerm postrm; do mv "debian/$script" "debian/vibration-gateway.$script"; done
sed -e "s/@maintainer@/$maintainer/" -e "s/@python@/$python/" -e "s/@next_python@/$next/" "$here/packaging/deb/control.in" >debian/control
echo '3.0 (native)' >debian/source/format
# A version that is being worked on sorts before the one that it becomes.
debian_version=$(printf %s "$version" | sed -E 's/\.?(dev|a|b|rc)([0-9]+)/~\1\2/; s/\+/./')
date=$(date -R -u -d "@${SOURCE_DATE_EPOCH:-$(date +%s)}")
printf 'vibration-gateway (%s) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- %s  %s\n' "$debian_version" "$maintainer" "$date" >debian/changelog
dpkg-buildpackage --build=binary --no-sign >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
cp "$work"/*.deb "$folder/"
