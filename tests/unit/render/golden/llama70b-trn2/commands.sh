# shellcheck shell=bash
# The command lines of engines and compiler, exactly as `replicore up` and `replicore compile` run
# them.

# replica NAME: sets what differs from one replica to the next.
# shellcheck disable=SC2034 # functions.sh reads the port
replica() {
  name=$1
  case "$1" in
    r0) port=8001 cores=0-31 vllm_port=20000 master_port=20048 ;;
    r1) port=8002 cores=32-63 vllm_port=20064 master_port=20112 ;;
    *) die "there is no replica \"$1\"; these are: ${REPLICAS[*]}" ;;
  esac
}

# become_engine: turns this process into the replica that `replica` has chosen.
become_engine() {
  # Inherited from torchrun, SLURM or another engine, these would hang the engine or send it
  # elsewhere.
  unset CPU_VISIBLE_MEMORY_NODES CUDA_VISIBLE_DEVICES DISABLE_NEURON_CUSTOM_SCHEDULER GROUP_RANK
  unset GROUP_WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE NEURON_CC_FLAGS
  unset NEURON_ON_DEVICE_SAMPLING_DISABLED NEURON_PLATFORM_TARGET_OVERRIDE NEURON_RT_NUM_CORES
  unset NEURON_RT_ROOT_COMM_ID NEURON_VISIBLE_DEVICES NODE_RANK OMPI_COMM_WORLD_LOCAL_RANK
  unset OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMI_RANK PMI_SIZE PROMETHEUS_MULTIPROC_DIR RANK
  unset ROLE_RANK ROLE_WORLD_SIZE TORCHELASTIC_RUN_ID TORCHELASTIC_USE_AGENT_STORE VLLM_API_KEY
  unset VLLM_CPU_KVCACHE_SPACE VLLM_CPU_OMP_THREADS_BIND VLLM_DP_MASTER_IP VLLM_DP_MASTER_PORT
  unset VLLM_DP_RANK VLLM_DP_RANK_LOCAL VLLM_DP_SIZE VLLM_LOOPBACK_IP VLLM_NEURON_CPU_COMPILE
  unset VLLM_NEURON_CPU_MODE VLLM_NEURON_DISABLE_WARMUP_COMPILE WORLD_SIZE
  export PYTHONSAFEPATH=1
  export VLLM_NO_USAGE_STATS=1
  export VLLM_ENGINE_READY_TIMEOUT_S=604800
  export VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS=1
  export VLLM_HOST_IP=127.0.0.1
  export GLOO_SOCKET_IFNAME=lo
  # Ports for the engine's own processes, a block for each replica: vLLM looks for a free one and
  # takes it later, which another replica may do first.
  export VLLM_PORT="$vllm_port"
  export MASTER_ADDR=127.0.0.1
  export MASTER_PORT="$master_port"
  export VLLM_CACHE_ROOT="$ROOT/run/$name"
  export TMPDIR="$ROOT/run/$name"
  export VLLM_RPC_BASE_PATH="$ROOT/run/$name"
  export NEURON_LOGICAL_NC_CONFIG=2
  # Physical cores per logical core: one number for compiling and serving. The tutorial's server has 2
  # whatever the model was compiled for.
  export NEURON_RT_VIRTUAL_CORE_SIZE=2
  export NEURON_RT_INSPECT_ENABLE=0
  export NEURON_PROCESS_TAG="$name"
  export OMP_NUM_THREADS=96
  export VLLM_USE_V1=0
  export VLLM_NEURON_FRAMEWORK=neuronx-distributed-inference
  export VLLM_RPC_TIMEOUT=100000
  # The replica's own cores, exactly as many as its tensor parallel degree and without a gap. Unset,
  # the process takes every core of the machine.
  export NEURON_RT_VISIBLE_CORES="$cores"
  # What was compiled. Where the server cannot load it, it recompiles into it, so it must be whole
  # before anything starts; and a --max-model-len beyond the compiled length is promised and not kept.
  # The tutorial compiles for 8192 tokens and serves 12800.
  export NEURON_COMPILED_ARTIFACTS="$ARTEFACT"
  # A folder of its own: the compiler empties it first, so that two compiles in one folder destroy
  # each other's files.
  export BASE_COMPILE_WORK_DIR="$ROOT/run/$name/nxd_model"
  exec "$BIN/python" -m vllm.entrypoints.openai.api_server \
    --model "$MODEL" \
    --served-model-name llama-3.3-70b \
    --host 127.0.0.1 \
    --port "$port" \
    --tensor-parallel-size 32 \
    --max-num-seqs 4 \
    --max-model-len 8704 \
    --device neuron \
    --override-neuron-config '{"on_device_sampling_config": {"do_sample": true, "global_topk": 64, "dynamic": true}}' \
    --disable-log-requests
}

