from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicore.gateway.routing.cells import Cells
from replicore.gateway.routing.ledger import Account, Ticket
from replicore.gateway.routing.prefix import block_hashes
from replicore.gateway.routing.rates import FleetRates

PROMPT = block_hashes(b"a" * 1024)  # 256 tokens


def account(slots: int | None = 2, *, ready: bool = True, cache_tokens: int = 0) -> Account:
    return Account("r0", 1, slots, ready, cache_tokens=cache_tokens)


def opened(one: Account, *, prompt: float = 100, output: float = 10, now: float = 0.0) -> Ticket:
    ticket = one.try_open(prompt, output, None, now)
    assert ticket is not None
    return ticket


def work(one: Account) -> tuple[int, float, float]:
    return one.outstanding, one.prefill_tokens, one.decode_tokens


def over_workers(count: int, slots: int | None) -> list[Account]:
    """Return one account a worker, of the same replica."""
    shared = Cells.local(replicas=1, callers=0)
    block = len(shared.memory) - 8
    memory = [0.0] * (8 + count * block)
    cells = [
        Cells(memory, worker=worker, workers=count, replicas=1, callers=0)
        for worker in range(count)
    ]
    return [Account("r0", 1, slots, ready=True, cells=one) for one in cells]


def test_opening_writes_the_work_down() -> None:
    one = account()
    opened(one, prompt=100, output=10)
    opened(one, prompt=50, output=5)

    assert work(one) == (2, 150, 15)


def test_work_is_crossed_out_as_it_gets_done() -> None:
    one = account()
    ticket = opened(one, prompt=100, output=10)
    ticket.first_token(1.0)
    ticket.produced(4)

    assert work(one) == (1, 0, 6)


def test_output_beyond_what_was_expected_is_not_crossed_out() -> None:
    one = account()
    ticket, other = opened(one, output=3), opened(one, output=3)
    for _ in range(5):
        ticket.produced()

    assert one.decode_tokens == 3
    ticket.close(1.0)
    other.close(1.0)
    assert work(one) == (0, 0, 0)


def test_a_ticket_closed_twice_counts_once() -> None:
    one = account()
    ticket = opened(one)

    ticket.close(1.0, error=True)
    ticket.close(1.0, error=True)

    assert (one.outstanding, one.requests, one.errors) == (0, 1, 1)


def test_what_comes_after_the_end_counts_for_nothing() -> None:
    one = account()
    ticket = opened(one)
    ticket.close(1.0)

    ticket.first_token(2.0)
    ticket.produced(5)

    assert work(one) == (0, 0, 0)


def test_a_replica_has_room_while_a_slot_is_free() -> None:
    one = account(slots=2)
    room = [one.has_room]
    tickets = [opened(one), opened(one)]
    room.append(one.has_room)
    refused = one.try_open(1, 1, None, 0.0)
    tickets[0].close(1.0)
    room.append(one.has_room)

    assert room == [True, False, True]
    assert refused is None


def test_a_replica_without_known_slots_always_has_room() -> None:
    one = account(slots=None)
    for _ in range(100):
        opened(one)

    assert one.has_room


def test_a_replica_that_is_not_ready_has_no_room() -> None:
    assert not account(ready=False).has_room


@pytest.mark.parametrize(
    ("slots", "limit", "bound"),
    [(4, None, 4), (4, 1, 1), (4, 9, 4), (None, 2, 2), (None, None, inf), (4, 0, 0)],
)
def test_limit_takes_slots_away_and_never_adds_any(
    slots: int | None, limit: int | None, bound: float
) -> None:
    one = account(slots=slots)
    one.limit = limit
    held = [one.try_open(1, 1, None, 0.0) for _ in range(20)]

    assert sum(ticket is not None for ticket in held) == min(bound, 20)


def test_slots_learned_later_are_kept_to() -> None:
    one = account(slots=None)
    opened(one)
    one.slots = 1

    assert (one.slots, one.limit, one.has_room) == (1, None, False)


def test_prompt_in_the_prefix_cache_is_no_work() -> None:
    one = account(cache_tokens=1000)
    one.try_open(300, 0, PROMPT, 0.0)
    one.try_open(300, 0, PROMPT, 0.0)

    assert one.matched(PROMPT) == 256
    assert one.prefill_tokens == 300 + (300 - 256)


def test_last_prompt_token_is_always_worked_through() -> None:
    one = account(cache_tokens=1000)
    one.try_open(256, 0, PROMPT, 0.0)
    one.try_open(200, 0, PROMPT, 0.0)

    assert one.prefill_tokens == 256 + 1


