from __future__ import annotations

import re

from replicore import errors
from replicore.errors import ReplicoreError


def test_the_tree_drawn_in_the_docstring_is_the_tree_of_the_classes() -> None:
    rows = re.findall(r"^( +)([A-Z]\w+)\b", errors.__doc__ or "", re.MULTILINE)
    drawn = {name: len(indent) // 2 - 2 for indent, name in rows}

    classes = [value for value in vars(errors).values() if isinstance(value, type)]
    actual = {cls.__name__: cls.__mro__.index(ReplicoreError) for cls in classes}
    assert actual == drawn
