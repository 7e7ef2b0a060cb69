"""Directions of one's own, which stand wherever a latent stands.

A direction is a vector of length 1 at a hook point. What a latent's activation is for a latent, the component along the
direction is here: ``a = x · vector``, of either sign. An edit that takes it from ``a`` to ``new`` adds ``(new - a) *
vector``, in the units of the activations there, whatever the SAE beside it does to its input.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelab import files, identity, logistic, models
from saelab.display import facts_html
from saelab.doors import door
from saelab.errors import (
    SaelabError,
    called,
    check_array,
    check_count,
    check_latents,
    check_number,
    check_tensor,
    unknown,
)
from saelab.interventions.vectors import FORMAT, activations, drawn, read_vectors
from saelab.models import HookedModel
from saelab.sae import SAE


@door
@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in the activations at one hook point; an edit takes it in place of a latent.

    Attributes
    ----------
    vector
        (d,) float32 of length 1; an array of any other length is brought to it.
    hook
        The hook point.
    name
        What tables, panels and files call it.
    maximum
        What strength 1 is with ``relative``: of a direction found in texts the largest component along it there, else
        the length that the array had.
    model, weights
        Name and digest of the model it was made for, where they are known; another model is refused.
    made
        How it was made.

    Examples
    --------
    >>> along = sl.Direction(3 * np.eye(16)[0], "blocks.0.hook_resid_post", name="first")
    >>> along.maximum
    3.0
    >>> with sl.steer(model, None, {along: 2.0}):
    ...     logits = model("Once upon a time")
    """

    vector: Tensor
    hook: str
    name: str = "direction"
    maximum: float | None = None
    model: str = ""
    weights: str = ""
    made: str = "given"

    def __post_init__(self) -> None:
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        row = check_tensor("vector", self.vector, "fib").detach().cpu().double()
        if row.ndim != 1 or not row.isfinite().all() or not row.any():
            raise SaelabError(
                f"a direction is an array of one axis of finite numbers, not all 0; got {called(self.vector)}"
            )
        if not self.name or not self.hook:
            raise SaelabError("a direction has a name and a hook point; one of them is empty")
        unit = row / row.abs().max()  # squares of its entries neither overflow nor vanish
        length = float(row.abs().max() * unit.norm())
        largest = check_number("maximum", length if self.maximum is None else self.maximum, 0, open_low=True)
        put("maximum", float(largest))
        put("vector", (unit / unit.norm()).float())

    # ------------------------------------------------------------------------------------------- made from

    @classmethod
    def from_texts(
        cls,
        model: HookedModel,
        hook: str,
        texts: models.Texts,
        others: models.Texts,
        *,
        last: bool = False,
        name: str = "difference of means",
    ) -> Direction:
        """The mean activation over ``texts`` minus that over ``others``.

        Parameters
        ----------
        last
            Of each text the last token only; else all tokens but special ones.

        Examples
        --------
        >>> sl.Direction.from_texts(model, "blocks.0.hook_resid_post", texts[:2], texts[2:]).made
        'difference of means of 2 and 6 texts'
        """
        (x, of), (y, other) = (activations(model, hook, t, last) for t in (texts, others))
        difference = (x.double().mean(0) - y.double().mean(0)).float()
        made = f"difference of means of {len(of.unique())} and {len(other.unique())} texts"
        return cls._found(model, hook, difference, x, name, made)

    @classmethod
    def from_probe(
        cls,
        model: HookedModel,
        hook: str,
        texts: models.Texts,
        labels: Sequence[Any],
        *,
        ridge: float | None = None,
        seed: int = 0,
        name: str = "probe",
    ) -> Direction:
        """The weights of a logistic regression on tokens (at most 20,000, drawn by ``seed``).

        Parameters
        ----------
        labels
            Of each text True or False, or one of them for each of its tokens, BOS included.
        ridge
            Weight of half the squared weights beside the mean loss, of standardized columns; None is 1 / tokens.

        Examples
        --------
        >>> labels = ["fox" in text for text in texts]
        >>> sl.Direction.from_probe(model, "blocks.0.hook_resid_post", texts, labels).vector.shape
        torch.Size([16])
        """
        rows = models.tokenize_texts(model, texts)
        given, n = list(labels), int(rows.doc.max()) + 1
        if not n <= len(given) <= n + rows.empty:  # the last ones may be empty, which have no row
            raise SaelabError(f"there are {n} texts and {len(given)} labels: give one for each")
        x, of, place = activations(model, hook, rows, False, places=True)
        y = torch.tensor([_yes(given[t], p) for t, p in zip(of.tolist(), place.tolist(), strict=True)])
        if y.all() or not y.any():
            raise SaelabError("a probe tells two kinds of tokens apart, and these labels are all the same")
        some = drawn(len(x), seed)
        w, _ = logistic.several(x[some], y[some], ridge=ridge)
        made = f"probe on {len(some):,} tokens, {int(y[some].sum()):,} of them labeled True"
        return cls._found(model, hook, w.float(), x[y], name, made)

    @classmethod
    def components(
        cls,
        model: HookedModel,
        hook: str,
        texts: models.Texts,
        n: int = 1,
        *,
        seed: int = 0,
        name: str = "component",
    ) -> list[Direction]:
        """The first ``n`` principal components of the activations; each points to where its largest component is.

        Examples
        --------
        >>> [d.name for d in sl.Direction.components(model, "blocks.0.hook_resid_post", texts, 2)]
        ['component 1', 'component 2']
        """
        x, _ = activations(model, hook, texts, False)
        x = x[drawn(len(x), seed)].double()
        n = check_count("n", n, high=min(x.shape))
        centered = x - x.mean(0)
        _, size, rows = torch.linalg.svd(centered, full_matrices=False)
        shares = (size.square() / size.square().sum()).tolist()
        out = []
        for number, row in enumerate(rows[:n], 1):
            along = centered @ row
            row = row if along.max() >= -along.min() else -row
            made = f"principal component {number}, {shares[number - 1]:.1%} of the variance"
            out.append(cls._found(model, hook, row.float(), x.float(), f"{name} {number}", made))
        return out

    @classmethod
    def from_latents(
        cls, sae: SAE, latents: Mapping[int, float] | Iterable[int], *, name: str = "latents"
    ) -> Direction:
        """What several latents write together: the sum of their decoder rows, each times its weight (1 in a list).

        Strength 1 with ``relative`` writes what all of them write at their weights; their maxima are good ones.

        Examples
        --------
        >>> both = sl.Direction.from_latents(sae, {3: 2.0, 5: 1.0})
        >>> along = 2 * sae.W_dec[3] + sae.W_dec[5]
        >>> torch.allclose(both.vector * both.maximum, along, atol=1e-5)
        True
        """
        ids = check_latents(list(latents) if isinstance(latents, Mapping) else latents, sae.config.d_sae)
        given = latents if isinstance(latents, Mapping) else dict.fromkeys(ids, 1.0)
        weights = [check_number(f"latents[{i}]", given[i]) for i in given]
        if sae.config.normalize not in ("none", "scale") or sae.config.widths:
            raise SaelabError("decoder rows are one direction only of an SAE that does not normalize each row, "
                              "at one hook point; steer with {latent: strength, …}")  # fmt: skip
        row = torch.tensor(weights) @ sae.W_dec[ids].detach().float().cpu()
        row = row / sae._target_scale(row) if sae.config.normalize == "scale" else row
        made = "latents " + ", ".join(f"{w:.3g} × {i}" for i, w in zip(ids, weights, strict=True))
        weighed = sae._facts().marks["model"]()
        return cls(row, sae.config.hook_out, name, None, weighed.name, weighed.digest, made)

    @classmethod
    def _found(
        cls, model: HookedModel, hook: str, vector: Tensor, x: Tensor, name: str, made: str
    ) -> Direction:
        """One that was found in activations ``x`` (n, d) of ``model``."""
        if not vector.any():
            raise SaelabError(f"{name}: the activations at {hook!r} do not differ, so there is no direction")
        largest = float((x @ (vector / vector.norm())).max())
        mark = identity.facts_of(model).marks["model"]()
        return cls(vector, hook, name, largest if largest > 0 else None, mark.name, mark.digest, made)

    # ---------------------------------------------------------------------------------------------- files

    def save(self, path: str | Path) -> Path:
        """Write it as one safetensors file.

        Examples
        --------
        >>> along = sl.Direction(np.eye(16)[0], "blocks.0.hook_resid_post")
        >>> sl.Direction.load(along.save(folder / "along.safetensors")) == along
        True
        """
        about = {n: getattr(self, n) for n in ("hook", "name", "maximum", "model", "weights", "made")}
        files.write_tensors(path, {"vector": self.vector}, {"format": FORMAT, "about": json.dumps(about)})
        return Path(path)

    @classmethod
    def load(
        cls, path: str | Path, *, hook: str | None = None, key: str | None = None, name: str | None = None
    ) -> Direction:
        """Read what :meth:`save` wrote, or another library's vector: ``.safetensors``, ``.pt`` (weights only), ``.npy``,
        or a control vector in ``.gguf``, whose ``direction.8`` belongs to ``blocks.8.hook_resid_post``.

        Parameters
        ----------
        hook
            Where it belongs, for a file that does not say.
        key
            Which tensor, in a file of several.
        name
            Another name than the file's.

        Raises
        ------
        SaelabError
            That names the file: damaged, no vector of that name in it, several, or no hook point.

        Examples
        --------
        >>> np.save(folder / "along.npy", 2 * np.eye(16)[0])
        >>> sl.Direction.load(folder / "along.npy", hook="blocks.0.hook_resid_post").maximum
        2.0
        """
        path = Path(path)
        tensors, about = read_vectors(path)
        if key is None and len(tensors) != 1:
            raise SaelabError(f"{path} has {len(tensors)} vectors: give key, one of {', '.join(tensors)}")
        key = next(iter(tensors)) if key is None else key
        if key not in tensors:
            raise unknown("key", key, tensors)
        layer = key.removeprefix("direction.") if path.suffix == ".gguf" else ""
        found = f"blocks.{layer}.hook_resid_post" if layer.isdecimal() else about.pop("hook", None)
        if hook is not None and found not in (None, hook):
            raise SaelabError(f"{path} says that it belongs to {found!r}, not {hook!r}")
        if found is None and hook is None:
            raise SaelabError(
                f"{path} does not say where it belongs: give hook, such as 'blocks.8.hook_resid_post'"
            )
        about = {"name": path.stem, "made": f"read from {path.name}", **about}
        about |= {} if name is None else {"name": name}
        with files.reading(path):
            return cls(tensors[key].flatten() if tensors[key].numel() == max(tensors[key].shape, default=0)
                       else tensors[key], str(hook or found), **about)  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """As plain JSON data.

        Examples
        --------
        >>> sl.Direction(np.eye(16)[0], "blocks.0.hook_resid_post").to_json()["name"]
        'direction'
        """
        names = ("hook", "name", "maximum", "model", "weights", "made")
        return {**{n: getattr(self, n) for n in names}, "vector": self.vector.tolist()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Direction:
        """From plain JSON data.

        Examples
        --------
        >>> along = sl.Direction(np.eye(16)[0], "blocks.0.hook_resid_post")
        >>> sl.Direction.from_json(along.to_json()) == along
        True
        """
        names = [f.name for f in fields(cls)]
        for key in (*value, "vector", "hook"):
            if key not in names or key not in value:
                raise unknown("key of a direction", key, names) if key in value else SaelabError(
                    f"this direction has no {key}")  # fmt: skip
        return cls(**{**value, "vector": check_array("vector", value["vector"])})  # type: ignore[arg-type]

    # ------------------------------------------------------------------------------------------- belonging

    @property
    def number(self) -> int:
        """One number for the same vector at the same hook point: what random directions are drawn by."""
        return int(identity.digest(self.vector.numpy(), self.hook.encode())[:8], 16)

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Direction) and self.hook == other.hook and self.name == other.name
                and torch.equal(self.vector, other.vector) and self.maximum == other.maximum)  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.name, self.hook, self.maximum))

    def _facts(self) -> identity.Facts:
        mark = identity.Mark(self.weights, self.model)
        return identity.Facts(f"direction {self.name!r}", "direction", {"model": lambda: mark})

    def at(self, sae: SAE) -> Direction:
        """Itself, if ``sae`` writes where it belongs.

        Raises
        ------
        SaelabError
            For an SAE of another hook point or width.

        Examples
        --------
        >>> along = sl.Direction(np.eye(16)[0], "blocks.0.hook_resid_post")
        >>> along.at(sae) is along
        True
        """
        if (self.hook, len(self.vector)) != (sae.config.hook_out, sae.config.d_out):
            raise SaelabError(
                f"direction {self.name!r} belongs to {self.hook!r} ({len(self.vector)} wide), this SAE writes at "
                f"{sae.config.hook_out!r} ({sae.config.d_out} wide). At its own hook point: give None in place of the SAE"
            )
        return self

    def __str__(self) -> str:
        return f"{self.name!r}"

    def __repr__(self) -> str:
        return f"Direction({self.name!r} at {self.hook}, {len(self.vector)} wide, maximum {self.maximum:.3g}, {self.made})"

    def _repr_html_(self) -> str:
        facts = [
            ("at", f"{self.hook}, {len(self.vector)} wide"),
            ("maximum", f"{self.maximum:.4g}"),
            ("made", self.made),
        ]
        return facts_html(f"Direction {self.name!r}", [*facts, ("model", self.model or "not said")])


def _yes(label: Any, place: int) -> bool:
    """A text's label, or that of one of its tokens, where the text has a list of them."""
    several = isinstance(label, Sequence) and not isinstance(label, str) or getattr(label, "ndim", 0) == 1
    if several and place >= len(label):
        raise SaelabError(f"the labels of a text are {len(label)}, and it has more tokens")
    one: Any = label[place] if several else label
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        if not isinstance(one, str) and float(one) in (0.0, 1.0):
            return bool(one)
    raise SaelabError(
        f"labels must be True or False, or 0 or 1, for each text or for each of its tokens; got {called(one)}"
    )
