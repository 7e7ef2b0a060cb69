"""Texts run through a model and its SAE, for the widgets that show any latent on any text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from saelab import models
from saelab.errors import SaelabError, check_model, check_sae
from saelab.identity import meet
from saelab.index.spans import in_span
from saelab.index.storage.items import alone, check_items
from saelab.interventions.sites import unseen
from saelab.models import HookedModel
from saelab.widgets.payload import top_tokens
from saelab.widgets.tokens import TokenText

if TYPE_CHECKING:
    import pandas as pd


class CodesSource:
    """Codes of some texts, kept sparse, so that any latent of the SAE can be shown."""

    def __init__(self, model: HookedModel | None, sae: Any, index: Any):
        check_sae(sae)
        self.mismatch = meet(model, sae, index)
        self.model, self.sae, self.index = model, sae, index
        self.texts: list[TokenText] = []
        self.codes: list[Any] = []
        self.notice = ""  # of a text longer than the SAE's training rows

    def run(self, texts: models.Texts) -> None:
        import torch

        if alone(self.model, texts):
            check_items(self.sae, texts)
            rows, labels = texts.documents()
            for a, b in pairwise(rows.offsets.tolist()):
                with torch.no_grad():
                    self.codes.append(
                        self.sae.encode_sparse(texts.rows(a, b, self.sae.config.hook_in or None))
                    )
                ids = rows.ids[a:b].tolist()
                self.texts.append(TokenText.of_strings([labels[i] for i in ids], ids))
            return
        check_model(model := self.model)
        assert model is not None

        bos = self.sae.config.bos
        if isinstance(texts, models.TokenRows):
            models.checked_rows(model, texts, bos=bos)
        rows = [
            row
            for number, text in enumerate(models.each_text(texts, model=model), 1)
            for row in self._parts(model, text, f"text {number}, ")
        ]
        if not rows:
            raise SaelabError("there is no text: texts is empty; give a string or a list of them")
        self.notice = max((unseen(self.sae, len(ids)) for ids, _ in rows), key=len)
        hooks = self.sae.config.hooks  # a crosscoder reads several, side by side
        for ids, name in rows:
            with models.lock(model), torch.no_grad():
                found = models.run_to_hooks(model, torch.tensor([ids]), hooks)
                x = torch.cat([found[h][0] for h in hooks], dim=-1)  # (T, d_in)
                self.codes.append(self.sae.encode_sparse(x))
            self.texts.append(TokenText.of_model(model, ids, name))

    def _parts(self, model: HookedModel, text: models.Text, name: str) -> list[tuple[list[int], str]]:
        """Token ids of a text; of one longer than the context those of its rows, each with its name."""
        own = self.sae.config
        ids, limit = models.text_ids(model, text, bos=own.bos), models.context_length(model)
        if len(ids) <= limit:
            return [(ids, "")]
        rows = models.tokenize_texts(model, [text], context=min(limit, own.context or limit), bos=own.bos)
        return [
            (row.tolist(), f"{name}tokens {start:,} to {start + len(row) - own.bos - 1:,}")
            for row, start in zip((rows[i] for i in range(len(rows))), rows.start.tolist(), strict=True)
        ]

    def to_frame(self) -> pd.DataFrame:
        """One line per text, position and latent that fires there: sequence, position, id, token, latent, activation."""
        import pandas as pd

        from saelab.frames import TextFrame

        parts = []
        for sequence, text in enumerate(self.texts):
            row, latent, value = self._firings(sequence)
            frame = {
                "sequence": sequence, "position": row, "id": np.array(text.ids)[row],
                "token": np.array(text.labels, dtype=object)[row], "latent": latent, "activation": value,
            }  # fmt: skip
            parts.append(TextFrame(frame))
        whole = pd.concat(parts, ignore_index=True)
        return whole.sort_values(
            ["sequence", "position", "activation"], ascending=[True, True, False], ignore_index=True
        )

    def _firings(self, sequence: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Position, latent and activation of what fires on a text's tokens that count."""
        codes = self.codes[sequence]
        row, latent, value = (x.cpu().numpy() for x in (codes.rows(), codes.indices, codes.values.float()))
        keep = ~np.isin(row, sorted(self.texts[sequence].special))
        return row[keep], latent[keep], value[keep]

    def columns(self, latents: Sequence[int]) -> list[np.ndarray]:
        out = []
        for text, codes in zip(self.texts, self.codes, strict=True):
            array = np.stack([codes.column(i).float().cpu().numpy() for i in latents], axis=1)
            array[sorted(text.special)] = 0  # never counted, so never coloured
            out.append(array)
        return out

    def strongest(self, n: int = 5) -> list[int]:
        """Latents with the largest activation on a counted token, when none were asked for."""
        parts = zip(*(self._firings(i)[1:] for i in range(len(self.texts))), strict=True)
        latent, value = (np.concatenate(x) for x in parts)
        if not len(latent):
            raise SaelabError("no latent fires on this text; name some with latents=[…]")
        order = latent[np.argsort(-value, kind="stable")]
        return list(dict.fromkeys(order.tolist()))[:n]

    def percentiles(self, latents: Sequence[int]) -> list[np.ndarray] | None:
        if self.index is None:
            return None
        known = [np.sort(self.index.postings(i).value) for i in latents]
        return [
            np.stack([_shares(v, one[:, k]) for k, v in enumerate(known)], axis=1)
            for one in self.columns(latents)
        ]

    def tokens(self, latents: Sequence[int]) -> list[str | None]:
        """The token each is strongest on: in the index (None: it never fires), else in these texts (empty: not in these)."""
        if self.index is not None:
            return top_tokens(self.index, latents)
        best: dict[int, tuple[float, str]] = {}
        for text, values in zip(self.texts, self.columns(latents), strict=True):
            for latent, column in zip(latents, values.T, strict=True):
                at = int(column.argmax())
                if column[at] > best.get(latent, (0.0, ""))[0]:
                    best[latent] = (float(column[at]), text.labels[at])
        return [best[i][1] if i in best else "" for i in latents]

    def names(self, latents: Sequence[int]) -> list[str]:
        found = [self.index.label(i) for i in latents] if self.index is not None else []
        return found if any(found) else []

    def span(self, sequence: int, start: int, stop: int, n: int = 12) -> list[dict[str, Any]]:
        """Latents by F1 of "fires in the span, not elsewhere in the text"."""
        row, latent, value = self._firings(sequence)
        size = sum(i not in self.texts[sequence].special for i in range(start, stop))
        found = in_span(latent, value, (row >= start) & (row < stop), size)
        order = np.lexsort((found["latent"], -found["max"], -found["f1"]))[:n]
        lines = {name: found[name][order].tolist() for name in ("latent", "inside", "outside", "max")}
        lines["token"] = self.tokens(lines["latent"])
        lines["label"] = self.names(lines["latent"]) or [""] * len(order)
        return [dict(zip(lines, line, strict=True)) for line in zip(*lines.values(), strict=True)]


def _shares(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Share of ``known`` (sorted) below each value; NaN where the latent is silent or was never seen."""
    if len(known) == 0:
        return np.full(len(values), np.nan, dtype=np.float32)
    return np.where(values > 0, np.searchsorted(known, values) / len(known), np.nan).astype(np.float32)
