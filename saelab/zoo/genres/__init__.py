"""The rules of every genre, one module per family."""

from __future__ import annotations

from saelab.zoo.genres import code, law_and_food, scripts, shared, stories, symbols, web

RULES = {
    **shared.RULES,
    **stories.RULES,
    **law_and_food.RULES,
    **code.RULES,
    **web.RULES,
    **symbols.RULES,
    **scripts.RULES,
}
