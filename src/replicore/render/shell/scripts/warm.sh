#!/usr/bin/env bash
# Fills the compile cache: starts one replica, waits until it has generated a token, and stops it.
# Replicas that all start with an empty cache would compile the same graphs at the same time.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"
# shellcheck source=/dev/null
source "$HERE/commands.sh"

check_root
mkdir -p "$LOGS" "$ARTEFACT"
lock "$RUN/serve.lock" serve.sh
check_ports
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
start "${REPLICAS[0]}"
wait_ready "${REPLICAS[0]}"
say "the cache is filled: $ARTEFACT"
