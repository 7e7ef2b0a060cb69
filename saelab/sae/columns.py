"""A few latents of an SAE, without computing all the others."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from saelab.sae import screen
from saelab.sae.sae import SAE


class Columns:
    """Activations of ``latents`` alone; the same numbers as ``sae.encode(x)[:, latents]``.

    Where each latent looks at its own pre-activation only, only those columns of the encoder are computed. A
    TopK latent must also be among the k largest of its row: rows in which one of ``latents`` is above the
    floor are encoded whole, the others cannot have it. For a few rows, as in a step of a generation loop, most of
    that is saved by :mod:`saelab.sae.screen`.
    """

    def __init__(self, sae: SAE, latents: list[int]):
        self.sae, self.latents = sae, torch.tensor(latents, device=sae.W_dec.device)
        self.alone = sae.arch.select is None
        with torch.no_grad():
            self.weight = sae.W_enc.T[self.latents].contiguous()  # (m, d_in)
            own = {name: getattr(sae, name) for name in sae.arch.parameters(sae.config)}
            own["b_enc"] = sae.b_enc
            own = {n: (p[self.latents] if p.ndim else p).detach() for n, p in own.items()}
            self.b_in = None if sae.config.input_bias == "none" else sae.b_in.detach().clone()  # (d_in)
            # a column alone may be rounded differently from the same column in the whole product
            size = max(1.0, float(self.weight.norm(dim=1).max()))
            self.slack = 2**13 * torch.finfo(self.weight.dtype).eps * size
        # what ``arch.activate`` asks of an SAE, with the parameters of these latents
        self.part = cast(Any, SimpleNamespace(config=sae.config, **own))
        self.least = sae.config.floor - self.slack
        self.screens = not self.alone and screen.possible(sae)

    def __call__(self, x: Tensor) -> Tensor | None:
        """(n, d_in) rows of the input, normalised -> (n, m) activations, or None where all are 0."""
        if len(x) == 0:
            return None
        x = x.to(self.weight.dtype)
        inner = x if self.b_in is None else x - self.b_in  # (n, d_in)
        pre = F.linear(inner, self.weight, self.part.b_enc)  # (n, m)
        if self.alone:
            z = self.sae.arch.activate(self.part, pre)  # (n, m)
            return z if torch.is_grad_enabled() or z.any() else None
        if self.screens and len(x) <= screen.ROWS and pre.dtype == self.weight.dtype:  # autocast changes it
            return self._screened(x, inner, pre)
        near = (pre > self.least).any(1)  # (n,)
        if not near.any():
            return None
        out = torch.zeros_like(pre)
        out[near] = self._chosen(x[near])
        return out

    @functools.cached_property
    def _screen(self) -> screen.Screen | None:
        return screen.of(self.sae)

    def _screened(self, x: Tensor, inner: Tensor, pre: Tensor) -> Tensor | None:
        """As a call, from ``inner`` (n, d_in) and ``pre`` (n, m); encodes those rows whole that must be."""
        values, k, clear = pre.tolist(), int(self.sae.config.k or 0), self.sae.config.floor + self.slack
        near = [[c for c, v in enumerate(line) if v > self.least] for line in values]
        if not any(near):
            return None
        silent: list[tuple[int, int]] = []
        whole: list[int] = []
        for row, (line, asked) in enumerate(zip(values, near, strict=True)):
            among: list[bool | None] = [None] * len(asked)
            if asked and self._screen is not None:
                among = self._screen.among(inner[row], [line[c] for c in asked], k)
            kept = [c for c, found in zip(asked, among, strict=True) if found]
            if None in among or any(line[c] <= clear for c in kept):
                whole.append(row)
            silent += [(row, c) for c in range(len(line)) if c not in kept]
        if silent:
            rows, columns = zip(*silent, strict=True)
            pre[list(rows), list(columns)] = 0.0
        if whole:
            pre[whole] = self._chosen(x[whole])
        return pre

    def _chosen(self, x: Tensor) -> Tensor:
        """(n, m) of a TopK SAE. To be among the k largest is to have fewer than k above: no sorting is needed
        but where several are equal at the border."""
        every = self.sae.pre_activations(x)  # (n, d_sae)
        pre, k = every[:, self.latents], int(self.sae.config.k or 0)  # (n, m)
        above = torch.stack([(every > v[:, None]).sum(1) for v in pre.unbind(1)], 1)  # (n, m)
        level = torch.stack([(every >= v[:, None]).sum(1) for v in pre.unbind(1)], 1)  # (n, m)
        out = torch.where((above < k) & (pre > self.sae.config.floor), pre, 0.0)
        unclear = ((above < k) & (level > k)).any(1)  # (n,)
        if unclear.any():
            out[unclear] = self.sae.arch.activate(self.sae, every[unclear])[:, self.latents]
        return out
