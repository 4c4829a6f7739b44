"""Who serves what right now: in-flight work that cannot leak.

Every request that is sent to a replica holds a :class:`Ticket`. Opening it takes a slot and writes
its work down: prompt tokens that are not in the prefix cache, and output tokens expected. The work
is crossed out as it gets done. Closing, which may happen any number of times and from any end of
the request's life, gives back exactly what is left. The numbers are whole, so sums are exact, and
at idle every one is exactly 0.

The numbers are in cells that all workers of the gateway share (see ``cells.py``). A slot is taken
by announcing, then checking: whoever finds more announced than there are slots takes its own back
and looks again, so that of two workers one gets the last slot, and never both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import inf

from xxhash import xxh3_64_intdigest

from replicore.gateway.routing.cells import DECODE_TOKENS, OUTSTANDING, PREFILL_TOKENS, Cells
from replicore.gateway.routing.prefix import PrefixIndex
from replicore.gateway.routing.rates import FleetRates, Rates
from replicore.gateway.routing.standing import Standing
from replicore.gateway.table import ReplicaStats

# A stream of fewer tokens says little about the length of a decode step.
_LEAST_DECODE = 8

_FIELDS = (OUTSTANDING, PREFILL_TOKENS, DECODE_TOKENS)


class Account:
    """The work of one incarnation of a replica.

    Attributes:
        key: A number that stands for the replica's name, in all workers and after a restart.
        ready: Whether new requests may go there.
        rates: How fast it is.
        requests: Tickets opened since the gateway started, by this worker; so are ``errors``.
        errors: Tickets closed with an error.
    """

    __slots__ = (
        "_barrier",
        "_bound",
        "_cells",
        "_limit",
        "_mark",
        "_prefilling",
        "_prefixes",
        "_silent",
        "_slots",
        "errors",
        "incarnation",
        "key",
        "name",
        "rates",
        "ready",
        "requests",
    )

    def __init__(
        self,
        name: str,
        incarnation: int,
        slots: int | None,
        ready: bool,
        *,
        index: int = 0,
        cells: Cells | None = None,
        cache_tokens: int = 0,
        rates: Rates | None = None,
        requests: int = 0,
        errors: int = 0,
    ) -> None:
        """Open the books of an incarnation.

        Args:
            slots: Requests that may be outstanding over all workers; None for any number.
            index: Place in the table, which says which cells are its own.
            cells: None for a worker that is alone.
            cache_tokens: What the engine's prefix cache holds; 0 for an engine without.
        """
        cells = cells or Cells.local(replicas=index + 1, callers=0)
        self.name = name
        self.incarnation = incarnation
        self.key = xxh3_64_intdigest(name.encode())
        self.ready = ready
        self.rates = rates or FleetRates().join()
        self.requests = requests
        self.errors = errors
        self._cells = cells.replica(index)
        self._barrier = cells.barrier
        self._prefixes = PrefixIndex(cache_tokens) if cache_tokens else None
        self._slots = slots
        self._limit: int | None = None
        self._bound = inf if slots is None else slots
        # Since when there was always a prompt of this worker's to work through, and how many.
        self._mark = 0.0
        self._prefilling = 0
        self._silent: deque[tuple[float, Ticket]] = deque()

    @property
    def slots(self) -> int | None:
        """Requests that may be outstanding; None for any number."""
        return self._slots

    @slots.setter
    def slots(self, slots: int | None) -> None:
        self._slots = slots
        self._set_bound()

    @property
    def limit(self) -> int | None:
        """Less than ``slots`` for the time being; None for all of them."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        self._limit = limit
        self._set_bound()

    @property
    def outstanding(self) -> int:
        """Tickets open now, over all workers."""
        cells = self._cells
        if not cells.others:
            return int(cells.memory[cells.at])
        return int(cells.total(OUTSTANDING))

    @property
    def prefill_tokens(self) -> float:
        """Prompt tokens that are still to be worked through, without those in the prefix cache."""
        cells = self._cells
        if not cells.others:
            return cells.memory[cells.at + PREFILL_TOKENS]
        return cells.total(PREFILL_TOKENS)

    @property
    def decode_tokens(self) -> float:
        """Output tokens that are still expected."""
        cells = self._cells
        if not cells.others:
            return cells.memory[cells.at + DECODE_TOKENS]
        return cells.total(DECODE_TOKENS)

    @property
    def has_room(self) -> bool:
        """Whether a request could be sent there."""
        return self.ready and self.outstanding < self._bound

    def standing(self, now: float) -> Standing:
        """Return what a policy goes by."""
        if self._silent:
            self.settle(now)
        cells = self._cells
        memory, at = cells.memory, cells.at
        if cells.others:
            outstanding, prefill, decode = map(cells.total, _FIELDS)
        else:
            outstanding, prefill, decode = memory[at : at + 3]
        return Standing(self.name, self.key, int(outstanding), prefill, decode, self.rates)

    def matched(self, hashes: Sequence[int] | None) -> float:
        """Return how many tokens of a prompt are believed to be in the prefix cache."""
        if self._prefixes is None or not hashes:
            return 0.0
        return float(self._prefixes.match(hashes))

    def try_open(
        self,
        prompt_tokens: float,
        output_tokens: float,
        hashes: Sequence[int] | None,
        now: float,
        *,
        stream: bool = True,
    ) -> Ticket | None:
        """Count one request in; None if another worker has taken the last slot.

        Args:
            output_tokens: As expected.
            hashes: Of the prompt, see ``prefix.py``; it is in the prefix cache from now on.
            stream: The first token will be seen when it comes.
        """
        if self._silent:
            self.settle(now)
        if not self._take_slot():
            return None
        matched = 0
        if self._prefixes is not None and hashes:
            matched = self._prefixes.match(hashes)
            self._prefixes.add(hashes)
        prefill = float(max(1, int(prompt_tokens) - matched))
        decode = float(int(output_tokens))
        cells = self._cells
        memory, at = cells.memory, cells.at
        memory[at + PREFILL_TOKENS] += prefill
        memory[at + DECODE_TOKENS] += decode
        self.requests += 1
        ticket = Ticket(self, now, prefill, decode)
        if stream:
            if not self._prefilling:
                self._mark = now
            self._prefilling += 1
        else:
            self._keep_silent(ticket)
        return ticket

    def settle(self, now: float) -> None:
        """Cross out prefill that must be over by now, of answers that come as a whole.

        Nothing tells when the first token of such an answer was there.
        """
        silent = self._silent
        while silent and silent[0][0] <= now:
            silent.popleft()[1].end_prefill()

    def stats(self) -> ReplicaStats:
        """Return the counters of this worker alone, so that those of all add up."""
        cells, rates = self._cells, self.rates
        many = self._slots or max(1, self.outstanding)
        return ReplicaStats(
            outstanding=int(cells.get(OUTSTANDING)),
            requests=self.requests,
            errors=self.errors,
            prefill_tokens=cells.get(PREFILL_TOKENS),
            decode_tokens=cells.get(DECODE_TOKENS),
            prefill_tokens_per_s=rates.prefill_rate,
            decode_tokens_per_s=many / (rates.step_base_s + rates.step_slope_s * many),
        )

    def _set_bound(self) -> None:
        self._bound = min(
            (one for one in (self._slots, self._limit) if one is not None), default=inf
        )

    def _take_slot(self) -> bool:
        cells = self._cells
        memory, at = cells.memory, cells.at
        if not cells.others:
            if memory[at] >= self._bound:
                return False
            memory[at] += 1.0
            return True
        # Two that back off at once both look again, and the later one sees the slot free.
        while cells.total(OUTSTANDING) < self._bound:
            memory[at] += 1.0
            self._barrier()
            if cells.total(OUTSTANDING) <= self._bound:
                return True
            memory[at] -= 1.0
            self._barrier()
        return False

    def _keep_silent(self, ticket: Ticket) -> None:
        ticket.silent_s = self.prefill_tokens / self.rates.prefill_rate
        self._silent.append((ticket.opened_at + ticket.silent_s, ticket))


