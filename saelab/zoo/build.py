"""Train everything in ``saelab/zoo/data`` again: ``python -m saelab.zoo.build``.

Stages: ``model`` (tokenizer and one-layer model, about a quarter of an hour on one core), ``sae`` (its SAE), and
``twin-model`` and ``twin-sae``, another pair half as wide. The result is a function of the code, on one kind of
processor and with one version of torch: others round otherwise. ``--quick`` runs the same path in a minute on a small
fraction of the data, to try it out.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from saelab.errors import SaelabError

_DATA = Path(__file__).parent / "data"

HOOK = "blocks.0.mlp.hook_post"
D_SAE, TWIN_D_SAE, K = 4096, 2048, 32
STAGES = ("model", "sae", "twin-model", "twin-sae")
SAE_TOKENS, QUICK_SAE_TOKENS = "4M", "60K"
# measured on this model: with them every genre has latents of its own, and explained variance stays above 0.9
LEARNING_RATE, FLOOR = 4e-3, 0.38


def build_model(
    folder: Path, *, twin: bool = False, quick: bool = False, progress: bool = True
) -> dict[str, Any]:
    """Train tokenizer and model into ``folder``; returns what ``training.json`` says of them."""
    from saelab.zoo import pretrain

    settings = pretrain.TWIN if twin else pretrain.Settings()
    if quick:
        q = pretrain.QUICK
        settings = replace(q, d_model=settings.d_model, d_mlp=settings.d_mlp, seed=settings.seed)
    began = time.monotonic()
    tokenizer = pretrain.train_tokenizer(settings)
    model, history = pretrain.train_model(tokenizer, settings, progress=progress)
    record = {
        "settings": asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out_loss": round(pretrain.held_out_loss(model, tokenizer, settings), 4),
        "seconds": round(time.monotonic() - began),
        "loss": [
            round(sum(history[i : i + 50]) / len(history[i : i + 50]), 4) for i in range(0, len(history), 50)
        ],
    }
    pretrain.save_model(model, tokenizer, folder, record)
    return record


def build_sae(
    folder: Path, model_folder: Path, *, twin: bool = False, quick: bool = False, progress: bool = True
) -> Any:
    """Train the SAE of the model in ``model_folder`` with :func:`saelab.train`; saved in half precision."""
    import torch

    from saelab import models
    from saelab.sae import saving
    from saelab.training import train
    from saelab.zoo import corpus

    model = models.load_model(model_folder)
    model.cfg.model_name = (
        "zoo-twin" if twin else "zoo"
    )  # the SAE names the model that users load, not the folder it was built in
    tokens = QUICK_SAE_TOKENS if quick else SAE_TOKENS
    sae = train(
        model,
        corpus.texts(seed=0),
        hook=HOOK,
        arch="topk",
        d_sae=TWIN_D_SAE if twin else D_SAE,
        k=K,
        tokens=tokens,
        lr=LEARNING_RATE,
        options={"floor": FLOOR},
        precision="float32",  # the same on processors with and without bfloat16
        progress=progress,
    )
    saving.save(sae, folder, store=torch.float16)
    return sae


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m saelab.zoo.build", description=__doc__)
    parser.add_argument("--only", choices=STAGES, help="one stage (an SAE needs its model to be there)")
    parser.add_argument(
        "--quick", action="store_true", help="a minute's try; writes into --out, never the package"
    )
    parser.add_argument(
        "--out", type=Path, help="folder to write into (default: the package's own data folder)"
    )
    given = parser.parse_args(arguments)
    if given.quick and given.out is None:
        parser.error("--quick needs --out: its files are too poor to replace the bundled ones")
    out = given.out or _DATA
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(
        1
    )  # matrices this small gain nothing from a second core, and one order of sums is exact
    try:
        for stage in (given.only,) if given.only else STAGES:
            twin = stage.startswith("twin")
            if stage.endswith("model"):
                record = build_model(out / stage, twin=twin, quick=given.quick)
                said = f"held-out loss {record['held_out_loss']} nats a token, {record['seconds']} s"
            else:
                sae = build_sae(
                    out / stage, out / stage.replace("sae", "model"), twin=twin, quick=given.quick
                )
                last = sae.history.iloc[-1]
                said = f"explained variance {last['explained_variance']:.3f}, dead {last['dead']:.0f}"
            sys.stdout.write(f"{stage}: {said}\n")
    except SaelabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    finally:
        torch.set_num_threads(threads)
    sys.stdout.write(f"{out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
