"""Hooks that know which tokens are passing.

A hook of a model sees activations only. What steering needs beside them (which positions are padding or
special tokens, where a token stands in its text when a cache holds the earlier ones) is read from the
arguments of the forward pass itself, so it is right however the model is called: directly, on batches padded
on either side, or from a generation loop.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from saelab import models
from saelab.errors import HookError, SaelabError
from saelab.models import HookedModel
from saelab.models.load import repair
from saelab.sae import SAE


@dataclass(frozen=True, eq=False)
class Pass:
    """The tokens of one forward pass. What is not needed is not computed.

    Attributes
    ----------
    ids
        (B, T) long.
    past
        Columns held in the cache.
    mask
        (B, past + T) as it was given, or None.
    """

    ids: Tensor
    past: int
    mask: Tensor | None

    @functools.cached_property
    def _whole(self) -> Tensor:
        """(B, past + T) bool."""
        if self.mask is None:
            return torch.ones(
                len(self.ids), self.past + self.ids.shape[1], dtype=torch.bool, device=self.ids.device
            )
        return self.mask.to(self.ids.device) != 0

    @functools.cached_property
    def real(self) -> Tensor:
        """(B, T) bool, False at padding."""
        if self.mask is None:
            return torch.ones_like(self.ids, dtype=torch.bool)
        return self.mask[:, -self.ids.shape[1] :].to(self.ids.device) != 0

    @functools.cached_property
    def position(self) -> Tensor:
        """(B, T) long, place in the text: padding does not count, tokens in the cache do."""
        if self.ids.shape[1] == 1:  # a step of a generation loop
            return self.lengths[:, None] - 1
        return (self._whole.cumsum(1) - 1)[:, -self.ids.shape[1] :]

    @functools.cached_property
    def lengths(self) -> Tensor:
        """(B,) long, real tokens of each row so far."""
        return self._whole.sum(1)


PassHook = Callable[[Tensor, Pass], "Tensor | None"]


@dataclass(eq=False)
class Watch:
    """What has passed: ``fired`` counts each hook's runs, ``here`` those of the present pass."""

    fired: Counter[str] = field(default_factory=Counter)
    here: Counter[str] = field(default_factory=Counter)
    current: Pass | None = None
    started: int = 0
    off: bool = False  # while a pass of our own runs inside the user's


@contextlib.contextmanager
def watched(
    model: HookedModel, hooks: Mapping[str, PassHook], begin: Callable[[Pass, Watch], None] | None = None
) -> Iterator[Watch]:
    """Run ``fn(x (B, T, d), pass)`` at each hook in every forward pass this thread makes inside the block.

    Other threads' passes are left alone: in JupyterLab a widget may run the model while a cell has this open.

    Raises
    ------
    HookError
        If a pass ends in which a hook did not fire, or the block ends in which none ran. Never in place of
        another exception.
    """
    watch, owner = Watch(), threading.get_ident()
    inner = getattr(model, "original_model", model)
    repair(model)

    def ours() -> bool:
        return threading.get_ident() == owner and not watch.off

    def before(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if ours():
            watch.started += 1
            watch.here.clear()
            watch.current = read_pass(model, args, kwargs)
            if begin is not None:
                begin(watch.current, watch)

    def after(module: Any, args: Any, output: Any) -> None:
        if ours() and watch.current is not None:
            watch.current = None
            silent = [h for h in hooks if not watch.here[h]]
            if silent:
                raise HookError(
                    f"hook point {silent[0]!r} did not fire in this forward pass, so nothing was changed "
                    "there; was it removed by reset_hooks?"
                )

    def wrap(name: str, fn: PassHook) -> models.HookFn:
        def run(x: Tensor) -> Tensor | None:
            if not ours():
                return None
            if watch.current is None:
                raise HookError(f"{name!r} was reached outside a forward pass of the whole model")
            if x.ndim != 3:
                raise HookError(f"hook point {name!r} has no activations of shape (batch, position, width)")
            watch.fired[name] += 1
            watch.here[name] += 1
            return fn(x, watch.current)

        return run

    with contextlib.ExitStack() as stack:
        with models.lock(model):  # another thread may be in a forward pass
            stack.enter_context(models.hooked(model, {n: wrap(n, fn) for n, fn in hooks.items()}))
            stack.callback(inner.register_forward_pre_hook(before, with_kwargs=True).remove)
            stack.callback(inner.register_forward_hook(after).remove)
        yield watch
    if not watch.started:
        raise HookError("no forward pass of this model ran inside the block, so nothing was changed")
    silent = [h for h in hooks if not watch.fired[h]]
    if silent:
        raise HookError(f"hook point {silent[0]!r} never fired: no pass inside the block reached it")


@contextlib.contextmanager
def text_begins(model: HookedModel, saes: Sequence[SAE]) -> Iterator[None]:
    """Let text that the model itself tokenizes begin as the rows did that these SAEs were trained on."""
    wanted = {sae.config.bos for sae in saes}
    before = getattr(model.cfg, "default_prepend_bos", None)
    if before is None or len(wanted) != 1:
        yield
        return
    model.cfg.default_prepend_bos = wanted.pop()
    try:
        yield
    finally:
        model.cfg.default_prepend_bos = before


def read_pass(model: HookedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pass:
    """The :class:`Pass` of a forward call's arguments."""
    ids: Any = kwargs.get("input_ids", args[0] if args else None)
    if kwargs.get("past_kv_cache") is not None:
        raise SaelabError(
            "steering cannot follow TransformerLens 3's own cache; pass use_past_kv_cache=False"
        )
    if isinstance(ids, str | list):  # only a TransformerLens 3 model still has text here
        ids = model.to_tokens(ids)
    if not isinstance(ids, Tensor) or ids.is_floating_point():
        raise SaelabError("this forward pass starts from embeddings; steering needs token ids")
    ids = ids[None] if ids.ndim == 1 else ids  # (B, T)
    cache = kwargs.get("cache")
    cache = kwargs.get("past_key_values") if cache is None else cache
    past, mask = 0 if cache is None else int(cache.get_seq_length()), kwargs.get("attention_mask")
    if mask is not None and mask.ndim != 2:
        raise SaelabError(f"attention_mask must be (batch, position), got shape {tuple(mask.shape)}")
    places = kwargs.get("position_ids")
    behind = places is not None and mask is None and int(places.min()) > past
    if cache is not None and (behind or (mask is not None and mask.shape[1] > past + ids.shape[1])):
        raise HookError(
            f"the key-value cache holds {past} positions but this pass says that more tokens came before: "
            "the model does not fill its cache and its text is wrong"
        )
    return Pass(ids, past, mask)