def test_engine_without_a_prefix_cache_matches_nothing() -> None:
    one = account(cache_tokens=0)
    one.try_open(300, 0, PROMPT, 0.0)

    assert one.matched(PROMPT) == 0.0


def test_prompt_without_hashes_matches_nothing() -> None:
    assert account(cache_tokens=1000).matched(None) == 0.0


def test_key_is_of_the_name_alone() -> None:
    again = Account("r0", 2, 4, ready=False)

    assert again.key == account().key != Account("r1", 1, 2, ready=True).key


def test_stats_of_a_worker_are_its_own() -> None:
    first, second = over_workers(2, slots=4)
    opened(first)
    opened(second).close(1.0, error=True)

    stats = [one.stats() for one in (first, second)]

    assert [(one.outstanding, one.requests, one.errors) for one in stats] == [(1, 1, 0), (0, 1, 1)]


def test_counters_go_on_after_a_restart() -> None:
    one = Account("r0", 2, 4, ready=True, requests=7, errors=2)
    opened(one).close(1.0, error=True)

    assert (one.requests, one.errors) == (8, 3)


def test_prefill_rate_is_learned_from_the_time_to_the_first_token() -> None:
    one = account(slots=None)
    opened(one, prompt=400, now=0.0).first_token(2.0)

    assert one.rates.prefill_rate == 200


def test_prompts_that_follow_each_other_do_not_pay_for_the_ones_before() -> None:
    # 400 tokens a second: the second prompt has its first token after 2 s, 1 s of them its own.
    one = account(slots=None)
    first, second = opened(one, prompt=400), opened(one, prompt=400)
    first.first_token(1.0)
    second.first_token(2.0)

    assert one.rates.prefill_rate == 400


def test_prompts_worked_on_at_once_are_one_sample() -> None:
    # Both end after 2 s: 400 tokens a second, not 200 and then infinitely many.
    one = account(slots=None)
    first, second = opened(one, prompt=400), opened(one, prompt=400)
    first.first_token(2.0)
    second.first_token(2.0)

    assert one.rates.prefill_rate == 400


def test_prompt_that_was_given_up_is_no_sample() -> None:
    one = account(slots=None)
    left, other = opened(one, prompt=400), opened(one, prompt=400)
    left.close(5.0)
    other.first_token(6.0)

    assert one.rates.prefill_rate == 400


def test_decode_step_is_learned_from_a_stream_that_ended() -> None:
    one = account()
    ticket = opened(one, output=11)
    ticket.first_token(1.0)
    ticket.close(2.0, output_tokens=11)

    assert one.rates.step_base_s + one.rates.step_slope_s == pytest.approx(0.1)


@pytest.mark.parametrize("closing", [{}, {"error": True, "output_tokens": 100}])
def test_nothing_is_learned_from_a_stream_that_was_cut(closing: dict[str, int]) -> None:
    one = account()
    before = one.rates.step_base_s
    ticket = opened(one)
    ticket.first_token(1.0)
    ticket.close(500.0, **closing)  # type: ignore[arg-type]

    assert one.rates.step_base_s == before


def test_prefill_of_a_whole_answer_is_taken_for_done_when_it_should_be() -> None:
    one = account()
    prompt = one.rates.prefill_rate  # one second of work
    one.try_open(prompt, 10, None, 0.0, stream=False)
    seen = []
    for now in (0.0, 0.9, 1.1):
        one.settle(now)
        seen.append(one.prefill_tokens)

    assert seen == [prompt, prompt, 0]


def test_decode_step_of_a_whole_answer_is_what_prefill_leaves() -> None:
    # One second of prefill, then 100 tokens in 2 s.
    one = account()
    ticket = one.try_open(one.rates.prefill_rate, 100, None, 0.0, stream=False)
    assert ticket is not None
    ticket.close(3.0, output_tokens=100)

    assert one.rates.step_base_s + one.rates.step_slope_s == pytest.approx(0.02)
    assert work(one) == (0, 0, 0)


steps = st.tuples(
    st.integers(0, 2),
    st.sampled_from(["open", "open whole", "first", "produced", "close", "error", "settle"]),
    st.integers(0, 10),
)


