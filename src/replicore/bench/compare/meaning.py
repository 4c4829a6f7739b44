"""What fields of result files mean: a name for each quantity, and how tools depart from it. Pure.

A field goes by what its tool computes, not by what the tool calls it: the "inter-token latency" of
LLMPerf v2.0 is E2E / n, so it stands beside our normalised latency, and never beside a TPOT. What
is left between two fields of one quantity are departures: the token that LLMPerf counts too much,
the event that ends a TTFT. Two fields mean the same where they depart in the same ways.

Symbols are those of docs/metrics.md: s is the send, t_1 and t_n are the first and the last output
token, n is their number.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Metric(StrEnum):
    """A quantity, by our name for it; in the order of the tables."""

    TTFT = "ttft_s"
    TPOT = "tpot_s"
    GAP = "gap_s"
    STALL = "max_stall_s"
    E2E = "e2e_s"
    NORMALIZED = "normalized_s"
    TTFT_INTENDED = "ttft_from_intended_s"
    E2E_INTENDED = "e2e_from_intended_s"
    REQUEST_RATE = "request_output_tokens_per_s"
    OUTPUT_RATE = "output_tokens_per_s"
    TOTAL_RATE = "total_tokens_per_s"
    REQUESTS_RATE = "requests_per_s"
    RUN_OUTPUT_RATE = "run_output_tokens_per_s"
    RUN_TOTAL_RATE = "run_total_tokens_per_s"
    RUN_REQUESTS_RATE = "run_requests_per_s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """How a metric is written and read.

    Attributes:
        label: For tables.
        formula: In the symbols above.
        rate: Whether it is per second, and better if higher; else it is a time.
    """

    label: str
    formula: str
    rate: bool = False


_WINDOW = "in the steady window / its length"
_RUN = "from the first send to the last end / that time"


def _rate(label: str, formula: str) -> Quantity:
    return Quantity(label=label, formula=formula, rate=True)


QUANTITIES = {
    Metric.TTFT: Quantity(label="TTFT", formula="t₁ − s"),
    Metric.TPOT: Quantity(label="TPOT", formula="(tₙ − t₁) / (n − 1)"),
    Metric.GAP: Quantity(label="chunk gap", formula="time between two chunks, each gap one vote"),
    Metric.STALL: Quantity(label="longest gap", formula="longest chunk gap of each request"),
    Metric.E2E: Quantity(label="E2E", formula="tₙ − s"),
    Metric.NORMALIZED: Quantity(label="E2E per token", formula="(tₙ − s) / n"),
    Metric.TTFT_INTENDED: Quantity(
        label="TTFT from the plan", formula="t₁ − the time the request should have been sent"
    ),
    Metric.E2E_INTENDED: Quantity(
        label="E2E from the plan", formula="tₙ − the time the request should have been sent"
    ),
    Metric.REQUEST_RATE: _rate("tok/s of a request", "n / (tₙ − s)"),
    Metric.OUTPUT_RATE: _rate("output tok/s, steady", f"output tokens that arrived {_WINDOW}"),
    Metric.TOTAL_RATE: _rate("total tok/s, steady", f"input and output tokens {_WINDOW}"),
    Metric.REQUESTS_RATE: _rate("requests/s, steady", f"successful requests that ended {_WINDOW}"),
    Metric.RUN_OUTPUT_RATE: _rate(
        "output tok/s, whole run", f"output tokens of successful requests {_RUN}"
    ),
    Metric.RUN_TOTAL_RATE: _rate(
        "total tok/s, whole run", f"input and output tokens of successful requests {_RUN}"
    ),
    Metric.RUN_REQUESTS_RATE: _rate("requests/s, whole run", f"successful requests {_RUN}"),
}

LATENCIES = frozenset(metric for metric, it in QUANTITIES.items() if not it.rate)


class Weight(Enum):
    """What a departure does to a comparison."""

    SLIGHT = auto()  # numbers with it and without it are nearly the same
    MATERIAL = auto()  # numbers with it are compared with their like only
    FATAL = auto()  # it depends on what the file does not tell, so they are compared with nothing


@dataclass(frozen=True, slots=True)
class Departure:
    """One way in which a tool's number is not our definition of the quantity.

    Attributes:
        says: What the number does, to be read after the name of its run.
    """

    says: str
    weight: Weight = Weight.SLIGHT


NEW_CONNECTION = Departure("opens a new connection within it for each request")
STREAM_END = Departure("ends when the stream closes, not with the last content")
FIRST_EVENT = Departure("lets the first event end it, which in chat may be the role")
EMPTY_EVENTS = Departure("takes events without content for chunks too, such as the finish")
OWN_TOKENIZER = Departure("may count tokens by a tokenizer of its own, not by the server's usage")
ONE_TOKEN_MORE = Departure("may count one token more in each answer, the tokenizer's BOS")
OWN_WINDOW = Departure("takes a window of its own, and spreads an answer's tokens evenly over it")
TOKEN_VOTES = Departure("gives a vote to each token, so long answers weigh more", Weight.MATERIAL)
EVENTS_AS_TOKENS = Departure(
    "counts every stream event as one token, however many are in it", Weight.FATAL
)
ZEROS = Departure("has a 0 for each request without content", Weight.FATAL)
DRAIN = Departure(
    "drops the slowest requests, and yet counts their time (LLMPerf issue 82)", Weight.FATAL
)
UNKNOWN_VERSION = Departure(
    "is LLMPerf's, whose versions compute it in different ways; its file of individual responses "
    "would tell which",
    Weight.FATAL,
)


class Sameness(StrEnum):
    """Whether two fields mean the same."""

    SAME = "same"
    NEARLY = "nearly"
    DIFFERENT = "no"
    ONE_SIDED = "-"


@dataclass(frozen=True, slots=True)
class Relation:
    """Whether two fields mean the same, and what is between them, one clause each."""

    sameness: Sameness
    reasons: tuple[str, ...] = ()


def relation(
    first: tuple[str, frozenset[Departure]], second: tuple[str, frozenset[Departure]]
) -> Relation:
    """Relate two fields of one metric, each given as the name of its run and its departures."""
    (name, own), (other_name, other) = first, second
    fatal = {it for it in own | other if it.weight is Weight.FATAL}
    apart = [(name, it) for it in (own - other) | (own & fatal)]
    apart += [(other_name, it) for it in (other - own) | (other & fatal)]
    reasons = tuple(sorted(f"{run} {it.says}" for run, it in apart))
    if not apart:
        return Relation(Sameness.SAME)
    if any(it.weight is not Weight.SLIGHT for _, it in apart):
        return Relation(Sameness.DIFFERENT, reasons)
    return Relation(Sameness.NEARLY, reasons)
