"""What a sweep found, in sentences."""

from __future__ import annotations

from replicore.bench.stats.summary import Objectives
from replicore.bench.sweep.entries import Failed
from replicore.bench.sweep.said import headline, notes, objectives
from tests.unit.bench.sweep.made import findings, plan, repeats, run

FAST = repeats("2x1", [150, 151, 149])
SLOW = repeats("1x2", [100, 101, 99])


def test_headline_names_winner_ratio_and_confidence() -> None:
    said = headline(findings(FAST + SLOW))

    assert said.startswith("best: 2x1 at 4 in flight, with 150 output tok/s, 1.50 × (1.4")
    assert said.endswith("those of 1x2 at 4; confidence > 99.9%")


def test_headline_of_a_difference_within_the_noise_says_so() -> None:
    said = headline(findings(repeats("2x1", [100, 140, 80]) + repeats("1x2", [100, 80, 130])))

    assert "; that may be chance: confidence " in said


def test_headline_of_one_run_each_says_that_it_may_be_noise() -> None:
    said = headline(findings([run("2x1", 150), run("1x2", 100)], of=plan(repeats=1)))

    assert said.endswith("1.50 × those of 1x2 at 4; one run each, so that may be noise")


def test_headline_of_one_layout_compares_it_with_nothing() -> None:
    assert (
        headline(findings(FAST, of=plan("2x1")))
        == "best: 2x1 at 4 in flight, with 150 output tok/s"
    )


def test_headline_where_nobody_meets_the_objective_names_the_closest() -> None:
    near = [0.1] * 18 + [0.9] * 2
    found = findings([run(ttft_s=near), run("1x2", ttft_s=[0.9] * 20)], slo=Objectives(ttft_s=0.5))

    assert headline(found) == (
        "no layout meets the objectives; closest: 2x1 at 4 in flight, where 90.0% of the requests "
        "were within TTFT p99 of 500 ms, 99% are needed"
    )


def test_headline_says_where_only_one_layout_meets_the_objectives() -> None:
    slow = repeats("1x2", [160, 161, 159], ttft_s=[0.9] * 20)

    assert headline(findings(FAST + slow, slo=Objectives(ttft_s=0.5))) == (
        "best: 2x1 at 4 in flight, with 150 output tok/s, the only layout that meets the objectives"
    )


def test_headline_of_a_sweep_that_is_not_finished_says_so() -> None:
    assert headline(findings(FAST)).startswith("best so far: 2x1 at 4 in flight")


def test_headline_of_nothing_says_so() -> None:
    assert headline(findings([])) == "no layout was measured"


def test_objectives_are_told_in_words() -> None:
    assert (
        objectives(Objectives(ttft_s=0.5, tpot_s=0.06))
        == "TTFT p99 ≤ 500 ms and TPOT p99 ≤ 60.0 ms"
    )
    assert objectives(Objectives()) == "none stated: 99% of the requests answered"


def test_notes_tell_of_layouts_that_failed_first() -> None:
    failed = Failed(layout="1x2", repeat=0, message="r0 exited with code 1")

    assert notes(findings(FAST, failed=[failed]))[0] == "1x2 failed: r0 exited with code 1"


def test_notes_tell_of_runs_that_are_missing() -> None:
    assert "3 of 6 runs were not made; --resume makes them" in notes(findings(FAST))


def test_notes_of_a_whole_sweep_name_no_missing_run() -> None:
    assert not any("not made" in note for note in notes(findings(FAST + SLOW)))


def test_notes_say_when_requests_are_too_few_for_a_99th_percentile() -> None:
    (note,) = (one for one in notes(findings(FAST + SLOW)) if "too few" in one)

    assert note.startswith("of 60 requests to the winner 60 were answered: too few to be sure")
    assert "299 without a miss would be enough" in note


def test_notes_tell_of_failed_requests_with_their_kinds() -> None:
    column = [0.1] * 19 + [None]
    found = findings([run(ttft_s=column, tpot_s=column, errors={"cut": 1})])

    assert "2x1 at 4 in flight: 1 of 20 requests failed (cut)" in notes(found)


def test_notes_count_runs_that_are_not_to_be_believed_and_say_why() -> None:
    bound = [run(verdict="CLIENT-BOUND", repeat=index) for index in (1, 2)]
    told = notes(findings([*bound, run("1x2", verdict="TOO-FEW-SAMPLES")]))

    assert (
        "2 of 3 runs CLIENT-BOUND, the first 2x1 at 4 in flight, repeat 2: the client was slow"
    ) in told
    assert not any("TOO-FEW-SAMPLES" in note for note in told)


def test_notes_tell_of_replicas_that_were_restarted_meanwhile() -> None:
    told = notes(findings([run(restarts=2)]))

    assert "2x1 at 4 in flight, repeat 1: a replica was restarted 2 times meanwhile" in told


def test_notes_say_where_requests_wait_for_slots() -> None:
    found = findings([run(slots=2), run("1x2", slots=4)])

    assert any(note.startswith("2x1 has 2 slots: with more in flight") for note in notes(found))
    assert not any(note.startswith("1x2 has") for note in notes(found))


def test_notes_say_that_a_simulator_answered() -> None:
    assert "simulated: these numbers are of no real engine" in notes(
        findings([run(simulated=True)])
    )
