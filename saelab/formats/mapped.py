"""Tensors that are views of a file in memory, and how to give that memory back once they are copied.

What was read of a mapped file counts as this process's memory until the mapping ends; an SAE of a gigabyte
would need two while it is loaded."""

from __future__ import annotations

import ctypes
import mmap
import sys
import weakref
from collections.abc import Iterable

from torch import Tensor

# of tensors known to be such views: where their memory begins -> the tensor, as long as it lives
_VIEWS: weakref.WeakValueDictionary[int, Tensor] = weakref.WeakValueDictionary()


def remember(tensors: Iterable[Tensor]) -> None:
    """Note that these are views of a file, which nobody writes to."""
    for t in tensors:
        _VIEWS[t.untyped_storage().data_ptr()] = t


def release(t: Tensor) -> None:
    """Give back the pages under ``t``, a contiguous part of a view noted before; others are left alone.

    They are read from the file again if somebody looks at them again.
    """
    if sys.platform != "linux" or not hasattr(mmap, "MADV_DONTNEED"):
        return  # elsewhere the call means something else, or nothing
    storage = t.untyped_storage().data_ptr()
    if storage not in _VIEWS:
        return
    page = mmap.PAGESIZE
    start = t.data_ptr()
    stop = (start + t.numel() * t.element_size()) // page * page
    start = -(-start // page) * page  # whole pages only: the others hold something of a neighbour
    if stop > start:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), mmap.MADV_DONTNEED)
