"""One digest per kind of thing, written beside what was made, and compared wherever two things meet.

A thing (model, SAE, token rows, index, graph, store, report) says what it is and what it was made from: its
:class:`Facts`. :func:`meet` compares what two of them both know. What a thing does not know (a file of an earlier
saelab, a published SAE that names its model and no more) is compared by name, or not at all.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from saelab.errors import SaelabError, check_model, check_sae

# settings of an SAE that were there when the first digest was written; one that came later counts where it is set
_SETTINGS = frozenset(
    ("arch", "d_in", "d_sae", "k", "d_out", "hook_in", "hook_out", "widths", "model", "normalize", "scale",
     "scale_out", "input_bias", "bos", "context", "dtype", "tied", "skip", "floor", "prefixes")
)  # fmt: skip
_SAMPLE = 4096  # values of each of a model's parameters


class Mark(NamedTuple):
    """What a thing is, or was made from: a digest and a name; each is empty where it is not known."""

    digest: str = ""
    name: str = ""

    def __str__(self) -> str:
        short = f"{'weights' if '-' in self.digest else 'digest'} {self.digest.strip('-')[:8]}"
        return f"{self.name!r} ({short})" if self.name and self.digest else repr(self.name or short)


class Facts(NamedTuple):
    """A thing as errors call it, as code calls it, and its marks: kind -> a function, so that none is made in vain."""

    title: str
    variable: str
    marks: dict[str, Callable[[], Mark]]


_DO = {
    "SAE": "Give the SAE it was made with, or make it again with this one",
    "tokenizer": "Ids mean other tokens there: make the rows with this model, sl.tokenize_texts(model, texts)",
    "text": "Labels are of the rows they were made with, token by token: give those rows",
    "model": "Load the model it was made for",
}


# ---------------------------------------------------------------------------------------------- comparing


def facts_of(thing: Any) -> Facts:
    """What a thing says of itself."""
    if isinstance(thing, Facts):
        return thing
    if hasattr(thing, "_facts"):
        return thing._facts()
    if not hasattr(thing, "hook_dict"):
        return Facts(type(thing).__name__, "", {})
    name = str(getattr(thing.cfg, "model_name", ""))
    marks = {
        "model": lambda: Mark(model_digest(thing), name),
        "tokenizer": lambda: Mark(of_tokenizer(thing), name),
    }
    return Facts("this model", "model", marks)


def of_tokenizer(model: Any) -> str:
    """Digest of a model's vocabulary; ``saelab.models``, which knows its bytes, puts its own function here."""
    return ""


def meet(*things: Any, only: str = "") -> tuple[str, ...]:
    """Refuse things that do not belong together; every two are compared in what both know, None is left out. ``only``: in
    this kind of mark alone, such as the model of two SAEs.

    Returns
    -------
    tuple of str
        What does not agree and was allowed by :func:`allow_mismatch`: for what comes out of the work.

    Raises
    ------
    SaelabError
        That names both, and says what to do.
    """
    notes = []
    for a, b in combinations([facts_of(t) for t in things if t is not None], 2):
        for kind, x, y in _differences(a, b, only):
            said = f"{a.title} and {b.title} are not of one {kind}: {x} and {y}"
            if _key(kind, x, y) not in _allowed:
                raise SaelabError(
                    f"{said}{_hint(kind, x, y)}. {_DO[kind]}. To go on all the same, and have it said in what comes "
                    f"out: sl.allow_mismatch({a.variable}, {b.variable})"
                )
            notes.append(f"mismatch allowed: {said}")
    return tuple(dict.fromkeys(notes))


def noted(frame: Any, notes: Iterable[str]) -> Any:
    """A table with the column ``mismatch`` where something was allowed; as it is otherwise."""
    said = "; ".join(notes)
    return frame.assign(mismatch=said) if said else frame


def _hint(kind: str, x: Mark, y: Mark) -> str:
    if kind != "model":
        return ""
    if x.digest and y.digest:
        return " (other weights: another model, fine-tuned, or with folded layer norm or centered weights)"
    return " (if they are one model under two names, say so: model.cfg.model_name = …)"


_allowed: set[tuple[str, frozenset[str]]] = set()


def allow_mismatch(a: Any, b: Any) -> tuple[str, ...]:
    """Let two things meet that do not belong together, such as a base model's SAE and the chat model.

    It holds for this pair, in this session, at every door. What comes out says so: reports in ``notes``, tables in a
    column ``mismatch``, indexes, graphs, steered texts and trained SAEs where they say what they are.

    Parameters
    ----------
    a, b
        A model, an SAE, token rows, an index, a graph, a store, or a report.

    Returns
    -------
    tuple of str
        What does not agree; empty when nothing had to be allowed.

    Examples
    --------
    >>> sl.allow_mismatch(model, sae)
    ()
    """
    one, other = facts_of(a), facts_of(b)
    _allowed.update(_key(*found) for kind in _DO for found in _differences(one, other, kind))
    return meet(one, other)


