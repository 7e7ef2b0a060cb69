"""Steer a model of transformers with plain hooks, by what saelab exported into this folder.

    from transformers import AutoModelForCausalLM, AutoTokenizer
    from steer import steer
    model = AutoModelForCausalLM.from_pretrained("…")
    with steer(model, "."):
        model.generate(ids, do_sample=False)

Needs torch and safetensors only. A generation loop needs its key-value cache (as ``generate`` has by default): without one
a step looks like a longer prompt. Special tokens and padding are left as they are.
"""

import contextlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file

CHANGES = {  # (strength, activation) -> what is added to the activation
    "add": lambda s, a: s + 0 * a,
    "clamp": lambda s, a: s - a,
    "scale": lambda s, a: (s - 1) * a,
    "cap": lambda s, a: (s - a).clamp(max=0),
    "floor": lambda s, a: (s - a).clamp(min=0),
    "ablate": lambda s, a: -a,
}


class Pass:
    """Where the tokens of the present pass stand."""

    def __init__(self, special, every):
        self.special, self.every = torch.tensor(special, dtype=torch.long), every
        self.prompt = torch.zeros(0, 1)  # (B, 1), tokens of each prompt

    def begin(self, module, args, kwargs):
        ids = kwargs.get("input_ids", args[0] if args else None)
        mask = kwargs.get("attention_mask")
        if mask is None or mask.ndim != 2:
            cache = kwargs.get("past_key_values", kwargs.get("cache"))  # its name depends on the version
            past = 0 if cache is None else int(cache.get_seq_length())
            mask = torch.ones(len(ids), past + ids.shape[1], dtype=torch.long, device=ids.device)
        past, mask = mask.shape[1] - ids.shape[1], mask != 0
        if past == 0:
            self.prompt = mask.sum(1, keepdim=True)  # (B, 1)
        self.place = (mask.cumsum(1) - 1)[:, -ids.shape[1] :]  # (B, T)
        self.real = mask[:, -ids.shape[1] :]
        ordinary = self.real & ~torch.isin(ids, self.special.to(ids.device))
        self.allowed = self.real if self.every else ordinary

    def on(self, positions):
        """(B, T) bool: where an edit applies."""
        if positions == "all":
            return self.allowed
        if isinstance(positions, list):
            target = [torch.full_like(self.prompt, p) if p >= 0 else self.prompt + p for p in positions]
            return self.allowed & (self.place[..., None] == torch.stack(target, -1)).any(-1)
        if positions == "prompt":
            return self.allowed & (self.place < self.prompt)
        return self.allowed & (self.place >= self.prompt - int(positions == "last"))


class Site:
    """The edits at one hook point."""

    def __init__(self, about, tensors, run):
        self.about, self.t, self.run = about, tensors, run
        self.x = self.clean = torch.zeros(0)  # what the SAE reads, and the output before any edit

    def read(self, x):
        self.x = x

    def look(self, x):
        self.clean = x.float()  # before any edit

    def latents(self):
        """(B, T, latents) activations, and each position's own scale of the output."""
        sae, t = self.about["sae"], self.t
        x, scale = self.x.to(t["W_enc"].dtype), None
        if sae["normalize"] == "scale":
            x = x * sae["scale"]
        elif sae["normalize"] == "constant_norm":
            scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
            x = x / scale.clamp_min(1e-12)
        elif sae["normalize"] == "layer_norm":
            x = x - x.mean(-1, keepdim=True)
            scale = (x.square().sum(-1, keepdim=True) / max(x.shape[-1] - 1, 1)).sqrt()
            x = x / (scale + 1e-5)
        pre = (x - t["b_in"]) @ t["W_enc"] + t["b_enc"]
        if sae["arch"] == "topk":
            best = pre.topk(min(sae["k"], pre.shape[-1]), dim=-1)
            kept = torch.where(best.values > sae["floor"], best.values, 0.0)
            return torch.zeros_like(pre).scatter(-1, best.indices, kept), scale
        if sae["arch"] == "gated":
            size = t["r_mag"].exp() * (pre - t["b_enc"]) + t["b_mag"]
            return torch.where(pre > 0, size.relu(), 0.0), scale
        if "threshold" in t:
            return torch.where(pre > t["threshold"].clamp_min(0), pre, 0.0), scale
        return pre.relu(), scale

    def write(self, x):
        """``x`` (B, T, d) with the edits made."""
        t = self.t
        t.update({k: v.to(x.device) for k, v in t.items() if v.device != x.device})
        codes, scale = self.latents() if "W_enc" in t else (torch.zeros(0), None)
        old = [
            codes[..., number] if kind == "latent" else self.clean @ t["along"][number]
            for kind, number in self.about["reads"]
        ]
        moved = torch.zeros(*x.shape[:2], len(t["rows"]), device=x.device)
        for e in self.about["edits"]:
            share = self.run.on(e["positions"]).float()
            if e["schedule"] is not None:
                step = (self.run.place - self.run.prompt).clamp(0, len(e["schedule"]) - 1)
                share = share * torch.tensor(e["schedule"], device=x.device)[step]
            if e["when"] is not None:
                share = share * (old[e["when"]] > e["above"])
            a = moved[..., e["row"]] + (0 if e["read"] is None else old[e["read"]])
            moved[..., e["row"]] += share * CHANGES[e["mode"]](e["amount"], a)
        if scale is not None:  # a direction is in units of the activations, a latent in those of the SAE
            moved = moved * torch.where(
                torch.tensor(self.about["own"], device=x.device), torch.ones_like(scale), scale
            )
        return (x.float() + moved @ t["rows"]).to(x.dtype)


def _first(value):
    return value[0] if isinstance(value, tuple) else value


@contextlib.contextmanager
def steer(model, folder="."):
    """Every pass inside the block is steered."""
    folder = Path(folder)
    about = json.loads((folder / "steering.json").read_text(encoding="utf-8"))
    tensors, run = load_file(folder / "weights.safetensors"), Pass(about["special"], about["edit_special"])
    handles = [model.register_forward_pre_hook(lambda m, a, k: run.begin(m, a, k), with_kwargs=True)]

    def attach(place, fn):
        """``fn(x) -> x or None`` at (module, "in" or "out")."""
        module, side = model.get_submodule(place[0]), place[1]
        if side == "in":

            def before(module, args, kwargs):
                x = args[0] if args else kwargs["hidden_states"]
                new = fn(x)
                if new is None:
                    return None
                return ((new, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": new})

            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        else:

            def after(module, args, out):
                new = fn(_first(out))
                return None if new is None else (new, *out[1:]) if isinstance(out, tuple) else new

            handles.append(module.register_forward_hook(after))

    try:
        sites = []
        for number, part in enumerate(about["sites"]):
            own = {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(f"{number}.")}
            sites.append(Site(part, own, run))
        for what in ("read", "look", "write"):  # all read what came in, before any of them writes
            for site in sites:
                attach(site.about["read" if what == "read" else "write"], getattr(site, what))
        yield
    finally:
        for handle in handles:
            handle.remove()
