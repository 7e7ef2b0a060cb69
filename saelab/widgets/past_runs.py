"""The curves of runs that are over, as a training monitor shows them: of an SAE, or of the folder of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saelab import files
from saelab.errors import SaelabError
from saelab.sae import SAE, SAEConfig, saving
from saelab.sae.archs import ARCHS
from saelab.training import checkpoint
from saelab.training.monitor import from_curves
from saelab.training.spec import label


def target_l0(arch: str, k: int | None, options: Any) -> float | None:
    led = options.get("target_l0") if isinstance(options, dict) else getattr(options, "target_l0", None)
    wanted = k if ARCHS[arch].needs_k else led
    return None if wanted is None else float(wanted)


def _past(config: Any, curves: Any, record: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a run that is over."""
    recipe, options = record.get("recipe", {}), record.get("options", {})
    return {
        "points": from_curves(curves, recipe.get("aux_coef", math.nan)),
        "name": label(config.arch, config.d_sae, config.k),
        "hook": config.hook_in,
        "d_sae": config.d_sae,
        "target": target_l0(config.arch, config.k, options),
        "dead_after": recipe.get("dead_after"),
        "budget": int(recipe.get("tokens", 0)),
        "ended": bool(record.get("ended", True)),
        "notes": list(record.get("notes", [])),
    }


def past_of_sae(sae: SAE) -> dict[str, Any]:
    return _past(sae.config, sae.history.to_dict("records"), sae.record)


def past_of_folder(folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        raise SaelabError(f"there is no folder {str(folder)!r}")
    with files.reading(folder):
        return _of_checkpoint(folder) if checkpoint.exists(folder) else _of_saved(folder)


def _of_checkpoint(folder: Path) -> list[dict[str, Any]]:
    state = checkpoint.state(folder)
    out = []
    for i, job in enumerate(state["jobs"]):
        own = {
            n: state["identity"].get(f"sae{i}.{n}", state["identity"].get(n)) for n in ("aux_coef", "tokens")
        }
        recipe = own | {"dead_after": job["counters"]["dead_after"]}
        record = {
            "recipe": recipe, "options": state["identity"].get(f"sae{i}.options") or {}, "ended": False,
        }  # fmt: skip
        out.append(_past(SAEConfig.from_dict(job["config"]), job["counters"]["curves"], record))
    return out


def _of_saved(folder: Path) -> list[dict[str, Any]]:
    numbered = sorted((p for p in folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
    out = []
    for place in [folder, *numbered]:  # those of a run of train_many are in 0, 1, …
        if not (place / "config.json").is_file():
            continue
        config, curves, record = saving.about(place)
        lines = [dict(zip(curves, values, strict=True)) for values in zip(*curves.values(), strict=True)]
        out.append(_past(SAEConfig.from_dict(config), lines, record))
    return out
