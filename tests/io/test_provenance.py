"""The code version of a provenance record: what the environment says comes before the checkout that holds the copy."""

from __future__ import annotations

import pytest

from suti.io.provenance import code_version


def test_the_environment_names_the_version_of_copied_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTI_CODE_VERSION", "0123abcd4567")
    assert code_version() == "0123abcd4567"  # not the commit, nor the '+', of the checkout that these tests run in
    monkeypatch.setenv("SUTI_CODE_VERSION", "")
    assert code_version() not in ("", "0123abcd4567")
