from __future__ import annotations

from replicore.engines.sim.metrics import Histogram, Metrics
from replicore.engines.sim.scheduler import Scheduler, Timing
from replicore.engines.sim.sequence import Sequence


def exposition_of(metrics: Metrics, model: str = "m") -> str:
    return metrics.exposition(model=model, running=1, waiting=2, kv_usage=0.25)


def test_histogram_counts_each_observation_up_to_every_bound_at_or_above_it() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(seconds)

    assert list(histogram.lines("h", 'a="b"')) == [
        "# TYPE h histogram",
        'h_bucket{le="0.1",a="b"} 2',
        'h_bucket{le="1.0",a="b"} 3',
        'h_bucket{le="+Inf",a="b"} 4',
        'h_count{a="b"} 4',
        'h_sum{a="b"} 2.65',
    ]


def test_decode_steps_are_counted() -> None:
    metrics = Metrics()
    scheduler = Scheduler(Timing(prefill_tokens_per_s=100, decode_tokens_per_s=10).steps(), slots=1)
    scheduler.add(Sequence(range(50), max_tokens=3, ignore_eos=True), 0.0)
    metrics.record(scheduler.advance(9.0))
    lines = exposition_of(metrics).splitlines()

    # first token after 50 / 100 s, two more each 1 / 10 s later
    assert 'vllm:prompt_tokens_total{model_name="m"} 50' in lines
    assert 'vllm:generation_tokens_total{model_name="m"} 3' in lines
    assert 'vllm:request_success_total{finished_reason="length",model_name="m"} 1' in lines
    assert 'vllm:time_to_first_token_seconds_sum{model_name="m"} 0.5' in lines
    assert 'vllm:inter_token_latency_seconds_count{model_name="m"} 2' in lines
    assert 'vllm:e2e_request_latency_seconds_bucket{le="0.8",model_name="m"} 1' in lines


def test_gauges_are_those_given() -> None:
    lines = exposition_of(Metrics()).splitlines()

    assert 'vllm:num_requests_running{model_name="m"} 1' in lines
    assert 'vllm:num_requests_waiting{model_name="m"} 2' in lines
    assert 'vllm:kv_cache_usage_perc{model_name="m"} 0.25' in lines


def test_observations_beyond_what_is_held_back_are_counted_the_same() -> None:
    histogram = Histogram((0.1, 1.0))
    for number in range(10_000):
        histogram.observe(0.5 if number % 4 else 0.05)

    assert list(histogram.lines("h", "a"))[1:4] == [
        'h_bucket{le="0.1",a} 2500',
        'h_bucket{le="1.0",a} 10000',
        'h_bucket{le="+Inf",a} 10000',
    ]


def test_preemptions_are_a_counter() -> None:
    text = Metrics().exposition(model="m", running=0, waiting=0, kv_usage=0.0, preemptions=3)

    assert 'vllm:num_preemptions_total{model_name="m"} 3' in text.splitlines()


def test_model_name_is_escaped() -> None:
    assert 'model_name="a\\"b\\\\c\\n"' in exposition_of(Metrics(), model='a"b\\c\n')
