#!/usr/bin/env bash
# Starts every replica, keeps all of them running, and stops them when it ends:
#
#   ./serve.sh                  until Ctrl-C or SIGTERM
#   ./serve.sh --replica NAME   becomes the engine of one replica, for another supervisor
#
# A server that is left in the background of a shell, as in AWS's tutorial, is restarted by nobody,
# and nobody can stop all that it has started.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"
# shellcheck source=/dev/null
source "$HERE/commands.sh"

declare -A FAILED_AT=() # times of each replica's failures, seconds of this script
declare -A START_AT=()  # when a replica that failed is started again

# fail NAME: plans the next start of a replica that has ended, later with each failure.
fail() {
  local name=$1 recent=() at wait=$BACKOFF_INITIAL i code=0
  wait "${PIDS[$name]}" || code=$?
  kill -KILL -- "-${PIDS[$name]}" 2>/dev/null || true # what is left of it still holds its cores
  unset "PIDS[$name]"
  for at in ${FAILED_AT[$name]:-} "$SECONDS"; do
    ((at + FAILURE_WINDOW < SECONDS)) || recent+=("$at")
  done
  FAILED_AT[$name]="${recent[*]}"
  if ((${#recent[@]} >= MAX_FAILURES)); then
    say "$name failed ${#recent[@]} times within $FAILURE_WINDOW s and is left stopped"
    ((${#PIDS[@]} + ${#START_AT[@]} > 0)) || die "no replica is left"
    return
  fi
  for ((i = 1; i < ${#recent[@]}; i++)); do wait=$((wait * 2)); done
  ((wait <= BACKOFF_MAX)) || wait=$BACKOFF_MAX
  START_AT[$name]=$((SECONDS + wait))
  say "$name ended with exit code $code and is started again in $wait s; log: $LOGS/$name.log"
}

# keep: never returns. A replica that is started again is not waited for: the front door sees when
# it serves.
keep() {
  local name
  while sleep "$PROBE_INTERVAL"; do
    for name in "${!PIDS[@]}"; do
      is_running "$name" || fail "$name"
    done
    for name in "${!START_AT[@]}"; do
      ((SECONDS >= START_AT[$name])) || continue
      unset "START_AT[$name]"
      start "$name"
    done
  done
}

# start_all: starts the replicas, at most STARTS_TOGETHER of them at the same time: each loads the
# whole model, and what they load at once must fit into the host's memory.
start_all() {
  local i name
  for ((i = 0; i < ${#REPLICAS[@]}; i += STARTS_TOGETHER)); do
    for name in "${REPLICAS[@]:i:STARTS_TOGETHER}"; do start "$name"; done
    for name in "${REPLICAS[@]:i:STARTS_TOGETHER}"; do wait_ready "$name"; done
  done
}

if [[ ${1:-} == --replica ]]; then
  replica "${2:?the name of a replica}"
  # A start must not read what an earlier one has left
  rm -rf -- "${RUN:?}/$2"
  mkdir -p -- "$RUN/$2"
  become_engine
fi

check_compiled
check_root
mkdir -p "$LOGS"
lock "$RUN/serve.lock" serve.sh
check_ports
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
start_all
say "all replicas are ready; ./gateway.sh puts one endpoint before them"
keep
