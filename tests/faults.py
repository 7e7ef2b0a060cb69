"""A process that dies at its n-th call to the operating system, without a process."""

from __future__ import annotations

import os
from typing import Any

import pytest


class Killed(BaseException):
    """No code of ours can catch it; whatever runs while it goes up finds that no call works any more."""


def dies_at(patch: pytest.MonkeyPatch, n: int, names: tuple[str, ...]) -> list[str]:
    """From its ``n``-th call on every function of ``os`` in ``names`` raises :class:`Killed`; the list says which did.

    ``close`` and what only reads still work.
    """
    calls, died = 0, []

    def watched(name: str) -> Any:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= n:
                died.append(name)
                raise Killed(name)
            return real(*args, **kwargs)

        return call

    for name in names:
        patch.setattr(os, name, watched(name))
    return died
