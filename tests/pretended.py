"""A second device that is none: ``pretend:0`` holds its numbers on the CPU and behaves as a GPU does.

An operation on tensors of two devices fails, ``numpy()`` is refused, and whatever makes the CPU wait for the
device is counted (:func:`waits`). So tests find, without a GPU, what would fail or be slow on one.
"""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

NAME, DEVICE = "pretend", "pretend:0"
ROOT = Path(__file__).resolve().parent.parent
aten = torch.ops.aten

# the CPU has to know a number of the device: a value, or how many there are of something
_ASKED = {
    aten._local_scalar_dense.default: "item",
    aten.equal.default: "equal",
    aten.nonzero.default: "nonzero",
    aten.masked_select.default: "masked_select",
    aten.bincount.default: "bincount",
    aten._unique2.default: "unique",
    aten.unique_dim.default: "unique",
    aten.repeat_interleave.Tensor: "repeat_interleave",
}
_INDEX = {aten.index.Tensor, aten.index_put_.default, aten._index_put_impl_.default, aten.index_put.default}

_SIZES = {
    aten.sym_size.default: torch.Tensor.size,
    aten.size.default: torch.Tensor.size,
    aten.sym_stride.default: torch.Tensor.stride,
    aten.stride.default: torch.Tensor.stride,
    aten.sym_numel.default: torch.Tensor.numel,
    aten.numel.default: torch.Tensor.numel,
    aten.dim.default: torch.Tensor.dim,
    aten.sym_storage_offset.default: torch.Tensor.storage_offset,
    aten.storage_offset.default: torch.Tensor.storage_offset,
    aten.is_contiguous.default: torch.Tensor.is_contiguous,
    aten.is_contiguous.memory_format: lambda x: x.is_contiguous(),
    aten.is_strides_like_format.default: lambda x: False,
    aten.is_non_overlapping_and_dense.default: lambda x: x.is_contiguous() or x.T.is_contiguous(),
}

_heard: list[Counter[str]] = []  # who counts at the moment
fault = 0.0  # what the device adds to each matrix product


@contextlib.contextmanager
def waits() -> Iterator[Counter[str]]:
    """Count, by kind and line of the library, how often the CPU waits for the device."""
    count: Counter[str] = Counter()
    _heard.append(count)
    try:
        yield count
    finally:
        _heard.remove(count)


@contextlib.contextmanager
def faulty(size: float) -> Iterator[None]:
    """A device that is wrong by ``size`` in each matrix product."""
    global fault
    fault = size
    try:
        yield
    finally:
        fault = 0.0


def _count(kind: str) -> None:
    if not _heard:
        return
    where = "outside"
    for frame in traceback.extract_stack():
        if frame.filename.startswith(str(ROOT / "saelab")):
            where = f"{Path(frame.filename).name}:{frame.lineno}"
        elif {"transformers", "transformer_lens"} & set(Path(frame.filename).parts):
            where = "the model"  # which asks once a pass whether a mask is all true
    for count in _heard:
        count[f"{kind} at {where}"] += 1


class Pretended(torch.Tensor):
    """Numbers ``x`` of the CPU under the name of another device."""

    x: torch.Tensor

    @staticmethod
    def __new__(cls, x: torch.Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls, x.shape, x.stride(), x.storage_offset(), dtype=x.dtype, layout=x.layout, device=DEVICE,
            dispatch_sizes_strides_policy="sizes",
        )  # fmt: skip

    def __init__(self, x: torch.Tensor):
        self.x = x

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.x})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {})

    def numpy(self, *, force: bool = False):
        if not force:
            raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy. Use Tensor.cpu() first")
        return self.cpu().numpy()

    def tolist(self):
        _count("tolist")
        return self.x.tolist()

    def __array__(self, *_: Any):
        return self.numpy()


def _inner(value: Any) -> Any:
    return value.x if isinstance(value, Pretended) else value


def _check_mixed(func: Any, args: Any, kwargs: Any) -> None:
    tensors = [t for t in tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
    if func in _INDEX:  # as torch: an index may lie on the CPU, a value of one number too
        tensors = [t for t in tensors if t is args[0] or isinstance(t, Pretended) or t is args[-1]]
        if isinstance(args[0], Pretended) and not any(t is args[-1] and len(args) > 2 for t in tensors):
            return
    large = [t for t in tensors if t.dim() > 0 or (func is aten.copy_.default)]
    if len({isinstance(t, Pretended) for t in large}) > 1:
        where = [(tuple(t.shape), str(t.device)) for t in tensors]
        raise RuntimeError(f"Expected all tensors to be on the same device, {func} got {where}")


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation with a tensor of the device among its arguments, or one that makes such a tensor."""
    here = any(isinstance(t, Pretended) for t in tree_leaves((args, kwargs)))
    if func is aten._to_copy.default:
        return _to_copy(args[0], kwargs)
    if func is aten.copy_.default:
        if isinstance(args[1], Pretended) and not isinstance(args[0], Pretended):
            _count("cpu")
        _inner(args[0]).copy_(_inner(args[1]))
        return args[0]
    if func in _SIZES:  # of what is inside, which squeeze_() and the like change
        return _SIZES[func](args[0].x)
    if func is aten.is_pinned.default:
        return False
    _check_mixed(func, args, kwargs)
    if func in _ASKED and kwargs.get("output_size") is None:
        _count(_ASKED[func])
    if func in _INDEX and any(
        i is not None and i.dtype == torch.bool and isinstance(i, Pretended) for i in args[1]
    ):
        _count("bool index")
    to_cpu = kwargs.get("device") is not None and torch.device(kwargs["device"]).type != NAME
    options = {k: torch.device("cpu") if k == "device" else v for k, v in kwargs.items() if k != "pin_memory"}
    result = func(*tree_map(_inner, args), **tree_map(_inner, options))
    if fault and func in (aten.mm.default, aten.addmm.default, aten.bmm.default):
        result = result + fault
    if to_cpu and not here:
        return result
    same = {id(_inner(t)): t for t in tree_leaves((args, kwargs)) if isinstance(t, Pretended)}

    def wrap(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return same[id(value)] if id(value) in same else Pretended(value)

    return tree_map(wrap, result)


def _to_copy(x: torch.Tensor, kwargs: dict[str, Any]) -> torch.Tensor:
    device = kwargs.get("device")
    target = x.device.type if device is None else torch.device(device).type
    rest = {k: v for k, v in kwargs.items() if k not in ("device", "pin_memory", "non_blocking")}
    new = aten._to_copy.default(_inner(x), **rest)
    if target == NAME:
        return Pretended(new)
    if isinstance(x, Pretended):
        _count("cpu")
    return new


def _factory(func: Any, *args: Any, **kwargs: Any) -> Any:
    """An operation that the device has no tensor for yet, such as ``zeros``."""
    return _run(func, args, kwargs)


_libraries: list[Any] = []  # torch forgets what they say when they go


def install() -> str:
    """Make the device known to torch, once, before autograd first runs; returns its name."""
    if not _libraries:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

        _setup_privateuseone_for_python_backend(NAME)
        every = torch.library.Library("_", "IMPL")
        every.fallback(_factory, "PrivateUse1")
        _libraries.append(every)
        # those that torch would make of smaller parts: of an ``out`` that changes its size, or without Python
        own = torch.library.Library("aten", "IMPL")
        for name in ("copy_", "_to_copy", "arange", "arange.start", "arange.start_step"):
            packet, _, overload = name.partition(".")
            func = getattr(getattr(aten, packet), overload or "default")
            own.impl(name, functools.partial(_factory, func), "PrivateUse1")
        _libraries.append(own)
    return NAME
