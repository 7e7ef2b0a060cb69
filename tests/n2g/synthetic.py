"""Latents given by a rule on token ids, and an index of where they fire: truth without a model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from saelab.models.rows import TokenRows
from saelab.n2g import PatternGraph

BOS = 0


def rows_of(documents, bos=True, docs=None):
    """Token rows of lists of ids, one row a document."""
    parts = [([BOS] if bos else []) + list(d) for d in documents]
    offsets = np.cumsum([0, *map(len, parts)]).astype(np.int64)
    ids = np.array([i for p in parts for i in p], dtype=np.int32)
    doc = np.arange(len(parts), dtype=np.int32) if docs is None else np.array(docs, dtype=np.int32)
    return TokenRows(ids, offsets, doc, np.zeros(len(parts), dtype=np.int32), bos)


class FakeIndex:
    """``rule(tokens)`` -> activation at the last token of ``tokens`` (a tuple of ids, BOS left out). ``apart``: copies count
    as documents of their own, as if they differed elsewhere."""

    def __init__(self, rules, rows, vocab=None, apart=False):
        self.rules, self.rows = rules, rows
        self.d_sae = len(rules)
        self.config = {"model": "fake", "hook": "nowhere", "bos_id": BOS}
        self.counted = np.ones(rows.n_tokens, dtype=bool)
        if rows.bos:
            self.counted[rows.offsets[:-1]] = False
        self.n_tokens, self.n_counted = rows.n_tokens, int(self.counted.sum())
        of_row = np.unique(rows.doc, return_inverse=True)[1] if apart else rows.distinct()
        self.documents = of_row, np.bincount(of_row)
        self.copies = np.bincount(of_row[np.unique(rows.doc, return_index=True)[1]])
        self.vocab = vocab
        self.model, self.sae = fake_model(), fake_sae(self.d_sae)
        self._a = np.zeros((self.d_sae, rows.n_tokens), dtype=np.float32)
        for r in range(len(rows)):
            ids = rows[r].tolist()[int(rows.bos) :]
            for i in range(len(ids)):
                for latent, rule in enumerate(rules):
                    self._a[latent, rows.offsets[r] + int(rows.bos) + i] = rule(tuple(ids[: i + 1]))

    def postings(self, latent):
        token = np.flatnonzero(self._a[latent] > 0).astype(np.int32)
        return token, self._a[latent][token]


class FakeVocab:
    def __init__(self, labels):
        self._labels = labels

    def __len__(self):
        return len(self._labels)

    def label(self, token):
        return self._labels[int(token)]

    def labels(self, ids):
        return [self.label(i) for i in ids]

    def decode(self, ids):
        return "".join(self.labels(ids))


def fake_probe(rules):
    """A stand-in for ``saelab.n2g.fit.probe.activations``."""

    def activations(model, sae, ids, last, latents):
        out = torch.zeros(len(ids), len(latents))
        for b, row in enumerate(ids.tolist()):
            assert row[0] == BOS
            for j, latent in enumerate(latents):
                out[b, j] = rules[latent](tuple(row[1 : last[b] + 1]))
        return out

    return activations


def fake_model(context=64):
    return SimpleNamespace(cfg=SimpleNamespace(n_ctx=context), hook_dict={})


def fake_sae(d_sae):
    return SimpleNamespace(config=SimpleNamespace(d_sae=d_sae, hook_in="nowhere"), encode_sparse=None)


def random_documents(n, length, vocab, seed=0):
    """Documents of ids 1 … vocab."""
    rng = np.random.default_rng(seed)
    return [
        rng.integers(1, vocab + 1, size=rng.integers(max(length // 2, 1), length + 1)).tolist()
        for _ in range(n)
    ]


def openai(trie, tokens, longest=False):
    """Published rule as read: walk back, exact child before wildcard, no turning back, first value wins."""
    out = []
    for i in range(len(tokens)):
        here, value, j = trie, 0.0, i
        while j >= 0:
            here = here.get(tokens[j], here.get("token(*)"))
            if here is None:
                break
            if "<saliency>" in here:
                value = here["<saliency>"]
                if not longest:
                    break
            j -= 1
        if j < 0 and here is not None and "token(^)" in here:
            value = here["token(^)"]["<saliency>"]
        out.append(value)
    return out


def openai_trie(rule, examples, pad):
    """The trie of OpenAI's published schedule, as read, for ``rule`` on examples (tuples of ids, ends firing).

    Suffixes of length 1, 2, … up to the first that keeps half the activation; a padded prompt, for the start of
    the text; one replacement of each token by the same padding token. The last example written wins.
    """
    trie: dict = {}
    for tokens in examples:
        whole = rule(tokens)
        suffix = next(
            (tokens[-n:] for n in range(1, len(tokens) + 1) if rule(tokens[-n:]) >= 0.5 * whole), tokens
        )
        value = rule(suffix) or whole
        here = trie
        for j in reversed(range(len(suffix))):
            lost = 1 - rule((*suffix[:j], pad, *suffix[j + 1 :])) / value
            here = here.setdefault("token(*)" if lost < 0.5 else str(suffix[j]), {})
        if rule((pad, *suffix)) < 0.5 * whole:
            here = here.setdefault("token(^)", {})
        here["<saliency>"] = value
    return trie


# a latent for scores by hand

A, B, C = 1, 2, 3
LETTERS = FakeVocab(["<bos>", "a", "b", "c", "d", "e"])


def after_a(tokens):
    """Fires with 2 on c after a, with 1 on c after b."""
    if tokens[-1] != C or len(tokens) < 2:
        return 0.0
    return {A: 2.0, B: 1.0}.get(tokens[-2], 0.0)


def graph_for(index, paths, **config):
    graph = PatternGraph(target={"latent": 0}, config=config, labels={i: LETTERS.label(i) for i in range(6)})
    graph.index = index
    for items, value in paths:
        graph.add_path(items, value=value)
    return graph


def pairs_of_documents():
    """Forty documents of two kinds, and where ``after_a`` fires."""
    documents = [[A, C, B, C, C], [C, A, C]] * 20
    return FakeIndex([after_a], rows_of(documents), LETTERS, apart=True)


# a graph to edit

LABELS = {1: "Host", 2: ":", 3: "example", 4: " x"}


def http():
    """`Host` `:` * → `example`"""
    graph = PatternGraph(labels=LABELS, target={"latent": 7})
    graph.add_path([1, 2, "*", 3], value=2.0)
    return PatternGraph(graph.tree, labels=LABELS, target={"latent": 7})
