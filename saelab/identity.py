"""One digest per kind of thing: it is written beside what was made, and compared where things meet."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    pass


def digest(*parts: Any) -> str:
    """32 hexadecimal digits of arrays and bytes, one after another."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).view(np.uint8).data)
    return hashed.hexdigest()


def sae_digest(sae: Any) -> str:
    """Of an SAE: all its weights, and its configuration."""
    return digest(weights_digest(sae).encode(), repr(sorted(sae.config.to_dict().items())).encode())


def model_digest(model: Any) -> str:
    """Of a model: a few numbers of every parameter, so that other weights under the same name are noticed.

    >>> len(sl.models.digest(model))
    16
    """
    hashed = hashlib.sha256()
    for name, p in model.named_parameters():
        head = p.detach().reshape(-1)[:32].cpu().double().numpy()  # not every device has float64
        hashed.update(f"{name} {tuple(p.shape)}".encode() + head.tobytes())
    return hashed.hexdigest()[:16]


def weights_digest(module: Any, sample: int | None = None) -> str:
    """Of all parameters; with ``sample``, of about that many evenly spaced values of each."""
    parts: list[Any] = []
    for name, p in sorted(module.named_parameters()):
        flat = p.detach().reshape(-1)
        if sample is not None:
            flat = flat[:: max(1, flat.numel() // sample)]
        parts += [name.encode(), flat.float().cpu().numpy()]
    return digest(*parts)
