#!/bin/sh
# Drives UAA and Cloud Controller of the emulator with cloudfoundry-client, a client nobody here wrote,
# then holds the BBS's records against what was done. Usage: run.sh VENV_DIR [plain|tls]
set -eu

venv=${1:?usage: run.sh VENV_DIR [plain|tls]}
mode=${2:-plain}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import cloudfoundry_client' 2>/dev/null ||
    "$venv/bin/python" -m pip install --quiet 'cloudfoundry-client>=1.40,<2'

# `make proofs` has built them; one package alone would be built again with other features.
[ -x "$target/debug/foundation-emulator" ] && [ -x "$target/debug/foundation" ] ||
    (cd "$root" && cargo build --locked --package foundation-emulator --bins)

work=$(mktemp -d)
set -- --scenario none --v2 --control-port 0 --external-url self
[ "$mode" = plain ] || set -- "$@" --tls --certificates "$work"
"$target/debug/foundation-emulator" "$@" >"$work/started.json" 2>"$work/log" &
emulator=$!
trap 'kill -INT $emulator 2>/dev/null || true; wait $emulator 2>/dev/null || true; rm -rf "$work"' EXIT

tries=0
while [ ! -s "$work/started.json" ]; do
    kill -0 $emulator 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    tries=$((tries + 1))
    [ $tries -lt 200 ] || { echo "the emulator did not start within 20 s" >&2; exit 1; }
    sleep 0.1
done

"$venv/bin/python" "$here/drive.py" "$work/started.json" "$mode" "$work" "$target/debug/foundation"