def _key(kind: str, x: Mark, y: Mark) -> tuple[str, frozenset[str]]:
    return kind, frozenset((x.digest or x.name, y.digest or y.name))


def _differences(a: Facts, b: Facts, only: str = "") -> Iterable[tuple[str, Mark, Mark]]:
    for kind in [only] if only else _DO:
        if kind in a.marks and kind in b.marks:
            x, y = a.marks[kind](), b.marks[kind]()
            if not agree(kind, x, y):
                yield kind, x, y
            if kind == "SAE" and x.digest and y.digest:
                return  # of what model it is follows from it


def agree(kind: str, x: Mark, y: Mark) -> bool:
    """Whether two marks may be of one thing: what is not known on one side does not count."""
    if kind != "model":
        return not (x.digest and y.digest) or x.digest == y.digest
    same = same_model(x.digest, y.digest)
    return (not (x.name and y.name) or _short(x.name) == _short(y.name)) if same is None else same


def same_model(a: str, b: str) -> bool | None:
    """Whether two digests are of one model; None where they cannot tell (one is of an earlier saelab, or one model is
    in bfloat16 and the other in float16)."""
    if "-" not in a or "-" not in b:
        return None
    both = [(x, y) for x, y in zip(a.split("-"), b.split("-"), strict=True) if x and y]
    return all(x == y for x, y in both) if both else None


