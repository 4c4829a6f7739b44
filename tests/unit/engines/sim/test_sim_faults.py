from __future__ import annotations

import pytest

from replicore.engines.sim.faults import KINDS, Fate, Faults, parse_faults
from replicore.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("slow-start=2.5", Faults(slow_start=2.5)),
        ("load-failure", Faults(load_failure=True)),
        ("out-of-memory", Faults(out_of_memory=True)),
        ("ignore-sigterm", Faults(ignore_sigterm=True)),
        ("crash-after-requests=0", Faults(crash_after_requests=0)),
        ("crash-after-tokens=7", Faults(crash_after_tokens=7)),
        ("wedge", Faults(wedge=0)),
        ("wedge=3", Faults(wedge=3)),
        ("reject", Faults(reject=0)),
        ("error-rate=0.25", Faults(error_rate=0.25)),
        ("stall-after-tokens=4", Faults(stall_after_tokens=4)),
        ("reset-after-tokens=4", Faults(reset_after_tokens=4)),
        ("malformed-sse-after=0", Faults(malformed_sse_after=0)),
        ("tokens-per-chunk=3", Faults(tokens_per_chunk=3)),
    ],
)
def test_fault_is_read(text: str, faults: Faults) -> None:
    assert parse_faults([text]) == faults


def test_faults_add_up_and_the_last_of_a_kind_holds() -> None:
    faults = parse_faults(["wedge=1", "tokens-per-chunk=2", "wedge=5"])

    assert faults == Faults(wedge=5, tokens_per_chunk=2)


def test_every_kind_is_a_fault() -> None:
    assert {name.replace("-", "_") for name in KINDS} == set(Faults.__slots__)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wegde", 'fault "wegde" is unknown (valid: '),
        ("wegde", '; did you mean "wedge"?'),
        ("slow-start", "fault slow-start: a value is missing; write slow-start=SECONDS"),
        ("slow-start=soon", 'fault slow-start: value "soon" is not seconds, from 0 to 86400'),
        ("slow-start=nan", 'value "nan" is not seconds'),
        ("ignore-sigterm=1", 'fault ignore-sigterm: value "1" is not taken'),
        ("wedge=", 'fault wedge: value "" is not a whole number from 0'),
        ("wedge=-1", 'value "-1" is not a whole number from 0'),
        ("wedge=²", 'value "²" is not a whole number from 0'),
        ("tokens-per-chunk=0", 'value "0" is not a whole number from 1'),
        ("error-rate=1.5", 'fault error-rate: value "1.5" is not a number from 0 to 1'),
    ],
)
def test_wrong_fault_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_faults([text])

    assert message in caught.value.message


@pytest.mark.parametrize(
    ("faults", "fates"),
    [
        (Faults(), [Fate.ANSWERED] * 4),
        (Faults(crash_after_requests=2), [Fate.ANSWERED] * 2 + [Fate.FATAL] * 2),
        (Faults(wedge=0), [Fate.IGNORED] * 4),
        (Faults(reject=3), [Fate.ANSWERED] * 3 + [Fate.REJECTED]),
        (Faults(error_rate=0.5), [Fate.ANSWERED, Fate.FAILED] * 2),
        (Faults(error_rate=1.0), [Fate.FAILED] * 4),
    ],
)
def test_fate_of_the_first_four_requests(faults: Faults, fates: list[Fate]) -> None:
    assert [faults.fate(number) for number in (1, 2, 3, 4)] == fates


def test_error_rate_fails_its_share() -> None:
    faults = Faults(error_rate=0.1)
    failed = [number for number in range(1, 1001) if faults.fate(number) is Fate.FAILED]

    assert len(failed) == 100
