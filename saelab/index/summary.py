"""What an index looks like as the value of a notebook cell."""

from __future__ import annotations

import html

import numpy as np

from saelab.display import facts_html, isolated
from saelab.index.queries import Queries

_TABLE = 'style="color:inherit"'  # tables do not inherit it in pages without a doctype
_CELL = 'style="text-align:left;padding:1px 12px 1px 0"'
_FEW, _OFTEN = 20, 100  # tokens that a latent worth a look fires on: at least, and at most one in so many
_WORD = 'style="font-family:monospace;white-space:pre;background:rgba(128,128,128,.16);padding:0 3px"'


def facts(index: Queries) -> list[tuple[str, str]]:
    """The lines of the summary, as text."""
    config = index.config
    alive = int((index.counts > 0).sum())
    masked = config["masked"]["positions"]
    kinds = ", ".join(f"{label} × {n:,}" for label, n in list(config["masked"]["tokens"].items())[:4])
    left_out = f"; {masked:,} left out ({config['masked']['reason']}: {kinds})" if masked else ""
    arch, dead = config["sae"]["arch"], index.d_sae - alive
    l0 = "undefined: no position counts"
    if index.n_counted:
        l0 = f"{config['n_active'] / index.n_counted:.1f} per token"
    if config["threshold"]:
        l0 += f"; values up to {config['threshold']:g} not stored"
    lines = [
        ("SAE", f"{arch}, {index.d_sae:,} latents at {config['hook']} of {config['model']}"),
        ("text", f"{index.n_tokens:,} tokens in {len(index.rows):,} rows of {config['n_docs']:,} documents"),
        ("counted", f"{index.n_counted:,} positions{left_out}"),
        ("alive", f"{alive:,} latents fire ({alive / index.d_sae:.1%}); {dead:,} never do on this text"),
        ("active", l0),
    ]
    if getattr(index, "temporary", False):
        kept = "a temporary folder, which goes with this object; LatentIndex.build(…, path=folder) keeps it"
        lines.append(("kept in", kept))
    lines += [("⚠", note) for note in getattr(index, "mismatch", ())]
    labels = len(index.notes.frame())
    return [*lines, ("labels", f"{labels:,} latents")] if labels else lines


def to_text(index: Queries) -> str:
    """For ``repr``."""
    width = max(len(a) for a, _ in facts(index))
    return "\n".join(["LatentIndex", *(f"  {a:<{width}}  {b}" for a, b in facts(index))])


def to_html(index: Queries, n: int = 5) -> str:
    """For ``_repr_html_``: no script, readable on light and dark, every text escaped."""
    chosen, why = worth_a_look(index, n)
    head = "".join(f"<th {_CELL}>{name}</th>" for name in ("latent", "fires on", "max", "strongest on"))
    lines = "".join(_line(index, latent) for latent in chosen)
    table = (
        f"<table {_TABLE}><tr>{head}</tr>{lines}</table>" if lines else "<p>No latent fires on this text.</p>"
    )
    some = chosen[0] if chosen else 0
    calls = (f"index.dashboard({some})", f"index.top({some})", "index.search('text')", "index.table()")
    hint = ", ".join(f"<code>{call}</code>" for call in calls)
    return (
        f'{facts_html("LatentIndex", facts(index))}<div class="tex2jax_ignore mathjax_ignore">'
        f"<b>Latents worth a look</b> <span style='opacity:.7'>{why}</span>{table}"
        f"<p style='opacity:.7'>Go on with {hint}</p></div>"
    )


def worth_a_look(index: Queries, n: int) -> tuple[list[int], str]:
    """Up to ``n`` latents to begin with, and why these: one that fires everywhere seldom means one thing."""
    counts, peak = np.asarray(index.counts), index.arrays["peak"]
    rare = (counts >= _FEW) & (counts <= index.n_counted / _OFTEN)
    if rare.any():
        why = f"each fires on at least {_FEW} tokens and at most 1 in {_OFTEN}, and strongly; one for each token"
        order = np.argsort(
            -np.where(rare, index.arrays["moments"][:, 0] / np.maximum(counts, 1), -np.inf), kind="stable"
        )[: rare.sum()]
    else:
        why = "they fire on most tokens; one for each token"
        order = np.argsort(-counts, kind="stable")[: (counts > 0).sum()]
    _, first = np.unique(index.rows.ids[peak[order]], return_index=True)
    return order[np.sort(first)][:n].tolist(), why


def _line(index: Queries, latent: int) -> str:
    token, value = index.postings(latent)
    ids = index.rows.ids[token[np.argsort(-value, kind="stable")[:200]]]
    words = list(dict.fromkeys(ids.tolist()))[:5]
    shown = " ".join(_word(index.vocab.label(i)) for i in words)
    cells = (str(latent), f"{len(token) / index.n_counted:.2%}", f"{value.max():.3g}", shown)
    return "<tr>" + "".join(f"<td {_CELL}>{c}</td>" for c in cells) + "</tr>"


def _word(label: str) -> str:
    shown = label.replace("\n", "↵").replace("\t", "→").replace("\r", "␍")
    spaces = len(shown) - len(shown.lstrip(" "))
    return isolated(label, _WORD, html.escape("·" * spaces + shown[spaces:]))
