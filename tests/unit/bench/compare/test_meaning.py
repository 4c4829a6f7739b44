"""Which fields mean the same."""

from __future__ import annotations

import pytest

from replicore.bench.compare.meaning import (
    EVENTS_AS_TOKENS,
    NEW_CONNECTION,
    QUANTITIES,
    STREAM_END,
    TOKEN_VOTES,
    Metric,
    Sameness,
    relation,
)


def test_fields_without_departures_mean_the_same() -> None:
    found = relation(("A", frozenset()), ("B", frozenset()))

    assert (found.sameness, found.reasons) == (Sameness.SAME, ())


def test_fields_that_depart_in_the_same_ways_mean_the_same() -> None:
    departures = frozenset({TOKEN_VOTES, NEW_CONNECTION})

    assert relation(("A", departures), ("B", departures)).sameness is Sameness.SAME


def test_small_departures_leave_fields_nearly_the_same_and_are_told_with_their_run() -> None:
    found = relation(("A", frozenset({STREAM_END})), ("B", frozenset({NEW_CONNECTION})))

    assert found.sameness is Sameness.NEARLY
    assert found.reasons == (f"A {STREAM_END.says}", f"B {NEW_CONNECTION.says}")


def test_a_material_departure_of_one_makes_fields_different() -> None:
    both = frozenset({STREAM_END})
    found = relation(("A", both), ("B", both | {TOKEN_VOTES}))

    assert found.sameness is Sameness.DIFFERENT
    assert found.reasons == (f"B {TOKEN_VOTES.says}",)


def test_a_fatal_departure_makes_even_two_that_have_it_different() -> None:
    # Both count events, but how many tokens an event has depends on the server.
    departures = frozenset({EVENTS_AS_TOKENS, STREAM_END})
    found = relation(("A", departures), ("B", departures))

    assert found.sameness is Sameness.DIFFERENT
    assert found.reasons == (f"A {EVENTS_AS_TOKENS.says}", f"B {EVENTS_AS_TOKENS.says}")


@pytest.mark.parametrize("metric", Metric)
def test_every_metric_has_a_label_and_a_formula(metric: Metric) -> None:
    assert QUANTITIES[metric].label
    assert QUANTITIES[metric].formula


def test_labels_of_metrics_are_distinct() -> None:
    labels = [quantity.label for quantity in QUANTITIES.values()]

    assert len(set(labels)) == len(Metric)
