#!/bin/sh
# Installs the servers and the browser that the tests run against, where they are missing (Debian and its kin).
set -eu

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
POLICY=/usr/sbin/policy-rc.d

missing=
for pair in mosquitto:mosquitto mosquitto_sub:mosquitto-clients influxd:influxdb nginx:nginx-light chromium:chromium strace:strace; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need these packages, please install them as root:$missing" >&2
    exit 1
fi

log=$(mktemp)
own_policy=
cleanup() {
    rm -f "$log"
    [ -z "$own_policy" ] || rm -f "$POLICY"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

# Debian starts a service when it installs it; the tests start their own and want no others.
if [ ! -e "$POLICY" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod +x "$POLICY"
fi

echo "Installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # one argument per package
if ! { apt-get update && apt-get install --yes --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    echo "Installing$missing failed: see above" >&2
    exit 1
fi
