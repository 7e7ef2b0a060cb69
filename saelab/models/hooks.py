"""Hook points: name them, check them, run a model to one.

Any object with TransformerLens's hook interface works (``hook_dict``, ``tokenizer``, ``cfg`` and a forward
that takes token ids and ``attention_mask``): a ``TransformerBridge`` of TransformerLens 4, or a user's own
``HookedTransformer`` of TransformerLens 3.
"""

from __future__ import annotations

import contextlib
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saelab.errors import HookError, SaelabError, memory, nearest, unknown

_FEWER = "Take fewer tokens at a time (batch_tokens, n, or a shorter text), or load the model with dtype='bfloat16'"

HookFn = Callable[[Tensor], "Tensor | None"]


@runtime_checkable
class HookedModel(Protocol):
    """A language model with TransformerLens's hook interface; what it has beyond this is reached by name."""

    cfg: Any
    tokenizer: Any

    @property
    def hook_dict(self) -> Mapping[str, Any]:
        """Hook point by name, aliases too."""
        ...

    def __call__(self, *args: Any, **options: Any) -> Any: ...

    def __getattr__(self, name: str) -> Any: ...


# TransformerLens keeps these hook points but runs them only when the named flag of its config is on
_FLAGGED = {
    "attn.hook_result": "use_attn_result",
    "hook_q_input": "use_split_qkv_input",
    "hook_k_input": "use_split_qkv_input",
    "hook_v_input": "use_split_qkv_input",
    "hook_mlp_in": "use_hook_mlp_in",
    "hook_attn_in": "use_attn_in",
}


def model_name(model: HookedModel) -> str:
    """The name the model was loaded under.

    >>> sl.models.model_name(sl.load_model("zoo"))
    'zoo'
    """
    return str(getattr(model.cfg, "model_name", type(model).__name__))


_locks: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


def lock(model: HookedModel) -> threading.RLock:
    """The model's one lock: JupyterLab runs widget callbacks in another thread while a cell runs.

    >>> with sl.models.lock(model):
    ...     logits = sl.models.forward(model, torch.tensor([[0, 5]]))
    """
    with _locks_guard:
        return _locks.setdefault(model, threading.RLock())


def hook_names(model: HookedModel) -> list[str]:
    """All names a hook can be given, canonical ones and aliases.

    >>> "blocks.0.mlp.hook_post" in sl.models.hook_names(model)
    True
    """
    return list(model.hook_dict)


def hook_layer(name: str) -> int | None:
    """Layer of a hook name or None: ``blocks.10.hook_z`` is 10, ``model.layers.1`` 1, ``hook_embed`` None.

    >>> sl.models.hook_layer("blocks.10.hook_z")
    10
    """
    found = re.search(r"(?:^|\.)(?:blocks|layers|h)\.(\d+)(?:\.|$)", name)
    return int(found[1]) if found else None


def check_hook(model: HookedModel, name: str) -> str:
    """``name`` if the model has that hook point and it can fire.

    Raises
    ------
    HookError
        With the nearest names, or with the flag that switches the hook point on.

    >>> sl.models.check_hook(model, "blocks.0.hook_resid_post")
    'blocks.0.hook_resid_post'
    """
    points = model.hook_dict
    if name not in points:
        layer = hook_layer(name)
        same = [n for n in points if hook_layer(n) == layer]
        n_layers = getattr(model.cfg, "n_layers", None)
        if layer is not None and n_layers is not None and layer >= n_layers:
            close = nearest(re.sub(r"\d+", str(n_layers - 1), name, count=1), points)
            raise HookError(f"hook point {name!r}: this model has layers 0…{n_layers - 1}. Nearest: {close}")
        raise unknown("hook point", name, sorted(same or points), HookError)
    canonical = points[name].name or name
    for ending, flag in _FLAGGED.items():
        if any(n.endswith(ending) for n in (name, canonical)) and not getattr(model.cfg, flag, True):
            raise HookError(
                f"hook point {name!r} does not fire while {flag} is off; call model.set_{flag}(True) first"
            )
    return name


