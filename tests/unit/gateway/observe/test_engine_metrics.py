from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from replicore.engines.sim.metrics import Metrics
from replicore.gateway.observe.engine_metrics import EngineMetrics

VLLM = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 2.0
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001",model_name="Qwen/Qwen3-8B"} 0.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="Qwen/Qwen3-8B"} 5.0
vllm:time_to_first_token_seconds_count{engine="0",model_name="Qwen/Qwen3-8B"} 5.0
vllm:time_to_first_token_seconds_sum{engine="0",model_name="Qwen/Qwen3-8B"} 1.25e-01
# HELP python_gc_collections_total Number of times this generation was collected
# TYPE python_gc_collections_total counter
python_gc_collections_total{generation="0"} 411.0
"""
LLAMACPP = """\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 90
# HELP llamacpp:requests_deferred Number of requests deferred.
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 0
"""


def merged(**pages: str) -> tuple[str, int]:
    """Return the page made of these, by replica, and how many of their lines are left out."""
    metrics = EngineMetrics()
    skipped = 0
    for replica, text in pages.items():
        page = metrics.page_of(replica)
        skipped += sum(not page.read(line) for line in text.split("\n"))
    return metrics.text(), skipped


def test_replica_is_the_first_label_of_every_sample_and_the_rest_is_as_it_was() -> None:
    text, skipped = merged(r0='# TYPE a counter\na 1\na{} 2\na{b="c"} 3 1700000000000\n')

    assert skipped == 0
    assert text.splitlines() == [
        "# TYPE a counter",
        'a{replica="r0"} 1',
        'a{replica="r0"} 2',
        'a{replica="r0",b="c"} 3 1700000000000',
    ]


def test_samples_of_all_replicas_stand_together_under_one_header() -> None:
    text, skipped = merged(r0=LLAMACPP, r1=LLAMACPP)

    assert skipped == 0
    assert text.splitlines() == [
        "# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.",
        "# TYPE llamacpp:prompt_tokens_total counter",
        'llamacpp:prompt_tokens_total{replica="r0"} 90',
        'llamacpp:prompt_tokens_total{replica="r1"} 90',
        "# HELP llamacpp:requests_deferred Number of requests deferred.",
        "# TYPE llamacpp:requests_deferred gauge",
        'llamacpp:requests_deferred{replica="r0"} 0',
        'llamacpp:requests_deferred{replica="r1"} 0',
    ]


def test_histogram_stays_one_family() -> None:
    text, skipped = merged(r0=VLLM, r1=VLLM)
    families = {family.name: family for family in text_string_to_metric_families(text)}

    assert skipped == 0
    ttft = families["vllm:time_to_first_token_seconds"]
    assert ttft.type == "histogram"
    assert [s.value for s in ttft.samples if s.name.endswith("_sum")] == [0.125, 0.125]
    assert [s.labels["replica"] for s in ttft.samples] == ["r0"] * 4 + ["r1"] * 4


def test_simulators_page_goes_through_whole() -> None:
    page = Metrics().exposition(model='a "model"', running=1, waiting=2, kv_usage=0.25)
    text, skipped = merged(r0=page)

    assert skipped == 0
    assert text.count('replica="r0"') == sum(line[0] != "#" for line in page.splitlines())


def test_replica_label_of_the_engines_own_is_renamed() -> None:
    text, _ = merged(r0='a{replica="x",b="replica"} 1\n')

    assert 'a{replica="r0",exported_replica="x",b="replica"} 1\n' in text


def test_renamed_label_does_not_meet_another_of_that_name() -> None:
    text, _ = merged(r0='a{replica="x",exported_replica="y"} 1\n')

    assert 'a{replica="r0",exported_exported_replica="x",exported_replica="y"} 1\n' in text


@pytest.mark.parametrize(
    "line",
    [
        "replicore_requests_total 1",
        "# TYPE replicore_requests_total counter",
        "# HELP replicore_requests_total mine",
    ],
)
def test_names_of_our_own_metrics_are_left_out(line: str) -> None:
    text, skipped = merged(r0=f"{line}\na 1\n")

    assert skipped == 1
    assert text == '# TYPE a untyped\na{replica="r0"} 1\n'


@pytest.mark.parametrize(
    "line",
    [
        "no value",
        "a",
        "a 1 2 3",
        "a one",
        "a 1.2.3",
        "a 0x1p3",
        "0a 1",
        "a{",
        "a{b} 1",
        "a{b=c} 1",
        'a{b="c" 1',
        'a{b="c"d="e"} 1',
        'a{b="c",,d="e"} 1',
        'a{b="\\q"} 1',
        'a{b="c",b="d"} 1',
        'a{__name__="replicore_requests_total"} 1',
        '{"a"} 1',
        "<html><body>Not Found</body></html>",
        "# TYPE a stateset",
    ],
)
def test_line_that_is_not_in_the_format_costs_only_itself(line: str) -> None:
    text, skipped = merged(r0=f"{line}\ngood 1\n")

    assert skipped == 1
    assert text == '# TYPE good untyped\ngood{replica="r0"} 1\n'


@pytest.mark.parametrize("value", ["1", "-1.5", "1e9", ".5", "5.", "+Inf", "-inf", "NaN"])
def test_every_form_of_a_number_is_taken(value: str) -> None:
    assert merged(r0=f"a {value}\n") == (f'# TYPE a untyped\na{{replica="r0"}} {value}\n', 0)


def test_comments_and_empty_lines_are_dropped_and_not_counted() -> None:
    assert merged(r0="# a comment\n\n   \n# EOF\n") == ("", 0)


def test_family_without_samples_has_no_header() -> None:
    assert merged(r0="# HELP a b\n# TYPE a gauge\n") == ("", 0)


def test_samples_of_another_type_than_an_earlier_replicas_are_left_out() -> None:
    text, skipped = merged(r0="# TYPE a counter\na 1\n", r1="# TYPE a gauge\na 2\n")

    assert skipped == 1
    assert text == '# TYPE a counter\na{replica="r0"} 1\n'


@given(st.text())
def test_whatever_an_engine_says_the_page_can_be_read(hostile: str) -> None:
    text, _ = merged(r0=hostile, r1=VLLM)

    assert len(list(text_string_to_metric_families(text))) >= 3


LABEL = st.text(alphabet='ab_:="{},\\n1 ', max_size=12)


@given(st.lists(st.builds('a{{{0}="{1}"}} {2}'.format, LABEL, LABEL, LABEL), max_size=3))
def test_almost_right_lines_leave_a_page_that_can_be_read(lines: list[str]) -> None:
    text, skipped = merged(r0="\n".join(lines))
    found = [s for family in text_string_to_metric_families(text) for s in family.samples]

    assert len(found) + skipped == len(lines)
    assert all(sample.labels["replica"] == "r0" for sample in found)


@pytest.mark.parametrize(
    "line",
    [
        "a" * 1_000_000,
        'a{b="' + '\\"' * 500_000,
        "a{" + 'b="c",' * 150_000,
        "a " + "1" * 1_000_000 + "x",
        "a " + " " * 1_000_000 + "x",
    ],
    ids=["name", "value of a label", "labels", "number", "spaces"],
)
def test_hostile_line_of_a_megabyte_is_refused_in_one_pass(line: str) -> None:
    """With backtracking one of these takes hours, and the test does not end."""
    assert merged(r0=line) == ("", 1)
