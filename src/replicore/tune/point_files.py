"""Files of calibration points, as the command line names them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from replicore.bench.compare.files import read_runs
from replicore.bench.sweep.plan import SweptLayout, parse_layouts
from replicore.tune.points import CaseOf, Point, point_of

_GIVEN = re.compile(r"(?P<file>.+)=(?P<layout>\d+x\d+(?:x\d+)?)")
# As sweep and tune name the files of their runs.
_NAMED = re.compile(r"(?P<layout>\d+x\d+(?:x\d+)?)-c\d+-r\d+\.json")


def read_points(files: Iterable[str], case_of: CaseOf) -> list[Point]:
    """Return the points of result files, each ``FILE`` or ``FILE=RxT``.

    Raises:
        ConfigError: One cannot be read, or cannot be used.
    """
    return [point for text in files for point in _points(text, case_of)]


def _points(text: str, case_of: CaseOf) -> Iterator[Point]:
    given = _GIVEN.fullmatch(text)
    file = text if given is None else given["file"]
    layout = None if given is None else _layout(given["layout"])
    for run in read_runs([file]):
        named = _NAMED.fullmatch(run.name)
        known = layout or (None if named is None else _layout(named["layout"]))
        yield point_of(run, known, case_of)


def _layout(text: str) -> SweptLayout:
    (layout,) = parse_layouts(text)
    return layout
