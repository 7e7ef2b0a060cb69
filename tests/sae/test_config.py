from dataclasses import fields

import numpy as np
import pytest

from saelab.errors import SaelabError
from saelab.sae import SAEConfig
from saelab.sae.config import LEAST, HookPoints
from saelab.training.spec import RunSettings, SAESpec, TrainConfig

GOOD = {"arch": "topk", "d_in": 16, "d_sae": 64, "k": 4}


def test_defaults_are_filled_in_and_round_trip():
    config = SAEConfig(**GOOD, hook_in="blocks.0.hook_resid_post")
    assert config.d_out == 16
    assert config.hook_out == config.hook_in
    assert SAEConfig.from_dict(config.to_dict()) == config


def test_numpy_sizes_become_plain_ints():
    import json

    config = SAEConfig("topk", np.int64(16), np.int32(64), k=np.int64(4))
    assert json.loads(json.dumps(config.to_dict()))["k"] == 4


@pytest.mark.parametrize("k", [1, 64])
def test_C27_k_may_be_every_latent(k):
    assert SAEConfig(**{**GOOD, "k": k}).k == k


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 65}, "k=65 is more than the d_sae=64 latents"),
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"k": None}, "needs k"),
        ({"k": 4.0}, "k must be a whole number, got 4.0"),
        ({"d_in": 0}, "d_in must be at least 1"),
        ({"d_sae": "64"}, "d_sae must be a whole number"),
        ({"arch": "topkk"}, "unknown architecture 'topkk'. Did you mean 'topk'"),
        ({"normalize": "layernorm"}, "Did you mean 'layer_norm'"),
        ({"input_bias": "b_dec"}, "unknown input_bias 'b_dec'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'"),
        ({"scale": 0}, "scale must be positive, got 0"),
        ({"d_out": 8}, "d_out=8 must equal d_in=16"),
    ],
)
def test_C27_what_does_not_fit_together_is_refused_at_construction(change, message):
    with pytest.raises(SaelabError, match=message):
        SAEConfig(**{**GOOD, **change})


def test_C52_an_unknown_key_is_an_error_with_the_nearest_name():
    with pytest.raises(SaelabError, match="unknown SAE config key 'hook_inn'. Did you mean 'hook_in'"):
        SAEConfig.from_dict({**GOOD, "hook_inn": "x"})


@pytest.mark.parametrize("key", ["arch", "d_in", "d_sae"])
def test_C01_a_missing_key_is_named_and_never_guessed(key):
    with pytest.raises(SaelabError, match=f"no '{key}'; refusing to guess it"):
        SAEConfig.from_dict({k: v for k, v in GOOD.items() if k != key})


@pytest.mark.parametrize("kind", [SAEConfig, TrainConfig, SAESpec, RunSettings])
def test_D77_every_whole_number_of_a_config_has_a_least_value(kind):
    given = {"arch": "topk", "d_in": 8, "d_sae": 16, "k": 4, "tokens": 100, "hook": HookPoints(("a",))}
    names = [f.name for f in fields(kind)]
    whole = [f.name for f in fields(kind) if str(f.type).removesuffix(" | None") == "int"]
    given = {n: v for n, v in given.items() if n in names}
    assert set(whole) <= set(LEAST)
    for name in whole:
        for bad in (LEAST[name] - 1, -4, 2.5, True, "8", float("nan"), np.int64(-1)):
            with pytest.raises(SaelabError, match=name):
                kind(**given | {name: bad})
        found = getattr(kind(**given | {name: np.int64({"d_out": 8}.get(name, given.get(name, 4)))}), name)
        assert type(found) is int
