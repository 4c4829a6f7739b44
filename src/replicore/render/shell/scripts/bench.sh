#!/usr/bin/env bash
# Measures with the spec's workload, as LLMPerf's token_benchmark_ray.py is called:
#
#   ./bench.sh             every replica by its own port, in turn
#   ./bench.sh --gateway   through the front door
#
# More arguments are passed on: ./bench.sh --additional-sampling-params '{"temperature": 0.7}'
# `replicore bench llmperf` runs it, whose tokens are counted by the server. LLMPERF=FOLDER takes
# LLMPerf's checkout instead: that one counts the tokens of another model unless it is patched.
set -euo pipefail
HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
source "$HERE/settings.sh"
# shellcheck source=/dev/null
source "$HERE/functions.sh"
# shellcheck source=/dev/null
source "$HERE/commands.sh"

servers=()
if [[ ${1:-} == --gateway ]]; then
  shift
  servers=("http://127.0.0.1:$GATEWAY_PORT/v1")
else
  for name in "${REPLICAS[@]}"; do servers+=("$(url "$name")/v1"); done
fi
OPENAI_API_BASE=$(IFS=';' && printf '%s' "${servers[*]}")
export OPENAI_API_BASE OPENAI_API_KEY="${OPENAI_API_KEY:-EMPTY}"

program=("$REPLICORE" bench llmperf)
if [[ -n ${LLMPERF:-} ]]; then program=("$BIN/python" "$LLMPERF/token_benchmark_ray.py"); fi
exec "${program[@]}" \
  --model "$SERVED_NAME" \
  --mean-input-tokens "$INPUT_TOKENS_MEAN" --stddev-input-tokens "$INPUT_TOKENS_STDDEV" \
  --mean-output-tokens "$OUTPUT_TOKENS_MEAN" --stddev-output-tokens "$OUTPUT_TOKENS_STDDEV" \
  --num-concurrent-requests "$CONCURRENCY" --max-num-completed-requests "$REQUESTS" \
  --timeout 21600 --llm-api openai --results-dir "$ROOT/results" \
  "$@"
