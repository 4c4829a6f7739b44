"""One request on its way: what it has, and when it got it."""

from __future__ import annotations


class Job:
    """A request. Jobs are compared by identity.

    Attributes:
        arrival_s: When it came, seconds on the simulation's clock; ``end_s`` is its last token.
        index: Its number, in the order in which requests come.
        done: Output tokens that its client has, up to when it was last put into a batch.
        joined: Step of its replica after which it began to decode there.
        finish: Step of its replica with which it ends there, as long as it decodes.
        is_decoding: Whether it has a token of every step now.
        owed: Prompt tokens that the gateway has written down of it, for its replica.
        started_s: When a replica began with it first; None before.
        first_s: When its first token came; None before.
        sent_s: When it was sent to a replica for the first time.
        replica: Where it is, or ended.
        retries: How often its replica failed under it.
    """

    __slots__ = (
        "arrival_s",
        "done",
        "end_s",
        "finish",
        "first_s",
        "index",
        "input_tokens",
        "is_decoding",
        "joined",
        "output_tokens",
        "owed",
        "replica",
        "retries",
        "sent_s",
        "started_s",
    )

    def __init__(self, index: int, input_tokens: int, output_tokens: int) -> None:
        self.index = index
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
        self.arrival_s = 0.0
        self.done = 0
        self.joined = 0
        self.finish = 0
        self.is_decoding = False
        self.owed = 0
        self.replica = 0
        self.retries = 0
        self.sent_s: float | None = None
        self.started_s: float | None = None
        self.first_s: float | None = None
        self.end_s: float | None = None

    @property
    def tokens(self) -> int:
        """Prompt and output, as far as ``done`` says."""
        return self.input_tokens + self.done

    @property
    def left(self) -> int:
        """Output tokens to come, as far as ``done`` says."""
        return self.output_tokens - self.done
