"""Neuron specs that must be refused: what is wrong with each, and what the refusal must contain.

Each is a deployment of Llama 3.3 70B as two replicas of tp 32 on a trn2.48xlarge, which is right,
with some keys changed. The second part of a refusal is what would work: the nearest legal layout,
degree, length or set of cores.
"""

from __future__ import annotations

Keys = dict[str, object]

LLAMA_70B = "meta-llama/Llama-3.3-70B-Instruct"
LLAMA_8B = "meta-llama/Llama-3.1-8B-Instruct"
LLAMA_405B = "meta-llama/Llama-3.1-405B-Instruct"
QWEN_7B = "Qwen/Qwen2.5-7B-Instruct"
QWEN_14B = "Qwen/Qwen2.5-14B-Instruct"

RIGHT: Keys = {
    "model.source": LLAMA_70B,
    "layout.replicas": 2,
    "layout.tp": 32,
    "layout.batch_size": 4,
    "layout.max_model_len": 8448,
    "engine.kind": "neuron",
    "engine.neuron.instance": "trn2.48xlarge",
    "engine.neuron.lnc": "2",
}


def on(instance: str, *, lnc: int = 1, model: str = LLAMA_8B, **layout: object) -> Keys:
    """Another instance, with a smaller model, and these keys of [layout]."""
    chosen = {f"layout.{key}": value for key, value in layout.items()}
    return {
        "engine.neuron.instance": instance,
        "engine.neuron.lnc": str(lnc),
        "model.source": model,
        "layout.replicas": 1,
        "layout.tp": 1,
        "layout.max_model_len": 4096,
        **chosen,
    }


ILLEGAL_DEGREES: list[tuple[Keys, tuple[str, ...]]] = [
    ({"layout.tp": 3}, ("3 is not a tensor parallel degree that trn2.48xlarge supports", "2x32")),
    ({"layout.tp": 12}, ("12 is not a tensor", "these are: 1, 2, 4, 8, 16, 32, 64", "2x32")),
    ({"layout.tp": 24}, ("24 is not a tensor parallel degree", "these fit: 1x64, 2x32, 4x16")),
    ({"layout.tp": 48, "layout.replicas": 1}, ("48 is not a tensor", "1x64")),
    (
        {"layout.tp": 128, "layout.replicas": 1},
        ("128 is more than the 64 cores of trn2.48xlarge", "1x64"),
    ),
    (
        on("trn1.32xlarge", tp=4, replicas=8),
        ("4 is not a tensor parallel degree that trn1.32xlarge", "1, 2, 8, 16, 32", "4x8"),
    ),
    (on("trn1.32xlarge", tp=24), ("24 is not a tensor parallel degree", "1x32")),
    (on("inf2.48xlarge", tp=6, replicas=4), ("6 is not a tensor", "these are: 1, 2, 4, 8", "3x8")),
    (on("inf2.24xlarge", tp=24), ("24 is more than the 12 cores of inf2.24xlarge", "1x8")),
    (on("inf2.xlarge", tp=4), ("4 is more than the 2 cores of inf2.xlarge", "1x2")),
    (on("trn2.3xlarge", lnc=2, tp=8), ("8 is more than the 4 cores of trn2.3xlarge", "1x4")),
]

HEADS: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"model.source": QWEN_14B, "layout.tp": 16},
        ("16 does not divide the 40 attention heads of the model", "1, 2, 4, 8", "8x8"),
    ),
    (
        {"model.source": QWEN_7B, "layout.tp": 8, "layout.replicas": 8},
        ("8 does not divide the 28 attention heads of the model", "1, 2, 4", "16x4"),
    ),
    (on("inf2.48xlarge", tp=24), ("24 does not divide the 32 attention heads", "3x8")),
    (
        {"model.source": LLAMA_8B, "layout.tp": 64, "layout.replicas": 1},
        ("64 does not divide the 32 attention heads of the model", "2x32"),
    ),
]

TOO_MANY_CORES: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"layout.replicas": 3},
        ("3 replicas x 32 cores need 96 cores, 64 are usable (0-63)", "2x32, 4x16"),
    ),
    ({"layout.tp": 64}, ("2 replicas x 64 cores need 128 cores", "1x64, 2x32")),
    (
        on("inf2.48xlarge", tp=8, replicas=4),
        ("4 replicas x 8 cores need 32 cores, 24 are usable (0-23)", "3x8, 6x4"),
    ),
    (on("trn1.32xlarge", tp=32, replicas=2), ("need 64 cores, 32 are usable", "1x32, 2x16")),
    (on("inf2.24xlarge", tp=8, replicas=2), ("need 16 cores, 12 are usable", "1x8, 3x4")),
    (on("trn2.3xlarge", lnc=2, tp=4, replicas=2), ("need 8 cores, 4 are usable", "1x4, 2x2")),
    (
        {"layout.cores": "0-127"},
        ('64-127 of "0-127" cannot be used here', "these can: 0-63"),
    ),
]

