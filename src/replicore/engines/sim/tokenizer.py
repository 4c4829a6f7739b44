"""A reversible tokenizer that needs no vocabulary file: ids are computed from the text itself.

A token is either a *piece*, an optional space and one to four letters ``a-z``, or any one other
character. English comes out at about two tokens a word. Text is cut greedily from the left, and a
piece starts anew at each space, so cutting ``prompt + output`` gives the tokens of the prompt
followed by those of the output wherever the output's first token cannot lengthen the prompt's last.

A piece's letters read as a number in bijective base 26 (a = 1, z = 26, aa = 27)::

    id of a piece       2 * number + (1 with a leading space)
    id of a character   FIRST_CHARACTER + code point
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_CUT = re.compile(r" ?[a-z]{1,4}|.", re.DOTALL)
_PIECE = re.compile(r" ?[a-z]{1,4}")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_FIRST_OF_LENGTH = (1, 27, 703, 18_279, 475_255)

FIRST_CHARACTER = 2 * _FIRST_OF_LENGTH[-1]
VOCABULARY = FIRST_CHARACTER + 0x11_0000


def tokenize(text: str) -> list[int]:
    """Return the token ids of ``text``; :func:`detokenize` gives it back."""
    return [token_id(piece) for piece in _CUT.findall(text)]


def detokenize(ids: Iterable[int]) -> str:
    """Return the text of ``ids``, each in ``range(VOCABULARY)``."""
    return "".join(map(token_text, ids))


@lru_cache(maxsize=65_536)
def token_id(piece: str) -> int:
    """Return the id of one token's text."""
    if not _PIECE.fullmatch(piece):
        return FIRST_CHARACTER + ord(piece)
    number = 0
    for letter in piece.lstrip(" "):
        number = number * 26 + _LETTERS.index(letter) + 1
    return 2 * number + piece.startswith(" ")


@lru_cache(maxsize=65_536)
def token_text(token: int) -> str:
    """Return the text of one token, whatever stands around it."""
    if token >= FIRST_CHARACTER:
        return _character(token - FIRST_CHARACTER)
    number, space = divmod(token, 2)
    letters = ""
    while number:
        number, letter = divmod(number - 1, 26)
        letters = _LETTERS[letter] + letters
    return " " * space + letters


def _character(code: int) -> str:
    # Half of a surrogate pair is no text and cannot be sent as UTF-8.
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
