#!/usr/bin/env bash
# Compiles the model, once for all replicas; does nothing where that has been done.
#
# The compiled model appears under its name when it is whole, not before, so a compile that was
# interrupted is never taken for one that is done. `inference_demo ... | tee log`, as in AWS's
# tutorial, ends with the exit code of tee, which hides a failure.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"
# shellcheck source=/dev/null
source "$HERE/commands.sh"

# clean_up: leaves nothing half-written, and no compiler running.
clean_up() {
  trap '' INT TERM HUP
  if [[ -n ${PID:-} ]]; then stop_group "$PID"; fi
  rm -rf -- "$PARTIAL" "$WORK"
}

# try: runs the compiler once, shows its log, and returns its exit code.
try() {
  rm -rf -- "$PARTIAL" "$WORK"
  mkdir -p "$PARTIAL" "$WORK"
  say "compiling; log: $LOG"
  # timeout makes a process group of it, which is what clean_up stops
  timeout --kill-after="$STOP_GRACE" "$COMPILE_TIMEOUT" \
    "$BASH" "$HERE/compile.sh" --compiler "$PARTIAL" "$WORK" </dev/null >"$LOG" 2>&1 9>&- &
  PID=$!
  tail --pid="$PID" --sleep-interval="$PROBE_INTERVAL" --lines=+1 --follow "$LOG" 9>&- &
  local code=0
  wait "$PID" || code=$?
  PID=
  wait # for the end of the log
  ((code != 124)) || say "no end after $COMPILE_TIMEOUT s"
  return "$code"
}

if [[ ${1:-} == --compiler ]]; then
  PARTIAL=$2 WORK=$3
  become_compiler
fi

mkdir -p "$LOGS" "$RUN"
lock "$ARTEFACT.lock" "a compile of this model" # two in one work folder delete each other's files
if is_whole "$ARTEFACT"; then
  say "compiled already: $ARTEFACT"
  exit
fi
PARTIAL=$ARTEFACT.partial
WORK=$RUN/compile
LOG=$LOGS/compile.log
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if ! try; then
  # Some failures are the compiler's own and do not come twice
  is_flaky "$LOG" || die "the compile failed: $LOG"
  say "that failure may not come twice: once more"
  try || die "the compile failed again: $LOG"
fi
is_whole "$PARTIAL" || die "the compiler ended without an error, and files are missing: $PARTIAL"
rm -rf -- "$ARTEFACT"
mv --no-target-directory -- "$PARTIAL" "$ARTEFACT"
say "compiled: $ARTEFACT"
