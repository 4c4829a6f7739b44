"""Specs that must be refused, and what the one sentence about each must contain."""

from __future__ import annotations

BAD_SPECS: list[tuple[str, tuple[str, ...]]] = [
    # Not TOML.
    ("tp = ", ("line 1, column 6", "not valid TOML")),
    ("[layout]\ntp = two", ("line 2, column 6", "text in quotes")),
    ("[layout\ntp = 2", ("line 1, column 8", "expected ']'")),
    ("[layout]\ntp = 1\ntp = 2", ("line 3", "cannot overwrite a value")),
    ('name = "a', ("line 1", "not valid TOML")),
    ("a = " + "[" * 5000, ("nested too deeply",)),
    # Unknown keys and tables.
    ("tp = 2", ("tp: unknown key", "did you mean layout.tp?")),
    ('nam = "a"', ("nam: unknown key", "did you mean name?")),
    ("[layotu]\ntp = 2", ("layotu: unknown key", "did you mean layout?")),
    ("[layout]\ntpp = 2", ("layout.tpp: unknown key", "did you mean layout.tp?")),
    ("[layout]\nport = 1", ("layout.port: unknown key", "did you mean gateway.port?")),
    ("[layout]\nmax_num_seqs = 8", ("did you mean layout.batch_size?",)),
    ("tensor_parallel_size = 8", ("did you mean layout.tp?",)),
    ("[engine.llamacpp]\nn_batch = 8", ("engine.llamacpp: unknown key", "engine.args")),
    ("[slo]\nxyzzy = 1", ("slo.xyzzy: unknown key; the keys here are ttft_p99, tpot_p99",)),
    # Wrong types.
    ('[layout]\nbatch_size = "4"', ('layout.batch_size: "4" is not a whole number', "such as 4")),
    ("[layout]\nbatch_size = 2.5", ("2.5 is not a whole number",)),
    ("[layout]\nreplicas = true", ("true is not a whole number", 'or "auto"')),
    ('[layout]\ntp = "two"', ('"two" is not a whole number', 'or "auto"')),
    ('[model]\noffline = "yes"', ('"yes" is not true or false', "such as false")),
    ("[model]\nsource = 3", ('3 is not a string; write "3"',)),
    ('[engine]\nargs = "--x"', ('engine.args: "--x" is not an array', '["--n-batch", "512"]')),
    ('[engine]\nargs = ["a", 1]', ("engine.args[1]: 1 is not a string",)),
    ('[engine]\npython = ""', ("engine.python: is empty",)),
    ('[gateway]\napi_keys_file = ""', ("gateway.api_keys_file: is empty",)),
    ("[engine]\npython = 3", ("engine.python: 3 is not a path", '"/opt/vllm/bin/python"')),
    ("[engine.env]\nA = 1", ('engine.env.A: 1 is not a string; write "1"',)),
    ('model = "x"', ('model: "x" is not a table', "model.source")),
    ("[[layout]]", ("layout: an array is not a table", "layout.replicas")),
    ("[gateway]\nport = 1979-05-27", ("1979-05-27 is not a whole number",)),
    # Out of range.
    ("[layout]\ntp = 0", ("layout.tp: 0 is less than 1", "use 1 or more")),
    ("[layout]\nbatch_size = -3", ("layout.batch_size: -3 is less than 1",)),
    ("[layout]\nreplicas = 0x" + "f" * 6000, ("a number of more than 64 bits",)),
    ("[gateway]\nport = 70000", ("gateway.port: 70000 is more than 65535",)),
    ("[gateway]\nport = -1", ("gateway.port: -1 is less than 0",)),
    ("[engine.vllm]\nmemory_fraction = 1.5", ("1.5 is more than 1; use 1 or less",)),
    ("[engine.sim]\ndecode_tokens_per_s = nan", ("nan is not a number",)),
    ("[slo]\nttft_p99 = 0", ("slo.ttft_p99: 0 is too small", '"5s"')),
    # Durations, sizes and core ranges.
    ('[gateway]\nqueue_timeout = "30 parsecs"', ("ms, s, m, h", '"30s"')),
    ('[gateway]\nqueue_timeout = "-1s"', ('"-1s" is negative',)),
    ('[gateway]\nidle_timeout = "0s"', ("is too small; use more than 0",)),
    ('[gateway]\nmax_body = "4 giraffes"', ("KiB, MB, MiB, GB, GiB", '"4GiB"')),
    ('[layout]\ncores = "3-0"', ('layout.cores: core range "3-0"', 'write "0-3"')),
    ('[layout]\ncores = "a-b"', ("is not a core number",)),
    ("[layout]\ncores = 3", ("layout.cores: 3 is not a string",)),
    ("[layout]\ncores = [0, 1]", ('is not a string; use one such as "0-3,8"',)),
    # Words.
    ('[engine]\nkind = "llamcpp"', ('unknown value "llamcpp"', 'did you mean "llamacpp"?')),
    ('[gateway]\npolicy = "powr_of_two"', ("valid:", 'did you mean "power_of_two"?')),
    ("[engine.neuron]\nlnc = 0x" + "f" * 6000, ("a number of more than 64 bits",)),
    ("[engine.neuron]\nlnc = 3", ("unknown value 3 (valid: 1, 2)",)),
    ('[engine.neuron]\nkernels = ["qkvv"]', ("kernels[0]", 'did you mean "qkv"?')),
    ('name = "My Model"', ("cannot name a folder", 'such as "my-model"')),
    ('name = "../x"', ("cannot name a folder", 'such as "x"')),
    (f'name = "{"a" * 64}"', ("is longer than 63 characters",)),
    ('name = ""', ("cannot name a folder", 'such as "llama"')),
    ('[gateway]\nhost = ""', ("gateway.host: is empty", '"127.0.0.1"')),
    ('[gateway]\nhost = "0.0.0.0:80"', ("is not an address", "gateway.port")),
    ('[model]\nsource = "a\\nb"', ('"a\\nb" has a control character in it',)),
    ('[engine]\nargs = ["a\\u0000"]', ("has a NUL character in it",)),
    ('[engine.env]\n"A B" = "1"', ("cannot name an environment variable",)),
    ('[engine.remote]\nendpoints = ["https://x/v1"]', ("endpoints[0]", "http://HOST:PORT")),
    ('[engine.remote]\nendpoints = ["http://[::1"]', ("is not the base URL",)),
    # Keys that contradict each other.
    ('[layout]\ncores = "0-2"\nreplicas = 2\ntp = 2', ('"0-2" has 3 of the 4 cores',)),
    (
        '[supervisor]\nbackoff_initial = "2m"',
        ("2m is longer than backoff_max, 1m",),
    ),
    ("[workload.input_tokens]\nmean = 4\nstddev = 9", ("9 is more than the mean, 4",)),
    ('[engine]\nkind = "remote"', ("engine.remote.endpoints: is empty", "http://")),
    (
        '[layout]\nreplicas = 3\n[engine]\nkind = "remote"\nremote.endpoints = ["http://h:1"]',
        ("layout.replicas: 3 is not the number", 'use 1 or "auto"'),
    ),
    (
        "[layout]\nmax_model_len = 8192\n[workload]\ninput_tokens = { mean = 8100 }",
        ("layout.max_model_len: 8192 is less than the 8228 tokens",),  # 8100 + 128
    ),
    (
        '[engine.sim]\nprofile = "trn2"\ndecode_tokens_per_s = 5',
        ('engine.sim.profile: "trn2" says how fast', "so does decode_tokens_per_s"),
    ),
]
