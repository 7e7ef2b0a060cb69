"""Activations from the plain Hugging Face layers of a ``TransformerBridge``, where that gives the same numbers.

A bridge computes attention step by step and every norm twice, so that each step can be watched. Reading the
residual stream, or what goes in and out of a layer's parts, needs none of that. :func:`run` makes a second
tree of modules around the very same parameters and buffers, without the bridge's parts and with the fused
attention of torch, and runs it as far as the last place that is read. The bridge and its Hugging Face model are
not changed, so other threads may use them meanwhile.

The tree is made anew for each pass from the bridge as it stands. It is used only when nothing could tell the
two apart (:func:`reason` says what does): no hooks on the layers that run, only parts whose forward pass is
known to be that of the module they wrap, the same weights by identity, and a first comparison of both ways on
a few tokens. A mask with holes is left to the bridge as well. Numbers agree up to rounding at every position
that is not padding; what stands at padding is undefined in both ways.
"""

from __future__ import annotations

import copy
import functools
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saelab.errors import HookError

Side = Literal["in", "out"]

# largest difference of a token's activations, relative to their norm, that is still rounding
_ROUNDING = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 1e-1}

_HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
_UNWATCHED: dict[str, Any] = {name: OrderedDict() for name in _HOOKS}  # of all modules nothing is read at
_ASKED = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

# hooks that change nothing here: places for the bridge's split inputs, the name of the cache, and
# transformers' own recorder of outputs
_HARMLESS = (
    "transformer_lens.model_bridge.generalized_components.block",
    "transformers.utils.output_capturing",
    "saelab.kv_cache",
)

# hook points that exist only while these are on; with them a bridge computes attention in another order
_FLAGS = ("use_attn_result", "use_split_qkv_input", "use_attn_in", "use_hook_mlp_in")


class _Refused(Exception):
    """Why the plain layers cannot be used."""


class _Reached(Exception):
    """Raised at the last place that is read, so that nothing behind it is computed."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A tree of plain modules, and where in it each hook point is read."""

    root: nn.Module
    places: dict[str, tuple[nn.Module, Side]]


class _Joined(nn.Module):
    """The projection that a Hugging Face attention layer has in one piece, from the three of the bridge.

    The bridge splits the weights when it is made and uses its own from then on, so these are the ones that
    count. ``heads`` is None where query, key and value lie one behind the other, and the number of heads
    where they alternate from head to head (GPT-NeoX).
    """

    def __init__(self, parts: list[nn.Module], heads: int | None):
        super().__init__()
        self.parts, self.heads = nn.ModuleList(parts), heads

    def forward(self, x: Tensor) -> Tensor:
        pieces = [part(x) for part in self.parts]  # each (B, T, d)
        if self.heads is None:
            return torch.cat(pieces, -1)  # (B, T, 3 d)
        return torch.cat([p.unflatten(-1, (self.heads, -1)) for p in pieces], -1).flatten(2)  # (B, T, 3 d)


def reason(model: Any, hooks: Sequence[str]) -> str | None:
    """Why ``hooks`` are read through the bridge; None if the plain layers can be used."""
    from saelab import models

    with models.lock(model), torch.no_grad():
        found = plan(model, hooks)
        return found if isinstance(found, str) else None


def plan(model: Any, hooks: Sequence[str]) -> Plan | str:
    """The modules to run for ``hooks``, or the reason why the bridge must be run."""
    try:
        found = _Planner(model, hooks).plan()
        _compare(model, hooks, found)
    except _Refused as refused:
        return str(refused)
    except (AttributeError, KeyError, TypeError) as error:  # a part or model put together in another way
        return f"the model's parts are not those that are known ({type(error).__name__}: {error})"
    return found


def run(model: Any, found: Plan, ids: Tensor, mask: Tensor | None) -> dict[str, Tensor] | str:
    """Activations at the plan's hook points, each (batch, position, width); a reason if the mask has holes."""
    device = next(model.parameters()).device
    try:
        order = None if mask is None else _order(model, mask.to(device) != 0)  # (B, T)
    except _Refused as refused:
        return str(refused)
    ids = ids.to(device) if order is None else ids.to(device).gather(1, order)  # (B, T)
    got = _read(found, ids)
    if order is not None:
        back = order.argsort(1)[..., None]  # (B, T, 1)
        got = {name: x.gather(1, back.expand_as(x)) for name, x in got.items()}
    return got


