"""How many tokens an answer will have: learned from the answers before it."""

from __future__ import annotations

# Before any answer; about the mean output of chat traces.
_PRIOR_TOKENS = 256

_ANSWERS = 32
# Sorting is most of the cost, so it is done for every answer only while there are few.
_SORT_EVERY = 8


class OutputLengths:
    """Expected output tokens by the request's own limit (``max_tokens``).

    Requests that ask for about the same limit come from the same kind of client, and end at about
    the same share of it: a benchmark at all of it, a chat with a generous limit far below. So the
    p50 of that share is kept per power of two of the limit.
    """

    __slots__ = ("_shares", "_unlimited")

    def __init__(self) -> None:
        self._shares: dict[int, _RecentMedian] = {}
        self._unlimited = _RecentMedian(_PRIOR_TOKENS)

    def expected(self, limit: int | None) -> int:
        """Return the tokens to expect, at least 1."""
        if limit is None:
            return int(self._unlimited.value)
        share = self._shares.get(limit.bit_length())
        if share is None:
            return max(1, min(limit, _PRIOR_TOKENS))
        return max(1, int(limit * share.value))

    def learn(self, limit: int | None, tokens: int) -> None:
        """Take in an answer that ended by itself."""
        if limit is None:
            self._unlimited.add(max(1, tokens))
        elif limit > 0:
            share = self._shares.get(limit.bit_length())
            if share is None:
                share = self._shares[limit.bit_length()] = _RecentMedian(1.0)
            share.add(min(1.0, tokens / limit))


class _RecentMedian:
    """The p50 of the last samples, all but at most the last 7."""

    __slots__ = ("_count", "_samples", "value")

    def __init__(self, prior: float) -> None:
        self._samples: list[float] = []
        self._count = 0
        self.value = prior

    def add(self, sample: float) -> None:
        count = self._count
        self._count = count + 1
        if count < _ANSWERS:
            self._samples.append(sample)
        else:
            self._samples[count % _ANSWERS] = sample
        if count < _SORT_EVERY or count % _SORT_EVERY == 0:
            self.value = sorted(self._samples)[len(self._samples) // 2]
