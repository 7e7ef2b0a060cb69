"""A pattern tree on a text: where it matches, how well it says where its latent fires, what would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from saelab.errors import SaelabError
from saelab.identity import Facts, Mark, digest, meet
from saelab.index import LatentIndex
from saelab.models import TokenRows
from saelab.n2g import baselines, examples
from saelab.n2g.corpus import COPIES_APART, SPLITS, Corpus, corpus, text_of
from saelab.n2g.graph import edits, match
from saelab.n2g.graph.history import Editable, plain
from saelab.n2g.graph.tree import Item, Tree
from saelab.n2g.prediction import Prediction, mean_where
from saelab.n2g.score import Score


class Scored(Editable):
    """A pattern tree that explains a latent of an index; :class:`saelab.n2g.PatternGraph` is one."""

    def __init__(
        self,
        tree: Tree | None,
        labels: Mapping[int, str] | None,
        target: Mapping[str, Any] | None,
        config: Mapping[str, Any] | None,
    ):
        super().__init__(tree, labels)
        self.target: dict[str, Any] = dict(target or {})
        self.config: dict[str, Any] = dict(config or {})
        self.index: LatentIndex | None = None
        self.fit_info: dict[str, Any] = {}
        self.seen: list[str] = []  # versions of the patterns that test documents were looked at with

    @property
    def latent(self) -> int | None:
        """The latent that is explained."""
        return self.target.get("latent")

    @property
    def rule(self) -> str:
        """The matching rule, see :mod:`saelab.n2g.graph.match`."""
        return self.config.get("match", "specific")

    @property
    def seed(self) -> int:
        """Seed of the split into train, valid and test documents."""
        return int(self.config.get("seed", 0))

    # ----------------------------------------------------------------------------------------- matching

    def predict(self, rows: TokenRows | Sequence[int] | np.ndarray) -> np.ndarray:
        """Predicted activations.

        Parameters
        ----------
        rows
            ``TokenRows`` (BOS is honored), or one sequence of token ids without BOS.

        Returns
        -------
        ndarray
            (n_tokens,) float32; 0 where no pattern matches, and at BOS.

        Examples
        --------
        >>> graph.predict(index.rows).shape == (index.n_tokens,)
        True
        """
        found = self.matches(rows)
        out = np.zeros(len(match.Tokens.of(rows)), dtype=np.float32)
        out[found["token_index"]] = found["value"]
        return out

    def matches(self, rows: TokenRows | Sequence[int] | np.ndarray) -> pd.DataFrame:
        """Where patterns match: columns ``token_index``, ``node`` (that ends the winning one), ``value``.

        >>> graph.matches(index.rows)["node"].isin([n["id"] for n in graph.nodes()]).all()
        np.True_
        """
        if isinstance(rows, TokenRows):
            meet(self, rows)
        at, nodes = match.winners(match.Tokens.of(rows), self.tree, self.rule)
        return pd.DataFrame({"token_index": at, "node": nodes, "value": match.values(self.tree, nodes)})

    # ------------------------------------------------------------------------------------------ scoring

    def _known_latent(self) -> int:
        if self.latent is None:
            raise SaelabError("this graph does not say which latent it explains; set graph.target['latent']")
        return self.latent

    def _attached(self, index: LatentIndex | None) -> LatentIndex:
        index = self.index if index is None else index
        if index is None:
            raise SaelabError("this graph is not attached to an index; pass one, or set graph.index")
        meet(self, index)
        return index

    def _facts(self) -> Facts:
        marks = {
            "SAE": lambda: Mark(self.target.get("sae") or ""),
            "tokenizer": lambda: Mark(self.fit_info.get("vocabulary", "")),
        }
        return Facts(f"the graph of latent {self.latent}", "graph", marks)

    def corpus(self, index: LatentIndex | None = None) -> Corpus:
        """The index (the graph's own by default) with its documents split by the graph's seed.

        >>> graph.corpus(index).unit
        'document'
        """
        return corpus(self._attached(index), self.seed)

    def _look(self, split: str) -> int:
        """Keep that documents of ``split`` are looked at; how many other versions of the patterns the test documents were
        looked at with, in this graph and its copies: whoever edits until they look good has made them worthless."""
        if split != "test":
            return 0
        patterns = repr([(p.items, p.end.value) for p in self.tree.patterns])
        version = digest(patterns.encode())[:16]
        if version not in self.seen:
            self.seen.append(version)
        return len(self.seen) - 1

    def _prediction(self, index: LatentIndex | None, split: str = "train") -> Prediction:
        self._look(split)
        return Prediction.of(self.corpus(index), self._known_latent(), self.tree, self.rule)

    def score(self, index: LatentIndex | None = None, split: str = "valid", threshold: float = 0.0) -> Score:
        """How well the patterns say where the latent fires; see :class:`saelab.n2g.Score`.

        The valid documents helped a fit to choose the patterns; the test documents did not, and are for the end.

        >>> graph.score(index, split="test").split
        'test'
        """
        found = self._prediction(index, split).score(split, threshold)
        return replace(found, chosen_on=self._chosen_on(index), versions=self._look(split))

    def held_out(self, index: LatentIndex | None = None, split: str = "test") -> bool:
        """Whether it is known that neither the fit nor an edit had these documents.

        >>> graph.held_out(index, "valid")
        False
        """
        chosen = self._chosen_on(index)
        return bool(chosen) and split not in chosen and not self._look(split)

    def _chosen_on(self, index: LatentIndex | None) -> tuple[str, ...]:
        """The parts of the index that a fit made and chose the patterns by; none of a text it was not made from."""
        index = self._attached(index)
        if not self.fit_info or self.fit_info.get("text") != text_of(index):
            return ()
        if (
            self.fit_info.get("seed") != self.seed
        ):  # cut otherwise, each part has documents that were chosen on
            return SPLITS
        apart = self.fit_info.get("algorithm", 0) >= COPIES_APART or (index.copies == 1).all()
        return SPLITS[:2] if apart else SPLITS

    def baselines(
        self, index: LatentIndex | None = None, split: str = "valid", learn: Sequence[str] | None = None
    ) -> dict[str, Score]:
        """``token`` and ``bigram`` lookup learned on the splits ``learn``, and ``always``; scored on ``split``.

        None learns from what a fit had, train and valid; of a graph that was not fitted on this text, from train.

        >>> list(graph.baselines())
        ['token', 'bigram', 'always']
        """
        learn = self._chosen_on(index)[:2] or ("train",) if learn is None else learn
        return baselines.baselines(self.corpus(index), self._known_latent(), split=split, learn=learn)

    def node_scores(self, index: LatentIndex | None = None, split: str = "valid") -> pd.DataFrame:
        """Per pattern: node (its end), text, value, wins, hits, false_alarms, precision, mean activation.

        >>> len(graph.node_scores()) == len(graph.patterns())
        True
        """
        return examples.node_scores(self._prediction(index, split), self.labels, split)

    def examples(
        self, index: LatentIndex | None = None, kind: str = "match", *, node: int | None = None,
        split: str = "valid", n: int = 20, seed: int = 0,
    ) -> pd.DataFrame:  # fmt: skip
        """Random positions of one kind, in the order of the text.

        Parameters
        ----------
        kind
            ``match``, ``hit``, ``miss`` or ``false_alarm``.
        node
            Patterns through this node alone.

        Returns
        -------
        DataFrame
            token_index, row, position, doc, token, value (the latent's activation), predicted, node (that ends
            the winning pattern, 0 where none does), text.

        Examples
        --------
        >>> graph.examples(kind="hit", split="train", n=1)["value"].gt(0).all()
        np.True_
        """
        index = self._attached(index)
        found = self._prediction(index, split)
        return examples.examples(found, index, kind, node=node, split=split, n=n, seed=seed)

    def preview(
        self, op: str, index: LatentIndex | None = None, split: str = "valid", **args: Any
    ) -> dict[str, Any]:
        """What an edit would do to the score, without doing it: ``{"before", "after", "delta"}``.

        >>> graph.preview("delete", node=graph.nodes()[0]["id"])["delta"]["fp"] <= 0
        True
        """
        before, after = self.score(index, split), self.dry_run(op, args).score(index, split)
        delta = {}
        for name in ("tp", "fp", "fn", "precision", "recall", "f1"):
            was, now = getattr(before, name), getattr(after, name)
            delta[name] = None if was is None or now is None else now - was
        return {"before": before, "after": after, "delta": delta}

    def suggest(
        self, node: int, index: LatentIndex | None = None, n: int = 20, split: str = "train"
    ) -> pd.DataFrame:
        """Tokens that stand where ``node`` looks, the rest of its patterns matching.

        Returns
        -------
        DataFrame
            token (id), text, tp, fp: positions with that token that no pattern matches yet, on which the latent
            fires or does not; most gained (tp - fp) first. For an ``any`` or ``not`` node, whose patterns match
            already, all its positions count: what :meth:`specialise` would keep.

        Examples
        --------
        >>> graph.suggest(graph.nodes()[0]["id"]).columns.tolist()
        ['token', 'text', 'tp', 'fp']
        """
        index = self._attached(index)
        return examples.suggest(self._prediction(index, split), index, node, n=n, split=split)

    def fitted_ends(
        self, index: LatentIndex | None = None
    ) -> dict[int, tuple[float, int, int, float, float]]:
        """Per pattern, by the node that ends it, what :meth:`refit` would set: the mean activation where it wins
        in train, positions, firings, sum of activations, sum of their squares.

        >>> len(graph.fitted_ends()) == len(graph.patterns())
        True
        """
        return self._prediction(index).ends()

    def refit(self, index: LatentIndex | None = None, note: str = "") -> None:
        """Set every value to the mean activation where its pattern wins in train, zeros included.

        >>> again = graph.copy()
        >>> again.refit(note="after the edits")
        >>> again.history[-1]["op"]
        'set_ends'
        """
        self._set_ends(self.fitted_ends(index), note)

    def _set_ends(self, ends: Mapping[int, Sequence[float]], note: str) -> int:
        return self.apply("set_ends", {"ends": {str(k): list(v) for k, v in ends.items()}}, note)

    def apply(
        self, op: str, args: Mapping[str, Any], note: str = "", delta: dict[str, int] | None = None
    ) -> int:
        focus = super().apply(op, args, note, delta)
        if self.index is not None:  # the texts of tokens that the fit had not seen
            vocab, used = self.index.vocab, {i for node in self.tree.nodes.values() for i in node.ids}
            new = sorted(i for i in used - self.labels.keys() if i < len(vocab))
            self.labels.update(zip(new, vocab.labels(new), strict=True))
        return focus

    def add_path(self, items: Sequence[Any], value: float | None = None, *, note: str = "") -> int:
        """Add a pattern given in reading order, and return the node that ends it.

        Parameters
        ----------
        items
            Ids, lists of ids, ``"*"``, ``"^"`` first for the row's start, ``{"not": [ids]}``,
            ``{"gap": [lo, hi]}``.
        value
            The activation it predicts. None: the mean activation of its matches on the train split of the
            attached index, or else of the graph's other patterns, or 1.

        Examples
        --------
        >>> g = sl.n2g.PatternGraph()
        >>> g.add_path([[4, 7], "*", 9], value=1.5)
        3
        """
        items = [plain(i) for i in items]
        value = self.likely_value(items) if value is None else float(value)
        return self.apply("add_path", {"items": items, "value": value}, note)

    def set_value(self, node: int, value: float | str | None, *, note: str = "") -> int:
        """Set the predicted activation; ``"refit"``: from the attached index; None: no pattern ends here.

        >>> again = graph.copy()
        >>> again.set_value(again.paths()[0]["node"], 2.5) == again.paths()[0]["node"]
        True
        """
        if value == "refit":
            fitted = self.fitted_ends()
            if node not in fitted:
                raise SaelabError(f"no pattern ends at node {node}")
            return self._set_ends({node: fitted[node]}, note)
        return self.apply("set_value", {"node": node, "value": None if value is None else float(value)}, note)

    def likely_value(self, items: Sequence[Any]) -> float:
        """The value :meth:`add_path` gives a path when told none.

        >>> sl.n2g.PatternGraph().likely_value([3])
        1.0
        """
        return self._mean_where(tuple(edits.parse_items([plain(i) for i in items])))

    def value_at(self, node: int) -> float:
        """The value a pattern that ends at ``node`` would get: the mean activation in train where it matches.

        >>> graph.value_at(graph.nodes()[0]["id"]) > 0
        True
        """
        if node not in self.tree.nodes:
            raise SaelabError(f"no node {node!r} in this graph")
        return self._mean_where(tuple(self.tree.nodes[i].item for i in self.tree.path(node)))

    def _mean_where(self, items: tuple[Item, ...]) -> float:
        known = [p.end.value for p in self.tree.patterns if p.end.value > 0]
        fallback = float(np.mean(known)) if known else 1.0
        if self.index is None or self.latent is None:
            return fallback
        return mean_where(self.corpus(), self.latent, items) or fallback
