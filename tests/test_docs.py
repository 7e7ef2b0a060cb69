"""Every public name explains itself with an example that runs."""

import doctest
import importlib
import inspect

import numpy as np
import pytest
import torch
from helpers import SENTENCES, random_sae, tiny_model

import saelab as sl

ROOMS = ("models", "evaluation", "n2g", "widgets", "words")  # faces a user reaches as sl.models.…


def public():
    """(name, function or class or method) of all that is public."""
    found = {name: getattr(sl, name) for name in sl._WHERE}
    for room in ROOMS:
        face = importlib.import_module(f"saelab.{room}")
        found |= {f"{room}.{n}": v for n, v in vars(face).items() if not n.startswith("_") and callable(v)}
    seen, out = set(), []
    for name, value in found.items():
        if id(value) in seen or not getattr(value, "__module__", "").startswith("saelab"):
            continue
        seen.add(id(value))
        out.append((name, value))
        if inspect.isclass(value):
            out += [
                (f"{name}.{n}", m)
                for n, m in vars(value).items()
                if not n.startswith("_") and (inspect.isfunction(m) or isinstance(m, classmethod))
            ]
    return out


PUBLIC = public()


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """What an example may use without making it."""
    model = tiny_model()
    sae = random_sae(d_in=16, d_sae=64, k=6, hook_in="blocks.0.hook_resid_post")
    texts = [s.replace("🙂", "") for s in SENTENCES] + ["The dog sat.", "GET / HTTP/1.1", "A fox ran."]
    index = sl.LatentIndex.build(model, sae, texts, progress=False)
    latent = int(index.counts.argmax())
    graph = sl.n2g.fit(index, [latent], progress=False)[latent]
    return {
        "sl": sl, "np": np, "torch": torch, "model": model, "sae": sae, "texts": texts,
        "index": index, "latent": latent, "graph": graph,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[n for n, _ in PUBLIC])
def test_the_example_of(name, value, names, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = inspect.getdoc(value)
    assert text, f"{name} has no docstring"
    examples = doctest.DocTestParser().get_doctest(text, names | {"folder": tmp_path}, name, None, None)
    for example in examples.examples:
        assert doctest.SKIP not in example.options, f"{name}: an example that is skipped shows nothing"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    failed = runner.run(examples, out=said.append).failed
    assert not failed, "".join(said)


def test_every_public_function_has_an_example():
    without = [n for n, v in PUBLIC if not inspect.isclass(v) and ">>>" not in (inspect.getdoc(v) or "")]
    assert not without
