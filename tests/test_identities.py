"""Two identities that every number about steering rests on, for every kind of SAE on three models: without edits
and with the error term the model is itself, and an edit changes what is written by exactly the decoder row.

On SmolLM2 only where its file can be had."""

import functools

import pytest
import torch
from helpers import shared_tiny
from kinds import KINDS

from saelab import models
from saelab.errors import SaelabError
from saelab.interventions import attach, steer
from saelab.sae import SAE, SAEConfig

TEXT = "The red fox ran over the hill."


@functools.cache
def smollm2():
    from saelab.models.load import resolve

    try:
        resolve("smollm2")
    except SaelabError as error:
        pytest.skip(f"SmolLM2 cannot be had here: {error}")
    return models.load_model("smollm2")


MODELS = {"tiny": shared_tiny, "zoo": functools.cache(models.load_model), "smollm2": smollm2}


def made_for(model, kind, d_sae=40):
    """A random SAE of a kind that fits a model."""
    width, last = int(model.cfg.d_model), int(model.cfg.n_layers) - 1
    settings = {**KINDS[kind]}
    if "widths" in settings:
        hooks = (f"blocks.{last // 2}.hook_resid_pre", f"blocks.{last}.hook_resid_post")
        settings.update(hook_in=hooks, widths=(width, width), d_in=2 * width)
    elif "hook_out" in settings:
        settings.update(
            hook_in="blocks.0.ln2.hook_out", hook_out="blocks.0.hook_mlp_out", d_in=width, d_out=width
        )
    else:
        settings.update(hook_in=f"blocks.{last // 2}.hook_resid_post", d_in=width)
    sae = SAE(SAEConfig(**{"d_sae": d_sae, **settings}))
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in sae.named_parameters():
            noise = torch.randn(p.shape, generator=g)
            p.copy_(
                noise.abs() * 0.1 if name == "threshold" else noise * (0.3 if p.ndim < 2 else width**-0.5)
            )
    return sae


@functools.cache
def clean_of(name):
    """Ids of the text and the logits of the model as it is."""
    model = MODELS[name]()
    ids = torch.tensor([models.tokenize(model, TEXT)])
    with torch.no_grad():
        return model, ids, models.forward(model, ids)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", sorted(MODELS))
def test_c10_identities(name, kind):
    model, ids, clean = clean_of(name)
    sae = made_for(model, kind)
    reads, writes = sae.config.hook_in.split("+"), sae.config.hook_out.split("+")
    with torch.no_grad():
        with attach(model, sae, error=True) as spliced:
            torch.testing.assert_close(models.forward(model, ids), clean, atol=1e-5, rtol=0)
        found = models.run_to_hooks(model, ids, list(dict.fromkeys([*reads, *writes])))
        codes = sae.encode_sparse(torch.cat([found[h] for h in reads], -1))
        old = codes.dense()
        torch.testing.assert_close(spliced.codes.dense(), old, atol=1e-5, rtol=1e-5)
        counted = [i for i, token in enumerate(ids[0].tolist()) if token not in models.special_ids(model)]
        latent = int(old[0, counted].max(0).values.argmax())
        assert old[0, counted, latent].max() > 0
        scale = 1.0 if codes.stats is None else codes.stats[1].reshape(*ids.shape, -1)
        for mode, strength in (("ablate", 0.0), ("add", 1.5), ("clamp", 0.7)):
            step = {
                "ablate": -old[..., latent],
                "add": torch.full(ids.shape, 1.5),
                "clamp": 0.7 - old[..., latent],
            }[mode]
            row = torch.zeros(*ids.shape, sae.W_dec.shape[1])
            row[:, counted] = (step[..., None] * sae.W_dec[latent] * scale)[:, counted]
            with steer(model, sae, {latent: strength}, mode=mode):
                after = models.run_to_hooks(model, ids, writes)[writes[0]]
                logits = models.forward(model, ids) if mode == "ablate" else None
            # what is added is the decoder row; activations of this size carry float32's rounding of their own
            widths = sae.config.widths or [row.shape[-1]]
            parts = dict(zip(writes, row.split(list(widths), -1), strict=True))
            expected = found[writes[0]] + parts[writes[0]]
            rounding = 2**-22 * (found[writes[0]].abs() + parts[writes[0]].abs())
            assert ((after - expected).abs() <= 1e-5 + rounding).all()
            if logits is None:
                continue
            # and nothing else is changed, nor elsewhere
            by_hand = {h: functools.partial(torch.add, part) for h, part in parts.items()}
            with models.hooked(model, by_hand):
                torch.testing.assert_close(models.forward(model, ids), logits, atol=1e-4, rtol=1e-5)
