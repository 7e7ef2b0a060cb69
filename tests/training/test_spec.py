"""Settings are written once, and an architecture is one row."""

import inspect
from dataclasses import MISSING, dataclass, fields

import pytest
import torch
from toy import SMALL, ToyModel, texts

import saelab as sl
from saelab.errors import SaelabError
from saelab.sae import objective
from saelab.sae.archs import ARCHS, Arch
from saelab.sae.config import HookPoints
from saelab.sae.objective import Parts
from saelab.training.spec import RunSettings, SAESpec

HOW = {"progress", "on_log", "monitor"}  # said for a call, not for a run


def defaults(function):
    given = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in given if p.kind is p.KEYWORD_ONLY and p.name not in HOW}


def test_the_keywords_of_train_are_the_settings_with_the_same_defaults():
    own = {f.name: f.default for kind in (RunSettings, SAESpec) for f in fields(kind)}
    said = defaults(sl.train)
    assert said.keys() == own.keys()
    # hook and d_sae have to be given; None leaves arch and k to init, or else to the defaults
    assert all(said[n] == own[n] for n in own if own[n] is not MISSING and n not in ("arch", "k"))
    shared = {f.name: f.default for f in fields(RunSettings)}
    assert defaults(sl.train_many) == shared | {"hook": None}


@pytest.mark.parametrize("hook", ["a+b", ["a", "b"], ("a", "b"), HookPoints(("a", "b"))])
def test_hook_points_have_one_type(hook):
    spec = SAESpec.of({"d_sae": 8, "hook": hook})
    assert spec.hook == ("a", "b")
    assert str(spec.hook) == "a+b"
    assert spec.identity()["hook"] == "a+b"


def test_what_an_sae_does_not_have_is_refused():
    with pytest.raises(SaelabError, match="Did you mean 'd_sae'"):
        SAESpec.of({"dsae": 8, "hook": "a"})
    with pytest.raises(SaelabError, match="prefixes belongs to a matryoshka SAE, not to a topk one"):
        sl.train(ToyModel(), texts(), prefixes=(8, 48), **SMALL)


@dataclass(frozen=True)
class AbsOptions(objective.Options):
    """Of an architecture that is not in the library."""

    strength: float = 0.1


def test_a_new_architecture_is_one_row(monkeypatch, tmp_path):
    def activate(sae, pre):
        return (pre - sae.margin.abs()).relu()

    def loss(task):
        entries, pre = task.above(0.0)
        z = (task.encode(entries, pre) - task.p.extra["margin"].abs()[entries.indices]).relu()
        recon = task.decode(z, entries)
        penalty = task.options.strength * z.sum() / len(task.x)
        return Parts(task.fvu(recon) + penalty, recon, entries.indices[z > 0], penalty=penalty.detach())

    row = Arch(
        activate, loss, AbsOptions, parameters=lambda c: {"margin": ((c.d_sae,), 0.1)}, scaled=("margin",),
        normalize="scale", advice="strength",
    )  # fmt: skip
    monkeypatch.setitem(ARCHS, "margin", row)
    sae = sl.train(ToyModel(), texts(), arch="margin", out=tmp_path, **(SMALL | {"lr": 3e-3}))
    assert sae.config.normalize == "scale"
    assert sae.history["fvu"].iloc[-1] < sae.history["fvu"].iloc[0]
    assert sae.record["options"] == {"strength": 0.1}
    again = sl.load_sae(tmp_path)
    assert torch.equal(again.margin, sae.margin)
    x = torch.randn(20, 12, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sae.fold_norms()(x).recon, sae(x).recon, atol=1e-5, rtol=1e-5)
    further = sl.train(ToyModel(), texts(), init=sae, options={"strength": 0.2}, **(SMALL | {"k": None}))
    assert further.config.arch == "margin"
