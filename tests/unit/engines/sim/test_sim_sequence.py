from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicore.engines.sim.sequence import Delta, Sequence, StopStrings
from replicore.engines.sim.tokenizer import detokenize, tokenize

PROMPT = tokenize("hello")


def decode_all(sequence: Sequence) -> list[Delta]:
    deltas = [sequence.decode()]
    while deltas[-1].finish is None:
        deltas.append(sequence.decode())
    return deltas


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


def test_sequence_ends_at_max_tokens() -> None:
    deltas = decode_all(Sequence(PROMPT, max_tokens=3))

    assert [delta.finish for delta in deltas] == [None, None, "length"]
    assert text_of(deltas) == " lomi sapu lofa"


def test_sequence_ends_with_its_text() -> None:
    deltas = decode_all(Sequence(PROMPT, max_tokens=10_000))

    assert deltas[-1].finish == "stop"
    assert deltas[-1].text == "."


def test_sequence_with_ignore_eos_goes_on_to_max_tokens() -> None:
    deltas = decode_all(Sequence(PROMPT, max_tokens=1000, ignore_eos=True))

    assert len(deltas) == 1000
    assert deltas[-1].finish == "length"


def test_prompt_at_the_end_of_its_text_yields_no_token() -> None:
    output = [
        token for delta in decode_all(Sequence(PROMPT, max_tokens=10_000)) for token in delta.ids
    ]

    assert decode_all(Sequence(PROMPT + output, max_tokens=5)) == [Delta("", (), "stop")]


def test_stop_string_ends_the_sequence_before_itself() -> None:
    deltas = decode_all(Sequence(PROMPT, max_tokens=50, stop=["pu lo"]))

    assert text_of(deltas) == " lomi sa"
    assert deltas[-1].finish == "stop"
    assert detokenize([token for delta in deltas for token in delta.ids]) == " lomi sapu lofa"


def test_sequence_stalls_after_the_given_tokens() -> None:
    sequence = Sequence(PROMPT, max_tokens=5, stall_after=2)
    states = []
    for _ in range(3):
        sequence.decode()
        states.append(sequence.stalled)

    assert states == [False, True, True]


@pytest.mark.parametrize(("prompt", "blocks"), [(1, 1), (15, 1), (16, 2), (31, 2)])
def test_cache_blocks_cover_prompt_and_output(prompt: int, blocks: int) -> None:
    sequence = Sequence(range(prompt), max_tokens=5)
    sequence.decode()  # one token more

    assert sequence.cache_blocks == blocks


@given(
    st.text(alphabet="ab.", max_size=30),
    st.lists(st.text(alphabet="ab.", min_size=1, max_size=4), min_size=1, max_size=3),
    st.data(),
)
def test_stop_strings_cut_alike_however_the_text_is_split(
    text: str, stop: list[str], data: st.DataObject
) -> None:
    pieces = data.draw(st.lists(st.integers(1, 4), min_size=len(text), max_size=len(text)))
    cutter, shown, hit, at = StopStrings(stop), "", False, 0
    for size in pieces:
        piece, hit = cutter.feed(text[at : at + size], last=at + size >= len(text))
        shown, at = shown + piece, at + size
        if hit or at >= len(text):
            break

    ended = [
        (end, len(each))
        for end in range(len(text) + 1)
        for each in stop
        if text[:end].endswith(each)
    ]
    first_end, length = min(ended, key=lambda found: (found[0], -found[1]), default=(len(text), 0))
    assert hit == bool(ended)
    assert shown == text[: first_end - length]
