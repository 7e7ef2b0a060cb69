"""The fixtures that original libraries made, and SAEs of every kind to be written; shared by the tests of
formats.

``python cases.py FOLDER`` writes every SAE that each format can express into FOLDER, for
``fixtures/make_formats.py verify FOLDER``, which has the original libraries read them."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch

from saelab.errors import SaelabError
from saelab.formats import WRITABLE, load_sae, save_sae
from saelab.sae import SAE, SAEConfig

FIXTURES = Path(__file__).parent.parent / "fixtures" / "formats"
# facts that a file of the format does not hold
GIVEN = {
    "openai/relu_first_version": {"arch": "relu"},
    "saelens/standard_scaled": {"scale": 0.37},
    "llama_scope/distilled": {"scale": 0.53},
    "crosscoder/relu": {"scale": [1.0, 1.0]},
    "qwen_scope/topk": {"k": 4},
    "gemma_scope/transcoder": {"hook_in": "blocks.12.mlp.hook_in", "hook_out": "blocks.12.hook_mlp_out"},
}
# which of several SAEs in the folder
SAE_ID = {
    "circuit_tracer_clt/relu": "W_enc_1.safetensors",
    "circuit_tracer_clt/jumprelu": "W_enc_1.safetensors",
}
GIVEN |= {f"{name}_half": facts for name, facts in GIVEN.items()}
SAE_ID |= {f"{name}_half": sae_id for name, sae_id in SAE_ID.items()}
READ = sorted(f"{p.parent.name}/{p.stem}" for p in FIXTURES.glob("*/*.npz"))
# stored in half precision (sparsify names a folder by the module it reads)
HALF = {name for name in READ if name.endswith("_half")} | {"sparsify/layers.12"}
# what the library that owns the format computes in once it has loaded these; all others: float32
COMPUTES = {
    "saelens/jumprelu_in_half": "bfloat16", "saelens/topk_in_half": "bfloat16", "sparsify/layers.12": "bfloat16",
    "crosscoder/relu_half": "bfloat16",
}  # fmt: skip
FOREIGN = tuple(name for name in WRITABLE if name != "saelab")

WRITE: dict[str, dict] = {
    "relu": {"arch": "relu"},
    "relu_no_bias": {"arch": "relu", "input_bias": "none"},
    "relu_own_bias": {"arch": "relu", "input_bias": "own"},
    "relu_scale": {"arch": "relu", "normalize": "scale", "scale": 0.37},
    "relu_layer_norm": {"arch": "relu", "normalize": "layer_norm"},
    "gated": {"arch": "gated"},
    "gated_own_bias": {"arch": "gated", "input_bias": "own"},
    "jumprelu": {"arch": "jumprelu", "input_bias": "none"},
    "jumprelu_scale": {"arch": "jumprelu", "normalize": "scale", "scale": 0.37},
    "topk": {"arch": "topk", "k": 4},
    "topk_layer_norm": {"arch": "topk", "k": 4, "normalize": "layer_norm"},
    "topk_scale": {"arch": "topk", "k": 4, "normalize": "scale", "scale": 0.37},
    "topk_tied": {"arch": "topk", "k": 4, "tied": True},
    "batchtopk": {"arch": "batchtopk", "k": 4},
    "matryoshka": {"arch": "matryoshka", "k": 4, "prefixes": (4, 8, 16)},
    "transcoder_relu": {"arch": "relu", "d_out": 6, "input_bias": "own", "hook_out": "blocks.3.hook_mlp_out"},
    "transcoder_jumprelu_skip": {
        "arch": "jumprelu",
        "d_out": 6,
        "input_bias": "none",
        "hook_out": "blocks.3.hook_mlp_out",
        "skip": True,
    },
    "transcoder_topk": {"arch": "topk", "k": 4, "input_bias": "none", "hook_out": "blocks.3.hook_mlp_out"},
    "transcoder_topk_skip": {
        "arch": "topk",
        "k": 4,
        "input_bias": "own",
        "hook_out": "blocks.3.hook_mlp_out",
        "skip": True,
        "normalize": "scale",
        "scale": 0.5,
        "scale_out": 2.0,
    },
    "cross_layer": {
        "arch": "jumprelu",
        "d_out": 16,
        "input_bias": "none",
        "hook_out": "blocks.3.hook_mlp_out+blocks.4.hook_mlp_out",
    },
    "topk_constant_norm": {"arch": "topk", "k": 4, "normalize": "constant_norm"},
    "crosscoder": {"arch": "relu", "hook_in": ("a", "b"), "widths": (4, 4)},
}


def load(name: str, folder: Path | None = None) -> SAE:
    """The SAE of the fixture ``name``, or of a copy of it."""
    return load_sae(folder or FIXTURES / name, given=GIVEN.get(name), sae_id=SAE_ID.get(name))


def inputs() -> torch.Tensor:
    return torch.from_numpy(np.load(FIXTURES / "openai" / "topk.npz")["x"])  # (12, 8)


def make(kind: str) -> SAE:
    """A random SAE (8 wide, 16 latents) with non-zero biases and thresholds that cut through its latents."""
    config = {
        "d_in": 8,
        "d_sae": 16,
        "hook_in": "blocks.3.mlp.hook_in",
        "model": "tiny",
        "bos": False,
        "context": 64,
    }
    sae = SAE(SAEConfig(**(config | WRITE[kind])))
    g = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, p in sae.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            p.copy_(noise.abs() * 0.3 + 0.1 if name == "threshold" else noise * 0.4)
    return sae


@torch.no_grad()
def outputs(sae: SAE, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    codes = sae.encode_sparse(x)
    return codes.dense(), sae.decode(codes)


def structure(folder: Path) -> str:
    """A digest of what a reader sees apart from the numbers: file names, configs, names, types and shapes."""
    from safetensors.torch import load_file

    seen = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".json":
            seen.append((path.name, json.loads(path.read_text())))
            continue
        data = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
        seen.append(
            (
                path.name,
                {
                    k: [str(v.dtype), list(v.shape)] if isinstance(v, torch.Tensor) else v
                    for k, v in data.items()
                },
            )
        )
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()[:16]


def refusal(kind: str, form: str, folder: Path) -> str | None:
    """Write the SAE; the reason if the format cannot express it."""
    try:
        save_sae(make(kind), folder, format=form)
    except SaelabError as error:
        return str(error).split(": ", 1)[1]
    return None


def main(out: Path) -> None:
    x = inputs()
    for form in FOREIGN:
        for kind in WRITE:
            if refusal(kind, form, out / form / kind) is None:
                z, recon = outputs(make(kind), x)
                np.savez(
                    out / form / f"{kind}.npz",
                    x=x,
                    latents=z,
                    recon=recon,
                    digest=structure(out / form / kind),
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
