"""Numbers as text: units, intervals, refusals."""

from __future__ import annotations

import pytest

from replicore.bench.load.arrivals import Constant, Load
from replicore.bench.report.words import (
    asked,
    decimal,
    median_and_p99,
    milliseconds,
    percent,
    quantile,
    rate,
    rate_span,
    sent,
    signed_ms,
    span,
)
from replicore.bench.stats.summary import Quantile, Rate
from tests.unit.bench.report.runs import record, run, values


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12.3"), (0.0999, "99.9"), (0.1, "100"), (12.3456, "12,346"), (0.0, "0")],
)
def test_milliseconds_have_three_digits_or_more(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(-12.34, "-12.3"), (0.0004, "0.000"), (1e6, "1,000,000")]
)
def test_decimal_keeps_the_sign_and_has_no_exponent(number: float, text: str) -> None:
    assert decimal(number) == text


def test_signed_milliseconds_always_tell_the_sign() -> None:
    assert (signed_ms(0.0005), signed_ms(-0.0005)) == ("+0.500", "-0.500")


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "100%"), (0.9996, "100.0%"), (0.5, "50.0%")]
)
def test_percent_of_nearly_all_differs_from_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_quantile_that_the_sample_cannot_carry_is_its_lower_bound() -> None:
    assert quantile(Quantile(p=0.99, value=0.5, low=0.4, high=0.6), milliseconds) == "500"
    assert quantile(Quantile(p=0.99, low=0.4), milliseconds) == "≥400"
    assert quantile(Quantile(p=0.99), milliseconds) == "-"


def test_pair_of_quantiles_tells_which_one_is_refused() -> None:
    assert median_and_p99(values(0.25, None), milliseconds) == "250 / ≥400"


def test_interval_with_an_unknown_end_is_not_written() -> None:
    assert span(0.1, 0.2, milliseconds) == "100–200"
    assert span(0.1, None, milliseconds) == ""


def test_rate_without_an_interval_is_only_the_rate() -> None:
    assert (rate(Rate(value=33.3)), rate_span(Rate(value=33.3))) == ("33.3", "")
    assert rate_span(Rate(value=100, low=90, high=110)) == "90.0–110"
    assert (rate(None), rate_span(None)) == ("-", "")


def test_closed_loop_is_a_number_at_a_time() -> None:
    assert sent(run(record(), load=Load(concurrency=8))) == "8 at a time"


def test_open_loop_is_its_arrivals_and_its_cap() -> None:
    assert sent(run(record(), load=Load(concurrency=None, arrivals=Constant(10)))) == "10/s"
    capped = run(record(), load=Load(concurrency=4, arrivals=Constant(10)))
    assert sent(capped) == "10/s, at most 4 at a time"


def test_what_was_asked_leaves_out_the_number_of_requests_of_a_run_by_time() -> None:
    assert asked(run(record())) == "1 request, 1 at a time, 10 tokens in, 3±1 out"
    assert asked(run(record(), requests=None)) == "1 at a time, 10 tokens in, 3±1 out"
