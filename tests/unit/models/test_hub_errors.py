from __future__ import annotations

import errno

import huggingface_hub.errors
import pytest

from replicore.models.hub_errors import endpoint, explain


def test_full_disk_is_an_error_that_names_the_file_and_the_variable() -> None:
    error = explain(OSError(errno.ENOSPC, "No space left on device", "/hub/blob"), "org/m", None)

    assert error.message == "org/m cannot be stored: /hub/blob: No space left on device"
    assert "HF_HOME" in (error.hint or "")


def test_error_that_wraps_another_is_explained_by_that_one() -> None:
    wrapper = huggingface_hub.errors.LocalEntryNotFoundError("not in the cache either")
    wrapper.__cause__ = OSError("the real reason\nand details")

    assert explain(wrapper, "org/m", None).message.endswith(": the real reason")


def test_endpoint_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1/")

    assert endpoint() == "http://127.0.0.1:1"
