#!/bin/sh
# Runs the Python program. Environment: GENDAN_URL, GENDAN_CODE_OFFICE, GENDAN_CODE_SALES, GENDAN_CODE_CREW;
# GENDAN_LIB_DIR is the folder of libclient_ffi.so (target/debug where not given).
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
lib=${GENDAN_LIB_DIR:-$root/target/debug}
command -v python3 >/dev/null || { echo "missing: python3 (3.10 or newer)" >&2; exit 1; }
[ -f "$lib/libclient_ffi.so" ] || { echo "missing: $lib/libclient_ffi.so (cargo build -p client-ffi)" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$root/client-ffi/bindings/python/gendan.py" "$work/"
ln -s "$lib/libclient_ffi.so" "$work/libclient_ffi.so"
PYTHONPATH="$work" PYTHONDONTWRITEBYTECODE=1 python3 "$here/main.py" \
    "$GENDAN_URL" "$GENDAN_CODE_OFFICE" "$GENDAN_CODE_SALES" "$GENDAN_CODE_CREW"