def _read(found: Plan, ids: Tensor) -> dict[str, Tensor]:
    """One pass without a mask, as far as the last place."""
    got: dict[str, Tensor] = {}
    handles: list[Any] = []

    def keep(name: str, x: Any) -> None:
        got[name] = (x[0] if isinstance(x, tuple) else x).detach()
        if len(got) == len(found.places):
            raise _Reached

    def install(name: str, module: nn.Module, side: Side) -> Any:
        if side == "out":
            return module.register_forward_hook(lambda m, args, out: keep(name, out))
        return module.register_forward_pre_hook(
            lambda m, args, options: keep(name, args[0] if args else options["hidden_states"]),
            with_kwargs=True,
        )

    try:
        handles += [install(name, *place) for name, place in found.places.items()]
        found.root(input_ids=ids, use_cache=False)
    except _Reached:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return got


def _order(model: Any, real: Tensor) -> Tensor | None:
    """(B, T) the columns of each row with its real tokens first; None where padding comes last in all rows.

    A causal model's real tokens do not see padding behind them, so none of it needs a mask. Padding before
    them is moved behind: a bridge counts positions from the first real token, so nothing else changes.
    """
    begins = real & ~real.roll(1, 1)  # (B, T)
    begins[:, 0] = real[:, 0]
    if not begins[:, 1:].any():
        return None
    if (begins.sum(1) > 1).any():
        raise _Refused("the mask has holes between real tokens")
    from transformer_lens.utilities.position_ids import accepts_mask_derived_position_ids

    if not accepts_mask_derived_position_ids(model.original_model):
        raise _Refused("the model counts positions in a way of its own and the padding comes first")
    return real.long().argsort(dim=1, descending=True, stable=True)


