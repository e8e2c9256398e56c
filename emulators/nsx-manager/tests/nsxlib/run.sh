#!/bin/sh
# Drives the emulator with vmware-nsxlib.
#
#   run.sh VENV_DIR [PROGRAM]
#
# Makes the virtual environment when it is missing, starts the program on free ports and stops it again.
set -eu

venv=${1:?usage: run.sh VENV_DIR [PROGRAM]}
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
program=${2:-${CARGO_TARGET_DIR:-$root/target}/debug/nsx-manager-emulator}

if [ ! -x "$program" ]; then
    echo "nsxlib: $program is missing; run cargo build -p nsx-manager-emulator" >&2
    exit 2
fi
if ! "$venv/bin/python" -c 'import vmware_nsxlib' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet 'vmware-nsxlib==19.4.3'
fi

out=$(mktemp)
"$program" --listen 127.0.0.1:0 --control 127.0.0.1:0 --fixture cells=2 >"$out" &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; rm -f "$out"' EXIT

tries=0
until grep -q '^control ' "$out"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 100 ] || ! kill -0 "$pid" 2>/dev/null; then
        echo "nsxlib: the emulator did not start" >&2
        exit 2
    fi
    sleep 0.1
done

manager=$(sed -n 's/^manager //p' "$out" | head -n 1)
control=$(sed -n 's/^control //p' "$out")
# The client warns about its own libraries on every import.
"$venv/bin/python" -W ignore "$here/drive.py" "$manager" "$control" admin 'VMware1!VMware1!'
