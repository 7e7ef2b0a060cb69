"""The SAE module."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from saelab.display import facts_html
from saelab.errors import SaelabError, check_dtype
from saelab.sae import folding, ops, saving
from saelab.sae.archs import ARCHS
from saelab.sae.codes import Codes
from saelab.sae.config import PER_ROW, SAEConfig


class SAEOutput(NamedTuple):
    """What a forward pass gives: recon (\\*, d_out), codes, error = x - recon (\\*, d_out)."""

    recon: Tensor
    codes: Codes
    error: Tensor


class SAE(nn.Module):
    """A sparse autoencoder: ``z = activation((x - b_in) W_enc + b_enc)``, ``x̂ = z W_dec + b_dec``.

    Parameters are ``W_enc (d_in, d_sae)``, ``b_enc (d_sae)``, ``W_dec (d_sae, d_out)``, ``b_dec (d_out)``;
    ``b_in`` is what is subtracted from the input: ``b_dec``, nothing, or a vector of its own
    (``config.input_bias``). ``W_enc`` is stored with each latent's column contiguous; a ``tied`` SAE has
    none and shows ``W_dec``'s transpose. With ``skip``, ``W_skip (d_out, d_in)`` adds ``x W_skipᵀ`` to the
    output. A crosscoder's input and output are the activations of several hook points side by side. Nothing
    is kept between calls."""

    def __init__(self, config: SAEConfig):
        super().__init__()
        self.config = config
        self.arch = ARCHS[config.arch]
        d_in, d_sae, d_out = config.d_in, config.d_sae, int(config.d_out or config.d_in)
        dtype = check_dtype(config.dtype)
        if not config.tied:
            self.W_enc = nn.Parameter(
                torch.zeros(d_sae, d_in, dtype=dtype).T
            )  # (d_in, d_sae), column-contiguous
        self.b_enc = nn.Parameter(torch.zeros(d_sae, dtype=dtype))  # (d_sae)
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_out, dtype=dtype))  # (d_sae, d_out)
        self.b_dec = nn.Parameter(torch.zeros(d_out, dtype=dtype))  # (d_out)
        if config.input_bias == "own":
            self.own_b_in = nn.Parameter(torch.zeros(d_in, dtype=dtype))  # (d_in)
        if config.skip:
            self.W_skip = nn.Parameter(torch.zeros(d_out, d_in, dtype=dtype))  # (d_out, d_in)
        for name, (shape, value) in self.arch.parameters(config).items():
            learnt = name not in self.arch.tracked
            self.register_parameter(
                name, nn.Parameter(torch.full(shape, value, dtype=dtype), requires_grad=learnt)
            )
        self.history = pd.DataFrame()  # training curves, one line per logged step
        self.record: dict[str, Any] = {}  # how it was trained: versions, seed, data, settings

    def __getattr__(self, name: str) -> Any:
        # reached only when a name is found nowhere else, so only for a tied SAE's encoder
        if name == "W_enc" and self.__dict__["config"].tied:
            return self.W_dec.T  # (d_in, d_sae)
        return super().__getattr__(name)

    # ------------------------------------------------------------------------------------------ the maths

    @property
    def b_in(self) -> Tensor:
        """(d_in) what is subtracted from the (normalised) input."""
        if self.config.input_bias == "decoder":
            return self.b_dec
        return self.own_b_in if self.config.input_bias == "own" else torch.zeros_like(self.W_enc[:, 0])

    def normalise(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """(rows, d_in) -> the input as the encoder wants it, and (shift, scale) to undo it on the output."""
        if self.config.normalize == "none":
            return x, None
        if self.config.normalize == "scale":
            return x * self.input_scale(x), self._scale_stats(len(x), x)
        if self.config.normalize == "constant_norm":
            size = x.norm(dim=-1, keepdim=True) / x.shape[1] ** 0.5  # (rows, 1)
            return x / size.clamp_min(1e-12), (torch.zeros_like(size), size)  # a row of zeros stays one
        mean = x.mean(-1, keepdim=True)  # (rows, 1)
        # unbiased, and eps only on the way in: as in the code released with Gao et al. 2024
        std = ((x - mean).square().sum(-1, keepdim=True) / max(x.shape[1] - 1, 1)).sqrt()  # (rows, 1)
        return (x - mean) / (std + 1e-5), (mean, std)

    def input_scale(self, like: Tensor) -> Tensor:
        """(1,), or (d_in,) for a crosscoder: what ``normalize="scale"`` multiplies the input by."""
        scale = torch.tensor(self.config.scale, dtype=like.dtype, device=like.device).reshape(-1)
        if self.config.widths is None:
            return scale
        widths = torch.tensor(self.config.widths, device=like.device)
        return scale.expand(len(widths)).repeat_interleave(widths)

    def output_factor(self, like: Tensor) -> Tensor:
        """(1,), or (d_out,) for a crosscoder: what ``normalize="scale"`` multiplies the target by."""
        out = self.config.scale_out
        return self.input_scale(like) if out is None else like.new_tensor([out])

    def _scale_stats(self, rows: int, like: Tensor) -> tuple[Tensor, Tensor]:
        return like.new_zeros(rows, 1), (1 / self.output_factor(like)).expand(rows, -1)

    def pre_activations(self, x: Tensor) -> Tensor:
        """(rows, d_in), normalised already -> (rows, d_sae) before the activation function."""
        return F.linear(x - self.b_in, self.W_enc.T, self.b_enc)  # (rows, d_sae)

    def _flat(self, x: Tensor) -> Tensor:
        if x.shape[-1] != self.config.d_in:
            raise SaelabError(
                f"the last axis of the input must be d_in={self.config.d_in}, got shape {tuple(x.shape)}; "
                f"this SAE reads {self.config.hook_in or 'an unnamed hook point'}"
            )
        return x.reshape(-1, self.config.d_in).to(self.W_enc.dtype)  # (rows, d_in)

    def encode(self, x: Tensor) -> Tensor:
        """(\\*, d_in) -> dense latents (\\*, d_sae)."""
        flat, _ = self.normalise(self._flat(x))
        z = self.arch.activate(self, self.pre_activations(flat))  # (rows, d_sae)
        return z.reshape(*x.shape[:-1], self.config.d_sae)

    def encode_sparse(self, x: Tensor) -> Codes:
        """(\\*, d_in) -> the active latents only; the same numbers as :meth:`encode`."""
        flat, stats = self.normalise(self._flat(x))
        pre, lead = self.pre_activations(flat), tuple(x.shape[:-1])
        skip = flat @ self.W_skip.T if self.config.skip else None  # (rows, d_out)
        if self.arch.select is None:
            z = self.arch.activate(self, pre).reshape(*lead, self.config.d_sae)
            return Codes.from_dense(z, stats, skip)
        values, indices = self.arch.select(self, pre)
        return Codes.from_topk(values, indices, lead, self.config.d_sae, stats, skip)

    def decode(
        self, codes: Codes | Tensor, stats: tuple[Tensor, Tensor] | None = None, skip: Tensor | None = None
    ) -> Tensor:
        """Latents -> reconstruction (\\*, d_out), in the units of the original input.

        Dense latents of an SAE that normalises each row need ``stats`` from :meth:`normalise`, and those of
        an SAE with a skip path need ``skip`` (rows, d_out); codes of :meth:`encode_sparse` bring both
        along."""
        if isinstance(codes, Codes):
            out = ops.weighted_rows(self.W_dec, codes.indices, codes.offsets, codes.values) + self.b_dec
            out = self._add_skip(out, codes.skip)  # (rows, d_out)
            return self._undo(out, codes.stats).reshape(*codes.lead, out.shape[-1])
        if self.config.normalize in PER_ROW and stats is None:
            raise SaelabError(
                "this SAE normalises each row: decode needs the row's stats, or codes of encode_sparse"
            )
        flat = codes.reshape(-1, self.config.d_sae)  # (rows, d_sae)
        if self.config.normalize == "scale" and stats is None:
            stats = self._scale_stats(len(flat), flat)
        out = self._undo(self._add_skip(flat @ self.W_dec + self.b_dec, skip), stats)
        return out.reshape(*codes.shape[:-1], out.shape[-1])

    def _add_skip(self, out: Tensor, skip: Tensor | None) -> Tensor:
        if self.config.skip and skip is None:
            raise SaelabError("this SAE has a skip path: decode the codes of encode_sparse, or give skip")
        return out if skip is None else out + skip

    @staticmethod
    def _undo(out: Tensor, stats: tuple[Tensor, Tensor] | None) -> Tensor:
        return out if stats is None else out * stats[1] + stats[0]

    def output_scale(self, x: Tensor) -> Tensor:
        """(\\*, d_in) -> (\\*, 1): by how much one unit of a latent times its decoder row moves the
        output."""
        _, stats = self.normalise(self._flat(x))
        scale = self.W_dec.new_ones(x[..., 0].numel(), 1) if stats is None else stats[1]
        return scale.reshape(*x.shape[:-1], 1)

    def forward(self, x: Tensor) -> SAEOutput:
        """(\\*, d_in) -> :class:`SAEOutput`; for a transcoder, ``error`` has no meaning and is refused."""
        codes = self.encode_sparse(x)
        recon = self.decode(codes)  # (*, d_out)
        if self.config.hook_in != self.config.hook_out:
            raise SaelabError(
                "a transcoder's error needs its target: compare decode(encode_sparse(x)) with it"
            )
        return SAEOutput(recon, codes, x - recon)

    # ------------------------------------------------------------------------------------------- reshaping

    def decoder_norms(self) -> Tensor:
        """(d_sae, hook points): length of each latent's decoder row at each hook point a crosscoder reads."""
        widths = self.config.widths or (self.W_dec.shape[1],)
        return torch.stack([w.norm(dim=1) for w in self.W_dec.split(list(widths), dim=1)], 1)

    def fold(self) -> SAE:
        """A copy that does the same without ``normalize="scale"``; see :func:`saelab.sae.folding.scale`."""
        return folding.scale(self)

    def fold_norms(self) -> SAE:
        """A copy with decoder rows of length 1, whose activations are multiplied by the old lengths: the numbers that
        public dashboards of SAEs with free decoder norms show; see :func:`saelab.sae.folding.norms`."""
        return folding.norms(self)

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

    def extra_repr(self) -> str:
        c = self.config
        k = f", k={c.k}" if c.k else ""
        return f"{c.arch}, d_in={c.d_in}, d_sae={c.d_sae}{k}, hook={c.hook_in!r}"

    def __repr__(self) -> str:
        return f"SAE({self.extra_repr()})"

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
                ("trained on", f"{int(last['tokens']):,} tokens"),
                ("explained variance", f"{last['explained_variance']:.3f}"),
                ("L0", f"{last['l0']:.1f}"),
                ("dead latents", f"{int(last['dead'])} ({last['dead'] / c.d_sae:.1%})"),
            ]
        return facts_html("Sparse autoencoder", facts)
