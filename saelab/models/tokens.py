"""Tokens: special ones, text to ids and back, the bytes and a label of each."""

from __future__ import annotations

import codecs
import contextlib
import functools
import inspect
import itertools
import os
import re
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from saelab import identity
from saelab.errors import SaelabError, called, is_scalar
from saelab.models.hooks import HookedModel


def bos_id(model: HookedModel) -> int | None:
    """Id of the token that begins a text, or None when the tokenizer has none.

    >>> sl.models.bos_id(model)
    0
    """
    filled = _lacks(model.tokenizer, "bos") and _lacks(model.tokenizer, "eos")
    return None if filled else _known_id(model, "bos_token_id")


def eos_id(model: HookedModel) -> int | None:
    """Id of the token that ends a text, or None when the tokenizer has none.

    >>> sl.models.eos_id(model)
    0
    """
    return None if _lacks(model.tokenizer, "eos") else _known_id(model, "eos_token_id")


def _known_id(model: HookedModel, name: str) -> int | None:
    """An id that the model knows: a token that was added to the tokenizer has no row in its embedding."""
    tokenizer = model.tokenizer
    found = getattr(tokenizer, name, None)
    if found is None or found >= vocab_size(model):
        return None
    # of a token that is not in the vocabulary, the id is that of "unknown"
    back = getattr(tokenizer, "convert_ids_to_tokens", None)
    return int(found) if back is None or back(found) == getattr(tokenizer, name[:-3]) else None


# TransformerLens's EOS where a tokenizer has none; its BOS is EOS where that is missing
_FILLED = "<|endoftext|>"


def _lacks(tokenizer: Any, kind: str) -> bool:
    """Whether neither its files nor its class give the tokenizer such a token, and TransformerLens filled it in."""
    name = f"{kind}_token"
    now, given = getattr(tokenizer, name, None), getattr(tokenizer, "init_kwargs", None)
    if given is None or now is None:
        return False
    own = given[name] if name in given else _class_default(type(tokenizer), name)
    return own is None and now == (_FILLED if kind == "eos" else tokenizer.eos_token)


@functools.cache
def _class_default(tokenizer: type, name: str) -> Any:
    usual = inspect.signature(tokenizer.__init__).parameters.get(name)
    return None if usual is None or usual.default is usual.empty else usual.default


def bos_is_eos(model: HookedModel) -> bool:
    """Whether EOS stands in for a BOS that the tokenizer lacks.

    >>> sl.models.tokens.bos_is_eos(model)
    False
    """
    return _lacks(model.tokenizer, "bos") and bos_id(model) is not None


def special_ids(model: HookedModel) -> frozenset[int]:
    """Ids of special tokens (BOS, EOS, padding, chat marks): left out of statistics by default.

    >>> sorted(sl.models.special_ids(model))
    [0]
    """
    size = vocab_size(model)
    return frozenset(int(i) for i in getattr(model.tokenizer, "all_special_ids", ()) if i < size)


def context_length(model: HookedModel) -> int:
    """Longest input in tokens.

    >>> sl.models.context_length(model)
    32
    """
    return int(model.cfg.n_ctx)


def vocab_size(model: HookedModel) -> int:
    """Number of logits.

    >>> sl.models.vocab_size(model) > 256
    True
    """
    return int(model.cfg.d_vocab)


def tokenize(model: HookedModel, text: str, *, bos: bool = True) -> list[int]:
    """Token ids of ``text``; with ``bos``, exactly one BOS at index 0, whatever the tokenizer does by itself.

    Raises
    ------
    SaelabError
        For empty text, or ``bos=True`` with a tokenizer that has no BOS.

    >>> sl.models.tokenize(model, "The red fox")[0] == sl.models.bos_id(model)
    True
    """
    if not isinstance(text, str):
        raise SaelabError(f"text must be a string, got {called(text)}")
    if not text:
        raise SaelabError("the text is empty; give at least one character")
    if model.tokenizer is None:
        raise SaelabError("this model has no tokenizer, so it reads no text: give token ids")
    begin = bos_id(model)
    try:
        ids = _plain_ids(model.tokenizer, text)
    except TypeError:
        raise SaelabError(
            f"the text holds half a surrogate pair and cannot be read: {called(text)}"
        ) from None
    while begin is not None and ids and ids[0] == begin:  # a chat template may bring its own
        ids = ids[1:]
    return [*beginning(model, bos), *ids]


def beginning(model: HookedModel, bos: bool) -> list[int]:
    """The ids that a text begins with: BOS, or none.

    >>> sl.models.tokens.beginning(model, True)
    [0]
    """
    if not bos:
        return []
    begin = bos_id(model)
    if begin is None:
        raise SaelabError("this model's tokenizer has no BOS token; use bos=False")
    return [begin]


Text = Any  # one text: a string, token ids (a list, an array, {"input_ids": …}), or what sl.generate gave
_FILE = re.compile(r"\S+\.(txt|jsonl?|csv|parquet|md)", re.IGNORECASE)
Texts = Any  # many: an iterable of them, a column of a data set, (texts, positions) ids, token rows


