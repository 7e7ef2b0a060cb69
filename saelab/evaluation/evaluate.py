"""Evaluate an SAE: how well it reconstructs, and what the model loses when it runs on the reconstruction.

One mask serves every run: special tokens and padding are never replaced, neither by the reconstruction nor
by zeros nor by the mean, and never enter a statistic. (Ablating BOS destroys a model, which makes every SAE
look good beside it.) Sums are kept in float64 and divided once, so nothing depends on the batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from saelab import data, models
from saelab.activations import harvest
from saelab.errors import SaelabError
from saelab.evaluation.report import Report
from saelab.sae import SAE

_RUNS = ("clean", "sae", "zero", "mean")


def evaluate(
    sae: SAE,
    model: Any,
    texts: Iterable[str] | data.TokenRows,
    *,
    tokens: int | str | None = "100k",
    batch_tokens: int = 4096,
    progress: bool = True,
) -> Report:
    """Measure ``sae`` on ``texts``.

    Parameters
    ----------
    texts
        Strings, or rows made before (taken whole). Use text the SAE was not trained on.
    tokens
        Stop after this many tokens; None takes all.
    batch_tokens
        Tokens in one forward pass; lowered by itself for large vocabularies, so that logits stay
        under 256 MB.

    Raises
    ------
    SaelabError
        If the SAE does not fit the model, is a transcoder, or no position can be counted.
    """
    hook = sae.config.hook_in
    models.check_hook(model, hook)
    if sae.config.hook_out != hook:
        raise SaelabError(
            f"this SAE reads {hook} and writes {sae.config.hook_out}: a transcoder is evaluated at its target"
        )
    rows = data.tokenize_texts(model, texts, context=sae.config.context, bos=sae.config.bos, tokens=tokens)
    widest = max(256, (1 << 26) // models.vocab_size(model))
    with tqdm(
        total=2 * rows.n_tokens,
        unit="tok",
        unit_scale=True,
        desc="evaluate",
        disable=not progress,
        leave=False,
    ) as bar:
        stats = _reconstruction(sae, model, rows, hook, batch_tokens, bar)
        losses = _downstream(sae, model, rows, hook, stats["mean"], min(batch_tokens, widest), bar)
    return _report(sae, hook, stats, losses)


@torch.no_grad()
def _reconstruction(
    sae: SAE, model: Any, rows: data.TokenRows, hook: str, batch_tokens: int, bar: tqdm
) -> dict[str, Any]:
    n = excluded = 0
    sums: dict[str, float] = dict.fromkeys(("x2", "err2", "cos", "norm_x", "norm_r", "l0"), 0.0)
    mean = np.zeros(sae.config.d_in)
    fires = torch.zeros(sae.config.d_sae, dtype=torch.long)
    for batch, acts, keep in harvest(model, rows, hook, batch_tokens=batch_tokens):
        x = acts[keep.to(acts.device)].float()  # (n, d)
        bar.update(int(batch.mask.sum()))
        excluded += int(batch.mask.sum()) - len(x)
        if not len(x):
            continue
        codes = sae.encode_sparse(x.to(sae.W_enc.device))
        recon = sae.decode(codes).to(x)  # (n, d)
        n += len(x)
        mean += x.double().sum(0).cpu().numpy()
        fires += torch.bincount(codes.indices.cpu(), minlength=len(fires))
        for name, part in (
            ("x2", x.double().square().sum()),
            ("err2", (x.double() - recon.double()).square().sum()),
            ("cos", torch.nn.functional.cosine_similarity(x, recon, dim=-1).double().sum()),
            ("norm_x", x.double().norm(dim=-1).sum()),
            ("norm_r", recon.double().norm(dim=-1).sum()),
            ("l0", codes.l0().sum()),
        ):
            sums[name] += float(part)
    if n == 0:
        raise SaelabError("every position is a special token or padding: there is nothing to evaluate")
    return {"n": n, "excluded": excluded, "mean": mean / n, "fires": fires.numpy(), **sums}


@torch.no_grad()
def _downstream(
    sae: SAE, model: Any, rows: data.TokenRows, hook: str, mean: np.ndarray, batch_tokens: int, bar: tqdm
) -> dict[str, float]:
    total = {f"{kind}_{run}": 0.0 for run in _RUNS for kind in ("ce", "kl")} | {"predictions": 0}
    average = torch.from_numpy(mean)
    for batch in rows.batches(batch_tokens):
        keep = data.valid_mask(model, batch.ids, batch.mask)[..., None]  # (B, T, 1)

        def swap(make: Callable[[Tensor], Tensor], keep: Tensor = keep) -> dict[str, models.HookFn]:
            return {hook: lambda x: torch.where(keep.to(x.device), make(x).to(x), x)}

        edits: dict[str, dict[str, models.HookFn]] = {
            "clean": {},
            "sae": swap(lambda x: sae.decode(sae.encode_sparse(x.to(sae.W_enc.device)))),
            "zero": swap(torch.zeros_like),
            "mean": swap(lambda x: average.to(x).expand_as(x)),
        }
        # scored where the activation is replaced and a token that counts follows: at BOS all runs are the same
        scored = keep[:, :-1, 0] & keep[:, 1:, 0]  # (B, T - 1)
        target = batch.ids[:, 1:][scored]  # (n,)
        clean = None
        for run in _RUNS:
            with models.lock(model), models.hooked(model, edits[run]):
                logits = models.forward(model, batch.ids, batch.mask)  # (B, T, V)
            logp = logits[:, :-1].cpu()[scored].float().log_softmax(-1)  # (n, V)
            clean = logp if clean is None else clean
            total[f"ce_{run}"] -= float(logp.gather(-1, target[:, None]).double().sum())
            total[f"kl_{run}"] += float(kl_divergence(clean, logp).double().sum())
        total["predictions"] += len(target)
        bar.update(int(batch.mask.sum()))
    n = max(total["predictions"], 1)
    return {name: value / n if name != "predictions" else value for name, value in total.items()}


def kl_divergence(logp: Tensor, logq: Tensor) -> Tensor:
    """KL(p ‖ q) from log-probabilities (\\*, V) -> (\\*), in nats. Entries with p = 0 count as 0, also when
    masked logits make both -inf."""
    return torch.where(logp == -torch.inf, 0.0, logp.exp() * (logp - logq)).sum(-1)


def _report(sae: SAE, hook: str, s: dict[str, Any], d: dict[str, float]) -> Report:
    n, notes = s["n"], []
    variance = s["x2"] - n * float(s["mean"] @ s["mean"])
    # the sums cancel when all rows are equal: what is left is rounding, not variance
    explained = 1 - s["err2"] / variance if variance > 1e-9 * max(s["x2"], 1e-300) else None
    if explained is None:
        notes.append("explained variance is undefined: the activations do not vary")
    elif explained < 0:
        notes.append(
            "worse than predicting the mean: is this the hook point and scale the SAE was trained on?"
        )
    scored = d["predictions"] > 0
    if not scored:
        notes.append("the losses are undefined: every row is one token long, there is no next token")

    def recovered(run: str) -> float | None:
        gap = d[f"ce_{run}"] - d["ce_clean"]
        if not scored:
            return None
        if abs(gap) < 1e-6:
            notes.append(
                f"loss recovered against {run} ablation is undefined: that ablation does not change the loss"
            )
            return None
        return (d[f"ce_{run}"] - d["ce_sae"]) / gap

    losses = {name: value if scored else None for name, value in d.items()}
    density = s["fires"] / n
    return Report(
        explained_variance=explained, mse=s["err2"] / n, cosine=s["cos"] / n,
        norm_ratio=s["norm_r"] / max(s["norm_x"], 1e-300), l0=s["l0"] / n,
        dead=int((s["fires"] == 0).sum()), rare=int(((density > 0) & (density < 1e-5)).sum()),
        dense=int((density > 0.1).sum()),
        ce_clean=losses["ce_clean"], ce_sae=losses["ce_sae"], ce_zero=losses["ce_zero"],
        ce_mean=losses["ce_mean"], kl_sae=losses["kl_sae"], kl_zero=losses["kl_zero"],
        kl_mean=losses["kl_mean"],
        loss_recovered_zero=recovered("zero"), loss_recovered_mean=recovered("mean"),
        d_sae=sae.config.d_sae, tokens=n, excluded=s["excluded"], predictions=int(d["predictions"]),
        hook=hook, notes=tuple(notes),
    )  # fmt: skip
