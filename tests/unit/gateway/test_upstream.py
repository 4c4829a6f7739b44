from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replicore.errors import UpstreamError
from replicore.gateway.routing.breaker import FIRST_PAUSE_S, THRESHOLD
from replicore.gateway.routing.ledger import Account
from replicore.gateway.table import ReplicaRow
from replicore.gateway.upstream import Upstream

ROW = ReplicaRow(name="r0", endpoint="http://127.0.0.1:1", state="ready", slots=4)
TIMEOUT = 10.0


@dataclass(eq=False)
class FakeRequest:
    streaming: bool = True
    paused: bool = False
    taken_away: bool = False

    def break_off(self, _error: UpstreamError) -> None:
        self.taken_away = True


class Changes(list[str]):
    """The states of a breaker, one after the other."""

    def __call__(self, upstream: Upstream) -> None:
        self.append(upstream.breaker.state)


def upstream(*requests: FakeRequest, slow_start: float = 0.0, **options: Any) -> Upstream:
    account = Account(ROW.name, 1, ROW.slots, ready=False)
    changes = options.get("changes", Changes())
    one = Upstream(ROW, account, slow_start=slow_start, now=0.0, breaker_changed=changes)
    one.serving.update(requests)
    return one


def test_a_stream_in_silence_proves_a_stall() -> None:
    one = upstream(FakeRequest())

    assert not one.watch(9.0, TIMEOUT)
    assert one.watch(11.0, TIMEOUT)
    assert one.stalled_s == 11.0


def test_every_sign_of_progress_starts_the_time_anew() -> None:
    one = upstream(FakeRequest())
    stalls = []
    for second in range(0, 60, 6):
        one.progress += 1
        stalls += [one.watch(second, TIMEOUT), one.watch(second + 5, TIMEOUT)]

    assert not any(stalls)


def test_an_idle_replica_is_not_stalled() -> None:
    one = upstream()

    assert not one.watch(100.0, TIMEOUT)
    assert one.stalled_s == 0.0


def test_silent_requests_without_a_stream_are_a_suspicion_only() -> None:
    one = upstream(FakeRequest(streaming=False))

    assert not one.watch(100.0, TIMEOUT)
    assert one.stalled_s == 100.0


def test_a_stream_that_comes_into_a_silence_has_its_own_time() -> None:
    one = upstream(FakeRequest(streaming=False))
    one.watch(100.0, TIMEOUT)
    one.serving.add(FakeRequest())

    assert not one.watch(101.0, TIMEOUT)
    assert one.watch(111.0, TIMEOUT)


def test_a_stream_that_its_client_does_not_read_proves_nothing() -> None:
    slow = FakeRequest(paused=True)
    one = upstream(slow)
    seen = [one.watch(100.0, TIMEOUT), one.watch(200.0, TIMEOUT)]
    slow.paused = False

    assert [*seen, one.watch(209.0, TIMEOUT)] == [False, False, False]
    assert one.watch(211.0, TIMEOUT)


def test_a_long_prefill_is_no_silence() -> None:
    one = upstream(FakeRequest())
    rate = one.account.rates.prefill_rate
    one.account.try_open(20 * rate, 1, None, 0.0, stream=True)  # 20 s of prefill

    assert not one.watch(60.0, TIMEOUT)
    assert one.watch(3 * 20 + TIMEOUT + 1, TIMEOUT)


def test_only_streams_are_taken_away_and_nothing_new_comes() -> None:
    stream, whole = FakeRequest(), FakeRequest(streaming=False)
    one = upstream(stream, whole)

    one.break_off(UpstreamError("silent"), 5.0)

    assert (stream.taken_away, whole.taken_away) == (True, False)
    assert not one.account.has_room


def test_the_breaker_opens_waits_and_lets_one_request_through() -> None:
    changes = Changes()
    one = upstream(changes=changes)
    for _ in range(THRESHOLD):
        one.refused(1.0)
    limits = [one.account.limit]
    one.pace(1.0 + FIRST_PAUSE_S)
    limits.append(one.account.limit)
    one.answered(3.0)
    limits.append(one.account.limit)

    assert limits == [0, 1, None]
    assert changes == ["open", "half_open", "closed"]


def test_an_answer_between_failures_counts_them_from_the_beginning() -> None:
    one = upstream()
    for _ in range(THRESHOLD):
        one.refused(1.0)
        one.answered(2.0)

    assert one.breaker.state == "closed"


# limit at 0, 1, ... seconds of a slow start of 4 s with 4 slots
def test_a_slow_start_gives_the_slots_one_after_the_other() -> None:
    one = upstream(slow_start=4.0)
    limits = []
    for second in (0.0, 1.0, 1.1, 2.1, 3.1, 4.0):
        one.pace(second)
        limits.append(one.account.limit)

    assert limits == [1, 1, 2, 3, 4, None]


def test_a_slow_start_begins_when_the_replica_is_ready() -> None:
    one = upstream(slow_start=4.0)
    one.update(ReplicaRow(name="r0", endpoint=ROW.endpoint, state="starting", slots=4), 1.0)
    one.update(ROW, 50.0)

    assert (one.account.limit, one.account.ready) == (1, True)
