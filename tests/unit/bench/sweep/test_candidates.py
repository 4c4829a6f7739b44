"""Which layouts ``auto`` stands for."""

from __future__ import annotations

from replicore.bench.sweep.candidates import choose_layouts


def chosen(**replicas: int) -> list[str]:
    return [str(one) for one in choose_layouts({int(tp[2:]): n for tp, n in replicas.items()})]


def test_every_degree_that_keeps_all_cores_busy_is_chosen() -> None:
    assert chosen(tp1=4, tp2=2, tp4=1) == ["4x1", "2x2", "1x4"]


def test_degree_that_leaves_a_third_of_the_cores_idle_is_left_out() -> None:
    assert chosen(tp1=3, tp2=1, tp3=1) == ["3x1", "1x3"]


def test_degree_that_leaves_less_than_a_tenth_idle_is_chosen() -> None:
    assert chosen(tp1=16, tp5=3) == ["16x1", "3x5"]


def test_degree_whose_replicas_do_not_fit_the_memory_is_left_out() -> None:
    assert chosen(tp1=0, tp8=8) == ["8x8"]


def test_small_tp_that_memory_limits_to_few_replicas_is_left_out() -> None:
    assert chosen(tp8=2, tp32=2) == ["2x32"]


def test_of_many_degrees_the_powers_of_two_and_the_largest_are_chosen() -> None:
    fitting = {tp: 96 // tp for tp in range(1, 97) if 96 % tp == 0}

    assert [one.tp for one in choose_layouts(fitting)] == [1, 2, 4, 8, 16, 32, 96]


def test_nothing_that_fits_gives_no_layout() -> None:
    assert choose_layouts({}) == ()
