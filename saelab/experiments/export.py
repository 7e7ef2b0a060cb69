"""An intervention for those who have no saelab: JSON, safetensors, and plain hooks for a stock model of transformers."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from saelab import files, models
from saelab.doors import door
from saelab.errors import SaelabError
from saelab.interventions.directions import Direction
from saelab.interventions.edits import Intervention
from saelab.interventions.steering import interventions
from saelab.interventions.targets import Target, rows_of
from saelab.models import HookedModel
from saelab.sae import SAE
from saelab.sae.config import PER_ROW

FORMAT = "saelab.exported"


@door
def export_steering(
    model: HookedModel,
    sae: SAE | Sequence[tuple[SAE, Any]] | None,
    edits: Any,
    path: str | Path,
    *,
    special: bool = False,
    **options: Any,
) -> Path:
    """Write a folder that steers a stock model of transformers without saelab: ``steer.py``, ``steering.json``,
    ``weights.safetensors``.

    ``from steer import steer`` there, then ``with steer(model, folder): model.generate(…)`` on the same model as
    ``AutoModelForCausalLM`` loads it gives the text that :func:`saelab.generate` gives.

    Parameters
    ----------
    sae, edits, options
        As for :func:`saelab.steer`: ``mode``, ``positions``, ``relative``, ``when``, ``schedule``, …

    Raises
    ------
    SaelabError
        For what plain hooks cannot do here: a crosscoder, ``project``, a hook point inside a module.

    Examples
    --------
    >>> made = sl.export_steering(model, sae, {latent: 8.0}, folder / "steering")
    >>> sorted(p.name for p in made.iterdir())
    ['steer.py', 'steering.json', 'weights.safetensors']
    """
    sites, tensors = [], {}
    for number, (one, made) in enumerate(interventions(model, sae, edits, **options)):
        about, own = _site(model, one, made)
        sites.append(about)
        tensors |= {f"{number}.{name}": tensor for name, tensor in own.items()}
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    about = {
        "format": FORMAT, "version": 1, "model": models.model_name(model), "special": sorted(models.special_ids(model)),
        "edit_special": special, "sites": sites,
    }  # fmt: skip
    files.write_tensors(path / "weights.safetensors", tensors)
    files.write_json(path / "steering.json", about)
    files.write_text(path / "steer.py", Path(__file__).with_name("standalone.py").read_text(encoding="utf-8"))
    return path


def _site(model: HookedModel, sae: SAE, made: Intervention) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What ``steer.py`` wants to know of one SAE and its edits, and its tensors."""
    if sae.config.widths:
        raise SaelabError(
            "a crosscoder reads and writes at several hook points, which the exported hooks do not know"
        )
    if any(e.how.change is None for e in made.edits):
        raise SaelabError(
            "mode 'project' is not exported; of one latent, 'clamp' of a direction does the same"
        )
    keys = list(dict.fromkeys(e.key for e in made.edits))
    wanted: list[Target] = [
        t for e in made.edits for t in ((e.key[0] if e.how.reads else None), e.when) if t is not None
    ]
    reads = list(dict.fromkeys(wanted))
    latents, along = [t for t in reads if isinstance(t, int)], [t for t in reads if isinstance(t, Direction)]
    tensors = {"rows": rows_of(sae, keys)}
    own = [isinstance(target, Direction) for target, _ in keys]
    if along:
        tensors["along"] = torch.stack([t.vector for t in along])
    if latents or (sae.config.normalize in PER_ROW and not all(own)):
        tensors |= _encoder(sae, latents)
    column = {t: (t if _competes(sae) else latents.index(t)) for t in latents}
    config = {n: getattr(sae.config, n) for n in ("arch", "k", "floor", "normalize", "scale")}
    edits = [
        {"row": keys.index(e.key), "read": reads.index(e.key[0]) if e.how.reads else None, "mode": e.mode,
         "amount": e.amount, "positions": e.positions if isinstance(e.positions, str) else list(e.positions),
         "schedule": e.schedule, "when": None if e.when is None else reads.index(e.when), "above": e.above}
        for e in made.edits
    ]  # fmt: skip
    about = {
        "read": module_of(model, sae.config.hook_in), "write": module_of(model, sae.config.hook_out), "sae": config,
        "edits": edits, "own": own,
        "reads": [("direction", along.index(t)) if isinstance(t, Direction) else ("latent", column[t]) for t in reads],
    }  # fmt: skip
    return about, {name: t.detach().float() for name, t in tensors.items()}


def _competes(sae: SAE) -> bool:
    """Whether a latent's activation depends on the others, so that all are needed."""
    return sae.arch.select is not None


def _encoder(sae: SAE, latents: list[int]) -> dict[str, Tensor]:
    some = slice(None) if _competes(sae) else latents or [0]
    out = {"W_enc": sae.W_enc[:, some], "b_enc": sae.b_enc[some], "b_in": sae.b_in}
    for name in sae.arch.parameters(sae.config):
        value = getattr(sae, name)
        out[name] = value[some] if value.ndim else value
    return out


def module_of(model: HookedModel, hook: str) -> tuple[str, str]:
    """(name in the stock model, "in" or "out") of a hook point."""
    inner = getattr(model, "original_model", None)
    if inner is None:
        raise SaelabError("only a model that wraps one of transformers can be exported to it")
    with torch.device("meta"):
        stock = {name for name, _ in type(inner)(copy.deepcopy(inner.config)).named_modules()}
    point = model.hook_dict[models.check_hook(model, hook)]
    names = [n for n, m in inner.named_modules(remove_duplicate=False) if m is point]
    owner = next((m for _, m in inner.named_modules() if point in m.children()), None)
    component = getattr(owner, "_original_component", None)
    places = [
        n for n, m in inner.named_modules(remove_duplicate=False) if component is not None and m is component
    ]
    side = (
        names[0].rpartition("hook_")[2] if names else ""
    )  # as the module has it: the point's own name may be an alias
    for name in [*(n.rpartition(".")[0] for n in names), *places]:
        plain = re.sub(r"(^|\.)_original_component(?=\.|$)", "", name)
        if plain in stock and side in ("in", "out"):
            return plain, side
    raise SaelabError(
        f"hook point {hook!r} is inside a module of the stock model, where no plain hook comes; such are the input and "
        "output of a layer, of its MLP, attention and their last matrices"
    )
