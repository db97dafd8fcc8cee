#!/bin/sh
# run.sh INTEROP_NODE WORK_DIRECTORY
#
# Checks our node against js-libp2p in both directions. The harness and its packages live in WORK_DIRECTORY;
# they are installed there once.
set -eu

node_program=$1
work=$2
here=$(cd "$(dirname "$0")" && pwd)

for program in node npm; do
  if ! command -v "$program" > /dev/null; then
    echo "interop: $program is missing: install Node.js 20 or newer with npm (Debian: apt install nodejs npm)" >&2
    exit 1
  fi
done

mkdir -p "$work"
cp "$here"/*.mjs "$here/package.json" "$work/"
cd "$work"
if [ ! -d node_modules/libp2p ]; then
  npm install --no-audit --no-fund > npm.log 2>&1 || {
    cat npm.log >&2
    echo "interop: the packages of js-libp2p could not be installed (is there a network?)" >&2
    exit 1
  }
fi

"$node_program" --listen /ip4/127.0.0.1/tcp/0 > node.out 2> node.err &
pid=$!
trap 'kill "$pid" 2> /dev/null || true' EXIT
tries=0
until grep -q '^listening ' node.out; do
  kill -0 "$pid" 2> /dev/null || { cat node.err >&2; echo "interop: the node ended" >&2; exit 1; }
  tries=$((tries + 1))
  [ "$tries" -lt 200 ] || { echo "interop: the node does not listen after 20 s" >&2; exit 1; }
  sleep 0.1
done
target=$(sed -n 's/^listening //p' node.out | head -n 1)

status=0
node run-all.mjs --only ping,identify,throughput,listen --target "$target" \
  --dial-command "$node_program --dial {}" || status=$?

kill -TERM "$pid"
if ! wait "$pid"; then
  cat node.err >&2
  echo "interop: the node did not end cleanly on SIGTERM" >&2
  exit 1
fi
trap - EXIT
[ "$status" -eq 0 ] || cat node.err >&2
exit "$status"