MISALIGNED: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"layout.replicas": 1, "layout.cores": "8-39"},
        (
            "1 free range of 32 that starts on a multiple of 32, there are 0",
            '1x32 would with layout.cores = "0-31"',
        ),
    ),
    (
        {"layout.replicas": 1, "layout.cores": "16-47"},
        ("starts on a multiple of 32", "2x16", 'layout.cores = "0-31"'),
    ),
    (
        {"layout.replicas": 1, "layout.tp": 16, "layout.cores": "8-23"},
        ("starts on a multiple of 16, there are 0", 'layout.cores = "0-15"'),
    ),
    (
        {"layout.tp": 16, "layout.cores": "0-7,12-35"},
        ("2 free ranges of 16 that start on a multiple of 16, there are 1", "1x16", "0-31"),
    ),
    (
        on("trn1.32xlarge", tp=8, cores="4-11"),
        ("starts on a multiple of 8, there are 0", 'layout.cores = "0-7"'),
    ),
    (
        on("inf2.48xlarge", tp=8, cores="3-10"),
        (
            "starts on a multiple of 2, there are 0: 8 are usable (3-10)",
            "1x4",
            'layout.cores = "0-7"',
        ),
    ),
    (
        on("inf2.48xlarge", tp=8, cores="0-5,8-9"),
        ("1 free range of 8", "(0-5,8-9)", 'layout.cores = "0-7"'),
    ),
]

WRONG_LNC: list[tuple[Keys, tuple[str, ...]]] = [
    (
        on("inf2.48xlarge", lnc=2),
        ("engine.neuron.lnc: 2 is not possible on inf2.48xlarge", "NeuronCore-v2; 1 works"),
    ),
    (on("trn1.32xlarge", lnc=2), ("2 is not possible on trn1.32xlarge", "1 works")),
    (on("trn3.gen1", lnc=1), ("engine.neuron.lnc: 1 is not possible on trn3.gen1", "2 works")),
    ({"engine.neuron.lnc": "4"}, ("engine.neuron.lnc: unknown value", "valid: 1, 2")),
    (
        {"engine.env.NEURON_RT_VIRTUAL_CORE_SIZE": "1"},
        ("NEURON_RT_VIRTUAL_CORE_SIZE", "is another LNC", "engine.neuron.lnc = 1"),
    ),
    (
        {"engine.neuron.compile_args": ("--logical-nc-config", "1")},
        ("--logical-nc-config sets what engine.neuron.lnc sets", "set engine.neuron.lnc"),
    ),
]

COMPILED_LENGTHS: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"layout.max_model_len": 200_000},
        ("200000 is longer than the model's maximum", "up to 131072 tokens work"),
    ),
    (
        # The tutorial's own: compiled for 8192 tokens, served with 12800.
        {
            "layout.max_model_len": 12_800,
            "engine.neuron.compile_args": ("--seq-len", "8192"),
        },
        ("--seq-len sets what layout.max_model_len sets", "set layout.max_model_len"),
    ),
    (
        {"engine.args": ("--max-model-len", "12800")},
        ("--max-model-len is set by replicore from layout.max_model_len", "use that key"),
    ),
    (
        {"engine.neuron.max_context_length": 16_384},
        ("engine.neuron.max_context_length: 16384 is more", "8448; use 8448 or less"),
    ),
    (
        {"engine.neuron.context_buckets": (4096, 16_384)},
        ("engine.neuron.context_buckets: 16384 is more", "8448; use 8448 or less"),
    ),
    (
        {"engine.neuron.token_buckets": (8448, 8704)},
        ("engine.neuron.token_buckets: 8704 is more", "8448; use 8448 or less"),
    ),
    (
        {"engine.neuron.compile_args": ("--token-generation-buckets", "4096", "9216")},
        (
            "--token-generation-buckets sets what engine.neuron.token_buckets sets",
            "take --token-generation-buckets out and set engine.neuron.token_buckets",
        ),
    ),
    (
        {"workload.input_tokens.mean": 7936, "workload.output_tokens.mean": 1024},
        ("layout.max_model_len", "8448 is less than the 8960 tokens", "use 8960 or more"),
    ),
]

MEMORY: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"layout.tp": 4},
        ("one replica of tp 4", "96.0 GiB is available", "1x64, 2x32"),
    ),
    (
        {"model.source": LLAMA_405B},
        ("one replica of tp 32", "768.0 GiB is available", "1x64"),
    ),
    (
        on("inf2.24xlarge", model=LLAMA_70B, tp=8),
        ("one replica of tp 8", "128.0 GiB is available", "more quantised model would fit"),
    ),
    (
        on("inf2.xlarge", tp=1),
        ("one replica of tp 1", "16.0 GiB is available", "1x2"),
    ),
    (
        {"layout.batch_size": 64, "layout.max_model_len": 131_072},
        ("with batch_size 64 and max_model_len 131072", "would fit"),
    ),
    (
        {"engine.neuron.lnc": "1", "model.source": LLAMA_8B, "layout.tp": 1},
        ("one replica of tp 1", "12.0 GiB is available"),
    ),
]

NOT_OF_THIS_MACHINE: list[tuple[Keys, tuple[str, ...]]] = [
    (
        {"engine.neuron.instance": "trn2.24xlarge"},
        ('unknown value "trn2.24xlarge"', 'did you mean "trn2.48xlarge"?'),
    ),
    (
        on("inf2.48xlarge", tp=8) | {"engine.neuron.generation": "native"},
        ('"native" does not run on inf2', 'these run on inf2: "fork", "nxdi"'),
    ),
    (
        on("trn3.gen1", lnc=2, tp=8),
        ('"fork" does not run on trn3', 'these run on trn3: "native"'),
    ),
]

WRONG_SPECS = [
    *ILLEGAL_DEGREES,
    *HEADS,
    *TOO_MANY_CORES,
    *MISALIGNED,
    *WRONG_LNC,
    *COMPILED_LENGTHS,
    *MEMORY,
    *NOT_OF_THIS_MACHINE,
]
