"""Errors of llama.cpp. Pure."""

from __future__ import annotations

from replicore.engines.known_errors.known_error import KnownError

LLAMACPP = (
    KnownError(
        name="llamacpp-memory",
        pattern=r"failed to allocate (?:(?:\w+ )?buffer|compute|output|graph)"
        r"|unable to allocate \S+ buffer|ggml_aligned_malloc: insufficient memory",
        cause="weights, KV cache or a step's activations do not fit into the memory",
        cure="lower `layout.max_model_len`, `layout.batch_size` or `layout.replicas`, or use a "
        "more quantised model",
        source="ggml-org/llama.cpp #10188",
    ),
    KnownError(
        name="gguf-damaged",
        pattern=r"invalid magic characters|not within the file bounds|failed to load GGUF split",
        cause="the file is no GGUF file, or a download was cut short",
        cure="delete it and download it again; all parts of a split model must be there",
    ),
    KnownError(
        name="gguf-architecture",
        pattern=r"unknown model architecture: '|unknown pre-tokenizer type: '",
        cause="the installed llama.cpp does not know this kind of model",
        cure="upgrade xllamacpp, or use another model",
    ),
    KnownError(
        name="gguf-missing",
        pattern=r"failed to open GGUF file",
        cause="the model's file is gone, or may not be read",
        cure="look at the path in the line, and at `model.source`",
    ),
    KnownError(
        name="mlock",
        pattern=r"failed to mlock \d+-byte buffer",
        cause="the limit on locked memory is lower than the model",
        cure="raise it with `ulimit -l unlimited` (systemd: `LimitMEMLOCK=infinity`), or take "
        "`--use-mlock` out of `engine.args`",
    ),
    KnownError(
        name="context-exceeded",
        pattern=r"exceeds the available context size",
        cause="a prompt has more tokens than a slot",
        cure="raise `layout.max_model_len`, or send shorter prompts",
    ),
    KnownError(
        name="llamacpp-port",
        pattern=r"couldn't bind HTTP server socket",
        cause="another process listens on its port",
        cure="`replicore up` again picks another one",
        transient=True,
    ),
    KnownError(
        name="llamacpp-load",
        pattern=r"error loading model: |failed to load model",
        cause="llama.cpp could not load the model; the lines above tell why",
        cure="`replicore logs` shows them",
        symptom=True,
    ),
)