@contextlib.contextmanager
def hooked(model: HookedModel, hooks: dict[str, HookFn]) -> Iterator[Counter[str]]:
    """Run each ``fn(x)`` at its hook point inside the block; yields how often each fired.

    ``x`` is (batch, position, width); points that split heads, (batch, position, heads, d_head), are
    flattened for ``fn`` and restored. ``fn`` returns a tensor to put in its place, or None. Only the hooks
    added here are removed at the end, also after an exception, so a user's own hooks stay.

    >>> with sl.models.hooked(model, {"blocks.0.hook_resid_post": lambda x: 2 * x}) as fired:
    ...     logits = sl.models.forward(model, torch.tensor([[0, 5]]))
    >>> fired["blocks.0.hook_resid_post"]
    1
    """
    for name in hooks:
        check_hook(model, name)
    fired: Counter[str] = Counter()
    added: list[tuple[Any, Any]] = []

    def wrap(name: str, fn: HookFn):
        def run(x: Tensor, hook: Any) -> Tensor | None:
            fired[name] += 1
            new = fn(x.flatten(2) if x.ndim == 4 else x)  # of (B, T, d)
            # an SAE may be on another device
            return None if new is None else new.reshape(-1, *x.shape[1:]).to(x)

        return run

    try:
        for name, fn in hooks.items():
            point = model.hook_dict[name]
            before = list(point.fwd_hooks)
            point.add_hook(wrap(name, fn))
            added.append((point, next(h for h in point.fwd_hooks if h not in before)))
        yield fired
    finally:
        for point, handle in reversed(added):
            handle.hook.remove()
            point.fwd_hooks = [h for h in point.fwd_hooks if h is not handle]


class _Reached(Exception):
    """Raised inside the last hook so that nothing behind it is computed."""


_nesting = threading.local()  # how many run_to_hooks of this thread are open


def run_to_hooks(
    model: HookedModel,
    ids: Int[Tensor, "batch position"],
    hooks: Sequence[str],
    mask: Bool[Tensor, "batch position"] | None = None,
    *,
    finite: bool = True,
) -> dict[str, Float[Tensor, "batch position _"]]:
    """Activations at ``hooks``, computing nothing behind the last of them (no logits).

    Parameters
    ----------
    ids
        (batch, position) token ids.
    mask
        (batch, position) bool, True where a token is real; None when all are. What is returned where it is
        False has no meaning.
    finite
        Refuse activations that are NaN or infinite where ``mask``; False gives them as they are.

    Returns
    -------
    dict
        hook name -> (batch, position, width), in the model's dtype.

    Raises
    ------
    HookError
        If a name is unknown, a hook did not fire, or a hook point has no (batch, position, width) tensor.
    SaelabError
        If an activation is not finite; with hook point, token and text.

    >>> found = sl.models.run_to_hooks(model, torch.tensor([[0, 5, 7]]), ["blocks.0.hook_resid_post"])
    >>> found["blocks.0.hook_resid_post"].shape
    torch.Size([1, 3, 16])
    """
    for hook in hooks:
        check_hook(model, hook)
    found: dict[str, Tensor] = {}
    depth = getattr(_nesting, "depth", 0) + 1

    def keep(name: str) -> HookFn:
        def fn(x: Tensor) -> None:
            # a crosscoder's own clean pass inside the one that is asked for, or a pass of another thread
            if getattr(_nesting, "depth", 0) != depth:
                return
            found[name] = x.detach()
            if len(found) == len(set(hooks)):
                raise _Reached

        return fn

    added = hooked(model, {h: keep(h) for h in hooks})
    _nesting.depth = depth
    try:
        with lock(model), torch.no_grad(), added, contextlib.suppress(_Reached):
            _call(model, ids, mask)
    finally:
        _nesting.depth = depth - 1
    missing = [h for h in hooks if h not in found]
    if missing:
        raise HookError(f"hook point {missing[0]!r} exists but did not fire in a forward pass of this model")
    for name, x in found.items():
        if x.ndim != 3 or x.shape[:2] != ids.shape:  # attention patterns, token ids
            raise HookError(f"hook point {name!r} has no activations of shape (batch, position, width)")
        if finite:
            check_finite(model, f"hook point {name!r}", x, ids, mask)
    return found


