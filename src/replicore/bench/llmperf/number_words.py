"""Numbers in English words, as they are said: "four thousand, seven hundred and eleven". Pure."""

from __future__ import annotations

_BELOW_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_WHOLE_TENS = "zero ten twenty thirty forty fifty sixty seventy eighty ninety"
_ONES = _BELOW_TWENTY.split()
_TENS = _WHOLE_TENS.split()


def number_words(number: int) -> str:
    """Return ``number``, from 0 to 999,999, in words.

    >>> number_words(4711)
    'four thousand, seven hundred and eleven'
    >>> number_words(1005)
    'one thousand and five'
    """
    thousands, rest = divmod(number, 1000)
    if not thousands:
        return _below_thousand(rest)
    whole = f"{_below_thousand(thousands)} thousand"
    if not rest:
        return whole
    return f"{whole}{' and' if rest < 100 else ','} {_below_thousand(rest)}"


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    whole = f"{_ONES[hundreds]} hundred"
    return f"{whole} and {_below_hundred(rest)}" if rest else whole


def _below_hundred(number: int) -> str:
    if number < len(_ONES):
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_ONES[ones]}" if ones else _TENS[tens]
