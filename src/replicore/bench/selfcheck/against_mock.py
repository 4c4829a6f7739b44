"""Requests for the mock, and how far from its plan is what the client measured. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from replicore.bench.load.jobs import Job, Session
from replicore.bench.load.workload import Api
from replicore.bench.record import RequestRecord
from replicore.bench.selfcheck.mock.account import Report

# Token ids: of five digits, as most of a large vocabulary; and one that is not in the others.
_ID = 10_000
_FIRST_ID = 2_000_000


def mock_sessions(
    api: Api, *, requests: int, input_tokens: int, output_tokens: int
) -> list[Session]:
    """Return requests of one length, no two of them the same."""
    head, tail = _body_around(api, input_tokens, output_tokens)
    bodies = [b"%b%d%b" % (head, _FIRST_ID + index, tail) for index in range(requests)]
    return [
        Session(
            index=index,
            jobs=(
                Job(
                    index=index,
                    body=body,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                ),
            ),
        )
        for index, body in enumerate(bodies)
    ]


def _body_around(api: Api, input_tokens: int, output_tokens: int) -> tuple[bytes, bytes]:
    """Return a request's body before and after its first token, which makes it different."""
    fields: dict[str, object] = {
        "model": "mock",
        "max_tokens": output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    ids = [_FIRST_ID, *[_ID] * (input_tokens - 1)]
    if api is Api.CHAT:
        fields["messages"] = [{"role": "user", "content": " ".join(map(str, ids))}]
    else:
        fields["prompt"] = ids
    head, _, tail = msgspec.json.encode(fields).partition(b"%d" % _FIRST_ID)
    return head, tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What a faultless client would measure, in seconds."""

    ttft_p50_s: float
    ttft_p99_s: float
    gap_p99_s: float


def truth_of(report: Report) -> Truth:
    """Return what the mock sent: its plan, and what it was late itself."""
    return Truth(
        ttft_p50_s=report.ttft.p50_s, ttft_p99_s=report.ttft.p99_s, gap_p99_s=report.gap.p99_s
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Measured minus true, in seconds.

    Attributes:
        ttft_s: Of the median.
        ttft_p99_s: Of the 99th percentile.
        gap_p99_s: Of the 99th percentile of chunk gaps.
    """

    ttft_s: float
    ttft_p99_s: float
    gap_p99_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a client measured of the mock.

    Attributes:
        requests: Answered with more than one chunk.
        chunks_per_s: Over all streams, from the first dispatch to the last chunk.
        stamped: Errors by the kernel's stamps; None where there are none.
        read: Errors by when chunks were read, as of a client without stamps.
        read_lag_p99_s: From a chunk's stamp to its reading; None without stamps.
    """

    requests: int
    chunks_per_s: float
    stamped: Errors | None
    read: Errors
    read_lag_p99_s: float | None

    @property
    def best(self) -> Errors:
        """The errors of what is reported."""
        return self.stamped or self.read


def found_in(records: Sequence[RequestRecord], truth: Truth) -> Found | None:
    """Compare the records with the truth; None where nothing was answered."""
    answered = [r for r in records if r.succeeded and len(r.chunk_times_s) > 1]
    if not answered:
        return None
    sent = np.array([record.dispatched_s for record in answered])
    came = [np.array(record.chunk_times_s) for record in answered]
    lags = [lag for record in answered for lag in record.chunk_lags_s]
    span = float(max(times[-1] for times in came) - sent.min())
    return Found(
        requests=len(answered),
        chunks_per_s=sum(map(len, came)) / span,
        stamped=_errors(sent, came, truth) if lags else None,
        read=_errors(sent, [_read_at(record) for record in answered], truth),
        read_lag_p99_s=float(np.percentile(lags, 99)) if lags else None,
    )


_Times = npt.NDArray[np.float64]


def _read_at(record: RequestRecord) -> _Times:
    times = np.array(record.chunk_times_s)
    return times + np.array(record.chunk_lags_s) if record.chunk_lags_s else times


def _errors(sent: _Times, chunks: Sequence[_Times], truth: Truth) -> Errors:
    first = np.array([times[0] for times in chunks]) - sent
    gaps = np.concatenate([np.diff(times) for times in chunks])
    p50, p99 = np.percentile(first, [50, 99])
    return Errors(
        ttft_s=float(p50) - truth.ttft_p50_s,
        ttft_p99_s=float(p99) - truth.ttft_p99_s,
        gap_p99_s=float(np.percentile(gaps, 99)) - truth.gap_p99_s,
    )
