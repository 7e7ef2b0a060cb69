"""Several processes train the SAE that one would: each holds some of the latents."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from ranks_worker import BATCH, D_SAE, RUNS, run

from saelab.sae.objective import Ranks, shares

STEPS = 12


@cache
def alone(name):
    return run(name, STEPS)


@pytest.fixture(scope="module", params=[2, 4])
def together(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    worker, size = str(Path(__file__).parent / "ranks_worker.py"), request.param
    command = [[sys.executable, worker, str(i), str(size), str(folder), str(STEPS)] for i in range(size)]
    processes = [subprocess.Popen(c, stderr=subprocess.PIPE, text=True) for c in command]
    errors = [p.communicate(timeout=300)[1] for p in processes]
    assert [p.returncode for p in processes] == [0] * size, errors
    return [pickle.loads((folder / f"rank{i}").read_bytes()) for i in range(size)]


@pytest.mark.parametrize("name", RUNS)
def test_T20_ranks_train_what_one_process_trains(together, name):
    one, ranks = alone(name), [found[name] for found in together]
    for r in ranks:
        assert r["loss"] == ranks[0]["loss"]
        torch.testing.assert_close(r["loss"], one["loss"], atol=1e-5, rtol=1e-5)
        assert r["l0"] == pytest.approx(one["l0"])
        assert (r["dead"], r["rare"], r["resampled"]) == (one["dead"], one["rare"], one["resampled"])
    for step in range(STEPS):
        assert sorted(i for r in ranks for i in r["active"][step]) == one["active"][step]
    for key, whole in one["weights"].items():
        parts = [r["weights"][key] for r in ranks]
        if key in ("b_dec", "b_in", "skip") or not whole.ndim:
            assert all(torch.equal(p, parts[0]) for p in parts)
            got = parts[0]
        else:
            begins = shares(D_SAE, len(parts))
            assert [len(p) for p in parts] == [b - a for a, b in itertools.pairwise(begins)]
            got = torch.cat(parts)
        torch.testing.assert_close(got, whole, atol=2e-4, rtol=1e-3)


def test_T20_the_runs_show_what_they_are_to_show(together):
    assert any(alone("topk")["dead"])
    assert alone("relu")["resampled"] > 0
    skewed = [found["topk all winners on one rank"] for found in together]
    assert [bool(r["active"][0]) for r in skewed] == [True] + [False] * (len(skewed) - 1)
    assert skewed[0]["sent"]["candidates"] > together[0]["topk"]["sent"]["candidates"]
    plain = together[0]["batchtopk"]["sent"]["reconstruction"]
    size = len(together)
    assert plain >= STEPS * (2 * BATCH * 12 * 4 * (size - 1) // size)


def test_T20_alone_nothing_is_sent():
    ranks = Ranks()
    best = torch.tensor([[3.0, 2.0, 1.0]])
    assert ranks.kth_value(best, 2).tolist() == [2.0]
    assert ranks.total(best) is best
    assert ranks.sum(best) is best
    assert ranks.share(5) == slice(0, 5)
    assert not ranks.sent
