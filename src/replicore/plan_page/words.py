"""The numbers of a layout as people read them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicore.bench.report.words import MISSING, decimal, milliseconds, percent, span
from replicore.plan_page.picks import Runnable
from replicore.planner.plan import Forecast
from replicore.units import GIB


def rate(found: Forecast) -> str:
    return decimal(found.value)


def time_ms(found: Forecast | None) -> str:
    """Return milliseconds; a dash where utilisation is too high to tell."""
    return MISSING if found is None else milliseconds(found.value)


def rate_range(found: Forecast) -> str:
    return span(found.low, found.high, decimal)


def time_range(found: Forecast | None) -> str:
    return "" if found is None else span(found.low, found.high, milliseconds)


def gib(size: float) -> str:
    return f"{size / GIB:,.1f}"


def probability(share: float) -> str:
    """Return a probability, without more digits than it is worth."""
    if 0.0 < share < 0.005:
        return "< 1 %"
    if 0.995 < share < 1.0:
        return "> 99 %"
    return f"{share * 100:.0f} %"


def hover(one: Runnable, *, stated: bool) -> str:
    """Return all that is predicted of a layout, as the lines of a chart's label.

    Args:
        stated: Whether there are limits to be met.
    """
    return "<br>".join(_lines(one, stated=stated))


def _lines(one: Runnable, *, stated: bool) -> Iterator[str]:
    outcome, service = one.outcome, one.service
    yield f"<b>{outcome.size}</b>: {outcome.cores} cores busy"
    yield f"output {_both(rate(service.tokens_per_s), rate_range(service.tokens_per_s))} tok/s"
    yield f"of one replica {rate(service.replica_tokens_per_s)} tok/s"
    yield f"TTFT {_both(time_ms(service.ttft_s), time_range(service.ttft_s))} ms"
    yield f"TPOT {_both(time_ms(service.tpot_s), time_range(service.tpot_s))} ms"
    yield f"p99: TTFT {time_ms(service.ttft_p99_s)} ms, TPOT {time_ms(service.tpot_p99_s)} ms"
    yield f"goodput {decimal(service.goodput_per_s)} requests/s"
    if stated:
        yield f"meets the limits with probability {probability(service.meets)}"
    yield f"utilisation {percent(service.utilisation)}, {decimal(service.running)} running"
    yield f"mostly {service.binding}: {percent(service.shares[service.binding])} of a request"
    if outcome.memory is not None:
        yield f"{gib(outcome.memory.left)} GiB of a core's memory left"
    if service.beyond:
        yield f"beyond what was calibrated: {', '.join(service.beyond)}"


def _both(value: str, interval: str) -> str:
    return f"{value} ({interval})" if interval else value
