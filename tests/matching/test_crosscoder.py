"""Latents of one side alone: planted ones are found, the two kinds of false ones are told apart."""

import numpy as np
import pytest
import torch

import saelab as sl
from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def planted():
    """Latents 0 and 1 shared, 2 of chat alone, 3 in base's error too, 4 in base too, where latent 5 writes it."""
    g = torch.Generator().manual_seed(0)
    f = (torch.rand(400, 5, generator=g) < 0.3) * (torch.rand(400, 5, generator=g) + 0.5)  # (rows, features)
    basis = torch.linalg.qr(torch.randn(8, 8, generator=g))[0]  # a feature's direction is a row
    chat = f @ basis[:5]
    base = chat - f[:, [2]] * basis[2]
    sae = sl.SAE(
        sl.SAEConfig("relu", d_in=16, d_sae=7, hook_in=("base", "chat"), widths=(8, 8), input_bias="none")
    )
    of_chat, of_base = torch.zeros(7, 8), torch.zeros(7, 8)
    of_chat[:5] = basis[:5]
    of_base[:2], of_base[5] = basis[:2], basis[4]
    with torch.no_grad():
        sae.W_dec.copy_(torch.cat([of_base, of_chat], 1))
        sae.W_enc.zero_()
        sae.W_enc[8:, :5] = basis[:5].T  # read off the chat side
        sae.W_enc[8:, 5] = basis[4]
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    return sae, sl.ActivationStore.of({"base": base, "chat": chat})


def test_planted_latents_get_their_verdict(planted):
    found = sl.crosscoder_diff(*planted)
    only = "only b"
    assert found["verdict"].tolist()[:5] == [
        "shared", "shared", only, "false: in the error", "false: in the reconstruction"
    ]  # fmt: skip
    assert found["verdict"][6] == "silent"
    assert found["norm_difference"].tolist()[:5] == pytest.approx([0.5, 0.5, 1, 1, 1], abs=1e-6)
    assert found["error"].tolist()[2:4] == pytest.approx([0, 1], abs=1e-4)
    assert found["reconstruction"].tolist()[2:5] == pytest.approx([0, 0, 1], abs=1e-4)
    assert found.attrs["sides"] == {"a": "base", "b": "chat"}


def test_the_sides_can_be_turned(planted):
    found = sl.crosscoder_diff(*planted, hooks=("chat", "base"))
    assert found["verdict"][2] == "only a"
    assert found["norm_difference"][2] == pytest.approx(0, abs=1e-6)


@pytest.fixture(scope="module")
def random():
    g = torch.Generator().manual_seed(1)
    sae = sl.SAE(sl.SAEConfig("topk", d_in=12, d_sae=9, k=3, hook_in=("p", "q"), widths=(6, 6)))
    with torch.no_grad():
        for p in sae.parameters():
            p.copy_(torch.randn(p.shape, generator=g))
    x = torch.randn(5000, 12, generator=g)
    return sae, x, sl.crosscoder_diff(sae, sl.ActivationStore.of({"p": x[:, :6], "q": x[:, 6:]}), only=0.6)


def test_the_ratios_are_those_of_the_papers_authors(random):
    """Their closed_form_scalars (science-of-finetuning/sparsity-artifacts-crosscoders, e302f0b) on the same weights and
    rows, with the longer decoder row as theirs has the chat model's."""
    *_, found = random
    error = [-0.8113, -4.32033, 3.35742, -0.96898, 4.88813, 0.69161, -1.02331, -0.28419, -1.37479]
    made = [0.05923, 0.09856, -0.83751, -0.45509, 0.26189, 0.45379, 1.89486, -0.05175, -0.3529]
    known = found["error"].notna()
    assert known.tolist() == [False, True, True, False, False, False, True, False, False]
    assert found["error"][known].tolist() == pytest.approx(np.array(error)[known], rel=1e-3)
    assert found["reconstruction"].tolist() == pytest.approx(made, rel=1e-3)
    seems = (found["norm_difference"] - 0.5).abs() >= 0.1
    assert (found["verdict"][seems & ~known] == "unclear").any()
    assert not found["verdict"][~known].str.startswith("only").any()


def test_the_ratios_are_those_of_least_squares(random):
    sae, x, found = random
    with torch.no_grad():
        f, made = sae.encode(x), sae.decode(sae.encode(x))
        rows = {"a": sae.W_dec[:, :6].detach(), "b": sae.W_dec[:, 6:].detach()}
    seen = {"a": (x[:, :6], made[:, :6]), "b": (x[:, 6:], made[:, 6:])}
    for j in range(9):
        own, other = ("b", "a") if rows["b"][j].norm() >= rows["a"][j].norm() else ("a", "b")
        column = (f[:, [j]] * rows[own][j]).reshape(-1).numpy()  # what β stands before

        def beta(y, column=column):
            return np.linalg.lstsq(column[:, None], y.detach().reshape(-1).numpy(), rcond=None)[0][0]

        error = [beta(seen[s][0] - seen[s][1] + f[:, [j]] * rows[s][j]) for s in (other, own)]
        made_of = [beta(seen[s][1]) for s in (other, own)]
        for name, (top, bottom) in (("error", error), ("reconstruction", made_of)):
            if bottom > 0:
                assert found[name][j] == pytest.approx(top / bottom, rel=1e-3, abs=1e-4)
            else:
                assert np.isnan(found[name][j])


def test_what_is_no_crosscoder_is_refused(planted):
    sae, store = planted
    alone = sl.SAE(sl.SAEConfig("topk", d_in=8, d_sae=9, k=3, hook_in="base"))
    with pytest.raises(SaelabError, match="no crosscoder"):
        sl.crosscoder_diff(alone, store)
    with pytest.raises(SaelabError, match="no 'chat'"):
        sl.crosscoder_diff(sae, sl.ActivationStore.of({"base": torch.ones(9, 8)}))
    with pytest.raises(SaelabError, match="chatt"):
        sl.crosscoder_diff(sae, store, hooks=("base", "chatt"))
    three = sl.SAE(sl.SAEConfig("topk", d_in=9, d_sae=9, k=3, hook_in=("p", "q", "r"), widths=(3, 3, 3)))
    with pytest.raises(SaelabError, match="which two"):
        sl.crosscoder_diff(three, sl.ActivationStore.of({n: torch.ones(9, 3) for n in "pqr"}))


def test_thresholds_out_of_range_are_refused(planted):
    for name, value in (("only", 2), ("only", 0.4), ("error", -1), ("reconstruction", -0.1)):
        with pytest.raises(SaelabError, match=name):
            sl.crosscoder_diff(*planted, **{name: value})
