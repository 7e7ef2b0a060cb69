"""The SAE module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saelab import identity
from saelab.display import facts_html
from saelab.doors import door
from saelab.errors import DTYPES, SaelabError, check_dtype, check_whole, check_width, memory
from saelab.sae import folding, ops, saving
from saelab.sae.archs import ARCHS
from saelab.sae.codes import Codes, Stats
from saelab.sae.config import PER_ROW, SAEConfig


class SAEOutput(NamedTuple):
    """What a forward pass gives: recon (\\*, d_out), codes, error = x - recon (\\*, d_out)."""

    recon: Tensor
    codes: Codes
    error: Tensor


_TOGETHER = 1 << 24  # latents of all rows that are encoded together
_ROWS = 128  # at least so many rows at a time: the weights are read once for all of them


@door
class SAE(nn.Module):
    """A sparse autoencoder: ``z = activation((x - b_in) W_enc + b_enc)``, ``x̂ = z W_dec + b_dec``.

    Parameters are ``W_enc (d_in, d_sae)``, ``b_enc (d_sae)``, ``W_dec (d_sae, d_out)``, ``b_dec (d_out)``;
    ``b_in`` is what is subtracted from the input: ``b_dec``, nothing, or a vector of its own
    (``config.input_bias``). ``W_enc`` is stored with each latent's column contiguous; a ``tied`` SAE has
    none and shows ``W_dec``'s transpose. With ``skip``, ``W_skip (d_out, d_in)`` adds ``x W_skipᵀ`` to the
    output. A crosscoder's input and output are the activations of several hook points side by side. Nothing
    is kept between calls. Activations may come from a model on another device: what is given goes to the SAE's,
    and what comes back is there.

    Examples
    --------
    >>> x = torch.zeros(2, 5, sae.config.d_in)
    >>> recon, codes, error = sae(x)
    >>> recon.shape, codes.l0().shape
    (torch.Size([2, 5, 16]), torch.Size([2, 5]))
    """

    def __init__(self, config: SAEConfig):
        super().__init__()
        self.config = config
        self.arch = ARCHS[config.arch]
        d_in, d_sae, d_out = config.d_in, config.d_sae, int(config.d_out or config.d_in)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=check_dtype(config.dtype))

        if not config.tied:
            self.W_enc = nn.Parameter(zeros(d_sae, d_in).T)  # (d_in, d_sae), column-contiguous
        self.b_enc = nn.Parameter(zeros(d_sae))
        self.W_dec = nn.Parameter(zeros(d_sae, d_out))
        self.b_dec = nn.Parameter(zeros(d_out))
        if config.input_bias == "own":
            self.own_b_in = nn.Parameter(zeros(d_in))
        if config.skip:
            self.W_skip = nn.Parameter(zeros(d_out, d_in))
        for name, (shape, value) in self.arch.parameters(config).items():
            learnt = name not in self.arch.tracked
            self.register_parameter(name, nn.Parameter(zeros(*shape).fill_(value), requires_grad=learnt))
        self.history = pd.DataFrame()  # training curves, one line per logged step
        self.lazy = False  # whether weights are in a file, and read when they are asked for
        self.record: dict[str, Any] = {}  # how it was trained: versions, seed, data, settings

    def __getattr__(self, name: str) -> Any:
        # reached only when a name is found nowhere else, so only for a tied SAE's encoder
        if name == "W_enc" and self.__dict__["config"].tied:
            return self.W_dec.T  # (d_in, d_sae)
        return super().__getattr__(name)

    # ------------------------------------------------------------------------------------------ the math

    @property
    def b_in(self) -> Tensor:
        """(d_in) what is subtracted from the (normalized) input.

        Examples
        --------
        >>> torch.equal(sae.b_in, sae.b_dec)
        True
        """
        if self.config.input_bias == "decoder":
            return self.b_dec
        return self.own_b_in if self.config.input_bias == "own" else torch.zeros_like(self.W_enc[:, 0])

    def normalize(self, x: Tensor) -> tuple[Tensor, Stats | None]:
        """(rows, d_in) -> the input as the encoder wants it, and (shift, scale) to undo it on the output.

        Sizes are taken in float32 at least: in float16 the square of 256 is infinite.

        Examples
        --------
        >>> x, stats = sae.normalize(torch.ones(3, sae.config.d_in))
        >>> x.shape, stats
        (torch.Size([3, 16]), None)
        """
        own = self.W_enc.dtype
        if self.config.normalize == "none":
            return x.to(own), None
        x = x.to(torch.promote_types(own, torch.float32))
        if self.config.normalize == "scale":
            return (x * self._input_scale(x)).to(own), self._scale_stats(len(x), x)
        if self.config.normalize == "constant_norm":
            size = x.norm(dim=-1, keepdim=True) / x.shape[1] ** 0.5  # (rows, 1)
            # a row of zeros stays one
            return (x / size.clamp_min(1e-12)).to(own), (torch.zeros_like(size), size)
        mean = x.mean(-1, keepdim=True)  # (rows, 1)
        # unbiased, and eps only on the way in: as in the code released with Gao et al. 2024
        std = ((x - mean).square().sum(-1, keepdim=True) / max(x.shape[1] - 1, 1)).sqrt()  # (rows, 1)
        return ((x - mean) / (std + 1e-5)).to(own), (mean, std)

    def normalize_target(self, y: Tensor) -> Tensor:
        """(rows, d_out) activations at ``hook_out`` -> what the decoder is to give, before it is undone.

        Examples
        --------
        >>> sae.normalize_target(torch.ones(3, sae.config.d_out)).shape
        torch.Size([3, 16])
        """
        return y * self._target_scale(y) if self.config.normalize == "scale" else y

    def _input_scale(self, like: Tensor) -> Tensor:
        """(1,), or (d_in,) for a crosscoder: what ``normalize="scale"`` multiplies the input by."""
        scale = torch.tensor(self.config.scale, dtype=like.dtype, device=like.device).reshape(-1)
        if self.config.widths is None:
            return scale
        widths = torch.tensor(self.config.widths, device=like.device)
        return scale.expand(len(widths)).repeat_interleave(widths)

    def _target_scale(self, like: Tensor) -> Tensor:
        """(1,), or (d_out,) for a crosscoder: what ``normalize="scale"`` multiplies the target by."""
        out = self.config.scale_out
        return self._input_scale(like) if out is None else like.new_tensor([out])

    def _scale_stats(self, rows: int, like: Tensor) -> Stats:
        return like.new_zeros(rows, 1), (1 / self._target_scale(like)).expand(rows, -1)

    def pre_activations(self, x: Tensor) -> Tensor:
        """(rows, d_in), normalized already -> (rows, d_sae) before the activation function.

        Examples
        --------
        >>> sae.pre_activations(torch.zeros(2, sae.config.d_in)).shape
        torch.Size([2, 64])
        """
        return self._pre(self._flat(x), slice(None))

    def _pre(self, x: Tensor, some: slice) -> Tensor:
        """(rows, d_in) -> (rows, n) of some latents."""
        if self.config.split_bias:
            return (x - self.b_in) @ self.W_enc[:, some] + self.b_enc[some]  # (rows, n)
        return F.linear(x - self.b_in, self.W_enc.T[some], self.b_enc[some])  # (rows, n)

    def _flat(self, x: Tensor) -> Tensor:
        if x.ndim == 0 or x.shape[-1] != self.config.d_in:
            raise SaelabError(
                f"the last axis of the input must be d_in={self.config.d_in}, got shape {tuple(x.shape)}; "
                f"this SAE reads {self.config.hook_in or 'an unnamed hook point'}"
            )
        # the one place where activations of a model on another device come to the SAE; models.hooked takes them back
        return x.reshape(-1, self.config.d_in).to(self.W_enc.device)  # (rows, d_in)

    def _memory(self, x: Tensor, latents: int) -> AbstractContextManager[None]:
        rows = x.numel() // max(self.config.d_in, 1)
        size = rows * latents * self.W_dec.element_size()
        hint = "Encode fewer rows at a time (batch_tokens where a call has it), or load the SAE with dtype='bfloat16'"
        return memory(f"{rows:,} rows are encoded to {latents:,} latents at once", size, hint)

    def encode(self, x: Tensor) -> Tensor:
        """(\\*, d_in) -> dense latents (\\*, d_sae).

        Examples
        --------
        >>> z = sae.encode(torch.randn(2, 5, sae.config.d_in))
        >>> z.shape, bool((z >= 0).all())
        (torch.Size([2, 5, 64]), True)
        """
        with self._memory(x, self.config.d_sae):
            flat, _ = self.normalize(self._flat(x))
            z = self.arch.activate(self, self.pre_activations(flat))  # (rows, d_sae)
        return z.reshape(*x.shape[:-1], self.config.d_sae)

    def encode_sparse(self, x: Tensor) -> Codes:
        """(\\*, d_in) -> the active latents only; the same numbers as :meth:`encode`.

        No dense array of all latents is made: it goes over :meth:`parts` of the rows and, where even those are wide,
        over tiles of the latents.

        Examples
        --------
        >>> x = torch.randn(2, 5, sae.config.d_in)
        >>> torch.equal(sae.encode_sparse(x).dense(), sae.encode(x))
        True
        """
        flat, stats = self.normalize(self._flat(x))
        skip = flat @ self.W_skip.T if self.config.skip else None  # (rows, d_out)
        return Codes.joined(
            [self._codes(rows) for rows in self.parts(flat)], tuple(x.shape[:-1]), stats, skip
        )

    def parts(self, x: Tensor) -> Sequence[Tensor]:
        """(rows, d_in) in parts of as many rows as are encoded together.

        Examples
        --------
        >>> len(sae.parts(torch.zeros(9, sae.config.d_in)))
        1
        """
        least = _ROWS << 6 if self.lazy else _ROWS  # to read a file once more costs more
        return check_width("x", x, self.config.d_in).split(max(least, _TOGETHER // self.config.d_sae))

    def _tiles(self, flat: Tensor) -> Iterator[tuple[int, Any, Tensor]]:
        """Tiles of the latents of one part of the rows: the first latent, :meth:`_tile`, and pre-activations (rows, n)."""
        wide = max(1, _TOGETHER // max(len(flat), 1))
        # of a file that few rows read often, the pages stay; of many rows, those of a quarter of a gigabyte
        every = max(1, _TOGETHER * 4 // (wide * self.config.d_in)) if self.lazy and len(flat) >= _ROWS else 0
        for a in range(0, self.config.d_sae, wide):
            some = slice(a, a + wide)
            with self._memory(flat, len(self.b_enc[some])):
                yield a, self._tile(some), self._pre(flat, some)
            if every and a // wide % every == every - 1:
                saving.give_back(self.W_enc)

    def _best(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Values and ids (rows, k) of an architecture that selects, which the tiles of the latents are searched for."""
        assert self.arch.select is not None
        best: tuple[Tensor, Tensor] | None = None
        for a, tile, pre in self._tiles(flat):
            values, indices = self.arch.select(tile, pre)  # (rows, k) each
            found = values, indices + a
            best = found if best is None else ops.best_of(best, found, int(self.config.k or 0))
        assert best is not None
        return best

    def _codes(self, flat: Tensor) -> Codes:
        """Of one part of the rows."""
        if self.arch.select is not None:
            return Codes.from_topk(*self._best(flat), (len(flat),), self.config.d_sae)
        return Codes.beside(
            [Codes.from_dense(self.arch.activate(tile, pre)) for _, tile, pre in self._tiles(flat)]
        )

    def _tile(self, some: slice) -> Any:
        """What an architecture reads of an SAE, for some latents alone."""
        own = {n: getattr(self, n) for n in ("b_enc", *self.arch.parameters(self.config))}
        return SimpleNamespace(config=self.config, **{n: p[some] if p.ndim else p for n, p in own.items()})

    def decode(self, codes: Codes | Tensor, stats: Stats | None = None, skip: Tensor | None = None) -> Tensor:
        """Latents -> reconstruction (\\*, d_out), in the units of the original input; in float32 at least where
        the input was normalized, as its size need not fit the SAE's own number format.

        Dense latents of an SAE that normalizes each row need ``stats`` from :meth:`normalize`, and those of
        an SAE with a skip path need ``skip`` (rows, d_out); codes of :meth:`encode_sparse` bring both
        along.

        Examples
        --------
        >>> x = torch.randn(5, sae.config.d_in)
        >>> torch.allclose(sae.decode(sae.encode_sparse(x)), sae.decode(sae.encode(x)), atol=1e-4)
        True
        """
        if isinstance(codes, Codes):
            if codes.d_sae != self.config.d_sae:
                raise SaelabError(
                    f"these codes are of {codes.d_sae} latents, this SAE has {self.config.d_sae}"
                )
            lead, stats, skip = codes.lead, codes.stats, codes.skip
            out = ops.weighted_rows(self.W_dec, codes.indices, codes.offsets, codes.values) + self.b_dec
        else:
            check_width("codes", codes, self.config.d_sae)
            lead, flat = codes.shape[:-1], codes.reshape(-1, self.config.d_sae)  # (rows, d_sae)
            flat = flat.to(self.W_dec.device, torch.promote_types(codes.dtype, self.W_dec.dtype))
            if self.config.normalize in PER_ROW and stats is None:
                raise SaelabError(
                    "this SAE normalizes each row: decode needs the row's stats, or codes of encode_sparse"
                )
            if self.config.normalize == "scale" and stats is None:
                stats = self._scale_stats(len(flat), flat.to(torch.promote_types(flat.dtype, torch.float32)))
            out = flat @ self.W_dec + self.b_dec  # (rows, d_out)
        if self.config.skip and skip is None:
            raise SaelabError("this SAE has a skip path: decode the codes of encode_sparse, or give skip")
        out = out if skip is None else out + skip
        out = out if stats is None else out * stats[1] + stats[0]
        return out.reshape(*lead, out.shape[-1])

    def output_scale(self, x: Tensor) -> Tensor:
        """(\\*, d_in) -> (\\*, 1): by how much a unit of a latent times its decoder row moves the output.

        Examples
        --------
        >>> sae.output_scale(torch.zeros(2, 5, sae.config.d_in)).shape
        torch.Size([2, 5, 1])
        """
        _, stats = self.normalize(self._flat(x))
        scale = self.W_dec.new_ones(x[..., 0].numel(), 1) if stats is None else stats[1]
        return scale.reshape(*x.shape[:-1], 1)

    def _apply(self, fn: Any, recurse: bool = True) -> SAE:
        """What ``to``, ``half`` and the like do: the configuration says which number format the weights are in."""
        one = fn(self.W_dec.detach()[:1, :1])
        if self.lazy and (one.dtype, one.device) != (self.W_dec.dtype, self.W_dec.device):
            check_whole(self, f"an SAE on {one.device} as {one.dtype}")
        if one.dtype == torch.float16 and self.W_dec.dtype != torch.float16:
            largest = max(float(p.detach().abs().max()) for p in self.parameters())
            if torch.finfo(torch.float16).max < largest < float("inf"):
                raise SaelabError(
                    f"weights up to {largest:.3g} do not fit float16, which ends at 65,504: use bfloat16"
                )
        super()._apply(fn, recurse)
        name = str(self.W_dec.dtype).removeprefix("torch.")
        if name != self.config.dtype and name in DTYPES:
            self.config = replace(self.config, dtype=name)
        return self

    def forward(self, x: Tensor) -> SAEOutput:
        """(\\*, d_in) -> :class:`SAEOutput`; for a transcoder, ``error`` has no meaning and is refused.

        Examples
        --------
        >>> sae(torch.zeros(3, sae.config.d_in)).error.shape
        torch.Size([3, 16])
        """
        codes = self.encode_sparse(x)
        recon = self.decode(codes)  # (*, d_out)
        if self.config.hook_in != self.config.hook_out:
            raise SaelabError(
                "a transcoder's error needs its target: compare decode(encode_sparse(x)) with it"
            )
        return SAEOutput(recon, codes, x.to(recon.device) - recon)

    # ------------------------------------------------------------------------------------------- reshaping

    def decoder_norms(self) -> Tensor:
        """(d_sae, hook points): length of each latent's decoder row at each hook point a crosscoder reads.

        Examples
        --------
        >>> sae.decoder_norms().shape
        torch.Size([64, 1])
        """
        widths = self.config.widths or (self.W_dec.shape[1],)
        return torch.stack([w.float().norm(dim=1) for w in self.W_dec.split(list(widths), dim=1)], 1)

    def fold(self) -> SAE:
        """A copy that does the same without ``normalize="scale"``; see :func:`saelab.sae.folding.scale`.

        Examples
        --------
        >>> sae.fold().config.normalize
        'none'
        """
        return folding.scale(self)

    def fold_norms(self) -> SAE:
        """A copy with decoder rows of length 1, whose activations are multiplied by the old lengths: the numbers that
        public dashboards of SAEs with free decoder norms show; see :func:`saelab.sae.folding.norms`.

        Examples
        --------
        >>> relu = sl.SAE(sl.SAEConfig("relu", d_in=16, d_sae=64))
        >>> relu.fold_norms().config == relu.config
        True
        """
        return folding.norms(self)

    def as_jumprelu(self) -> SAE:
        """A JumpReLU copy of an SAE with one threshold (BatchTopK, Matryoshka, TopK with a floor), for libraries that
        have no such SAE; see :func:`saelab.sae.folding.jumprelu` for what changes.

        Examples
        --------
        >>> zoo = sl.load_sae("zoo")
        >>> sl.save_sae(zoo.as_jumprelu(), folder / "export", format="saelens").name
        'export'
        """
        return folding.jumprelu(self)

    # -------------------------------------------------------------------------------------- keep and show

    def save(self, path: str | Path) -> Path:
        """Write a folder with ``config.json``, ``weights.safetensors`` and the record of the run; returns it.

        ``saelab.load_sae`` reads it; ``saelab.save_sae`` writes the formats of other libraries.

        Raises
        ------
        SaelabError
            If ``path`` is a file, or the disk does not take the weights.

        Examples
        --------
        >>> sae.save(folder / "mine").name
        'mine'
        >>> sl.load_sae(folder / "mine").config == sae.config
        True
        """
        return saving.save(self, path)

    def _facts(self) -> identity.Facts:
        made = (self.record.get("identity") or {}).get("model_weights")  # where saelab trained it
        marks = {
            "SAE": lambda: identity.Mark(identity.sae_digest(self)),
            "model": lambda: identity.Mark(str(made or ""), self.config.model),
        }
        return identity.Facts(f"this SAE ({self.config.arch}, {self.config.d_sae:,} latents)", "sae", marks)

    def __repr__(self) -> str:
        c = self.config
        k = f", k={c.k}" if c.k else ""
        return f"SAE({c.arch}, d_in={c.d_in}, d_sae={c.d_sae}{k}, hook={c.hook_in!r})"

    def _repr_html_(self) -> str:
        c = self.config
        facts: list[tuple[str, str]] = [
            ("architecture", c.arch + (f", k = {c.k}" if c.k else "")),
            ("latents", f"{c.d_sae:,}"),
            ("reads", f"{c.hook_in or 'unnamed hook'} ({c.d_in} wide) of {c.model or 'unnamed model'}"),
            ("texts begin with BOS", "yes" if c.bos else "no"),
            ("length of decoder rows", folding.lengths(self)),
        ]
        if len(self.history):
            last = self.history.iloc[-1]
            facts += [
                ("trained on", self.record.get("seen") or f"{int(last['tokens']):,} tokens"),
                ("explained variance", f"{last['explained_variance']:.3f}"),
                ("L0", f"{last['l0']:.1f}"),
                ("dead latents", f"{int(last['dead'])} ({last['dead'] / c.d_sae:.1%})"),
            ]
        return facts_html("Sparse autoencoder", facts)