def check_finite(
    model: HookedModel,
    place: str,
    x: Float[Tensor, "batch position _"],
    ids: Int[Tensor, "batch position"],
    mask: Bool[Tensor, "batch position"] | None = None,
) -> None:
    """Refuse numbers of the model that are NaN or infinite at a real token.

    Raises
    ------
    SaelabError
        Names ``place``, the first such token, its position and the text's beginning.

    >>> sl.models.check_finite(model, "the logits", torch.zeros(1, 2, 3), torch.tensor([[0, 5]]))
    """
    if x.sum(dtype=torch.promote_types(x.dtype, torch.float32)).isfinite():  # one number to wait for
        return
    bad = ~x.isfinite().all(-1)  # (B, T)
    bad = bad if mask is None else bad & mask.to(bad.device)
    if not bad.any():
        return
    row, position = bad.nonzero()[0].tolist()
    value = float(x[row, position][~x[row, position].isfinite()][0])
    text, numbers = getattr(model.tokenizer, "decode", str), ids[row].tolist()
    token, dtype = text(numbers[position : position + 1]), next(model.parameters()).dtype
    cure = (
        "load the model with dtype='bfloat16' or 'float32'" if dtype == torch.float16 else "check its weights"
    )
    raise SaelabError(
        f"{place} of model {model_name(model)!r} is {value} at position {position} ({token!r}) "
        f"of the text that begins {text(numbers[:16])[:60]!r}; the model runs in {str(dtype)[6:]}: {cure}"
    )


def forward(
    model: HookedModel, ids: Int[Tensor, "batch position"], mask: Bool[Tensor, "batch position"] | None = None
) -> Float[Tensor, "batch position vocab"]:
    """Logits with whatever hooks are installed. Grad mode is the caller's.

    >>> sl.models.forward(model, torch.tensor([[0, 5, 7]])).shape[:2]
    torch.Size([1, 3])
    """
    with lock(model):
        return _call(model, ids, mask)


def device(model: HookedModel) -> torch.device:
    """Where the model takes its input: the device of its first parameter.

    >>> sl.models.device(model).type
    'cpu'
    """
    return next(model.parameters()).device


def check_ids(model: HookedModel, ids: Any) -> None:
    """Refuse token ids (an array or tensor of any shape) that the model has no embedding for.

    >>> sl.models.check_ids(model, np.array([0, 99_999]))
    Traceback (most recent call last):
    saelab.errors.SaelabError: token id 99999 is outside the model's vocabulary of 384: ids are 0…383
    """
    size = int(model.cfg.d_vocab)
    for worst in (int(ids.min()), int(ids.max())) if ids.shape and len(ids) else ():
        if not 0 <= worst < size:
            raise SaelabError(
                f"token id {worst} is outside the model's vocabulary of {size}: ids are 0…{size - 1}"
            )


def _call(model: HookedModel, ids: Tensor, mask: Tensor | None) -> Tensor:
    if ids.device.type == "cpu":  # elsewhere it would wait for the device
        check_ids(model, ids)
    here = device(model)
    options: dict[str, Any] = {} if mask is None else {"attention_mask": mask.to(here).long()}
    if hasattr(model, "original_model"):  # a bridge passes this on to Hugging Face: no cache is needed here
        options["use_cache"] = False
    size = ids.numel() * 4 * int(getattr(model.cfg, "d_mlp", 0) or getattr(model.cfg, "d_model", 0))
    with memory(f"{len(ids)} × {ids.shape[1]} tokens go through the model at once", size, _FEWER):
        return model(ids.to(here), **options)


def check_predicts(model: HookedModel, what: str) -> None:
    """Refuse ``what`` for a model that sees the following tokens, such as BERT.

    >>> sl.models.check_predicts(model, "generation")
    """
    if not predicts_next(model):
        raise SaelabError(
            f"{what} is undefined: model {model_name(model)!r} is an encoder, which sees the tokens on both sides "
            "and predicts no next one"
        )


def predicts_next(model: HookedModel) -> bool:
    """Whether a position sees only what comes before it, so that it predicts the next token.

    >>> sl.models.predicts_next(model)
    True
    """
    return getattr(model.cfg, "attention_dir", "causal") != "bidirectional"


def hook_width(model: HookedModel, hook: str) -> int:
    """Width (d) of the activations at a hook point, found by running one token.

    >>> sl.models.hook_width(model, "blocks.0.mlp.hook_post")
    64
    """
    return run_to_hooks(model, torch.tensor([[0]]), [hook], finite=False)[hook].shape[-1]
