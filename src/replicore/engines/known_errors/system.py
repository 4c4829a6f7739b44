"""Errors of the kernel, the C library and Python, whichever the engine. Pure."""

from __future__ import annotations

from replicore.engines.known_errors.known_error import KnownError

SYSTEM = (
    KnownError(
        name="killed-for-memory",
        pattern=r"^(?:\S+: line \d+: +\d+ )?Killed(?: .*)?$|oom-kill:|Out of memory: Killed process"
        r"|memory cgroup out of memory",
        cause="the machine or the control group ran out of memory, as it does when many ranks "
        "shard weights at once",
        cure="load fewer replicas at a time (`supervisor.starts_together = 1`), shard when "
        "compiling, or give it more memory",
        source="aws-neuron/neuronx-distributed-inference #26",
    ),
    KnownError(
        name="memory",
        pattern=r"[Cc]annot allocate memory|std::bad_alloc|\bMemoryError\b"
        r"|DefaultCPUAllocator: (?:can't|not enough)|[Oo]ut of memory",
        cause="it ran out of memory",
        cure="lower `layout.max_model_len`, `layout.batch_size` or the replicas",
    ),
    KnownError(
        name="port",
        pattern=r"[Aa]ddress already in use|EADDRINUSE",
        cause="another process listens on its port",
        cure="`ss -ltnp` shows it (neuron-monitor-prometheus takes 8000); `replicore up` again "
        "picks another one",
        transient=True,
        source="vllm-project/vllm #14919, #39015; gpustack/gpustack #4312, #5657",
    ),
    KnownError(
        name="disk",
        pattern=r"[Nn]o space left on device|[Dd]isk quota exceeded",
        cause="a file system is full",
        cure="`df -h` shows which; free some space and start again",
    ),
    KnownError(
        name="open-files",
        # vLLM warns of it at every start with a limit below 65535
        pattern=r"^(?!.*can cause fd limit).*[Tt]oo many open files",
        cause="the limit on open files is too low",
        cure="raise it with `ulimit -n 65536` (systemd: `LimitNOFILE=65536`)",
    ),
    KnownError(
        name="threads",
        pattern=r"can't start new thread|pthread_create failed"
        r"|fork: (?:retry: )?[Rr]esource temporarily unavailable",
        cause="the limit on processes and threads is reached",
        cure="raise `ulimit -u`, and pids.max of the control group (`--pids-limit` of a container)",
    ),
    KnownError(
        name="package",
        pattern=r"No module named|ModuleNotFoundError",
        cause="the engine's packages are missing there",
        cure="`engine.python` names the environment to use",
    ),
    KnownError(
        name="library",
        pattern=r"cannot open shared object file|version `GLIBC(?:XX)?_[\d.]+' not found",
        cause="a library that the engine was built against is missing, or too old",
        cure="install what the line names; LD_LIBRARY_PATH may point to another one",
    ),
    KnownError(
        name="instruction",
        pattern=r"[Ii]llegal instruction",
        cause="the program was built for a newer processor",
        cure="use a build for this one, or another machine",
    ),
    KnownError(
        name="bus-error",
        pattern=r"\b[Bb]us error",
        cause="a mapped file was cut short, or /dev/shm is full",
        cure="`df -h /dev/shm` shows the latter; a container wants `--ipc=host`",
    ),
    KnownError(
        name="certificate",
        pattern=r"CERTIFICATE_VERIFY_FAILED",
        cause="a certificate could not be checked: a proxy's own, or a wrong clock",
        cure="set SSL_CERT_FILE to the proxy's certificate, and look at `date`",
    ),
    KnownError(
        name="permission",
        pattern=r"PermissionError: \[Errno 13\]|/dev/\w+: Permission denied",
        cause="the user may not open what the line names",
        cure="change its owner or mode, or run as another user; devices have a group",
    ),
)
