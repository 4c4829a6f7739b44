from __future__ import annotations

from dataclasses import dataclass

from replicore.bench.selfcheck.mock.schedule import Schedule


@dataclass
class Stream:
    name: str
    due: float = 0.0


def schedule(*, ttft_s: float = 0.5, itl_s: float = 0.125) -> Schedule[Stream]:
    return Schedule(ttft_s=ttft_s, itl_s=itl_s)


def play(plan: Schedule[Stream], until: float, tokens: int) -> list[tuple[float, str]]:
    """Return when each token goes out if every stream gets ``tokens``."""
    sent: list[tuple[float, str]] = []
    while (stream := plan.take(until)) is not None:
        sent.append((stream.due, stream.name))
        if sum(name == stream.name for _, name in sent) < tokens:
            plan.again(stream)
    return sent


def test_first_token_is_due_its_time_after_the_arrival() -> None:
    plan = schedule()
    plan.add(Stream("a"), 10.0)

    assert plan.next_due() == 10.5
    assert plan.take(10.499) is None
    taken = plan.take(10.5)
    assert taken is not None
    assert taken.name == "a"


def test_further_tokens_are_due_at_even_gaps_however_late_the_first_one_went_out() -> None:
    plan = schedule()
    plan.add(Stream("a"), 0.0)

    sent = play(plan, until=100.0, tokens=4)

    assert [due for due, _ in sent] == [0.5, 0.625, 0.75, 0.875]


def test_streams_take_turns_in_the_order_of_their_due_times() -> None:
    plan = schedule()
    plan.add(Stream("a"), 0.0)
    plan.add(Stream("b"), 0.0625)

    sent = play(plan, until=100.0, tokens=3)

    assert [name for _, name in sent] == ["a", "b", "a", "b", "a", "b"]
    assert sent == sorted(sent)


def test_a_stream_that_joins_others_gets_its_first_token_between_theirs() -> None:
    plan = schedule()
    plan.add(Stream("old"), 0.0)
    old = plan.take(0.5)
    assert old is not None
    plan.again(old)
    plan.add(Stream("new"), 0.0625)

    # old at 0.625 and 0.75, new at 0.5625
    sent = play(plan, until=0.7, tokens=9)

    assert sent == [(0.5625, "new"), (0.625, "old"), (0.6875, "new")]


def test_an_empty_plan_is_never_due() -> None:
    plan = schedule()

    assert plan.next_due() is None
    assert plan.take(1e9) is None
