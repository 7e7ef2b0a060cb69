"""The exercises at the end of the notebooks 00 to 07."""

from __future__ import annotations

from saelab.course.exercises import Exercise

EXERCISES: tuple[Exercise, ...] = ()
