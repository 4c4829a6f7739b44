from __future__ import annotations

import pytest

from replicore.models.hub_progress import ByteMeter, DownloadStopped


class Received:
    def __init__(self) -> None:
        self.bytes: list[int] = []

    def start(self, description: str, total_bytes: int | None) -> None:
        pass

    def advance(self, n: int) -> None:
        self.bytes.append(n)

    def done(self) -> None:
        pass


def test_meter_counts_the_bar_that_is_ahead() -> None:
    received = Received()
    meter = ByteMeter(received)
    network, disk = meter.bar(unit="B"), meter.bar(unit="B")
    network.update(10)
    disk.update(4)
    disk.update(9)

    assert received.bytes == [10, 3]


def test_meter_does_not_go_back_when_a_server_starts_a_file_again() -> None:
    received = Received()
    bar = ByteMeter(received).bar(unit="B")
    bar.update(10)
    bar.update(-10)
    bar.update(12)

    assert received.bytes == [10, 2]


def test_meter_does_not_count_files() -> None:
    received = Received()
    ByteMeter(received).bar(desc="Fetching 3 files", total=3).update(1)

    assert received.bytes == []


def test_stopped_meter_fails_the_next_report() -> None:
    meter = ByteMeter(Received())
    bar = meter.bar(unit="B")
    meter.stop()

    with pytest.raises(DownloadStopped):
        bar.update(1)