def each_text(
    texts: Texts, name: str = "texts", model: HookedModel | None = None, *, endless: bool = False
) -> Iterable[Any]:
    """The texts of whatever was given, one after another: each a string or token ids.

    Texts that say that they never end (``texts.endless``) are refused unless ``endless``: the reader knows when to stop.

    What is none of all this is refused before work starts: a number, bytes, a set, a table where its column is meant,
    the name of a file.
    With ``model``, so are rows and generations of another tokenizer.

    >>> list(sl.models.each_text("The fox")), list(sl.models.each_text([5, 7]))
    (['The fox'], [array([5, 7])])
    """
    if isinstance(texts, str):
        _check_no_file(texts, name)
        return [texts]
    if not endless and getattr(texts, "endless", False) is True:
        raise SaelabError(
            f"{name} has no end: say how much of it is read, tokens='300k' where the call takes it, or make so many "
            f"texts, such as sl.zoo.texts(3000)"
        )
    if model is not None and hasattr(texts, "_facts"):
        identity.meet(texts, model)
    if hasattr(texts, "prompt_ids") and hasattr(texts, "samples"):  # a Generation, with all its samples
        return [np.array([*s.prompt_ids, *s.ids]) for s in texts.samples]
    if isinstance(texts, Mapping):
        return _of_mapping(texts, name)
    if hasattr(texts, "columns") and hasattr(texts, "iloc"):
        raise SaelabError(f"{name} is a table with the columns {list(texts.columns)}: give one of them")
    if hasattr(texts, "iloc"):
        return list(texts)  # a column of pandas has labels in place of places
    if isinstance(texts, (bytes, bytearray, set, frozenset)) or is_scalar(texts):
        raise SaelabError(f"{name} must be strings or token ids, got {called(texts)}")
    kind = str(getattr(texts, "dtype", ""))
    if isinstance(texts, (list, tuple)) and len(texts) and (isinstance(texts[0], int) or is_scalar(texts[0])):
        return [_ids(texts, name)]
    if (
        kind
        and getattr(texts, "ndim", 1) == 1
        and kind not in ("object", "str", "string")
        and "U" not in kind
    ):
        return [_ids(texts, name)]  # an array or a tensor of ids
    if not isinstance(texts, Iterable) and not hasattr(texts, "__getitem__"):
        raise SaelabError(f"{name} must be strings or token ids, got {called(texts)}")
    return texts


def _check_no_file(text: str, name: str) -> None:
    """Refuse the name of a file: its own letters would be taken for the text."""
    if _FILE.fullmatch(text) or ("\n" not in text and os.path.isfile(text)):  # noqa: PTH113 (never raises)
        raise SaelabError(
            f"{name} is {called(text)}, which looks like a file name: read the file, {name}=open({text!r}).read() or a list "
            f"of its texts, or name it in a spec for `saelab train`. If these letters are the text: [{text!r}]"
        )


def is_empty(text: Any) -> bool:
    """Whether there is nothing in a text: None, no character, no id.

    >>> [sl.models.tokens.is_empty(t) for t in (None, "", [], "a")]
    [True, True, True, False]
    """
    return text is None or (hasattr(text, "__len__") and not len(text))


def _of_mapping(texts: Mapping[Any, Any], name: str) -> Iterable[Any]:
    if "input_ids" not in texts:
        keys = ", ".join(map(repr, list(texts)[:6])) or "none"
        raise SaelabError(f"{name} is a dict without 'input_ids' (its keys: {keys}): give strings or ids")
    rows, mask = each_text(texts["input_ids"], name), texts.get("attention_mask")
    if mask is None:
        return rows
    masks = each_text(mask, "attention_mask")
    return [_ids(r, name)[_ids(m, "attention_mask") != 0] for r, m in zip(rows, masks, strict=True)]


def _ids(values: Any, name: str) -> np.ndarray:
    """(T,) token ids of a list, an array or a tensor."""
    array = None
    if (
        not is_scalar(values)
        and hasattr(values, "__len__")
        and not isinstance(values, (bytes, str, set, Mapping))
    ):
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if array is None or array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise SaelabError(f"{name} must be strings or lists of token ids, got {called(values)}")
    return array.astype(np.int64)


def text_ids(model: HookedModel, text: Text, *, bos: bool, name: str = "text") -> list[int]:
    """Token ids of one of :func:`each_text`: a string as :func:`tokenize` makes them, ids as they are.

    Raises
    ------
    SaelabError
        For what is neither, an empty text, and an id outside the vocabulary.

    >>> sl.models.text_ids(model, torch.tensor([0, 5, 7]), bos=True)
    [0, 5, 7]
    """
    if isinstance(text, str):
        return tokenize(model, text, bos=bos)
    if isinstance(text, Mapping) or hasattr(text, "prompt_ids"):
        (text,) = each_text(text, name, model)
    ids = _ids(text, name)
    if not len(ids):
        raise SaelabError(f"{name}: a text is empty; give at least one character or token id")
    outside = ids[(ids < 0) | (ids >= vocab_size(model))]
    if len(outside):
        raise SaelabError(f"token id {outside[0]} is outside the vocabulary 0…{vocab_size(model) - 1}")
    return ids.tolist()


