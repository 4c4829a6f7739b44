"""Numbers as people read them. Pure."""

from __future__ import annotations

from collections.abc import Callable

from replicore.bench.record import BenchResult
from replicore.bench.stats.summary import Distribution, Quantile, Rate

MISSING = "-"
# Printed before the lower bound of a quantile that the sample cannot carry.
AT_LEAST = "≥"
REFUSED = (
    f"{AT_LEAST}: too few requests for this percentile; with 97.5 % confidence it is at least that"
)

Show = Callable[[float], str]


def decimal(number: float) -> str:
    """Return at least three digits, and no exponent.

    >>> [decimal(n) for n in (12345.6, 123.4, 12.34, 1.234, 0.01234, 0)]
    ['12,346', '123', '12.3', '1.23', '0.012', '0']
    """
    size = abs(number)
    if not size:
        return "0"
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{number:,.{digits}f}"


def milliseconds(seconds: float) -> str:
    return decimal(seconds * 1000)


def requests(count: int) -> str:
    return f"{count:,} request" + ("" if count == 1 else "s")


def signed_ms(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{milliseconds(abs(seconds))}"


def percent(share: float) -> str:
    """Return a share of 0 to 1, with a decimal where it is neither nothing nor all."""
    return f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def quantile(found: Quantile, show: Show) -> str:
    """Return a quantile; of one that the sample cannot carry the bound that it can."""
    if found.value is not None:
        return show(found.value)
    return MISSING if found.low is None else AT_LEAST + show(found.low)


def median_and_p99(values: Distribution, show: Show) -> str:
    return f"{quantile(values.at(0.5), show)} / {quantile(values.at(0.99), show)}"


def span(low: float | None, high: float | None, show: Show) -> str:
    """Return an interval; nothing where an end is unknown.

    >>> span(0.208, 0.217, milliseconds)
    '208–217'
    """
    return "" if low is None or high is None else f"{show(low)}–{show(high)}"


def rate(found: Rate | None) -> str:
    return MISSING if found is None else decimal(found.value)


def rate_span(found: Rate | None) -> str:
    return "" if found is None else span(found.low, found.high, decimal)


def optional(number: float | None, show: Show = decimal) -> str:
    return MISSING if number is None else show(number)


def sent(result: BenchResult) -> str:
    """Return how the requests were sent: ``8 at a time``, ``poisson:10``."""
    if result.load.arrivals is None:
        return f"{result.concurrency} at a time"
    most = "" if result.concurrency is None else f", at most {result.concurrency} at a time"
    return f"{result.load.arrivals}{most}"


def asked(result: BenchResult) -> str:
    """Return what was asked of the servers, in a line."""
    count = () if result.requests is None else (requests(result.requests),)
    workload = result.workload
    lengths = (f"{workload.input_tokens} tokens in", f"{workload.output_tokens} out")
    return ", ".join((*count, sent(result), *lengths))
