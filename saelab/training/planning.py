"""What a run takes, before it begins: memory of each rank by part, bytes sent in a step, and the least time of one."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from saelab.display import table_html
from saelab.doors import door
from saelab.errors import SaelabError, check_count, check_device, check_number, free_memory, parse_bytes
from saelab.sae import SAE, SAEConfig
from saelab.sae.objective import BLOCK, ROWS, tile_shape
from saelab.training.spec import Recipe, make_options
from saelab.training.trainer import has_fast_bfloat16

_PROCESS = 0.4e9  # bytes: Python with torch and transformers (measured)
_ENTRY = (
    120  # bytes for each active latent of a row: values, places, their order by latent, gradients (counted)
)
_AUX = ("topk", "batchtopk", "matryoshka", "jumprelu")  # with a loss that revives dead latents


@dataclass(frozen=True)
class Plan:
    """What training an SAE takes; see :func:`plan`.

    Attributes
    ----------
    config
        Of the SAE.
    ranks, memory
        Number of processes, and bytes that each may use.
    parts
        Bytes of each rank, by what they are for.
    sent
        Bytes that each rank receives in a step, by what they are for (with dead latents; "activations" are those that
        the ranks share the language model's passes for, and none come from a store).
    flops, rate
        Of the encoder's product of a step on each rank, and how many the device makes in a second.
    """

    config: SAEConfig
    ranks: int
    memory: float
    parts: dict[str, float]
    sent: dict[str, int]
    flops: float
    rate: float

    @property
    def total(self) -> float:
        """Bytes of each rank.

        Examples
        --------
        >>> sl.plan(sae.config).total < 1e9
        True
        """
        return sum(self.parts.values())

    @property
    def seconds(self) -> float:
        """The least time of a step: the encoder's product, with all else left out.

        Examples
        --------
        >>> sl.plan(sae.config, rate=1e12).seconds < 1e-3
        True
        """
        return self.flops / self.rate

    @property
    def frame(self) -> pd.DataFrame:
        """One line for each part of the memory, and for each kind of what is sent.

        Examples
        --------
        >>> sl.plan(sae.config).frame.columns.tolist()
        ['of each rank', 'what', 'bytes']
        """
        lines = [("memory", n, int(b)) for n, b in self.parts.items()]
        lines += [("received in a step", n, b) for n, b in self.sent.items()]
        return pd.DataFrame(lines, columns=["of each rank", "what", "bytes"])

    def _title(self) -> str:
        c, by = self.config, "one process" if self.ranks == 1 else f"{self.ranks} ranks"
        return (
            f"{c.arch}, {c.d_sae:,} latents × {c.d_in:,}, by {by}: {self.total / 1e9:.4g} GB of {self.memory / 1e9:.4g} GB "
            f"each, {sum(self.sent.values()) / 1e6:,.1f} MB received in a step, which takes at least {self.seconds:.3g} s "
            f"(the encoder's product at {self.rate / 1e12:.3g} TFLOP/s)"
        )

    def __repr__(self) -> str:
        lines = [f"{n:>48} {b / 1e9:10.3f} GB" for n, b in self.parts.items()]
        lines += [f"{'received: ' + n:>48} {b / 1e6:10.3f} MB" for n, b in self.sent.items()]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        return table_html(self._title(), self.frame, formatters={"bytes": "{:,}".format})


@door
def plan(
    config: SAEConfig,
    *,
    ranks: int = 1,
    batch: int = 2048,
    memory: int | float | str | None = None,
    buffer: int = 1 << 16,
    options: dict[str, Any] | None = None,
    aux_k: int | None = None,
    ema: float = 0.0,
    precision: str = "auto",
    device: str = "cpu",
    rate: float | None = None,
) -> Plan:
    """What it takes to train an SAE, found out before work starts.

    Parameters
    ----------
    config
        Of the SAE: architecture, widths, number of latents, k.
    ranks
        Processes of ``torchrun --nproc-per-node``; each holds some of the latents.
    batch, buffer, options, aux_k, ema, precision
        As in :func:`train`.
    memory
        That each rank may use, such as ``"141GB"``; None: what is free here, on a CPU divided by the ranks.
    device
        Where it trains: ``"cpu"``, or ``"cuda"``, where the buffer and Python itself take no room; it need not be here.
    rate
        Multiplications and additions in a second, each counted; None: of a product measured here.

    Returns
    -------
    Plan
        It shows itself; ``frame`` is the table.

    Raises
    ------
    SaelabError
        If it does not fit: the largest parts, and how many ranks or latents would fit.

    Examples
    --------
    >>> big = sl.SAEConfig("topk", d_in=768, d_sae=2**24, k=32)
    >>> found = sl.plan(big, ranks=8, memory="141GB", device="cuda", rate=4e14)
    >>> found.sent["reconstruction"]
    22020096
    """
    check_count("ranks", ranks, high=config.d_sae)
    check_count("batch", batch)
    check_count("buffer", buffer)
    Recipe(aux_k=aux_k, ema=ema, precision=precision)  # as train checks them
    if config.d_in * config.d_sae >= 1 << 56:
        raise SaelabError(
            f"no machine holds {config.d_sae:,} latents × {config.d_in:,}: give a smaller d_sae"
        )
    if device not in ("cpu", "cuda") or memory is None or rate is None:
        check_device(device)  # to be asked what is free, and how fast it is
    rate = None if rate is None else check_number("rate", rate, 0, open_low=True)
    here = torch.device(device)
    typed = make_options(config.arch, options, config.k or 32)
    fast = precision == "bfloat16" or (
        precision == "auto" and bool(config.k) and (here.type == "cuda" or has_fast_bfloat16(here))
    )
    if memory is None:
        room = free_memory(here) / (ranks if here.type == "cpu" else 1)
    else:
        room = float(parse_bytes(memory) if isinstance(memory, str) else check_number("memory", memory, 1e6))
    aux = 0 if config.arch not in _AUX else max(1, config.d_in // 2) if aux_k is None else aux_k
    rows = {"batch": batch, "buffer": max(buffer, 2 * batch), "aux_k": aux}

    def takes(d_sae: int, ranks: int) -> dict[str, float]:
        return _parts(config, typed, -(-d_sae // ranks), here.type, ema=ema, fast=fast, **rows)

    parts = takes(config.d_sae, ranks)
    if sum(parts.values()) > room:
        shown = ", ".join(f"{n} {b / 1e9:.3g} GB" for n, b in sorted(parts.items(), key=lambda p: -p[1])[:4])
        more, fewer = ranks, config.d_sae
        while sum(takes(config.d_sae, more).values()) > room and more < 1 << 16:
            more *= 2
        while sum(takes(fewer, ranks).values()) > room and fewer > ranks:
            fewer //= 2
        ways = [f"ranks={more} (of as much memory)"] * (more < 1 << 16) + [f"d_sae={fewer:,}"] * (
            fewer > ranks
        )
        raise SaelabError(
            f"{ranks} × {room / 1e9:.4g} GB do not hold this run: each rank needs {sum(parts.values()) / 1e9:.4g} GB "
            f"({shown}). {' or '.join(ways) or 'A smaller batch or buffer'} would fit"
        )
    sent = step_bytes(config, typed, batch, ranks, min(aux, config.d_sae) if aux else None)
    if ranks > 1:
        sent["numbers"] += 8 * (ranks - 1) // ranks  # whether one of them is to stop
        sent["activations"] = 4 * config.d_in * batch * (ranks - 1) // ranks
    flops = 2.0 * batch * config.d_in * -(-config.d_sae // ranks)
    return Plan(config, ranks, room, parts, sent, flops, rate or measured_rate(config.d_in, here, fast))


def _parts(
    c: SAEConfig,
    options: Any,
    n: int,
    device: str,
    *,
    batch: int,
    buffer: int,
    aux_k: int,
    ema: float,
    fast: bool,
) -> dict[str, float]:  # fmt: skip
    """Bytes of a rank with ``n`` latents, by what they are for, at the moment where they are most."""
    d_out, size = int(c.d_out or c.d_in), 2 if fast else 4
    with torch.device("meta"):
        part = SAE(replace(c, d_sae=n, k=c.k and min(c.k, n), prefixes=c.prefixes and (n,)))
    weights = 4.0 * sum(p.numel() for p in part.parameters())
    rows, wide = tile_shape(None if c.arch == "topk" else batch, batch, n, device)
    k = min(float(c.k or options.target_l0 or 64) * (4 if getattr(options, "multi", 0) else 1), c.d_sae)
    aux = 4.0 * n * max(c.d_in, d_out) * bool(aux_k)
    # before there are gradients: the encoder in bfloat16, and what the dead latents are searched in
    search = 2.0 * n * c.d_in * fast + 12.0 * BLOCK * bool(aux_k)
    out = {
        "weights": weights,
        "gradients, with those of the auxiliary loss": max(weights + aux, search),
        "Adam's moments": 2 * weights,
        "running mean of the weights": weights * bool(ema),
        "counts of each latent": 60.0 * n,
        "a tile of pre-activations": size * (1 + 1 / 8) * rows * wide,
        "rows of a batch": 4.0 * batch * (6 * c.d_in + 8 * d_out),
        "active latents of a batch": _ENTRY * batch * (k + min(aux_k, n)),
    }
    if device == "cpu":
        widths = c.d_in + (d_out if c.hook_in != c.hook_out else 0)
        out |= {"the buffer": buffer * (4.0 * widths + 24), "Python and its libraries": _PROCESS}
    return {name: size for name, size in out.items() if size}


def step_bytes(c: SAEConfig, options: Any, batch: int, ranks: int, dead: int | None) -> dict[str, int]:
    """Bytes that each rank receives in a step, by what they are for: what :class:`saelab.training.sharded.Several` counts.
    ``dead`` latents take part in the auxiliary loss; None: none can be dead yet. Rows that are asked again are left out."""
    if ranks == 1:
        return {}
    out: Counter[str] = Counter()
    d_out, rows = int(c.d_out or c.d_in), batch * int(c.d_out or c.d_in)

    def total(what: str, n: int, size: int = 4) -> None:
        out[what] += 2 * n * size * (ranks - 1) // ranks

    def kth(lines: int, k: int) -> None:
        shown = min(k, -(-2 * k // ranks))
        out["candidates"] += lines * shown * 4 * (ranks - 1)
        if shown < k:
            total("candidates", lines)

    if c.arch == "topk":
        k, multi = int(c.k or 0), bool(options.multi)
        wide = min(4 * k, c.d_sae) if multi else k
        kth(batch, wide)
        if wide != k:
            kth(batch, k)
        total("reconstruction", rows)
        if multi:
            total("reconstruction", rows)
    elif c.arch in ("batchtopk", "matryoshka"):
        kth(1, int(c.k or 0) * batch)
        out["numbers"] += 16 * (ranks - 1)
        total("numbers", 1)
        total("reconstruction", rows * len(c.prefixes or (1,)))
    else:  # a penalty, summed over latents
        total("numbers", 1)
        total("reconstruction", rows)
        if c.arch == "gated":
            total("reconstruction", rows)
        elif c.arch == "relu" and options.p_end < 1:
            total("numbers", 1)
    if c.arch in _AUX and dead is not None:
        total("numbers", 1, 8)
        if dead:
            kth(batch, dead)
            total("reconstruction", batch * d_out)
    if c.input_bias != "none":
        total("bias of the input", c.d_in)
    for n, size in ((1, 8), (1, 4), (2, 8)):  # active latents, size of the gradient, dead and rare latents
        total("numbers", n, size)
    return dict(out)


def measured_rate(d: int, device: torch.device, fast: bool) -> float:
    """Multiplications and additions in a second, each counted, of a product like the encoder's."""
    kind = torch.bfloat16 if fast else torch.float32
    x, w = (torch.ones(n, d, dtype=kind, device=device) for n in (ROWS, 1 << 14))
    best = float("inf")
    for _ in range(4):
        began = time.perf_counter()
        float((x @ w.T)[0, 0])  # asked for: a device is waited for
        best = min(best, time.perf_counter() - began)
    return 2.0 * len(x) * len(w) * d / best
