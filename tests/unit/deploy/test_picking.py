"""Who chooses what a spec leaves open: an adviser where there is one, else the rule."""

from __future__ import annotations

from replicore.cores import NO_CORES, CoreRange
from replicore.deploy.layout import Layout, choose_layout
from replicore.deploy.picking import Fitting, NoPick, Pick
from replicore.hardware.machine import Machine, NumaNode
from replicore.models.shape import ModelShape
from replicore.spec import LayoutSpec

GIB = 2**30
CORES = CoreRange.parse("0-7")
MACHINE = Machine(
    kind="cpu",
    name="AMD EPYC",
    cores=CORES,
    core_limit=8,
    numa=(NumaNode(index=0, cores=CORES),),
    memory_bytes=64 * GIB,
)
SHAPE = ModelShape(
    architecture="llama",
    layers=30,
    hidden=576,
    heads=9,
    kv_heads=3,
    head_dim=64,
    vocab=49152,
    max_model_len=8192,
    weight_bytes=GIB,
)


class Adviser:
    """Answers always the same, and keeps what it was told."""

    def __init__(self, answer: Pick | NoPick) -> None:
        self.answer = answer
        self.asked: list[Fitting] = []

    def __call__(self, fitting: Fitting) -> Pick | NoPick:
        self.asked.append(fitting)
        return self.answer


def choose(wanted: LayoutSpec, adviser: Adviser, *, taken: str = "") -> Layout:
    return choose_layout(
        wanted,
        MACHINE,
        SHAPE,
        legal_tp=(1, 2, 4, 8),
        memory_bytes=lambda *, tp, batch_size, max_model_len: GIB,
        taken=CoreRange.parse(taken) if taken else NO_CORES,
        advise=adviser,
    )


TWO_OF_FOUR = Pick(replicas=2, tp=4, why="1.5 times the tokens of 8x1")


def test_an_open_layout_is_the_one_that_the_adviser_picks() -> None:
    layout = choose(LayoutSpec(), Adviser(TWO_OF_FOUR))

    assert [str(cores) for cores in layout.ranges] == ["0-3", "4-7"]
    assert layout.reason == (
        "2 replicas x 4 cores: 1.5 times the tokens of 8x1; 8 cores are usable"
    )


def test_an_adviser_is_told_what_fits_around_other_deployments() -> None:
    adviser = Adviser(Pick(replicas=1, tp=2, why="one user"))

    choose(LayoutSpec(batch_size=3, max_model_len=512), adviser, taken="0-4")

    (told,) = adviser.asked
    assert told == Fitting(degrees={1: 3, 2: 1}, replicas=None, batch_size=3, max_model_len=512)


def test_an_adviser_is_told_of_a_fixed_number_of_replicas() -> None:
    adviser = Adviser(Pick(replicas=3, tp=1, why="tp costs more than it brings"))

    layout = choose(LayoutSpec(replicas=3), adviser)

    assert (adviser.asked[0].degrees, adviser.asked[0].replicas) == ({1: 8, 2: 4}, 3)
    assert (layout.replicas, layout.tp) == (3, 1)


def test_an_adviser_is_told_of_a_fixed_tp_alone() -> None:
    adviser = Adviser(Pick(replicas=1, tp=4, why="one user"))

    layout = choose(LayoutSpec(tp=4), adviser)

    assert adviser.asked[0].degrees == {4: 2}
    assert (layout.replicas, layout.tp) == (1, 4)


def test_an_adviser_is_not_asked_where_there_is_nothing_to_choose() -> None:
    adviser = Adviser(TWO_OF_FOUR)

    assert choose(LayoutSpec(replicas=2, tp=2), adviser).replicas == 2
    assert choose(LayoutSpec(tp=8), adviser).replicas == 1
    assert choose(LayoutSpec(), adviser, taken="1-7").replicas == 1
    assert adviser.asked == []


def test_where_the_adviser_cannot_tell_the_rule_chooses_and_the_reason_says_so() -> None:
    layout = choose(LayoutSpec(), Adviser(NoPick(why="nothing is known of abacus")))

    assert (layout.replicas, layout.tp) == (8, 1)
    assert layout.reason == (
        "8 replicas x 1 core: tp 1 is the smallest whose memory (1.0 GiB) fits, by rule: "
        "nothing is known of abacus; 8 cores are usable"
    )