# become_compiler: turns this process into the compiler, which writes to PARTIAL.
become_compiler() {
  # Inherited from torchrun, SLURM or another engine, these would hang the engine or send it
  # elsewhere.
  unset CPU_VISIBLE_MEMORY_NODES CUDA_VISIBLE_DEVICES DISABLE_NEURON_CUSTOM_SCHEDULER GROUP_RANK
  unset GROUP_WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE MASTER_ADDR MASTER_PORT NEURON_CC_FLAGS
  unset NEURON_COMPILED_ARTIFACTS NEURON_ON_DEVICE_SAMPLING_DISABLED NEURON_PLATFORM_TARGET_OVERRIDE
  unset NEURON_RT_ROOT_COMM_ID NEURON_RT_VISIBLE_CORES NEURON_VISIBLE_DEVICES NODE_RANK
  unset OMPI_COMM_WORLD_LOCAL_RANK OMPI_COMM_WORLD_RANK OMPI_COMM_WORLD_SIZE PMI_RANK PMI_SIZE
  unset PROMETHEUS_MULTIPROC_DIR RANK ROLE_RANK ROLE_WORLD_SIZE TORCHELASTIC_RUN_ID
  unset TORCHELASTIC_USE_AGENT_STORE VLLM_API_KEY VLLM_CPU_KVCACHE_SPACE VLLM_CPU_OMP_THREADS_BIND
  unset VLLM_DP_MASTER_IP VLLM_DP_MASTER_PORT VLLM_DP_RANK VLLM_DP_RANK_LOCAL VLLM_DP_SIZE
  unset VLLM_HOST_IP VLLM_LOOPBACK_IP VLLM_NEURON_CPU_COMPILE VLLM_NEURON_CPU_MODE
  unset VLLM_NEURON_DISABLE_WARMUP_COMPILE VLLM_NEURON_FRAMEWORK VLLM_PORT VLLM_RPC_BASE_PATH
  unset WORLD_SIZE
  export NEURON_LOGICAL_NC_CONFIG=2
  # Physical cores per logical core: one number for compiling and serving. The tutorial's server has 2
  # whatever the model was compiled for.
  export NEURON_RT_VIRTUAL_CORE_SIZE=2
  export NEURON_RT_INSPECT_ENABLE=0
  # The logical cores of one replica: the tutorial's compiler takes all of the machine.
  export NEURON_RT_NUM_CORES=32
  export NEURON_RT_EXEC_TIMEOUT=600
  export XLA_DENSE_GATHER_FACTOR=0
  # A folder of its own: the compiler empties it first, so that two compiles in one folder destroy
  # each other's files.
  export BASE_COMPILE_WORK_DIR="$WORK"
  # --save-sharded-checkpoint: the weights are written as each core loads them; without it every
  # replica shards all of them at every start.
  # Sampling is compiled in: compiler and server are given the same. The tutorial compiles greedy
  # sampling and asks the server for another.
  # Rank 0 is right for all replicas: what is compiled does not depend on the cores that it will run
  # on.
  exec "$BIN/inference_demo" \
    --model-type llama \
    --task-type causal-lm run \
    --model-path "$MODEL" \
    --compiled-model-path "$PARTIAL" \
    --torch-dtype bfloat16 \
    --start_rank_id 0 \
    --local_ranks_size 32 \
    --tp-degree 32 \
    --batch-size 4 \
    --is-continuous-batching \
    --ctx-batch-size 1 \
    --max-context-length 8704 \
    --seq-len 8704 \
    --on-device-sampling \
    --top-k 1 \
    --global-topk 64 \
    --do-sample \
    --dynamic \
    --fused-qkv \
    --qkv-kernel-enabled \
    --attn-kernel-enabled \
    --mlp-kernel-enabled \
    --pad-token-id 2 \
    --logical-nc-config 2 \
    --save-sharded-checkpoint \
    --compile-only \
    --prompt 'What is annapurna labs?'
}