def changed(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Names in which two descriptions of a piece of work differ."""
    return [n for n in {**now, **earlier} if not _unchanged(n, earlier.get(n), now.get(n))]


def _unchanged(name: str, a: Any, b: Any) -> bool:
    if a == b or name not in ("model", "weights", "model_weights") or "-" not in str(b):
        return a == b
    # the same model in another dtype gives other numbers: work that goes on must not mix them
    return same_model(str(a), str(b)) is not False and ("-" not in str(a) or dtype_of(a) == dtype_of(b))


def dtype_of(model: str) -> str:
    """The dtype that a model's digest was made in, as its halves say (float32 stands for wider ones, too)."""
    first, _, second = model.partition("-")
    return "float32" if first and second else "bfloat16" if first else "float16"


def told(value: Any) -> str:
    """A setting of a piece of work, as errors show it: of a digest of a model the beginning, and the dtype."""
    of_model = isinstance(value, str) and re.fullmatch(
        "[0-9a-f]{16}-|-[0-9a-f]{16}|[0-9a-f]{16}-[0-9a-f]{16}", value
    )
    return f"{value.strip('-')[:8]} in {dtype_of(value)}" if of_model else repr(value)


def _short(name: str) -> str:
    """A model's name without its organization or folder, and as TransformerLens calls it: other libraries have names
    of their own for some."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return _aliases().get(last.lower(), last.lower().removesuffix(".gguf"))


_ALIASES = {"smollm2-135m-instruct": "smollm2"}


def _aliases() -> dict[str, str]:
    if len(_ALIASES) == 1:
        from transformer_lens.supported_models import MODEL_ALIASES

        for full, names in MODEL_ALIASES.items():
            _ALIASES.update({n.lower(): full.rsplit("/", 1)[-1].lower() for n in names})
    return _ALIASES


def check_pair(model: object, sae: object, *others: object) -> tuple[str, ...]:
    """Refuse a model and an SAE that are not what they are called, or not made for each other and ``others``; see
    :func:`meet`."""
    check_model(model)
    check_sae(sae)
    return meet(model, sae, *others)


# ------------------------------------------------------------------------------------ what a model runs under

_blocks = threading.local()  # as steering itself, of one thread


@contextlib.contextmanager
def changing(model: Any, by: str) -> Iterator[None]:
    """Keep inside the block that this thread's passes of ``model`` are changed, and by what."""
    here = vars(_blocks).setdefault("open", [])
    here.append((model, by))
    try:
        yield
    finally:
        here.remove((model, by))


def changes(model: Any) -> list[str]:
    """By what this thread's passes of ``model`` are changed, outermost first."""
    return [by for other, by in vars(_blocks).get("open", ()) if other is model]


def check_unchanged(model: Any, made: str) -> None:
    """Refuse to make what would be kept as the plain model's while its passes are changed."""
    if found := changes(model):
        raise SaelabError(
            f"{made} would be kept as the model's own, and inside this block its passes are changed ({'; '.join(found)}): "
            "do it outside of sl.steer and sl.attach"
        )


# ------------------------------------------------------------------------------------------------ digests


def digest(*parts: Any) -> str:
    """32 hexadecimal digits of arrays and bytes, one after another."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        hashed.update(part if isinstance(part, bytes) else np.ascontiguousarray(part).view(np.uint8).data)
    return hashed.hexdigest()


_kept: weakref.WeakKeyDictionary[Any, tuple[Any, str]] = weakref.WeakKeyDictionary()


def _once(module: Any, make: Callable[[], str], *more: Any) -> str:
    """``make()``, kept with the module until one of its parameters is replaced or written to. Torch does not count what
    is written through ``.data``, so a sample is compared as well: a change of a few values that way is not noticed."""
    state = [(id(p), p.data_ptr(), 0 if p.is_inference() else p._version) for p in module.parameters()]
    now, found = (state, sample(module), more), _kept.get(module)
    if found is None or found[0] != now:
        found = _kept[module] = now, make()
    return found[1]


def sample(module: Any) -> str:
    """Digest of up to 127 evenly spaced values of every parameter: cheap enough for every meeting."""
    import torch

    parts: dict[Any, list[Any]] = {}
    for p in module.parameters():
        step = max(1, p.numel() // 64)
        if p.is_contiguous():
            some = p.detach().view(-1)[::step]
        else:  # nothing is copied for it
            at = torch.arange(0, p.numel(), step, device=p.device)
            some = p.detach()[torch.unravel_index(at, p.shape)]
        parts.setdefault(p.device, []).append(some.float())
    values = b"".join(torch.cat(some).cpu().numpy().tobytes() for some in parts.values())
    return hashlib.blake2b(values, digest_size=16).hexdigest()


def sae_digest(sae: Any) -> str:
    """Of an SAE: all its weights, and its configuration."""

    def make() -> str:
        parts: list[Any] = []
        for name, p in sorted(sae.named_parameters()):
            parts += [name.encode(), p.detach().reshape(-1).float().cpu().numpy()]
        new = {f.name: f.default for f in fields(sae.config) if f.name not in _SETTINGS}
        said = {n: v for n, v in sae.config.to_dict().items() if n not in new or v != new[n]}
        # of a digest, as it was written in every index so far
        return digest(digest(*parts).encode(), repr(sorted(said.items())).encode())

    return _once(sae, make, sae.config)


def know(sae: Any, found: str) -> None:
    """That :func:`sae_digest` gives ``found`` of this SAE, as the file says that it is read from."""
    _once(sae, lambda: found, sae.config)


def model_digest(model: Any) -> str:
    """Of a model: up to 4,096 evenly spaced values of every parameter, so that other weights under the same name are
    noticed, and processed ones (folded layer norm, centered weights) too.

    Values are rounded to bfloat16 and, apart from that, to float16; a model in one of the two has one half of the
    digest. So a model that was only moved to another device or dtype is still the same.

    >>> len(sl.models.digest(model))
    33
    """
    return _once(model, lambda: _model_digest(model)) if hasattr(model, "parameters") else ""


def _model_digest(model: Any) -> str:
    import torch

    halves, seen = {torch.bfloat16: hashlib.sha256(), torch.float16: hashlib.sha256()}, set()
    for name, p in model.named_parameters():
        if p.dtype in halves:
            halves = {p.dtype: halves[p.dtype]}  # the other half would be rounded twice
        flat = p.detach().reshape(-1)
        flat = flat[:: max(1, flat.numel() // _SAMPLE)]
        for d, hashed in halves.items():
            content = f"{d} {tuple(p.shape)}".encode() + flat.to(d).view(torch.int16).cpu().numpy().tobytes()
            if content not in seen:  # a matrix that is tied here is copied there
                hashed.update(name.encode() + content)
            seen.add(content)
    bits = [halves[d].hexdigest()[:16] if d in halves else "" for d in (torch.bfloat16, torch.float16)]
    return "-".join(bits)


def vocab_digest(ptr: np.ndarray, data: np.ndarray, special: Iterable[int]) -> str:
    """Of a vocabulary: the bytes of every token and the special ids. Empty tokens at the end, with which a model's matrix
    was brought to a round size, do not count."""
    ptr = np.asarray(ptr, dtype=np.int64)
    whole = ptr[: int(np.searchsorted(ptr, ptr[-1])) + 1]
    return digest(whole, data, np.array(sorted(special), dtype=np.int64))
