"""Tensors of a foreign file on their way into an SAE: each is asked for by name and shape, and all must be
used."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from saelab.errors import DTYPES, SaelabError, unknown
from saelab.sae import SAE, SAEConfig

T = TypeVar("T")


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
LINEAR = {  # as two layers of torch call theirs
    "W_enc": "encoder.weight.T", "b_enc": "encoder.bias", "W_dec": "decoder.weight.T", "b_dec": "decoder.bias",
}  # fmt: skip


class Weights:
    """The named tensors of one file.

    ``take(name, "d_sae", "d_in")`` hands one out after checking its shape: the first use of an axis name
    fixes its size, every later use must agree. ``finish()`` refuses tensors that nobody asked for."""

    def __init__(self, tensors: Mapping[str, Any], where: object):
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
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise SaelabError(f"{source}: {axis} must be a whole number of at least 1, got {size!r}")
            if self.sizes.setdefault(axis, size) != size:
                by = self._by.get(axis, "the file")
                raise SaelabError(f"{source} says {axis} = {size}, {by} says {self.sizes[axis]}")
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
        """Refuse what is left: a tensor that is ignored may be the one that matters."""
        if self._tensors:
            left = ", ".join(repr(str(n)) for n in sorted(map(str, self._tensors)))
            raise SaelabError(
                f"{self.where} holds {left}, which this architecture has no use for; "
                "refusing to load it without knowing what it is for"
            )


class Keys:
    """The keys of a foreign config; as with :class:`Weights`, none may be left over."""

    def __init__(self, values: Any, where: object):
        if not isinstance(values, dict):
            raise SaelabError(f"{where} must hold an object with named values, got {type(values).__name__}")
        self._values, self.where = dict(values), where
        self._known: list[str] = []

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def take(self, name: str, *default: Any, kind: type | tuple[type, ...] | None = None) -> Any:
        """The value of ``name``; without a default it must be there."""
        self._known.append(name)
        if name not in self._values:
            if default:
                return default[0]
            raise SaelabError(
                f"{self.where} has no {name!r}; refusing to guess it. It has: "
                f"{', '.join(map(str, self._values))}"
            )
        value = self._values.pop(name)
        if kind is not None and (
            not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)
        ):
            kinds = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
            raise SaelabError(f"{self.where}: {name} must be of type {kinds}, got {value!r}")
        return value

    def text(self, name: str) -> str | None:
        """The value of ``name`` if it is a text, else None."""
        value = self.take(name, None)
        return value if isinstance(value, str) else None

    def choose(
        self, name: str, known: Mapping[Any, T], *default: Any, refused: Mapping[str, str] | None = None
    ) -> T:
        """What the value of ``name`` means; one that is ``refused`` is an error with the reason, any other too."""
        value = self.take(name, *default)
        if isinstance(value, str) and value in (refused or {}):
            raise SaelabError(f"{self.where}: {name} {value!r} {(refused or {})[value]}")
        if not isinstance(value, Hashable) or value not in known:
            raise unknown(f"{name} in {self.where}:", value, known)
        return known[value]

    def refuse(self, reasons: Mapping[str, str]) -> None:
        """An error with the reason, where one of these keys is there and not false."""
        for name, why in reasons.items():
            if self.take(name, False):
                raise SaelabError(f"{self.where}: {name} is set; {why}")

    def rest(self) -> dict[str, Any]:
        """What is left, for the record."""
        left, self._values = self._values, {}
        return {name: value for name, value in left.items() if value is not None}

    def skip(self, *names: str) -> None:
        """Leave out keys that say nothing about how the SAE computes."""
        for name in names:
            self._known.append(name)
            self._values.pop(name, None)

    def finish(self) -> None:
        """Refuse keys that nobody asked for."""
        for name in self._values:
            raise unknown(f"key in {self.where}:", name, self._known)


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
def build(config: SAEConfig, tensors: Mapping[str, Tensor], where: object) -> SAE:
    """An SAE of ``config`` that owns copies of ``tensors``, named as its parameters.

    Nothing is allocated before every tensor is known to be there in the right shape: a config that claims a
    million latents costs no memory.
    """
    with torch.device("meta"):
        sae = SAE(config)
    wanted = dict(sae.named_parameters())
    for name in tensors:
        if name not in wanted:
            raise unknown(f"tensor in {where}:", name, wanted)
    for name, parameter in wanted.items():
        if name not in tensors:
            raise SaelabError(f"{where} has no tensor {name!r}; found {', '.join(sorted(tensors))}")
        if tensors[name].shape != parameter.shape:
            got, wanted_shape = tuple(tensors[name].shape), tuple(parameter.shape)
            raise SaelabError(f"{where}: {name} has shape {got}, its config says {wanted_shape}")
    for name, parameter in wanted.items():
        own = torch.empty_strided(parameter.shape, parameter.stride(), dtype=parameter.dtype)
        own.copy_(tensors[name])  # which may be a view of a file that changes later
        setattr(sae, name, nn.Parameter(own, requires_grad=parameter.requires_grad))
    return sae
