"""The engines' own metrics on one page: a label says which replica a sample is of. Pure.

Each engine's text goes through line by line, so that a line that Prometheus would not take costs
that line and not the whole page, which is what it costs where the page is parsed at once. A sample
is kept as it was written, but for the label ``replica``; one that the engine has itself is renamed
``exported_replica``, as Prometheus does. All samples of a family must stand together under one
header (format 0.0.4), so they are gathered by family over all replicas.
"""

from __future__ import annotations

import re

from replicore.gateway.observe.exposition import pair

# Names of ours; an engine that has one of them does not mean us.
_OURS = "replicore_"

_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_SUFFIXES = ("_bucket", "_sum", "_count")

# Every quantifier is possessive: a hostile line is refused in one pass over it.
_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL_NAME = r"[a-zA-Z_][a-zA-Z0-9_]*+"
_LABEL_VALUE = r'[ \t]*+=[ \t]*+"(?:[^"\\]|\\["\\n])*+"[ \t]*+'
_LABELS = rf"(?:[ \t]*+{_LABEL_NAME}{_LABEL_VALUE}(?:,|(?=\}})))*+[ \t]*+"
_NUMBER = r"[+-]?+(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+"
_VALUE = rf"(?:{_NUMBER}|[+-]?+(?i:inf)|(?i:nan))"
_TIMESTAMP = r"[ \t]++-?+[0-9]++"
_SAMPLE = re.compile(
    rf"({_NAME})[ \t]*+"
    rf"(?:\{{({_LABELS})\}}[ \t]*+|(?<=[ \t]))"
    rf"({_VALUE}(?:{_TIMESTAMP})?+)[ \t]*+"
)
_LABEL_NAMES = re.compile(rf"({_LABEL_NAME}){_LABEL_VALUE}")
_LABEL_PAIRS = re.compile(rf"({_LABEL_NAME})({_LABEL_VALUE})")
_HEADER = re.compile(rf"#[ \t]++(HELP|TYPE)[ \t]++({_NAME})(?:[ \t]++(.*+))?+")


class _Family:
    """Samples of one name over all replicas."""

    __slots__ = ("help", "kind", "lines")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.help = ""
        self.lines: list[str] = []


class EngineMetrics:
    """Gathers the pages of engines and writes one."""

    def __init__(self) -> None:
        self._families: dict[str, _Family] = {}

    def page_of(self, replica: str) -> Page:
        """Return what reads this replica's page into here, line by line."""
        return Page(self._families, replica)

    def text(self) -> str:
        """Return the page, families in the order in which they were first met."""
        lines: list[str] = []
        for name, family in self._families.items():
            if family.help:
                lines.append(f"# HELP {name} {family.help}")
            lines.append(f"# TYPE {name} {family.kind}")
            lines += family.lines
        return "".join(f"{line}\n" for line in lines)


class Page:
    """Reads one engine's page."""

    def __init__(self, families: dict[str, _Family], replica: str) -> None:
        self._families = families
        self._label = pair("replica", replica)
        self._kinds: dict[str, str] = {}
        self._helps: dict[str, str] = {}

    def read(self, line: str) -> bool:
        """Take one line, without its end; return False if it is left out.

        Left out are lines that are not in the format, names of the gateway's own metrics, and
        samples of a family that an earlier replica declared with another type.
        """
        if line.startswith("#"):
            return self._read_comment(line)
        return self._read_sample(line) or not line.strip()

    def _read_comment(self, line: str) -> bool:
        header = _HEADER.fullmatch(line)
        if header is None:
            return True
        word, name, rest = header.groups(default="")
        if name.startswith(_OURS):
            return False
        if word == "HELP":
            self._helps[name] = rest
            return True
        kind = rest.strip()
        if kind in _TYPES:
            self._kinds[name] = kind
        return kind in _TYPES

    def _read_sample(self, line: str) -> bool:
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            return False
        name, labels, value = sample.groups(default="")
        if name.startswith(_OURS):
            return False
        labels = self._with_replica(labels)
        if not labels:
            return False
        family = self._family_of(name)
        if family is None:
            return False
        family.lines.append(f"{name}{{{labels}}} {value}")
        return True

    def _with_replica(self, labels: str) -> str:
        """Return the labels with the replica's in front; empty if Prometheus would refuse them."""
        if not labels:
            return self._label
        names = _LABEL_NAMES.findall(labels)
        if len(set(names)) < len(names):
            return ""
        if "__" in labels and any(name.startswith("__") for name in names):
            return ""
        if "replica" not in names:
            return f"{self._label},{labels}"
        other = "exported_replica"
        while other in names:
            other = f"exported_{other}"
        pairs = [
            f"{other if name == 'replica' else name}{value}"
            for name, value in _LABEL_PAIRS.findall(labels)
        ]
        return ",".join([self._label, *pairs])

    def _family_of(self, name: str) -> _Family | None:
        """Return the family of a sample; None if it has another type than an earlier replica's."""
        base = self._base_of(name)
        kind = self._kinds.get(base, "untyped")
        family = self._families.get(base)
        if family is None:
            family = self._families[base] = _Family(kind)
        family.help = family.help or self._helps.get(base, "")
        return family if family.kind == kind else None

    def _base_of(self, name: str) -> str:
        if name in self._kinds:
            return name
        for suffix in _SUFFIXES:
            base = name.removesuffix(suffix)
            if base != name and self._kinds.get(base) in ("histogram", "summary"):
                return base
        return name
