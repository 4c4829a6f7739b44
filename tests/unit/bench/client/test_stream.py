"""Event streams of real servers: what is content, when it came, how many tokens it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from replicore.bench.client.stream import error_text, read_stream
from replicore.bench.record import FailureKind


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def text(content: str, **fields: Any) -> bytes:
    return event(choices=[{"index": 0, "text": content, **fields}])


def delta(**fields: Any) -> bytes:
    return event(choices=[{"index": 0, "delta": fields}])


def usage(tokens: int, **fields: Any) -> bytes:
    return event(choices=[], usage={"prompt_tokens": 5, "completion_tokens": tokens, **fields})


DONE = b"data: [DONE]\n\n"


def times(*events: bytes) -> list[float]:
    """Times of the chunks, where event i arrives at i seconds."""
    stream = read_stream([(float(index), data) for index, data in enumerate(events)])
    return [chunk.time for chunk in stream.chunks]


def test_stream_of_completions_is_read_whole() -> None:
    finish = event(choices=[{"index": 0, "text": "", "finish_reason": "length"}])
    stream = read_stream([(1.0, text("a")), (2.0, text("b")), (3.0, finish + usage(2) + DONE)])

    assert [chunk.time for chunk in stream.chunks] == [1.0, 2.0]
    assert stream.chunk_tokens() == (1.0, 1.0)
    assert stream.usage is not None
    assert (stream.usage.prompt_tokens, stream.usage.completion_tokens) == (5, 2)
    assert (stream.finish_reason, stream.done, stream.failure) == ("length", True, None)


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(delta(role="assistant"), id="role only"),
        pytest.param(delta(role="assistant", content=""), id="role with empty content"),
        pytest.param(delta(role="assistant", content=None), id="role with null content"),
        pytest.param(text(""), id="empty text"),
        pytest.param(
            event(choices=[], prompt_progress={"total": 9, "processed": 4}), id="prompt progress"
        ),
        pytest.param(
            event(choices=[{"delta": {}, "index": 0}], prompt_progress={"total": 9}),
            id="prompt progress with an empty delta",
        ),
        pytest.param(b": a comment\n\n", id="comment"),
    ],
)
def test_event_without_content_is_not_the_first_content(opening: bytes) -> None:
    assert times(opening, delta(content="a"), DONE) == [1.0]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(delta(content="a"), id="content"),
        pytest.param(delta(reasoning_content="hm"), id="reasoning content"),
        pytest.param(delta(reasoning="hm"), id="reasoning"),
        pytest.param(delta(tool_calls=[{"function": {"arguments": "{"}}]), id="tool call"),
        pytest.param(text(" "), id="a space"),
    ],
)
def test_event_with_content_of_any_kind_is_a_chunk(content: bytes) -> None:
    assert times(content, DONE) == [0.0]


def test_events_of_one_read_share_its_time() -> None:
    stream = read_stream([(1.0, text("a") + text("b")), (2.0, text("c") + DONE)])

    assert [chunk.time for chunk in stream.chunks] == [1.0, 1.0, 2.0]


def test_event_cut_between_reads_has_the_time_of_its_last_byte() -> None:
    data = text("a")
    stream = read_stream([(1.0, data[:10]), (2.0, data[10:-1]), (3.0, data[-1:])])

    assert [chunk.time for chunk in stream.chunks] == [3.0]


def test_chunk_tokens_are_split_by_characters_where_only_the_total_is_known() -> None:
    # 8 tokens over 2 + 6 characters: one token per character.
    stream = read_stream([(1.0, text("ab")), (2.0, text("cdefgh")), (3.0, usage(8) + DONE)])

    assert stream.chunk_tokens() == (2.0, 6.0)


def test_chunk_tokens_follow_token_ids_where_the_server_sends_them() -> None:
    chunks = [(1.0, text("abcdef", token_ids=[1])), (2.0, text("g", token_ids=[2, 3, 4]))]
    stream = read_stream([*chunks, (3.0, usage(4) + DONE)])

    assert stream.chunk_tokens() == (1.0, 3.0)


def test_chunk_tokens_sum_to_usage_where_token_ids_do_not() -> None:
    # Two tokens had no text of their own, so their ids came in no chunk: 6 tokens, 4 seen.
    chunks = [(1.0, text("ab", token_ids=[1])), (2.0, text("cd", token_ids=[2, 3, 4]))]
    stream = read_stream([*chunks, (3.0, usage(6) + DONE)])

    assert stream.chunk_tokens() == (3.0, 3.0)


def test_chunk_without_usage_counts_as_one_token() -> None:
    assert read_stream([(1.0, text("ab") + text("c"))]).chunk_tokens() == (1.0, 1.0)


def test_usage_tells_cached_tokens() -> None:
    stream = read_stream([(1.0, usage(1, prompt_tokens_details={"cached_tokens": 3}) + DONE)])

    assert stream.usage is not None
    assert stream.usage.cached_tokens == 3


def test_usage_of_null_in_every_chunk_is_no_usage() -> None:
    stream = read_stream([(1.0, event(choices=[{"text": "a"}], usage=None) + DONE)])

    assert stream.usage is None


# SAD PATH


@pytest.mark.parametrize(
    "payload", [b"{", b'"text"', b"[1]", b'{"choices": 3}', b'{"choices": [{"text": 1}]}']
)
def test_event_of_another_shape_is_malformed_and_shown(payload: bytes) -> None:
    stream = read_stream([(1.0, text("a")), (2.0, b"data: " + payload + b"\n\n")])

    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.MALFORMED
    assert payload.decode() in stream.failure.message
    assert len(stream.chunks) == 1


def test_error_event_is_a_failure_with_the_servers_message() -> None:
    stream = read_stream([(1.0, text("a") + event(error={"message": "out of memory"}))])

    assert stream.failure is not None
    assert stream.failure.kind is FailureKind.ERROR_EVENT
    assert stream.failure.message == "out of memory"


def test_error_event_of_null_is_none() -> None:
    assert read_stream([(1.0, event(choices=[], error=None) + DONE)]).failure is None


def test_stream_cut_short_is_not_done() -> None:
    assert not read_stream([(1.0, text("a"))]).done
    assert not read_stream([]).done


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error": {"message": "no such model", "type": "x"}}', "no such model"),
        (b'{"error": "busy"}', "busy"),
        (b"<html>Bad gateway</html>", "<html>Bad gateway</html>"),
        (b"", ""),
        (b"x" * 1000, "x" * 200 + " ..."),
        (b"\xff\xfe", "��"),
    ],
)
def test_error_text_is_the_message_or_the_beginning_of_the_body(body: bytes, message: str) -> None:
    assert error_text(body) == message


def test_running_totals_tell_the_tokens_of_each_chunk() -> None:
    def counted(content: str, total: int) -> bytes:
        usage = {"prompt_tokens": 5, "completion_tokens": total}
        return event(choices=[{"index": 0, "text": content}], usage=usage)

    events = [counted("one", 1), counted("two three", 3), counted("f", 4)]
    stream = read_stream([(1.0, b"".join(events) + usage(4) + DONE)])

    assert stream.chunk_tokens() == (1.0, 2.0, 1.0)


def test_running_totals_that_do_not_add_up_are_not_believed() -> None:
    first = event(
        choices=[{"index": 0, "text": "ab"}], usage={"prompt_tokens": 5, "completion_tokens": 1}
    )
    stream = read_stream([(1.0, first + text("abcdef") + usage(4) + DONE)])

    assert stream.chunk_tokens() == (1.0, 3.0)


def test_answer_begins_after_the_reasoning() -> None:
    thought, said = delta(reasoning_content="hm"), delta(content="a")
    stream = read_stream([(1.0, thought), (2.0, said), (3.0, said + DONE)])

    assert stream.answer_time == 2.0
    assert stream.texts == ["a", "a"]


def test_tool_call_is_an_answer_without_text() -> None:
    called = delta(tool_calls=[{"function": {"name": "f", "arguments": "{}"}}])
    stream = read_stream([(1.0, called + DONE)])

    assert (stream.answer_time, stream.texts) == (1.0, [])
    assert stream.chunks[0].characters == 3


def test_events_are_counted_with_content_and_without() -> None:
    stream = read_stream([(1.0, delta(role="assistant") + delta(content="a") + usage(1) + DONE)])

    assert (stream.events, len(stream.chunks)) == (3, 1)
