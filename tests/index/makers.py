"""Indexes made from given codes, without a model, and what they should answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saelab.index import LatentIndex
from saelab.index.storage.vocab import Vocab
from saelab.index.storage.writer import IndexWriter
from saelab.models.rows import TokenRows

# byte-level pieces: whole words, single bytes of 日 (e6 97 a5), markup, whitespace
PIECES = [
    b"<bos>",
    b"the",
    b" fox",
    b" ran",
    b"\xe6",
    b"\x97",
    b"\xa5",
    b"<b>",
    b'"',
    b"\n",
    b" ",
    b"$",
    b"HT",
    b"TP",
]


def vocab(pieces: list[bytes] = PIECES) -> Vocab:
    ptr = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
    return Vocab(ptr, np.frombuffer(b"".join(pieces), np.uint8), special=[0], bos=0)


def rows_of(texts: list[list[int]], docs: list[int] | None = None) -> TokenRows:
    """Rows of given ids; BOS (id 0) must be in them."""
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    ids = np.array([i for t in texts for i in t], dtype=np.int32)
    doc = np.arange(len(texts)) if docs is None else np.array(docs)
    return TokenRows(ids, offsets, doc.astype(np.int32), np.zeros(len(texts), np.int32), True)


def random_rows(rng: np.random.Generator, n_rows: int, longest: int, n_vocab: int = len(PIECES)) -> TokenRows:
    """Rows that begin with BOS; few kinds of row, so that windows repeat; special tokens also inside."""
    kinds = [
        [0, *rng.integers(0, n_vocab, rng.integers(0, longest)).tolist()] for _ in range(max(1, n_rows // 2))
    ]
    return rows_of([kinds[rng.integers(len(kinds))] for _ in range(n_rows)])


def random_codes(rng: np.random.Generator, counted: np.ndarray, d_sae: int, share: float) -> np.ndarray:
    """(n_tokens, d_sae) with many equal values and a few latents that never, once or always do the same."""
    shape = (len(counted), d_sae)
    z = np.where(rng.random(shape) < share, rng.choice([0.25, 0.5, 1.0, 3.0, 7.25, 1e-4, 0.1], shape), 0)
    z = z.astype(np.float32)
    z[:, 0] = 0  # dead
    if d_sae > 1:
        z[:, 1] = 0
        z[rng.integers(len(counted)), 1] = 2.5  # at most one hit
    if d_sae > 2:
        z[:, 2] = np.where(z[:, 2] > 0, 0.7, 0)  # one value
    z[~counted] = 0
    return z


def write(
    folder: Path, rows: TokenRows, z: np.ndarray, *, cuts: list[int] | None = None, memory: int = 10**6,
    counted: np.ndarray | None = None, shard: list[int] | None = None,
    sae_id: str = "sae", text_id: str = "text",
) -> LatentIndex:  # fmt: skip
    """Index dense codes ``z``; ``cuts`` are rows where stretches end, ``memory`` is what the sort has."""
    counted = rows.ids != 0 if counted is None else counted
    cuts = sorted({*(cuts or []), len(rows)} - {0})
    with open_writer(folder, rows, counted, z.shape[1], memory, shard, sae_id, text_id) as writer:
        for cut in cuts:
            stop = int(rows.offsets[cut])
            if stop > writer.positions:
                writer.append(stop, *codes_of(z[writer.positions : stop]))
        writer.finish()
    return LatentIndex.open(folder)


def open_writer(
    folder: Path, rows: TokenRows, counted: np.ndarray, d_sae: int, memory: int = 10**6,
    shard: list[int] | None = None, sae_id: str = "sae", text_id: str = "text", overwrite: bool = False,
) -> IndexWriter:  # fmt: skip
    kinds, times = np.unique(rows.ids[~counted], return_counts=True)
    v = vocab()
    config = {
        "sae": {"arch": "topk"}, "model": "made by hand", "hook": "blocks.0.hook_resid_post", "bos": True,
        "threshold": 0.0, "window": [10, 5], "shard": shard, "n_docs": len(np.unique(rows.doc)),
        "masked": {
            "positions": int((~counted).sum()), "reason": "special tokens",
            "tokens": {v.label(i): int(n) for i, n in zip(kinds, times, strict=True)},
        },
        "special_ids": [0], "bos_id": 0, "tokenizer": v.hash(), "versions": {},
    }  # fmt: skip
    identity = {"SAE": sae_id, "model": "m", "text": text_id, "threshold": "0.0", "skip_special": "True"}
    return IndexWriter(
        folder,
        rows,
        counted,
        d_sae,
        v,
        config=config,
        identity={**identity, "shard": repr(shard)},
        memory=memory,
        overwrite=overwrite,
    )


def codes_of(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dense (n, d_sae) -> counts, latent, value."""
    position, latent = np.nonzero(z)
    return np.bincount(position, minlength=len(z)), latent, z[position, latent]


def files(folder: Path) -> dict[str, bytes]:
    """Name -> content of everything in a folder."""
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }
