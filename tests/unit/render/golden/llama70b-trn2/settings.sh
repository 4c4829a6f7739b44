# shellcheck shell=bash
# shellcheck disable=SC2034 # read by the scripts
# What the scripts have in common, once. Core ranges, compiled model and benchmark follow from the
# same numbers, so change the spec and render again.
# Rendered by replicore from the spec of llama70b.
# Layout: 2 replicas x 32 cores: as the spec says; 64 cores are usable.

REPLICAS=(r0 r1)
SERVED_NAME=llama-3.3-70b
SERVED_NAME_JSON='"llama-3.3-70b"'
BATCH_SIZE=4 # sequences that one replica works on at the same time
GATEWAY_PORT=8000
GATEWAY_ARGS=()

# Seconds, and how often a replica may fail
START_TIMEOUT=1800
STOP_GRACE=10
BACKOFF_INITIAL=1
BACKOFF_MAX=60
FAILURE_WINDOW=300
MAX_FAILURES=5
PROBE_INTERVAL=1
STARTS_TOGETHER=2
IS_COMPILED=1 # whether replicas need what compile.sh makes
COMPILE_TIMEOUT=7200
OUTPUTS=(neuron_config.json model.pt weights/tp{0..31}_sharded_checkpoint.safetensors)
FLAKY=(tp_barrier)

# What bench.sh sends
INPUT_TOKENS_MEAN=7936
INPUT_TOKENS_STDDEV=30
OUTPUT_TOKENS_MEAN=256
OUTPUT_TOKENS_STDDEV=30
REQUESTS=1000
CONCURRENCY=8 # at the same time, over all replicas

# Paths of this machine. local.sh, beside this file, is yours: what it sets (ROOT, MODEL, BIN,
# REPLICORE) goes before what is here. The environment does not, for an empty MODEL there would be
# another model served.
unset ROOT MODEL BIN REPLICORE
# shellcheck source=/dev/null
if [[ -f $HERE/local.sh ]]; then source "$HERE/local.sh"; fi
ROOT=${ROOT:-$HERE}
MODEL=${MODEL:-/ubuntu/model_hf/Llama-3.3-70B-Instruct}
BIN=${BIN:-/opt/aws_neuronx_venv_pytorch_2_6_nxd_inference/bin} # programs of the engine's environment
REPLICORE=${REPLICORE:-replicore}
LOGS=$ROOT/logs
RUN=$ROOT/run
LONGEST_RUN=64 # characters
ARTEFACT="$ROOT/artefacts/b525339e6c53ccaa7e20"
