"""A run as one HTML page: the verdict, the numbers, the charts, and how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from replicore.bench.record import BenchResult
from replicore.bench.report import html_tables
from replicore.bench.report.charts.distributions import latency_charts
from replicore.bench.report.charts.health import client_charts, server_charts
from replicore.bench.report.charts.replicas import replica_charts
from replicore.bench.report.charts.timeline import timeline
from replicore.bench.report.headline import tiles, verdict_box
from replicore.bench.report.markup import joined, note_list, tag
from replicore.bench.report.shell import Section, page_shell
from replicore.bench.report.words import asked
from replicore.bench.selfcheck.verdict import Verdict
from replicore.bench.stats.summary import Summary

_DEFINITIONS = (
    ("TTFT", "first chunk with content minus the request's start; every queue on the way is in it"),
    ("TPOT", "(last content minus first) / (output tokens minus 1)"),
    ("E2E", "last content minus the request's start"),
    ("chunk gap", "time between two chunks of an answer; a chunk may hold several tokens"),
    ("rates", "what arrived within the measured window, over its length"),
    ("≥", "the sample cannot carry this percentile; with 97.5 % confidence it is at least that"),
    ("intervals", "95 %; they know that requests which ran together are alike"),
    ("worth", "so many independent values would know the mean as well"),
)


def run_page(
    result: BenchResult,
    summary: Summary,
    verdict: Verdict,
    *,
    command: Sequence[str],
    notes: Sequence[str],
    environment: Mapping[str, object],
) -> str:
    """Return a run's page: HTML that needs no other file and no network.

    Args:
        command: What made the run, word by word.
        notes: Sentences that a reader must know, of :func:`~replicore.bench.report.notes.notes`.
        environment: The machine that measured.
    """
    sections = [
        _latency_section(result, summary),
        Section(title="Over time", body=timeline(result, summary)),
        *_replica_sections(result, summary),
        *_failure_sections(summary),
        _client_section(result, summary),
        _command_section(result, summary, command, environment),
    ]
    simulated = " (simulated)" if result.simulated else ""
    return page_shell(
        f"{result.model}{simulated}",
        [section for section in sections if section.body],
        subtitle=f"{asked(result)} · {result.started_at}",
        lead=joined((verdict_box(verdict), tiles(summary), note_list(notes))),
    )


def _latency_section(result: BenchResult, summary: Summary) -> Section:
    since = "should have left" if summary.latency_from == "intended" else "was sent"
    return Section(
        title="Latency",
        note=f"TTFT and E2E count from when a request {since}. 95 % intervals under the values.",
        body=[html_tables.latencies(summary.total), *latency_charts(result, summary)],
    )


def _replica_sections(result: BenchResult, summary: Summary) -> Iterator[Section]:
    several = len(summary.replicas) > 1
    charts = [*replica_charts(summary), *server_charts(result.servers)]
    if several or charts:
        table = [html_tables.replicas(summary)] if several else []
        yield Section(title="Replicas", note=_balance(summary), body=[*table, *charts])


def _balance(summary: Summary) -> str:
    if summary.imbalance is None or summary.jain is None:
        return ""
    return (
        f"The busiest got {summary.imbalance:.2f} × the mean number of requests; "
        f"Jain's index is {summary.jain:.3f}, 1 is even."
    )


def _failure_sections(summary: Summary) -> Iterator[Section]:
    if summary.errors:
        yield Section(title="Failures", body=[html_tables.failures(summary)])


def _client_section(result: BenchResult, summary: Summary) -> Section:
    return Section(
        title="The client itself",
        note="A slow client measures itself. This is how it did while it measured.",
        body=[html_tables.client(result, summary), *client_charts(result.client)],
    )


def _command_section(
    result: BenchResult, summary: Summary, command: Sequence[str], environment: Mapping[str, object]
) -> Section:
    machine = [tag("h3", "Machine"), html_tables.environment(environment)] if environment else []
    return Section(
        title="How to repeat it",
        body=[
            tag("pre", shlex.join(command)),
            html_tables.run(result, summary),
            *machine,
            tag("h3", "Words"),
            html_tables.facts(dict(_DEFINITIONS)),
        ],
    )
