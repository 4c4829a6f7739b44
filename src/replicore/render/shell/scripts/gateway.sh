#!/usr/bin/env bash
# One OpenAI endpoint before all replicas. It needs replicore and nothing of the engine's environment;
# more arguments are passed on: ./gateway.sh --set gateway.host=0.0.0.0
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"
# shellcheck source=/dev/null
source "$HERE/commands.sh"

endpoints=()
for name in "${REPLICAS[@]}"; do endpoints+=(--endpoint "$(url "$name")"); done
exec "$REPLICORE" gateway "${endpoints[@]}" --slots "$BATCH_SIZE" --port "$GATEWAY_PORT" \
  "${GATEWAY_ARGS[@]}" "$@"
