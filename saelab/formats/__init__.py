"""Files of SAEs: saelab's own, and those of other libraries; one module per format in ``readers``.

A format is found out from what is in the files, never from a name alone, and no architecture is ever
assumed: what a file does not say must be said by the user (``given``), and what a reader has no use for is
an error."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from saelab import bundled, models
from saelab.doors import door
from saelab.errors import SaelabError, check_device, check_dtype, check_whole, memory, unknown
from saelab.formats import hub, readers
from saelab.formats.format import Format, Writable
from saelab.formats.keys import check_given
from saelab.formats.readers import native
from saelab.formats.selfcheck import self_check
from saelab.formats.source import SAEFiles, check_crc
from saelab.models import HookedModel
from saelab.sae import SAE

FORMATS: dict[str, Format] = {form.NAME: form for form in readers.FORMATS}
WRITABLE: dict[str, Writable] = {form.NAME: form for form in readers.WRITERS}


@door
def load_sae(
    source: str | Path,
    *,
    format: str | None = None,
    sae_id: str | None = None,
    given: dict[str, Any] | None = None,
    ignore: str | Iterable[str] | None = None,
    model: HookedModel | None = None,
    check: bool = True,
    lazy: bool = False,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    token: str | None = None,
) -> SAE:
    """Load an SAE: saelab's own, or one that another library published.

    Parameters
    ----------
    source
        A folder or file, a name of ``saelab.catalog()``, ``"zoo"`` or ``"zoo-twin"`` for a bundled one, or an address of
        the Hugging Face hub: ``org/repo``, ``org/repo/folder``, ``org/repo@revision``, ``hf://…``, or a page of
        huggingface.co.
    format
        One of ``saelab.formats.FORMATS``; None finds out from the files.
    sae_id
        Which SAE, where the source holds several: a folder or file in it.
    given
        Facts the files do not hold, such as ``{"k": 50}`` or ``{"arch": "relu"}``; the message says which
        are needed. The file outranks it: a contradiction is an error. It outranks the catalog, which outranks what
        names of files and folders say.
    ignore
        Keys of its config (or tensors) to leave out of account, where you know what they are: every key that
        saelab does not know or cannot follow is an error, and one message names them all. They are kept in
        ``sae.record["loaded"]["ignored"]``.
    model
        The model it reads, if at hand: reconstruction is then tried on a short text, with a warning that
        names likely causes if it fails (:func:`saelab.self_check`).
    check
        Whether checksums of archives are verified and, with ``model``, the reconstruction tried.
    lazy
        Open an SAE larger than memory, of saelab's own format: weights stay in the file and are read when they are
        asked for. It is encoded, indexed, steered and shown; what would copy all weights is refused. Neither the
        checksum nor NaN and infinity are looked for, as that reads everything: of the weights a sample is compared with
        what was saved. Loaded without, an SAE is compared whole.
    device
        Where to put it; None: where ``model`` is, if that is given, else the CPU.
    dtype
        ``float32``, ``bfloat16`` or ``float16``; None: what the library that owns the format computes in, which for
        most is float32 even where weights are stored in half precision.
    revision
        Branch, tag or commit of a repository of the hub; None: its main branch.
    token
        Of the hub; None: the one of ``hf auth login``.

    Raises
    ------
    SaelabError
        If the source is missing, unknown, damaged, ambiguous, or of an architecture saelab does not have.

    Examples
    --------
    >>> sl.load_sae("zoo", dtype="bfloat16").config.d_sae
    4096
    """
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    number_format = check_dtype(dtype) if dtype is not None else None
    here = models.device(model) if device is None and model is not None else check_device(device or "cpu")
    given = check_given(given or {})
    left_out = (ignore,) if isinstance(ignore, str) else ignore or ()
    if not isinstance(left_out, Iterable) or not all(isinstance(key, str) for key in left_out):
        raise SaelabError(f"ignore is names of keys, such as ('foo',); got {ignore!r:.80}")
    name = str(bundled.whole(bundled.SAES[str(source)]) if str(source) in bundled.SAES else source)
    place = hub.locate(name, sae_id, revision, token)
    src = SAEFiles(place.path, given, place.hint, place.listed, place.fetched, tuple(left_out), lazy)
    named = format or place.form
    reader = FORMATS[named] if named is not None else _detect(src)
    if lazy and reader is not native:
        raise SaelabError(f"{src} is of format {reader.NAME!r}: only saelab's own is opened with lazy=True")
    room = memory(f"{src} is loaded", None, "Load it with dtype='bfloat16', or an SAE of fewer latents")
    try:
        with room:
            sae = _read(reader, src, check)
    except SaelabError as error:
        if not src.obstacles.found:
            raise
        raise src.obstacles.error(str(error)) from None
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
        OSError,
    ) as error:
        src.obstacles.check()  # where something is missing, reading stumbles over it later
        # files nobody here wrote can be wrong in ways no reader foresees
        why = f"{src} cannot be read as {reader.NAME} ({type(error).__name__}: {error})"
        raise SaelabError(why) from error
    if place.commit and "loaded" in sae.record:
        sae.record["loaded"]["revision"] = place.commit
    if dtype is not None:
        sae = sae.to(number_format)
        sae.config = replace(sae.config, dtype=dtype)
    size = sum(p.numel() * p.element_size() for p in sae.parameters())
    with memory(f"the SAE is brought to {here}", size, "Load it with dtype='bfloat16', or on device='cpu'"):
        sae = sae.to(here)
    if check and model is not None:
        self_check(model, sae)
    return sae


def _read(reader: Format, src: SAEFiles, check: bool) -> SAE:
    """The SAE; ``check``: the checksums of an archive are verified meanwhile, which torch itself never
    does."""
    path = src.only(".pt", ".pth")  # numpy and our own files are verified as they are read
    if not check or path is None:
        return reader.read(src)
    with ThreadPoolExecutor(1) as pool:
        verified = pool.submit(check_crc, path)
        try:
            return reader.read(src)
        finally:
            verified.result()  # damage explains an error of reading better than the error itself


def _detect(src: SAEFiles) -> Format:
    problems = []
    for reader in FORMATS.values():
        try:
            if reader.detect(src):
                return reader
        except SaelabError as error:
            problems.append(str(error))
    if problems:  # a file that should have told could not be read
        raise SaelabError(problems[0])
    checkpoints = sorted(src.folder.glob("checkpoints/*/state.json"))
    if checkpoints:
        raise SaelabError(
            f"{src} holds a training run that did not end; its last checkpoint is of step "
            f"{int(checkpoints[-1].parent.name):,}. Call sl.train (or train_many) again as it was called, with "
            f"out={str(src)!r} and resume=True: it goes on from there, and the SAE is then here"
        )
    ids = hub.ids_in(src.path) if src.path.is_dir() else []
    hint = f". It holds SAEs in folders: sae_id may be {', '.join(map(repr, ids[:6]))}" if ids else ""
    raise SaelabError(
        f"{src} holds no SAE of a known format ({', '.join(FORMATS)}); found: {src.inside()}{hint}. "
        "Say format=… if you know it"
    )


@door
def save_sae(sae: SAE, path: str | Path, *, format: str = "saelab") -> Path:
    """Write ``sae`` in the form of another library; returns the folder or file written.

    Parameters
    ----------
    sae
        It stays as it is; a scale of its input is folded into the copy that is written.
    path
        A folder; for ``openai`` a ``.pt`` file as well.
    format
        ``saelens``, ``dictionary_learning``, ``sparsify``, ``openai``, or ``saelab`` (:meth:`saelab.SAE.save`).

    Raises
    ------
    SaelabError
        With the reason, if the format cannot express this SAE exactly; nothing is written then. Where weights change
        on the way (a scale, another input bias), half precision is written as float32, so that nothing is rounded.

    Examples
    --------
    >>> sl.save_sae(sae, folder / "theirs", format="sparsify").name
    'theirs'
    >>> sl.load_sae(folder / "theirs").config.k == sae.config.k
    True
    """
    if format not in FORMATS:
        raise unknown("format", format, WRITABLE)
    if format not in WRITABLE:
        raise SaelabError(f"saelab reads {format!r} but does not write it; it writes {', '.join(WRITABLE)}")
    path = Path(path).expanduser()
    if path.is_file() and path.suffix != ".pt":
        raise SaelabError(f"{path} is a file; an SAE is saved as a folder")
    if format != native.NAME:
        check_whole(sae, f"another format, {format!r},")
        if sae.config.floor:
            raise SaelabError(
                f"format {format!r} has no place for a floor ({sae.config.floor:.3g}): it would come back with "
                "more latents on. format='saelab' holds it. For saelens and dictionary_learning write "
                "sae.as_jumprelu(), whose threshold is the floor: the same latents wherever at most "
                f"k={sae.config.k} exceed it"
            )
        sae = sae.fold() if sae.config.normalize == "scale" else sae
        here, foreign = [n for n in FORMATS[format].LAYOUT.beside if (path / n).is_file()], False
        with contextlib.suppress(SaelabError):  # a damaged one is replaced
            foreign = bool(here) and not FORMATS[format].detect(SAEFiles(path))
        if foreign:
            raise SaelabError(f"{path} holds a {here[0]} of something else: write the SAE elsewhere")
    return WRITABLE[format].write(sae, path)
