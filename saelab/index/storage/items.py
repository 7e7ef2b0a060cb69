"""Activations without a model: the rows of a store are what tokens are elsewhere, with labels of their own."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from saelab.errors import SaelabError, called
from saelab.identity import meet
from saelab.models import TokenRows
from saelab.sae import SAE


@runtime_checkable
class Items(Protocol):
    """What is asked of an :class:`saelab.ActivationStore` here."""

    digest: str

    def __len__(self) -> int: ...
    def rows(self, start: int, stop: int, hook: str | None = None) -> Tensor: ...
    def documents(self) -> tuple[TokenRows, list[str]]: ...


def alone(model: Any, texts: Any) -> bool:
    """Whether a call is about activations alone: None in the model's place, a store in that of texts."""
    held = isinstance(texts, Items)
    if model is None and not held:
        raise SaelabError(
            f"model is None, so texts must be an ActivationStore, which brings its activations; got {called(texts)}"
        )
    if model is not None and held:
        raise SaelabError("an ActivationStore has its activations already: give None in place of the model")
    return held


def check_items(sae: SAE, store: Items) -> tuple[str, ...]:
    """The store has every hook point of the SAE, as wide as the SAE expects; returns what :func:`meet` does."""
    for hook, width in ((sae.config.hook_in, sae.config.d_in), (sae.config.hook_out, sae.W_dec.shape[1])):
        have = store.rows(0, 1, hook or None).shape[-1]
        if have != width:
            raise SaelabError(
                f"the SAE is {width} wide at {hook or 'its hook point'!r}, but this store is {have}"
            )
    return meet(sae, store)