@given(st.lists(steps, max_size=80), st.sampled_from([None, 3]))
def test_every_counter_is_exactly_zero_once_all_are_closed(
    history: list[tuple[int, str, int]], slots: int | None
) -> None:
    accounts = over_workers(3, slots)
    tickets: list[Ticket] = []
    for now, (worker, step, number) in enumerate(history):
        _act(accounts[worker], tickets, step, number, float(now))
        assert min(work(accounts[0])) >= 0
        assert slots is None or accounts[0].outstanding <= slots

    for ticket in tickets:
        ticket.close(1000.0, output_tokens=9)

    assert [work(one) for one in accounts] == [(0, 0, 0)] * 3


def _act(one: Account, tickets: list[Ticket], step: str, number: int, now: float) -> None:
    if step.startswith("open"):
        stream = step == "open"
        ticket = one.try_open(10.7 * number, 3.3 * number, PROMPT, now, stream=stream)
        tickets += [ticket] if ticket else []
    elif step == "settle":
        one.settle(now)
    elif tickets:
        ticket = tickets[number % len(tickets)]
        if step == "first":
            ticket.first_token(now)
        elif step == "produced":
            ticket.produced(number)
        else:
            ticket.close(now, error=step == "error", output_tokens=number)


def test_counters_over_shared_memory_are_exactly_zero_once_all_are_closed() -> None:
    parent = Cells.create(1, replicas=1, callers=0)
    one = Account("r0", 1, 8, ready=True, cells=parent)
    tickets = [opened(one, prompt=index / 7, output=index / 3) for index in range(8)]
    for ticket in tickets:
        ticket.produced(2)
        ticket.close(1.0)

    assert work(one) == (0, 0, 0)
    parent.close()


# Two workers that go for the same slots, stopped at every read and write of the shared memory.


@dataclass
class Stepping:
    """Runs ``act`` in a thread of its own, one step at a time."""

    act: Callable[[Stepping], None]
    done: bool = False
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _paused: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._run)
        thread.start()
        return thread

    def pause(self) -> None:
        self._paused.release()
        self._go.acquire()

    def step(self) -> None:
        self._go.release()
        self._paused.acquire()

    def _run(self) -> None:
        self._go.acquire()
        self.act(self)
        self.done = True
        self._paused.release()


class SteppedMemory(list[float]):
    """Pauses the worker before each access; both share ``cells``."""

    def __init__(self, cells: list[float]) -> None:
        self.cells = cells
        self.pause: Callable[[], None] = lambda: None

    def __getitem__(self, index: int) -> float:  # type: ignore[override]
        self.pause()
        return self.cells[index]

    def __setitem__(self, index: int, value: float) -> None:  # type: ignore[override]
        self.pause()
        self.cells[index] = value


@dataclass
class Race:
    """Workers that open tickets of one replica until each was refused once or has enough."""

    slots: int
    attempts: tuple[int, ...]
    held: list[int] = field(default_factory=list)

    def run(self, schedule: Iterator[int]) -> None:
        workers = [self._worker(index) for index in range(len(self.attempts))]
        threads = [worker.start() for worker in workers]
        while left := [worker for worker in workers if not worker.done]:
            left[next(schedule, 0) % len(left)].step()
            assert len(self.held) <= self.slots
        for thread in threads:
            thread.join()

    def _worker(self, index: int) -> Stepping:
        memory = SteppedMemory(self._cells)
        cells = Cells(memory, worker=index, workers=len(self.attempts), replicas=1, callers=0)
        one = Account("r0", 1, self.slots, ready=True, cells=cells)

        def act(stepping: Stepping) -> None:
            memory.pause = stepping.pause
            for _ in range(self.attempts[index]):
                if one.try_open(1, 1, None, 0.0) is not None:
                    self.held.append(index)

        return Stepping(act)

    def __post_init__(self) -> None:
        self._cells = [0.0] * 64


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(st.integers(1, 2), min_size=2, max_size=3),
    st.lists(st.integers(0, 2), max_size=120),
)
def test_workers_that_race_for_slots_get_all_of_them_and_no_more(
    slots: int, attempts: list[int], schedule: list[int]
) -> None:
    race = Race(slots, tuple(attempts))

    race.run(iter(schedule))

    assert len(race.held) == min(slots, sum(attempts))


def test_of_two_that_announce_at_once_one_gets_the_last_slot() -> None:
    race = Race(1, (1, 1))

    race.run(iter([0, 1] * 20))

    assert len(race.held) == 1


def test_rates_of_a_fleet_may_be_shared() -> None:
    fleet = FleetRates()
    one, other = (Account(name, 1, 2, ready=True, rates=fleet.join()) for name in ("r0", "r1"))
    opened(one, prompt=400).first_token(1.0)

    assert other.rates.prefill_rate == 400