class _Planner:
    """Walks a bridge's Hugging Face model, copies its modules without the bridge's, and notes places."""

    def __init__(self, model: Any, hooks: Sequence[str]):
        self.model, self.hooks = model, list(dict.fromkeys(hooks))
        self.places: dict[int, tuple[nn.Module, Side]] = {}  # by id of the hook point
        self.configs: dict[int, Any] = {}
        self.copies: dict[int, nn.Module] = {}
        self.last: int | None = None  # layers behind this one are left out; None: all are kept

    def plan(self) -> Plan:
        from saelab import models

        self._check_model()
        self.parts = _parts()
        points = {h: self.model.hook_dict[h] for h in self.hooks}
        layers = [models.hook_layer(p.name or h) for h, p in points.items()]
        if all(layer is not None for layer in layers):
            self.last = max(layer for layer in layers if layer is not None)
        root = self._plain(self.model.original_model)
        unknown = [h for h, p in points.items() if id(p) not in self.places]
        if unknown:
            raise _Refused(f"{unknown[0]!r} is inside what the plain layers compute in one step")
        places = {h: self.places[id(p)] for h, p in points.items()}
        for module, _ in places.values():
            module.__dict__.update({name: OrderedDict() for name in _HOOKS})
        return Plan(root, places)

    def _check_model(self) -> None:
        try:
            from transformer_lens.model_bridge import TransformerBridge
            from transformer_lens.model_bridge.sources.transformers_driver import TransformersDriver
        except ImportError:
            raise _Refused("TransformerLens is too old for a TransformerBridge") from None
        model = self.model
        if type(model) is not TransformerBridge or type(model._driver) is not TransformersDriver:
            raise _Refused("the model is no TransformerBridge around a Hugging Face model")
        if _watched(model):
            raise _Refused("the model has hooks of its own")
        if model.training:
            raise _Refused("the model is in training mode, where dropout is drawn anew in each pass")
        on = [flag for flag in _FLAGS if getattr(model.cfg, flag, False)]
        if on:
            raise _Refused(f"{on[0]} is on")
        inner = model.original_model
        if next(model.parameters()).dtype not in _ROUNDING:
            raise _Refused(f"weights are {next(model.parameters()).dtype}")
        if not getattr(inner, "_supports_sdpa", False):
            raise _Refused(f"{type(inner).__name__} has no fused attention")
        config = inner.config
        if getattr(config, "is_encoder_decoder", False) or getattr(config, "sub_configs", None):
            raise _Refused("only decoders of plain text are known")
        for name in ("attn_logit_softcapping", "reorder_and_upcast_attn", "quantization_config"):
            if getattr(config, name, None):
                raise _Refused(f"the model's config has {name}")
        from torch.nn.modules import module as everywhere

        if any(getattr(everywhere, f"_global{name}") for name in ("_forward_hooks", "_forward_pre_hooks")):
            raise _Refused("torch has hooks for all modules")

    def _plain(self, module: nn.Module) -> nn.Module:
        """The copy of a Hugging Face module, or of the one a bridge's part wraps, sharing its parameters."""
        if id(module) not in self.copies:
            sides = self.parts.get(type(module))
            self.copies[id(module)] = self._copy(module) if sides is None else self._unwrap(module, sides)
        return self.copies[id(module)]

    def _copy(self, module: nn.Module) -> nn.Module:
        if "hook_in" in module._modules:
            raise _Refused(f"{type(module).__name__} is not known to compute what it wraps")
        if _watched(module):
            raise _Refused(f"a {type(module).__name__} has hooks of its own")
        if any(p is not None and p.device.type == "meta" for p in module._parameters.values()):
            raise _Refused("parameters are kept elsewhere while they are not used")
        new = object.__new__(type(module))
        own = dict(module.__dict__)
        own.update(_UNWATCHED)
        if "config" in own:
            own["config"] = self._fused(own["config"])
        children = module._modules.items()
        if isinstance(module, nn.ModuleList) and self.last is not None and _is_block(module):
            children = list(children)[: self.last + 1]
        own["_modules"] = {n: None if m is None else self._plain(m) for n, m in children}
        new.__dict__.update(own)
        return new

    def _fused(self, config: Any) -> Any:
        """The config, asking for torch's fused attention."""
        if id(config) not in self.configs:
            new = copy.copy(config)
            new.__dict__["_attn_implementation_internal"] = "sdpa"
            new.__dict__["pad_token_id"] = None  # else it is warned that there may be padding and is no mask
            self.configs[id(config)] = new
        return self.configs[id(config)]

    def _unwrap(self, part: Any, sides: tuple[Side, ...]) -> nn.Module:
        points = [m for n, m in part._modules.items() if n.startswith("hook_")]
        if any(map(_watched, (part, *points))):
            raise _Refused(f"{part.name} has hooks")
        if getattr(part, "_output_contribution_scale", 1.0) != 1.0:
            raise _Refused("the embedding is scaled outside of its module")
        if part.original_component is None:
            raise _Refused(f"{part.name} wraps no module")
        modules = part._modules
        if "hook_attn_scores" in modules and not (part.is_causal and part.config.attention_dir == "causal"):
            raise _Refused("attention looks ahead")
        plain = self._plain(part.original_component)
        if "split_qkv_matrix" in part.__dict__:
            self._join(part, plain)
        else:
            for name in part.submodules:  # the bridge runs its own, the plain layer what it finds
                mine = modules[name]
                if part.original_component._modules.get(mine.name) is not mine:
                    raise _Refused(f"{part.name}.{mine.name} is not the module of that name")
        for side in sides:
            self.places[id(part.hook_in if side == "in" else part.hook_out)] = (plain, side)
        return plain

    def _join(self, part: Any, plain: nn.Module) -> None:
        """Give a copied attention layer the projections that the bridge split off and uses."""
        kind = getattr(part.split_qkv_matrix, "__qualname__", "")
        if kind not in _LAYOUTS:
            raise _Refused(f"it is not known how {type(plain).__name__} joins query, key and value")
        heads = part.config.n_heads if _LAYOUTS[kind] else None
        joint = part._modules["qkv"]
        plain._modules[joint.name] = _Joined([self._plain(part._modules[n]) for n in ("q", "k", "v")], heads)
        self.places.pop(id(joint.hook_in), None)  # the bridge never runs it
        self.places.pop(id(joint.hook_out), None)
        plain._modules[part._modules["o"].name] = self._plain(part._modules["o"])


