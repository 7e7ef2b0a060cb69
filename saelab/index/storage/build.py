"""Build an index in one pass over the text.

Per batch: the model up to the hook point, the SAE's encoder on counted positions, and the codes go to the
writer. No logits, no second pass, no dense (tokens, d_sae) array beyond the encoder's share of rows; memory is a
batch, a stretch of codes and the sort's share.

A stretch is four times ``batch_tokens``, counted from the beginning of the text, and its rows are batched by length.
So the batches, and with them the last bits of every value, are the same when a build goes on after a kill and in each
shard, which encodes the stretches at its two ends whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saelab import __version__, models
from saelab.display import Bar
from saelab.errors import SaelabError, check_count, check_sae, parse_bytes
from saelab.identity import changed, check_pair, check_unchanged, digest, facts_of, meet, sae_digest
from saelab.index.storage import layout
from saelab.index.storage.arrays import ranges
from saelab.index.storage.items import Items, alone, check_items
from saelab.index.storage.vocab import Vocab
from saelab.index.storage.writer import IndexWriter
from saelab.models import HookedModel
from saelab.sae import SAE

_STRETCH = 4  # batches
_OF_SAE = "the SAE's latents are NaN or infinite"


def build(
    folder: Path, model: HookedModel | None, sae: SAE, texts: models.Texts | Items, *,
    tokens: int | str | None, batch_tokens: int, progress: bool, spill: int | str, threshold: float,
    skip_special: bool, shard: tuple[int, int] | None, overwrite: bool,
) -> None:  # fmt: skip
    """Write the index of ``sae`` on ``texts`` into ``folder``; the arguments are those of ``LatentIndex.build``."""
    check_sae(sae)
    source: Any = texts if alone(model, texts) else model  # where activations come from
    check_unchanged(model, "an index")
    mismatch = check_items(sae, texts) if model is None else check_pair(model, sae)
    if isinstance(texts, models.TokenRows):
        mismatch += meet(texts, model)
    check_count("batch_tokens", batch_tokens)
    memory = parse_bytes(spill)
    if not threshold >= 0:
        raise SaelabError(f"threshold must be at least 0, got {threshold!r}")
    rows, vocab = _of_items(source) if model is None else _of_text(source, sae, texts, tokens)
    if tokens is not None and isinstance(texts, (models.TokenRows, Items)):
        begun = int(np.searchsorted(rows.offsets, models.parse_tokens(tokens)))
        rows = part_of(rows, 0, min(begun, len(rows)))
    identity = _identity(source, sae, rows, threshold=threshold, skip_special=skip_special, shard=shard)
    whole, rows, begin = rows, *_shard(rows, shard)
    if rows.n_tokens >= 1 << 31:
        raise SaelabError(f"{rows.n_tokens} tokens are too many for one index; build shards and merge them")
    counted = _counted(source, rows.ids, skip_special)
    earlier = None if overwrite or not layout.is_index(folder) else layout.read_config(folder)["identity"]
    if earlier is not None and not changed(earlier, identity):
        return  # the same index, finished before
    config = _config(source, sae, rows, vocab, counted, threshold=threshold, shard=shard)
    config |= {"mismatch": mismatch} if mismatch else {}
    with IndexWriter(
        folder, rows, counted, sae.config.d_sae, vocab, config=config, identity=identity, memory=memory,
        overwrite=overwrite,
    ) as writer:  # fmt: skip
        bar = {"desc": "index", "unit": "tok", "unit_scale": True, "disable": not progress}
        with Bar(total=rows.n_tokens, initial=writer.positions, **bar) as done:
            for stop, *codes in encoded(
                source, sae, whole, begin + writer.positions, begin + rows.n_tokens,
                skip_special=skip_special, batch_tokens=batch_tokens, threshold=threshold,
            ):  # fmt: skip
                done.update(stop - begin - writer.positions)
                writer.append(stop - begin, *codes)
        with Bar(total=2 * writer._latent.length, **{**bar, "desc": "sort", "unit": "entry"}) as done:
            writer.finish(done.update)


def _of_items(store: Items) -> tuple[models.TokenRows, Vocab]:
    """The rows of a store, and their labels."""
    rows, labels = store.documents()
    return rows, Vocab.of_bytes([label.encode("utf-8", "backslashreplace") for label in labels])


def _counted(source: HookedModel | Items, ids: np.ndarray, skip_special: bool) -> np.ndarray:
    """(n,) bool: True where not special; rows of a store all count."""
    if isinstance(source, Items) or not skip_special:
        return np.ones(len(ids), np.bool_)
    return models.valid_mask(source, ids)


def _of_text(
    model: HookedModel, sae: SAE, texts: models.Texts, tokens: int | str | None
) -> tuple[models.TokenRows, Vocab]:
    """Token rows and vocabulary; the model has every hook point the SAE reads, each as wide as the SAE expects."""
    for hook, want in zip(sae.config.hooks, sae.config.widths or (sae.config.d_in,), strict=True):
        width = models.hook_width(model, models.check_hook(model, hook))
        if width != want:
            raise SaelabError(
                f"the SAE reads {want} numbers per token at {hook!r}, but this model has {width}"
            )
    rows = models.tokenize_texts(model, texts, context=sae.config.context, bos=sae.config.bos, tokens=tokens)
    if not len(rows):
        raise SaelabError("there are no rows to index")
    return rows, Vocab.of_model(model)


def part_of(rows: models.TokenRows, a: int, b: int) -> models.TokenRows:
    """Rows ``a … b``; document numbers stay."""
    offsets = rows.offsets[a : b + 1]
    return models.TokenRows(
        rows.ids[offsets[0] : offsets[-1]],
        offsets - offsets[0],
        rows.doc[a:b],
        rows.start[a:b],
        rows.bos,
        rows.vocabulary,
    )


def _shard(rows: models.TokenRows, shard: tuple[int, int] | None) -> tuple[models.TokenRows, int]:
    """Shard ``i`` of ``n``: whole rows, about the same number of tokens in each; and where it begins."""
    if shard is None:
        return rows, 0
    given = [check_count("shard", s, 0) for s in shard]
    i, n = given if len(given) == 2 else (1, 0)
    if not i < n:
        raise SaelabError(f"shard must be (i, n) with i in 0…n-1, got {shard}")
    cuts = np.searchsorted(rows.offsets, [rows.n_tokens * i / n, rows.n_tokens * (i + 1) / n])
    if cuts[0] == cuts[1]:
        raise SaelabError(f"shard {i} of {n} is empty: there are only {len(rows)} rows")
    return part_of(rows, int(cuts[0]), int(cuts[1])), int(rows.offsets[cuts[0]])


# ---------------------------------------------------------------------------------------------- identity


def _identity(
    source: HookedModel | Items, sae: SAE, rows: models.TokenRows, **settings: Any
) -> dict[str, str]:
    return {
        "SAE": sae_digest(sae),
        "model": facts_of(source).marks["model"]().digest,
        "text": digest(rows.ids, rows.offsets, rows.doc),
        **({"store": source.digest} if isinstance(source, Items) else {}),
        **{name: repr(value) for name, value in settings.items()},
    }


def _config(
    source: HookedModel | Items, sae: SAE, rows: models.TokenRows, vocab: Vocab, counted: np.ndarray, *,
    threshold: float, shard: tuple[int, int] | None,
) -> dict[str, Any]:  # fmt: skip
    left_out, times = np.unique(rows.ids[~counted], return_counts=True)
    kinds = {vocab.label(i): int(n) for i, n in zip(left_out, times, strict=True)}
    return {
        "sae": sae.config.to_dict(), "hook": sae.config.hook_in,
        "model": facts_of(source).marks["model"]().name,
        "bos": bool(rows.bos), "threshold": float(threshold),
        "masked": {"positions": int((~counted).sum()), "reason": "special tokens", "tokens": kinds},
        "window": [layout.BEFORE, layout.AFTER], "shard": None if shard is None else [int(s) for s in shard],
        "n_docs": len(np.unique(rows.doc)), "special_ids": sorted(vocab.special), "bos_id": vocab.bos,
        "tokenizer": vocab.hash(),
        "versions": {"saelab": __version__, "torch": torch.__version__, "numpy": np.__version__},
    }  # fmt: skip


# ---------------------------------------------------------------------------------------------- encoding


def encoded(
    source: HookedModel | Items, sae: SAE, rows: models.TokenRows, first: int, last: int, *,
    skip_special: bool, batch_tokens: int, threshold: float = 0.0,
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:  # fmt: skip
    """Codes of positions ``first … last`` (where rows begin), in stretches of whole rows, in the text's order.

    Yields (stop, counts (stop - start,), latent (n,), value (n,)).
    """
    ends = np.arange(0, rows.n_tokens, _STRETCH * batch_tokens)
    cuts = np.unique([*np.searchsorted(rows.offsets, ends), len(rows)])  # rows where stretches begin
    begins = rows.offsets[cuts]
    for i in range(int(np.searchsorted(begins, first, side="right")) - 1, len(cuts) - 1):
        start, stop = int(begins[i]), int(begins[i + 1])
        if start >= last:
            return
        part = part_of(rows, int(cuts[i]), int(cuts[i + 1]))
        if isinstance(source, Items):
            batches = [
                _encode_rows(
                    source, sae, start, np.arange(a, min(a + batch_tokens, part.n_tokens)), threshold
                )
                for a in range(0, part.n_tokens, batch_tokens)
            ]
        else:
            counted = _counted(source, part.ids, skip_special)
            batches = [
                _encode_batch(source, sae, batch, counted, threshold) for batch in part.batches(batch_tokens)
            ]
        counts, latent, value = _in_order(batches, part.n_tokens)
        a, b = max(first - start, 0), min(last, stop) - start
        low, high = int(counts[:a].sum()), int(counts[:b].sum())
        yield start + b, counts[a:b], latent[low:high], value[low:high]


Coded = tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray
]  # token (m,), count (m,), latent (n,), value (n,)


def _encode_rows(store: Items, sae: SAE, first: int, token: np.ndarray, threshold: float) -> Coded:
    """Of rows ``first + token`` of a store, which follow each other."""
    a, b = first + int(token[0]), first + int(token[-1]) + 1
    with torch.no_grad():
        rows = store.rows(a, b, sae.config.hook_in or None)
        counts, latent, value = _codes(sae, rows, threshold)
    if not counts[-1]:
        raise SaelabError(
            f"rows {a}:{b} of this store hold NaN or infinity: leave them out"
            if not rows.isfinite().all()
            else f"{_OF_SAE} on rows {a}:{b} of this store, which are finite: look at its weights"
        )
    return token, counts[:-1], latent, value


def _encode_batch(
    model: HookedModel, sae: SAE, batch: models.Batch, counted: np.ndarray, threshold: float
) -> Coded:
    """Of the counted positions of one batch."""
    keep = (batch.flat >= 0) & counted[batch.flat]  # (B, T)
    token = batch.flat[keep]
    if not len(token):
        return token, token, token, np.zeros(0, np.float32)
    with models.lock(model), torch.no_grad():
        hooks = sae.config.hooks  # a crosscoder reads several, side by side
        found = models.run_to_hooks(model, batch.ids, hooks, batch.mask, finite=False)
        place = torch.from_numpy(np.flatnonzero(keep)).to(
            found[hooks[0]].device
        )  # (m,) a mask would be waited for
        x = torch.cat([found[h].flatten(0, 1)[place] for h in hooks], dim=-1)  # (m, d_in)
        counts, latent, value = _codes(sae, x, threshold)
    for hook in () if counts[-1] else hooks:
        models.check_finite(model, f"hook point {hook!r}", found[hook], batch.ids, torch.from_numpy(keep))
    if not counts[-1]:
        raise SaelabError(f"{_OF_SAE} at {str(hooks)!r}, where activations are finite: look at its weights")
    return token, counts[:-1], latent, value


def _codes(sae: SAE, x: torch.Tensor, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(count (m + 1,), latent (n,), value (n,)) of inputs (m, d_in); the last count is whether all numbers are finite."""
    codes = sae.encode_sparse(x)
    counts, latent, value = codes.offsets.diff(), codes.indices, codes.values.float()
    if threshold > 0:
        strong = value > threshold
        counts = torch.bincount(codes.rows()[strong], minlength=len(x))
        latent, value = latent[strong], value[strong]
    # whether all is finite comes with the counts: asked for by itself it would be one more wait
    finite = x.isfinite().all().to(counts.device) & codes.values.isfinite().all()
    counts = torch.cat([counts, finite.to(counts)[None]]).cpu().numpy()
    return counts, latent.cpu().numpy(), value.cpu().numpy()


def _in_order(
    batches: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], n_tokens: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes of several batches as (counts (n_tokens,), latent, value) in the order of the text."""
    token, count, unordered_latent, unordered_value = (np.concatenate(x) for x in zip(*batches, strict=True))
    counts = np.zeros(n_tokens, dtype=np.int64)
    counts[token] = count
    place = ranges((np.cumsum(counts) - counts)[token], count)
    latent, value = np.empty(len(place), dtype=np.int32), np.empty(len(place), dtype=np.float32)
    latent[place], value[place] = unordered_latent, unordered_value
    return counts, latent, value
