"""How many replicas and machines a rate takes, with one failure to spare."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicore.planner.fleet import Fleet, fewest, fleets, with_spare
from replicore.planner.plan import Service
from replicore.planner.prediction.calibrate import uncalibrated
from replicore.planner.question import Load, Slo
from replicore.planner.recommend import answer_of
from tests.unit.planner.questions import question


def service(*, utilisation: float, meets: float) -> Service:
    best = answer_of(question(), uncalibrated()).best
    assert best is not None
    assert best.service is not None
    return replace(best.service, utilisation=utilisation, meets=meets)


SOME = service(utilisation=1.0, meets=1.0)


def of_ten(replicas: int) -> Service:
    """Return what so many replicas do where ten are needed."""
    return replace(SOME, utilisation=7 / replicas, meets=1.0 if replicas >= 10 else 0.2)


def found_at(rate_per_s: float) -> list[Fleet]:
    return fleets(question(load=Load(rate_per_s=rate_per_s)), uncalibrated())


@pytest.mark.parametrize(
    ("needed", "per_machine", "expected"),
    [
        # one more replica has room on the machine: (replicas, machines, lost)
        (3, 4, (4, 1, 1)),
        # none has: a second machine, so that either may fail
        (4, 4, (8, 2, 4)),
        # two machines' worth and one to spare
        (7, 4, (12, 3, 4)),
        # the spare one lets the others have fewer
        (9, 4, (12, 4, 3)),
        (1, 1, (2, 2, 1)),
    ],
)
def test_one_failure_is_spared(
    needed: int, per_machine: int, expected: tuple[int, int, int]
) -> None:
    assert with_spare(needed, per_machine) == expected


@pytest.mark.parametrize("needed", range(1, 40))
@pytest.mark.parametrize("per_machine", [1, 3, 8])
def test_what_is_left_after_the_failure_is_enough(needed: int, per_machine: int) -> None:
    replicas, machines, lost = with_spare(needed, per_machine)

    assert replicas - lost >= needed
    assert replicas <= machines * per_machine


def test_the_fewest_replicas_that_meet_the_limits_are_found() -> None:
    assert fewest(of_ten, 0.05) == 10


def test_limits_that_no_number_of_replicas_meets_have_no_fleet() -> None:
    slow = question(load=Load(rate_per_s=1.0), slo=Slo(tpot_p99_s=1e-6))

    assert fewest(lambda _: service(utilisation=0.5, meets=0.1), 0.05) is None
    assert fleets(slow, uncalibrated()) == []


def test_twice_the_rate_takes_about_twice_the_machines() -> None:
    once, twice = (found_at(rate)[0].machines for rate in (2000.0, 4000.0))

    assert once > 5
    assert twice - 1 == pytest.approx(2 * (once - 1), abs=1)


def test_a_fleet_meets_the_limits_before_and_after_its_failure() -> None:
    for fleet in found_at(300.0):
        assert fleet.after.meets >= 0.95
        assert fleet.service.utilisation < fleet.after.utilisation < 0.9


def test_the_fleet_on_fewest_machines_is_first_and_each_tp_has_one() -> None:
    found = found_at(2000.0)

    assert [fleet.machines for fleet in found] == sorted(fleet.machines for fleet in found)
    assert len({fleet.tp for fleet in found}) == len(found)
