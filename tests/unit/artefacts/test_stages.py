from __future__ import annotations

from replicore.artefacts.stages import Stages
from replicore.engines.recipe import Stage

STAGES = (
    Stage(pattern=r"^Generating HLO", label="tracing"),
    Stage(pattern="neuronx-cc", label="compiling"),
    Stage(pattern="Sharding", label="sharding"),
)


def test_stage_begins_with_the_first_line_that_matches() -> None:
    stages = Stages(STAGES)

    assert [stages.read(line) for line in ("hello", "Generating HLO", "Generating HLO")] == [
        False,
        True,
        False,
    ]
    assert (stages.label, stages.reached, stages.total) == ("tracing", 1, 3)


def test_stage_that_printed_nothing_is_passed_over_and_none_comes_back() -> None:
    stages = Stages(STAGES)

    assert stages.read("Sharding weights")
    assert not stages.read("neuronx-cc again")
    assert stages.label == "sharding"


def test_line_that_matches_two_stages_begins_the_later_one() -> None:
    stages = Stages(STAGES)

    assert stages.read("Generating HLO for neuronx-cc")
    assert stages.label == "compiling"


def test_recipe_without_stages_has_none() -> None:
    stages = Stages(())

    assert not stages.read("anything")
    assert (stages.label, stages.total) == ("", 0)
