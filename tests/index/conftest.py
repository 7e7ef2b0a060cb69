import os

import pytest


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch):
    """Thousands of small indexes: these tests are not about a crash of the whole machine."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