def one_text(model: HookedModel, text: Text, *, bos: bool, new: int = 0, name: str = "text") -> list[int]:
    """Token ids of the one text that was given, in any form, if it fits the context with ``new`` more tokens.

    >>> sl.models.one_text(model, ["The fox"], bos=True) == sl.models.tokenize(model, "The fox")
    True
    """
    found = list(itertools.islice(each_text(text, name, model), 2))
    if len(found) != 1:
        raise SaelabError(f"{name} must be one text, got several" if found else f"the {name} is empty")
    ids, limit = text_ids(model, found[0], bos=bos, name=name), context_length(model)
    if len(ids) + new > limit:
        room = (
            f": there is room for {max(limit - len(ids), 0)} new ones, not {new}"
            if new
            else f"; shorten it, or give one part of it: sl.tokenize_texts(model, [{name}])[0]"
        )
        raise SaelabError(f"the {name} has {len(ids)} tokens and the model's context {limit}{room}")
    return ids


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


def default_bos(model: HookedModel) -> bool:
    """Whether texts get a BOS when nothing else is said: yes, if the tokenizer has one.

    >>> sl.models.default_bos(model)
    True
    """
    return bos_id(model) is not None


@functools.cache
def _byte_of_char() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character: printable bytes as themselves, the others
    as code points from 256 on, in byte order (Radford et al. 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    return {chr(b): b for b in printable} | {chr(256 + i): b for i, b in enumerate(rest)}


_bytes_cache: weakref.WeakKeyDictionary[Any, list[bytes]] = weakref.WeakKeyDictionary()


def token_bytes(model: HookedModel) -> list[bytes]:
    """The bytes each token id stands for, for the whole vocabulary.

    >>> sl.models.token_bytes(model)[sl.models.tokenize(model, "T")[1]]
    b'T'
    """
    tokenizer = model.tokenizer
    if tokenizer is None:
        return [b""] * vocab_size(model)
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


_digests: weakref.WeakKeyDictionary[Any, tuple[Any, str]] = weakref.WeakKeyDictionary()


def vocabulary(model: HookedModel) -> str:
    """Digest of the vocabulary; token rows carry it. Empty for a tokenizer that does not tell its tokens.

    >>> sl.models.vocabulary(model) == sl.tokenize_texts(model, texts).vocabulary
    True
    """
    tokenizer = model.tokenizer
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        return ""
    state = len(tokenizer), special_ids(model)  # what adding tokens changes
    if _digests.get(tokenizer, (None,))[0] != state:
        table = token_bytes(model)
        ptr = np.cumsum([0, *map(len, table)], dtype=np.int64)
        data = np.frombuffer(b"".join(table), dtype=np.uint8)
        _digests[tokenizer] = state, identity.vocab_digest(ptr, data, state[1])
    return _digests[tokenizer][1]


def _bytes_of(model: HookedModel, ids: Sequence[int]) -> list[bytes]:
    table = token_bytes(model)
    ids = [int(i) for i in ids]
    outside = [i for i in ids if not 0 <= i < len(table)]
    if outside:
        raise SaelabError(f"token id {outside[0]} is outside the vocabulary 0…{len(table) - 1}")
    return [table[i] for i in ids]


def token_labels(model: HookedModel, ids: Sequence[int]) -> list[str]:
    r"""One readable label per token. Bytes that are no whole character show as ``\xf0``, so that two
    different tokens never look the same.

    >>> sl.models.token_labels(model, sl.models.tokenize(model, "The"))[0]
    '<|bos|>'
    """
    pieces = zip(ids, _bytes_of(model, ids), strict=True)
    return [b.decode("utf-8", "backslashreplace") or f"<id {int(i)}>" for i, b in pieces]


def token_groups(model: HookedModel, ids: Sequence[int]) -> list[tuple[int, int, str]]:
    """Runs ``(start, stop, text)`` of tokens whose bytes together are whole characters.

    Most runs are one token long; a character spread over several byte tokens is one run. Joining the texts
    gives the text of ``ids``.

    >>> "".join(text for *_, text in sl.models.token_groups(model, sl.models.tokenize(model, "é", bos=False)))
    'é'
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


def decode(model: HookedModel, ids: Sequence[int]) -> str:
    r"""Text of ``ids``, special tokens included; bytes that are no whole character show as ``\xf0``.

    >>> sl.models.decode(model, sl.models.tokenize(model, "The fox", bos=False))
    'The fox'
    """
    return b"".join(_bytes_of(model, ids)).decode("utf-8", "backslashreplace")
