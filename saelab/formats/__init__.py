"""Files of SAEs: one module per published format, each with ``detect(src)``, ``read(src)`` and perhaps
``write(sae, path)``.

A format is found out from what is in the files, never from a name alone, and no architecture is ever
assumed: what a file does not say must be said by the user (``given``), and what a reader has no use for is
an error."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

from saelab.errors import SaelabError, check_dtype, unknown
from saelab.formats import hub
from saelab.formats.common import check_given
from saelab.formats.readers import (
    batchtopk_code,
    circuit_tracer,
    circuit_tracer_clt,
    crosscoder,
    dictionary_learning,
    e2e_sae,
    gemma_scope,
    gemma_scope_2,
    goodfire,
    linear_pair,
    llama_scope,
    llamascopium,
    native,
    numbered,
    openai,
    qwen_scope,
    saelens,
    sparsify,
    transcoder_circuits,
)
from saelab.formats.source import Source, check_crc
from saelab.sae import SAE

FORMATS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        native,
        saelens,
        sparsify,
        dictionary_learning,
        openai,
        gemma_scope,
        gemma_scope_2,
        llama_scope,
        goodfire,
        qwen_scope,
        transcoder_circuits,
        circuit_tracer,
        circuit_tracer_clt,
        crosscoder,
        llamascopium,
        numbered,
        batchtopk_code,
        e2e_sae,
        linear_pair,
    )
}
WRITABLE = tuple(name for name, module in FORMATS.items() if hasattr(module, "write"))


def load_sae(
    source: str | Path,
    *,
    format: str | None = None,
    sae_id: str | None = None,
    given: dict[str, Any] | None = None,
    model: Any = None,
    check: bool = True,
    device: str = "cpu",
    dtype: str | None = None,
) -> SAE:
    """Load an SAE: saelab's own, or one that another library published.

    Parameters
    ----------
    source
        A folder or file, ``org/repo`` on the Hugging Face hub, a name of ``saelab.catalog()``, or ``"zoo"``
        for the bundled one.
    format
        One of ``saelab.formats.FORMATS``; None finds out from the files.
    sae_id
        Which SAE, where the source holds several: a folder or file in it.
    given
        Facts the files do not hold, such as ``{"k": 50}`` or ``{"arch": "relu"}``; the message says which
        are needed. A fact that contradicts the file is an error.
    model
        The model it reads, if at hand: reconstruction is then tried on a short text, with a warning that
        names likely causes if it fails (:func:`saelab.formats.selfcheck.self_check`).
    check
        Whether checksums of archives are verified and, with ``model``, the reconstruction tried.
    device
        Where to put it.
    dtype
        ``float32``, ``bfloat16`` or ``float16``; None: as stored.

    Raises
    ------
    SaelabError
        If the source is missing, unknown, damaged, ambiguous, or of an architecture saelab does not have.
    """
    if str(source) == "zoo":
        from saelab import zoo

        return zoo.load_sae().to(device)
    if format is not None and format not in FORMATS:
        raise unknown("format", format, FORMATS)
    if dtype is not None:
        check_dtype(dtype)
    given = {key: tuple(v) if isinstance(v, list) else v for key, v in (given or {}).items()}
    check_given(given)
    path, hint, facts, known = hub.locate(str(source), sae_id)
    src = Source(path, {**facts, **given}, hint)
    named = format or known
    module = FORMATS[named] if named is not None else _detect(src)
    try:
        sae = _read(module, src, check)
    except SaelabError:
        raise
    except (
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
        OSError,
    ) as error:
        # files nobody here wrote can be wrong in ways no reader foresees
        raise SaelabError(
            f"{src} cannot be read as {module.NAME} ({type(error).__name__}: {error})"
        ) from error
    if dtype is not None and dtype != sae.config.dtype:
        sae = _cast(sae, dtype)
    sae = sae.to(device)
    if check and model is not None:
        from saelab.formats.selfcheck import self_check

        self_check(model, sae)
    return sae


def _cast(sae: SAE, dtype: str) -> SAE:
    from dataclasses import replace

    sae = sae.to(check_dtype(dtype))
    sae.config = replace(sae.config, dtype=dtype)
    return sae


def _read(module: ModuleType, src: Source, check: bool) -> SAE:
    """The SAE; ``check``: the checksums of an archive are verified meanwhile, which torch itself never
    does."""
    path = src.only(".pt", ".pth")  # numpy and our own files are verified as they are read
    if not check or path is None:
        return module.read(src)
    with ThreadPoolExecutor(1) as pool:
        verified = pool.submit(check_crc, path)
        try:
            return module.read(src)
        finally:
            verified.result()  # damage explains an error of reading better than the error itself


def _detect(src: Source) -> ModuleType:
    problems = []
    for module in FORMATS.values():
        try:
            if module.detect(src):
                return module
        except SaelabError as error:
            problems.append(str(error))
    if problems:  # a file that should have told could not be read
        raise SaelabError(problems[0])
    hint = ""
    if src.path.is_dir():
        ids = hub.ids_in(src.path)
        hint = f". It holds SAEs in folders: sae_id may be {', '.join(map(repr, ids[:6]))}" if ids else ""
    raise SaelabError(
        f"{src} holds no SAE of a known format ({', '.join(FORMATS)}); found: {src.inside()}{hint}. "
        "Say format=… if you know it"
    )


def save_sae(sae: SAE, path: str | Path, *, format: str = "saelab") -> Path:
    """Write ``sae``; see :meth:`saelab.SAE.save`. Returns the folder or file written."""
    if format not in FORMATS:
        raise unknown("format", format, WRITABLE)
    if format not in WRITABLE:
        raise SaelabError(f"saelab reads {format!r} but does not write it; it writes {', '.join(WRITABLE)}")
    if sae.config.floor and format != native.NAME:
        raise SaelabError(
            f"format {format!r} has no place for a floor ({sae.config.floor:.3g}): it would come back with more latents on"
        )
    path = Path(path).expanduser()
    if path.is_file() and path.suffix != ".pt":
        raise SaelabError(f"{path} is a file; an SAE is saved as a folder")
    return FORMATS[format].write(sae, path)
