from __future__ import annotations

import re

import pytest

from replicore.errors import ConfigError
from replicore.gateway.observe.traceparent import (
    child_traceparent,
    is_sampled,
    same_trace,
    span_id,
    trace_id,
)
from replicore.gateway.observe.tracing import open_tracer

TRACE = b"0af7651916cd43dd8448eb211c80319c"
SPAN = b"b7ad6b7169203331"
CLIENT = b"00-%b-%b-01" % (TRACE, SPAN)


def test_child_is_in_the_clients_trace_with_a_span_of_its_own() -> None:
    ours = child_traceparent(CLIENT)

    assert re.fullmatch(rb"00-%b-[0-9a-f]{16}-01" % TRACE, ours)
    assert SPAN not in ours
    assert same_trace(CLIENT, ours)


def test_every_child_has_another_span() -> None:
    assert len({child_traceparent(CLIENT) for _ in range(100)}) == 100


def test_without_a_client_context_a_sampled_trace_begins() -> None:
    ours = child_traceparent(None)

    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-03", ours)
    assert is_sampled(ours.decode())
    assert not same_trace(None, ours)


@pytest.mark.parametrize(
    ("flags", "passed_on"), [(b"00", b"00"), (b"01", b"01"), (b"02", b"02"), (b"ff", b"03")]
)
def test_known_flags_are_passed_on(flags: bytes, passed_on: bytes) -> None:
    ours = child_traceparent(b"00-%b-%b-%b" % (TRACE, SPAN, flags))

    assert ours.endswith(b"-" + passed_on)


@pytest.mark.parametrize(
    "header",
    [b"42-%b-%b-01" % (TRACE, SPAN), b"42-%b-%b-01-more" % (TRACE, SPAN)],
    ids=["same length", "longer"],
)
def test_later_version_is_read_as_far_as_this_one_goes(header: bytes) -> None:
    ours = child_traceparent(header)

    assert ours.startswith(b"00-" + TRACE)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"nonsense",
        CLIENT + b"-more",
        CLIENT + b"x",
        CLIENT + b", " + CLIENT,
        CLIENT[:-1],
        CLIENT.replace(b"a", b"A"),
        b"ff" + CLIENT[2:],
        b"42" + CLIENT[2:] + b"x",
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        b"00-%b-%b-0g" % (TRACE, SPAN),
    ],
)
def test_invalid_context_begins_a_new_trace(header: bytes) -> None:
    """Source: https://www.w3.org/TR/trace-context/#a-traceparent-is-received"""
    assert not same_trace(header, child_traceparent(header))


def test_header_is_taken_apart() -> None:
    header = CLIENT.decode()

    assert trace_id(header) == int(TRACE, 16)
    assert span_id(header) == int(SPAN, 16)
    assert is_sampled(header)
    assert not is_sampled(header[:-1] + "0")
    assert not is_sampled("")


def test_endpoint_without_the_extra_is_refused_with_what_to_install() -> None:
    with pytest.raises(ConfigError, match="needs the package missing_otlp") as caught:
        open_tracer("http://127.0.0.1:4318/v1/traces", module="missing_otlp")

    assert caught.value.hint == 'pip install "replicore[tracing]"'
