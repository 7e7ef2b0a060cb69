"""Tensors of a foreign file on their way into an SAE: each is asked for by name and shape, and all must be
used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from saelab.errors import DTYPES, SaelabError, check_choice
from saelab.formats.keys import Obstacles
from saelab.sae import SAE, SAEConfig

# the parameters of an SAE and their axes. In a reader's table of names, "encoder.weight.T" is a tensor
# encoder.weight that is stored transposed
PARAMETERS = {
    "W_enc": ("d_in", "d_sae"),
    "b_enc": ("d_sae",),
    "W_dec": ("d_sae", "d_out"),
    "b_dec": ("d_out",),
    "threshold": ("d_sae",),
    "b_mag": ("d_sae",),
    "r_mag": ("d_sae",),
    "own_b_in": ("d_in",),
    "W_skip": ("d_out", "d_in"),
}
SAME = {name: name for name in ("W_enc", "b_enc", "W_dec", "b_dec")}  # as they are called here


def linear(encoder: str, decoder: str) -> dict[str, str]:
    """As two layers of torch call theirs."""
    of = {"enc": encoder, "dec": decoder}
    return {f"W_{k}": f"{name}.weight.T" for k, name in of.items()} | {
        f"b_{k}": f"{name}.bias" for k, name in of.items()
    }


LINEAR = linear("encoder", "decoder")


class Weights:
    """The named tensors of one file.

    ``take(name, "d_sae", "d_in")`` hands one out after checking its shape: the first use of an axis name
    fixes its size, every later use must agree. Tensors that nobody asked for, and numbers that are none, are
    obstacles."""

    def __init__(self, tensors: Mapping[str, Any], where: object, obstacles: Obstacles):
        self.obstacles = obstacles
        self._tensors = dict(tensors)
        self._names = sorted(map(str, self._tensors))
        self._by: dict[str, str] = {}  # axis -> tensor that fixed it
        self.sizes: dict[str, int] = {}
        self.where = where

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def take(self, name: str, *axes: str | int) -> Tensor:
        """The tensor ``name``, whose axes are as long as ``axes`` say."""
        if name not in self._tensors:
            raise SaelabError(
                f"{self.where} has no tensor {name!r}; it has {', '.join(self._names) or 'none'}"
            )
        t = self._tensors.pop(name)
        if not isinstance(t, Tensor) or not t.is_floating_point():
            kind = str(t.dtype) if isinstance(t, Tensor) else type(t).__name__
            raise SaelabError(f"{self.where}: {name} must be a floating-point tensor, got {kind}")
        if t.numel() * t.element_size() > t.untyped_storage().nbytes():
            raise SaelabError(
                f"{self.where}: {name} claims {t.numel():,} numbers that the file does not hold"
            )
        shape = "(" + ", ".join(map(str, axes)) + ("," if len(axes) == 1 else "") + ")"
        if t.ndim != len(axes):
            raise SaelabError(f"{self.where}: {name} must have shape {shape}, got {tuple(t.shape)}")
        for axis, size in zip(axes, t.shape, strict=True):
            self._fits(name, axis, size, shape, tuple(t.shape))
        if broken := not_finite(t):
            self.obstacles.add(f"{self.where}: {name} holds {broken}")
        # what readers calculate with (biases, thresholds) is calculated in float32 at least
        return t.float() if t.ndim < 2 and t.dtype in (torch.bfloat16, torch.float16) else t

    def map(self, names: Mapping[str, str], *, out: str = "d_in") -> dict[str, Tensor]:
        """Parameters of ours, taken by the names they have in the file; see :data:`PARAMETERS`.

        ``out`` is the axis of what is written: ``d_in``, or ``d_out`` where it may have another width.
        """
        taken = {}
        for ours, theirs in names.items():
            axes = [out if axis == "d_out" else axis for axis in PARAMETERS[ours]]
            turned = theirs.endswith(".T")
            t = self.take(theirs.removesuffix(".T"), *(axes[::-1] if turned else axes))
            taken[ours] = t.T if turned else t
        return taken

    def _fits(self, name: str, axis: str | int, size: int, wanted: str, got: tuple[int, ...]) -> None:
        known = axis if isinstance(axis, int) else self.sizes.setdefault(axis, size)
        if size == 0:
            raise SaelabError(f"{self.where}: {name} is empty, its shape is {got}")
        if known != size:
            by = self._by.get(str(axis), "its config")
            note = "" if isinstance(axis, int) else f", where {axis} = {known} according to {by}"
            raise SaelabError(f"{self.where}: {name} must have shape {wanted}{note}; got {got}")
        self._by.setdefault(str(axis), name)

    def expect(self, source: str, **sizes: int | None) -> None:
        """Fix axis sizes that ``source``, such as the config, states."""
        for axis, size in sizes.items():
            if size is None:
                continue
            if self.sizes.setdefault(axis, size) != size:
                by = self._by.get(axis, "the file")
                self.obstacles.add(f"{source} says {axis} = {size}, {by} says {self.sizes[axis]}")
            self._by.setdefault(axis, source)

    def number(self, name: str) -> float:
        """The value of a tensor with one entry."""
        t = self._tensors.pop(name, None)
        if not isinstance(t, Tensor) or t.numel() != 1:
            raise SaelabError(f"{self.where}: {name} must hold one number")
        return float(t)

    def integers(self, name: str) -> Tensor:
        """A one-dimensional tensor of whole numbers, small enough to be a list of sizes."""
        t = self._tensors.pop(name, None)
        if not isinstance(t, Tensor) or t.ndim != 1 or t.is_floating_point() or t.numel() > 1 << 16:
            raise SaelabError(f"{self.where}: {name} must be a list of whole numbers")
        return t.long()

    def skip(self, *names: str) -> None:
        """Leave out tensors that play no part in running the SAE, such as training statistics."""
        for name in names:
            self._tensors.pop(name, None)

    def finish(self) -> None:
        """What is left is an obstacle: a tensor that is left out may be the one that matters."""
        left = [name for name in sorted(map(str, self._tensors)) if not self.obstacles.passes(name)]
        if left:
            self.obstacles.add(
                f"{self.where} holds {', '.join(map(repr, left))}, which this architecture has no use for; "
                "refusing to load it without knowing what it is for"
            )


def not_finite(t: Tensor) -> str:
    """What ``t`` holds that is no finite number, in words; "" if nothing."""
    ends = torch.stack(torch.aminmax(t))
    if bool(ends.isfinite().all()):
        return ""
    return "NaN" if bool(ends.isnan().any()) else "infinite numbers"


def stored_dtype(tensors: Iterable[Tensor], where: object) -> str:
    """The dtype in which these weights are stored (their matrices); double precision becomes single."""
    matrices = [t.dtype for t in tensors if t.ndim > 1]
    widest = max(matrices, key=lambda d: torch.finfo(d).bits)
    name = str(widest).removeprefix("torch.")
    if name == "float64":
        return "float32"
    if name not in DTYPES:
        raise SaelabError(f"{where} stores {name}; supported: {', '.join(DTYPES)}")
    return name


@torch.no_grad()
def build(config: SAEConfig, tensors: Mapping[str, Tensor], where: object, *, own: bool = True) -> SAE:
    """An SAE of ``config`` that owns copies of ``tensors``, named as its parameters; else ``tensors`` are its parameters.

    Nothing is allocated before every tensor is known to be there in the right shape: a config that claims a
    million latents costs no memory.
    """
    with torch.device("meta"):
        sae = SAE(config)
    wanted = dict(sae.named_parameters())
    for name in tensors:
        check_choice(f"tensor in {where}:", name, wanted)
    for name, parameter in wanted.items():
        if name not in tensors:
            raise SaelabError(f"{where} has no tensor {name!r}; found {', '.join(sorted(tensors))}")
        if tensors[name].shape != parameter.shape:
            got, wanted_shape = tuple(tensors[name].shape), tuple(parameter.shape)
            raise SaelabError(f"{where}: {name} has shape {got}, its config says {wanted_shape}")
    for name, parameter in wanted.items():
        t = tensors[name]
        if own:  # it may be a view of a file that changes later
            t = torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype).copy_(t)
        setattr(sae, name, nn.Parameter(t, requires_grad=own and parameter.requires_grad))
    sae.lazy = not own
    return sae
