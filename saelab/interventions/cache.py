"""Generation with a key-value cache that really is one.

Transformers renamed the cache it hands from layer to layer (``past_key_values`` became ``cache``), and the
attention of a TransformerLens 4.3 bridge looks for the old name only: its cache stays empty, every new token
attends to itself alone, and the text is wrong without an error.
:func:`saelab.models.load.repair` gives the old name back, and :class:`Decoder` checks that the cache grows.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor

from saelab import models
from saelab.errors import SaelabError
from saelab.models.load import repair


def cached_columns(kwargs: dict[str, Any]) -> int | None:
    """How many positions the cache in a Hugging Face forward's arguments holds; None without a cache."""
    cache = kwargs.get("cache")
    cache = kwargs.get("past_key_values") if cache is None else cache
    return None if cache is None else int(cache.get_seq_length())


class Decoder:
    """Logits of the next token for rows that grow; feeds only what is new when ``cache`` is on.

    A model without Hugging Face's cache (TransformerLens 3) is run on the whole rows each time: slower, and
    the same numbers.
    """

    def __init__(self, model: Any, *, cache: bool = True):
        self.model = model
        self.cached = cache and hasattr(model, "original_model")
        self._kept: Any = None
        self._seen = 0
        if self.cached:
            repair(model)
            names = inspect.signature(model.original_model.forward).parameters
            self._name = "cache" if "cache" in names else "past_key_values"

    def __call__(self, ids: Tensor) -> Tensor:
        """ids (B, T), the last call's with new tokens behind them -> (B, V) logits after the last."""
        with models.lock(self.model):
            if not self.cached:
                return models.forward(self.model, ids)[:, -1]
            return self._step(ids)

    def _step(self, ids: Tensor) -> Tensor:
        device = next(self.model.parameters()).device
        options: dict[str, Any] = {"use_cache": True, "return_type": "logits_and_cache"}
        if self._kept is not None:
            options[self._name] = self._kept
            options["attention_mask"] = torch.ones_like(ids, device=device)
        logits, self._kept = self.model(ids[:, self._seen :].to(device), **options)
        self._seen = ids.shape[1]
        held = None if self._kept is None else int(self._kept.get_seq_length())
        if held != self._seen:
            raise SaelabError(
                f"the model's key-value cache holds {held} positions after {self._seen} tokens: its text "
                "would be wrong; use cache=False"
            )
        return logits[:, -1]
