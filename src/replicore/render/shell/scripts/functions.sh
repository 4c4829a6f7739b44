# shellcheck shell=bash
# What the scripts have in common.

declare -A PIDS=() # of the process group of each replica that was started

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# url NAME: where that replica listens. 127.0.0.1, for 0.0.0.0 is an address to listen on only.
url() {
  local port=
  replica "$1"
  printf 'http://127.0.0.1:%s' "$port"
}

# start NAME: starts a replica in a session of its own, so that all that comes of it is one process
# group, and Ctrl-C reaches this script alone, which then stops the groups in order.
start() {
  setsid -- "$BASH" "$HERE/serve.sh" --replica "$1" </dev/null >>"$LOGS/$1.log" 2>&1 &
  PIDS[$1]=$!
  say "$1 starts as process group $!; log: $LOGS/$1.log"
}

is_running() { kill -0 "${PIDS[$1]}" 2>/dev/null; }

# ask URL [CURL OPTIONS]: prints the answer; fails where it is not 200.
ask() { curl --fail --silent --max-time 60 "$@"; }

# serves NAME: whether it is healthy, has the right model, and generates a token. /health alone is
# 200 before the first request has ever worked, and another server may have the port.
serves() {
  local base
  base=$(url "$1")
  ask "$base/health" --output /dev/null &&
    ask "$base/v1/models" | grep --quiet --fixed-strings -- "$SERVED_NAME_JSON" &&
    ask "$base/v1/completions" --output /dev/null --header 'content-type: application/json' \
      --data "{\"model\": $SERVED_NAME_JSON, \"prompt\": \"Hello\", \"max_tokens\": 1}"
}

# wait_ready NAME: returns once it serves; fails where it ended or took longer than START_TIMEOUT.
wait_ready() {
  local name=$1 deadline=$((SECONDS + START_TIMEOUT))
  # In the background: a signal ends `wait`, and would have to wait for a program before it
  until
    serves "$name" &
    wait "$!"
  do
    is_running "$name" || die "$name ended before it was ready; its log says why: $LOGS/$name.log"
    ((SECONDS < deadline)) || die "$name is not ready after $START_TIMEOUT s; see $LOGS/$name.log"
    sleep "$PROBE_INTERVAL"
  done
  say "$name is ready: $(url "$name")/v1"
}

# stop_group PID: SIGTERM to the group, and SIGKILL to what is left of it after STOP_GRACE seconds.
stop_group() {
  local deadline=$((SECONDS + STOP_GRACE))
  kill -TERM -- "-$1" 2>/dev/null || kill -TERM "$1" 2>/dev/null || return 0
  while kill -0 -- "-$1" 2>/dev/null && ((SECONDS < deadline)); do sleep 0.2; done
  kill -KILL -- "-$1" 2>/dev/null || true
}

# stop_all: stops every replica that was started, all at the same time.
stop_all() {
  trap '' INT TERM HUP # a second Ctrl-C must not leave engines behind
  local pid
  for pid in "${PIDS[@]}"; do stop_group "$pid" & done
  wait
}

# lock FILE WHAT: makes sure that WHAT happens once at a time. Engines inherit the lock: those that
# outlive a script that was killed still hold cores and ports.
lock() {
  mkdir -p "$(dirname "$1")"
  exec 9>"$1"
  flock --nonblock 9 || die "$2 is there already; fuser $1 names its processes"
}

# is_whole FOLDER: whether each of the compiler's OUTPUTS is there and none of its files is empty.
is_whole() {
  local pattern file
  for pattern in "${OUTPUTS[@]}"; do
    compgen -G "$1/$pattern" >/dev/null || return 1
    while read -r file; do [[ -s $file ]] || return 1; done < <(compgen -G "$1/$pattern")
  done
}

# is_flaky LOG: whether the compiler failed in a way that does not always come twice.
is_flaky() {
  local pattern
  for pattern in "${FLAKY[@]}"; do
    if grep --quiet --perl-regexp -- "$pattern" "$1"; then return 0; fi
  done
  return 1
}

# check_root: fails where sockets below RUN would have longer names than Linux allows, 107 bytes.
check_root() {
  ((${#RUN} <= LONGEST_RUN)) || die "$RUN is too long a path for engines' sockets; set a shorter ROOT in local.sh"
}

# check_compiled: fails where replicas need a compiled model and there is none.
check_compiled() {
  if ((IS_COMPILED)); then is_whole "$ARTEFACT" || die "nothing is compiled yet: ./compile.sh"; fi
}

# check_ports: fails where somebody listens on a replica's port, whose answers would be taken for
# the replica's.
check_ports() {
  local name port=
  for name in "${REPLICAS[@]}"; do
    replica "$name"
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      die "port $port of $name is taken: ss --listening --processes --tcp 'sport = $port'"
    fi
  done
}
