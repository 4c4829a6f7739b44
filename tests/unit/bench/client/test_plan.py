"""What may be asked of the client, and how several processes share it."""

from __future__ import annotations

from typing import Any

import pytest

from replicore.bench.client.plan import Plan
from replicore.errors import ConfigError


def plan(**options: Any) -> Plan:
    given: dict[str, Any] = {"endpoints": ("http://a:1",), "path": "/", "concurrency": 4}
    return Plan(**given | options)


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
def test_shares_have_all_places_between_them(processes: int) -> None:
    whole = plan(concurrency=7, processes=processes)
    places = [whole.share(worker).concurrency or 0 for worker in range(processes)]

    assert sum(places) == 7
    assert max(places) - min(places) <= 1


def test_share_of_any_number_is_any_number() -> None:
    assert plan(concurrency=None, processes=2).share(1).concurrency is None


def test_share_knows_which_one_it_is() -> None:
    share = plan(processes=3).share(2)

    assert (share.worker, share.processes) == (2, 3)


# SAD PATH


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoints": ()}, "no URL to measure"),
        ({"concurrency": 0}, "concurrency: 0 is below 1"),
        ({"processes": 0}, "processes: 0 is below 1"),
        ({"timeout": 0.0}, "timeout: 0 s is not above 0"),
        ({"duration_s": 0.0}, "duration: 0 s is not above 0"),
        ({"drain_s": -1.0}, "drain: -1 s is below 0"),
        (
            {"dispatch": "fastest"},
            'dispatch: unknown policy "fastest" (valid: round_robin, least_in_flight, sticky)',
        ),
    ],
)
def test_number_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(**options)

    assert caught.value.message == message