# which of the bridge's ways to split a joint projection lets the three alternate from head to head
_LAYOUTS = {
    "JointQKVAttentionBridge._default_split_qkv_matrix": False,
    "NeoxArchitectureAdapter.split_qkv_matrix": True,
}


@functools.cache
def _parts() -> dict[type, tuple[Side, ...]]:
    """Parts of a bridge that compute what the module they wrap computes, and where they can be read."""
    from transformer_lens.model_bridge import generalized_components as g

    both: tuple[Side, ...] = ("in", "out")
    return {
        g.BlockBridge: both, g.ParallelBlockBridge: both, g.NormalizationBridge: both,
        g.RMSNormalizationBridge: both, g.LinearBridge: both, g.MLPBridge: both, g.GatedMLPBridge: both,
        g.PositionEmbeddingsAttentionBridge: both, g.JointQKVAttentionBridge: both,
        g.JointQKVPositionEmbeddingsAttentionBridge: both, g.EmbeddingBridge: ("out",),
        g.PosEmbedBridge: (), g.RotaryEmbeddingBridge: (), g.UnembeddingBridge: (),
    }  # fmt: skip


def _is_block(layers: nn.ModuleList) -> bool:
    return all(getattr(m, "hook_out_is_single_residual_stream", False) for m in layers)


def _watched(module: nn.Module) -> bool:
    """Whether somebody's hook, or another forward method, runs with this module."""
    own = module.__dict__
    if "forward" in own:
        return True
    # most have none at all, and this is asked a thousand times before each pass
    if not (
        own["_forward_hooks"]
        or own["_forward_pre_hooks"]
        or own["_backward_hooks"]
        or own["_backward_pre_hooks"]
    ):
        return False
    return any(getattr(h, "__module__", "") not in _HARMLESS for name in _ASKED for h in own[name].values())


# ------------------------------------------------------------------------------------------ comparison

_compared: weakref.WeakKeyDictionary[Any, dict[Any, str | None]] = weakref.WeakKeyDictionary()


def _compare(model: Any, hooks: Sequence[str], found: Plan) -> None:
    """Once for each model and set of hook points: both ways must agree on a few tokens."""
    first = next(model.parameters())
    key = (frozenset(hooks), id(model.original_model), first.dtype, first.device, _mode(model))
    known = _compared.setdefault(model, {})
    if key not in known:
        known[key] = _difference(model, hooks, found)
    answer = known[key]
    if answer is not None:
        raise _Refused(answer)


def _mode(model: Any) -> tuple[bool, bool]:
    return bool(model.compatibility_mode), bool(getattr(model, "_weights_processed", False))


def _difference(model: Any, hooks: Sequence[str], found: Plan) -> str | None:
    from saelab import models

    length = min(8, models.context_length(model))
    ids = (torch.arange(2 * length) * 7919 + 1).view(2, length) % models.vocab_size(model)  # (2, T)
    full = torch.ones(2, length, dtype=torch.bool)  # (2, T)
    padded = full.clone()  # (2, T)
    padded[0, : length // 2] = False
    for mask in (full, padded):
        try:
            ours = run(model, found, ids, mask)
        except Exception as error:  # whatever another kind of layer raises, the bridge can still be read
            return f"the plain layers fail ({type(error).__name__}: {error})"
        if isinstance(ours, str):  # a mask like this is left to the bridge
            continue
        try:
            theirs = models.run_to_hooks(model, ids, hooks, mask)
        except HookError as error:  # it never fires there, or has no position
            return str(error)
        for hook in hooks:
            a, b = ours[hook], theirs[hook]
            if a.shape != b.shape:
                return f"{hook!r} has another shape in the plain layers"
            real = mask.to(a.device)  # (2, T)
            a, b = a[real].float(), b[real].float()  # each (n, d)
            far = (a - b).norm(dim=-1) > _ROUNDING[theirs[hook].dtype] * b.norm(dim=-1)  # (n,)
            if (far | (a.isfinite().all(-1) != b.isfinite().all(-1))).any():
                return f"{hook!r} differs by more than rounding in the plain layers"
    return None
