"""What ``import saelab`` gives, and what it costs."""

import importlib
import importlib.util
import subprocess
import sys

import pytest

import saelab


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_import_takes_no_time_and_loads_no_torch():
    program = (
        "import time; t = time.perf_counter(); import saelab; t = time.perf_counter() - t\n"
        "import sys; print(t, [m for m in ('torch', 'numpy', 'pandas', 'transformers') if m in sys.modules])"
    )
    best = min((run(program).split(" ", 1) for _ in range(3)), key=lambda r: float(r[0]))
    assert float(best[0]) < 0.3
    assert best[1].strip() == "[]"


@pytest.mark.parametrize("name", saelab.__all__)
def test_every_public_name_that_exists_resolves(name):
    where = saelab._WHERE.get(name, f"saelab.{name}" if name in saelab._MODULES else None)
    if where is not None and importlib.util.find_spec(where) is None:
        pytest.skip(f"{where} is not there yet")
    value = getattr(saelab, name)
    assert value is getattr(saelab, name), "the same object each time"
    if where is not None and name in saelab._WHERE:
        assert getattr(importlib.import_module(where), name) is value
    assert name in dir(saelab)


def test_functions_are_not_shadowed_by_modules_of_their_name():
    for name in ("train", "evaluate"):
        importlib.import_module({"train": "saelab.training", "evaluate": "saelab.evaluation"}[name])
        assert callable(getattr(saelab, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'saelab' has no attribute 'trane'"):
        saelab.trane  # noqa: B018


def test_C46_the_global_random_state_is_unchanged_by_a_whole_small_run(tiny, tmp_path):
    import random

    import numpy as np
    import torch
    from helpers import SENTENCES, tiny_folder

    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    model = saelab.load_model(tiny_folder())
    sae = saelab.train(
        model, SENTENCES, hook="blocks.0.hook_resid_post", d_sae=32, k=4, tokens=60, batch=30, progress=False
    )
    saelab.evaluate(model, sae, SENTENCES, progress=False)
    saelab.load_sae(sae.save(tmp_path / "sae"))
    next(saelab.package_texts())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_face_for_type_checkers_has_the_same_names():
    import ast
    from pathlib import Path

    tree = ast.parse(Path(saelab.__file__).read_text())
    block = next(n for n in tree.body if isinstance(n, ast.If) and isinstance(n.test, ast.Name))
    seen = {
        a.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for a in node.names
    }
    assert seen == saelab._WHERE | dict.fromkeys(saelab._MODULES, "saelab")