class Ticket:
    """One request at one replica.

    Attributes:
        first_at: When the first output came; None before, and where that is not seen.
        silent_s: Expected prefill, in seconds, of an answer that comes as a whole; else None.
    """

    __slots__ = (
        "_concurrency",
        "_decode",
        "_open",
        "_prefill",
        "account",
        "first_at",
        "opened_at",
        "silent_s",
    )

    def __init__(self, account: Account, now: float, prefill: float, decode: float) -> None:
        self.account = account
        self.opened_at = now
        self.first_at: float | None = None
        self.silent_s: float | None = None
        self._prefill = prefill
        self._decode = decode
        self._concurrency = 0
        self._open = True

    def first_token(self, now: float) -> None:
        """The first output is there: the prompt is worked through. Only the first call counts."""
        if self.first_at is not None or not self._open:
            return
        self.first_at = now
        account = self.account
        self._concurrency = account.outstanding
        if self.silent_s is None:
            account._prefilling -= 1
            account.rates.learn_prefill(
                self._prefill, now - account._mark, now, last=not account._prefilling
            )
            account._mark = now
        self.end_prefill()

    def produced(self, count: int = 1) -> None:
        """Cross out output tokens that came, as far as so many were expected."""
        left = self._decode
        if left:
            if count > left:
                count = int(left)
            self._decode = left - count
            cells = self.account._cells
            cells.memory[cells.at + DECODE_TOKENS] -= count

    def end_prefill(self) -> None:
        """Cross the prompt out."""
        if self._prefill:
            cells = self.account._cells
            cells.memory[cells.at + PREFILL_TOKENS] -= self._prefill
            self._prefill = 0.0

    def close(self, now: float, *, error: bool = False, output_tokens: int | None = None) -> None:
        """Count the request out; only the first call counts.

        Args:
            output_tokens: Of an answer that ended by itself; None, and nothing is learned, for any
                other.
        """
        if not self._open:
            return
        self._open = False
        account = self.account
        if output_tokens is not None and output_tokens >= _LEAST_DECODE and not error:
            self._learn_step(now, output_tokens)
        if self.first_at is None and self.silent_s is None:
            # The time that its prompt took is not to be laid to the next one.
            account._prefilling -= 1
            account._mark = now
        self.end_prefill()
        cells = account._cells
        memory, at = cells.memory, cells.at
        memory[at] -= 1.0
        if self._decode:
            memory[at + DECODE_TOKENS] -= self._decode
            self._decode = 0.0
        account.errors += error

    def _learn_step(self, now: float, output_tokens: int) -> None:
        account = self.account
        concurrency = account.outstanding
        if self.first_at is not None:
            step_s = (now - self.first_at) / (output_tokens - 1)
            account.rates.learn_step(step_s, (self._concurrency + concurrency) / 2, now)
        elif self.silent_s is not None:
            # Where prefill is not what was expected, it is at least not all there is.
            seconds = now - self.opened_at
            decode_s = max(seconds - self.silent_s, seconds / 2)
            account.rates.learn_step(decode_s / output_tokens, concurrency, now)
