"""An index as N2G needs it: tokens ready for matching, and which documents are train, valid and test.

Documents are shuffled by the seed and cut into train (50 %), valid (25 %) and test (25 %), so that no
document is in two parts, and no copy of it. With fewer than 8 different documents that would leave parts empty
or tiny, and rows are shuffled instead (each is a context of its own, but neighbouring rows of one document may
look alike; ``unit`` says which it was).
"""

from __future__ import annotations

import threading
import weakref
from functools import cached_property

import numpy as np

from saelab import errors
from saelab.errors import SaelabError, check_choice
from saelab.identity import check_pair, meet
from saelab.index import LatentIndex
from saelab.models import HookedModel
from saelab.n2g.graph.match import Tokens
from saelab.sae import SAE

SPLITS = ("train", "valid", "test")
UNCOUNTED = 255
COPIES_APART = 5  # the fit's algorithm from which on copies of a document are in one part
_FEWEST_DOCUMENTS = 8
_REMEMBERED = 256  # latents whose firings are kept


class Corpus:
    """One index, one split. Make it with :func:`corpus`, once, and hand it on.

    Attributes
    ----------
    tokens
        For matching.
    part
        (n,) uint8: 0 train, 1 valid, 2 test, 255 where statistics do not count.
    unit, unit_of
        ``document`` or ``row``: what was shuffled, copies being one; and the number of each position's (n,).
    """

    def __init__(self, index: LatentIndex, seed: int):
        rows = index.rows
        self.tokens = Tokens.of(rows)
        unit_of_row, sizes = index.documents
        self.unit = "document" if len(sizes) >= _FEWEST_DOCUMENTS else "row"
        if self.unit == "row":
            unit_of_row = rows.distinct(np.arange(len(rows)))
        n = int(unit_of_row.max(initial=-1)) + 1
        place = np.empty(n, dtype=np.int64)
        place[np.random.default_rng(seed).permutation(n)] = np.arange(n)
        part = np.searchsorted([n / 2, n * 3 / 4], place, side="right").astype(np.uint8)
        lengths = np.diff(rows.offsets)
        self.part, self.unit_of = np.repeat(part[unit_of_row], lengths), np.repeat(unit_of_row, lengths)
        self.part[(self.tokens.place < 0) | ~np.asarray(index.counted)] = UNCOUNTED
        self._truth: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._index = weakref.ref(index)

    def truth(self, latent: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counted positions where a latent fires (ascending), its activation there, and their part."""
        if latent not in self._truth:
            if len(self._truth) > _REMEMBERED:
                self._truth.clear()
            index = self._index()
            assert index is not None
            token, value = index.postings(latent)
            part = self.part[token]
            keep = part != UNCOUNTED
            self._truth[latent] = np.asarray(token)[keep], np.asarray(value)[keep], part[keep]
        return self._truth[latent]

    def fires(self, latent: int, part: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions of a part where a latent fires, and its activation there."""
        at, a, where = self.truth(latent)
        return at[where == part], a[where == part]

    def activation(self, latent: int, positions: np.ndarray) -> np.ndarray:
        """Activation of a latent at counted positions, 0 where it does not fire."""
        at, a, _ = self.truth(latent)
        if not len(at):
            return np.zeros(len(positions), dtype=np.float32)
        place = np.minimum(np.searchsorted(at, positions), len(at) - 1)
        return np.where(at[place] == positions, a[place], 0.0)

    @cached_property
    def sizes(self) -> np.ndarray:
        """(3,) counted tokens of train, valid, test."""
        return np.bincount(self.part, minlength=256)[:3]

    @cached_property
    def members(self) -> tuple[np.ndarray, ...]:
        """Of each part, the units that have a counted position in it."""
        return tuple(np.unique(self.unit_of[self.part == p]) for p in range(3))

    def per_unit(self, part: int, at: np.ndarray) -> np.ndarray:
        """How many of the positions ``at`` each of the part's units has."""
        members = self.members[part]
        return np.bincount(self.unit_of[at], minlength=int(members.max(initial=-1)) + 1)[members]

    @cached_property
    def train_positions(self) -> np.ndarray:
        """Ascending positions of the train part."""
        return np.flatnonzero(self.part == 0)

    @cached_property
    def token_counts(self) -> np.ndarray:
        """(3, n_vocab) how often each token is counted in each part."""
        n = self.tokens.n_vocab
        return np.stack([np.bincount(self.tokens.ids[self.part == p], minlength=n) for p in range(3)])

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bigrams: number of its pair at each position (n,), each pair's second token, counts (3, n_pairs).

        The first token of a row is paired with the row's start.
        """
        ids, n = self.tokens.ids.astype(np.int64), self.tokens.n_vocab
        before = np.where(self.tokens.place > 0, np.roll(ids, 1), n)
        keys, pair = np.unique(before * n + ids, return_inverse=True)
        counts = np.stack([np.bincount(pair[self.part == p], minlength=len(keys)) for p in range(3)])
        return pair.astype(np.int32), (keys % n).astype(np.int32), counts


def text_of(index: LatentIndex) -> str | None:
    """What tells the documents of an index from others: a shard of a text is cut into other parts than the whole."""
    text, shard = (index.config.get("identity") or {}).get("text"), index.config.get("shard")
    return f"{text}, shard {shard[0]} of {shard[1]}" if shard else text


_corpora: weakref.WeakKeyDictionary[LatentIndex, dict[int, Corpus]] = weakref.WeakKeyDictionary()
_guard = threading.Lock()


def corpus(index: LatentIndex, seed: int = 0) -> Corpus:
    """The corpus of an index, made once per seed."""
    with _guard:
        made = _corpora.setdefault(index, {})
        if seed not in made:
            made[seed] = Corpus(index, seed)
        return made[seed]


def part_number(split: str) -> int:
    """0, 1 or 2 for train, valid or test."""
    return SPLITS.index(check_choice("split", split, SPLITS))


def check_index(index: object, call: str, old: tuple[object, ...] = ()) -> None:
    """Refuse a model or an SAE where the index belongs; ``call`` is what to write."""
    if old or hasattr(index, "hook_dict") or hasattr(index, "encode_sparse"):
        raise SaelabError(
            f"an index is enough, it holds model and SAE: write {call}. For an index that was opened without "
            "them, model=… and sae=… are keywords"
        )
    errors.check_index(index)


def model_and_sae(index: LatentIndex, model: HookedModel | None, sae: SAE | None) -> tuple[HookedModel, SAE]:
    """Those given, or else those the index holds."""
    model, sae = index.model if model is None else model, index.sae if sae is None else sae
    if model is None or sae is None:
        raise SaelabError(
            "this asks the model, and the index was opened without it: attach model and SAE with "
            "LatentIndex.open(path, model=model, sae=sae), or pass model=… and sae=…"
        )
    check_pair(model, sae)
    if sae.config.d_sae != index.d_sae:
        raise SaelabError(f"the index is of {index.d_sae} latents, but this SAE has {sae.config.d_sae}")
    meet(index, model, sae)
    return model, sae


def bos_id(index: LatentIndex) -> int | None:
    """The token every row begins with, None where rows begin with text."""
    return index.config["bos_id"] if index.rows.bos else None
