"""What a dashboard draws, against the plain way: one latent, one example, one token at a time."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.widgets.payload import payload, payloads, top_tokens

TEXTS = [
    *SENTENCES, "x", "fox", "😀", "你好 Привет שלום é 😀 <script>alert(1)</script>", "$x$ \n\t \\ ' \u2028 \x00",
    "the red fox", "the red fox", "🙂🙂🙂🙂é日本",
]  # fmt: skip


@pytest.fixture(scope="module", params=["topk", "relu", "jumprelu", "gated"])
def mixed(request, tiny, tmp_path_factory):
    """Rows shorter than a window, repeated ones, and tokens of half a character everywhere."""
    sae = random_sae(request.param, k=6 if request.param == "topk" else None, seed=3)
    texts = [t for text in TEXTS for t in pieces(tiny, text)]
    return sl.LatentIndex.build(
        tiny, sae, texts, path=tmp_path_factory.mktemp("mixed") / "i", progress=False, overwrite=True
    )


def pieces(model, text, length=14):
    return [text[i : i + length] for i in range(0, len(text), length)]


def digits(value):
    return None if not np.isfinite(value) else float(value)


def single(x):
    """The same with every number in single precision, in which activations are."""
    if isinstance(x, dict):
        return {k: single(v) for k, v in x.items()}
    if isinstance(x, list):
        return [single(v) for v in x]
    return float(np.float32(x)) if isinstance(x, float) else x


def plain_example(index, model, latent, line, before, after):
    """One example by its definition, from the whole row."""
    row, position = int(line.row), int(line.position)
    ids = [int(i) for i in index.rows[row]]
    acts, labels = index.activations([latent], row)[:, 0], models.token_labels(model, ids)
    groups = [
        g for g in models.token_groups(model, ids)
        if g[0] < min(len(ids), position + after + 1) and g[1] > max(0, position - before)
    ]  # fmt: skip
    a, b = groups[0][0], groups[-1][1]
    text = {"ids": ids[a:b], "text": [t for *_, t in groups]}
    if any(stop - start > 1 for start, stop, _ in groups):
        text["size"] = [stop - start for start, stop, _ in groups]
    odd = {str(i - a): labels[i] for u, v, t in groups for i in range(u, v) if labels[i] != t}
    if odd:
        text["labels"] = odd
    special = [i - a for i in range(a, b) if ids[i] in models.special_ids(model)]
    if special:
        text["special"] = special
    return {
        "text": text, "values": [digits(v) for v in acts[a:b].tolist()], "centre": position - a, "start": a,
        "row": row, "position": position, "doc": int(line.doc), "value": digits(line.value), "count": int(line.count_),
    }  # fmt: skip


def plain_payload(index, model, latent, n, before, after):
    stats, bars = index.stats().loc[latent], index.histogram(latent)
    lens = index.logit_lens(latent)
    of = {"top": index.top(latent, n), "random": index.random(latent, n)}
    table = index.to_frame()
    peak = [None if dead else token for dead, token in zip(table["dead"], table["top_token"], strict=True)]
    return {
        "latent": latent, "d_sae": 64, "counted": index.n_counted, "excluded": index.n_tokens - index.n_counted,
        "decoder_norm": digits(index.sae.W_dec[latent].detach().norm().item()),
        "stats": {k: digits(v) if isinstance(v, float) else v for k, v in stats.items()},
        "histogram": {c: bars[c].tolist() for c in ("lo", "hi", "count")},
        "examples": {
            kind: [
                plain_example(index, model, latent, line, before, after)
                for line in frame.rename(columns={"count": "count_"}).itertuples()
            ]
            for kind, frame in of.items()
        },
        "logits": {
            side: [[t, digits(v)] for t, v in zip(lens[f"{side}_token"], lens[f"{side}_value"], strict=True)]
            for side in ("up", "down")
        },
        "nearest": {
            by: [
                {"latent": int(x.latent), "similarity": digits(x.similarity), "label": "", "token": peak[int(x.latent)]}
                for x in index.nearest(latent, by, 8).itertuples()
            ]
            for by in ("decoder", "encoder", "coactivation")
        },
    }  # fmt: skip


def same(got, want):
    """Equal, but that a sum of floats depends in its last digits on how many are made together."""
    got, want = single(got), single(want)
    for key in want.keys() - {"logits", "nearest"}:
        assert got[key] == want[key], key
    assert list(got) == list(want)
    for side, votes in want["logits"].items():
        assert [t for t, _ in got["logits"][side]] == [t for t, _ in votes]
        np.testing.assert_allclose([v for _, v in got["logits"][side]], [v for _, v in votes], rtol=2e-3)
    for by, lines in want["nearest"].items():
        for a, b in zip(got["nearest"][by], lines, strict=True):
            assert a["similarity"] == pytest.approx(b["similarity"], rel=2e-3)
            assert {**a, "similarity": 0} == {**b, "similarity": 0}


def test_many_are_what_each_is_the_plain_way(mixed, tiny):  # C04, C05, C15
    rng = np.random.default_rng(0)
    latents = [*rng.permutation(64)[:10].tolist(), int(mixed.counts.argmax()), int(mixed.counts.argmin())]
    want = {i: plain_payload(mixed, tiny, i, 6, 10, 5) for i in set(latents)}
    halves = [e for w in want.values() for e in w["examples"]["top"] if "labels" in e["text"]]
    assert any("\\x" in label for e in halves for label in e["text"]["labels"].values())
    assert min(len(e["values"]) for w in want.values() for e in w["examples"]["top"]) < 5
    got = list(payloads(mixed, latents, n=6))
    assert [g["latent"] for g in got] == latents
    for latent, record in zip(latents, got, strict=True):
        same(record, want[latent])
    same(payload(mixed, latents[0], n=6), want[latents[0]])


@pytest.mark.parametrize("context", [0, 1, 3, 50])
def test_context_around_examples(mixed, tiny, context):
    latents = np.argsort(-mixed.counts)[:5].tolist()
    sides = (context or 10**6,) * 2
    for latent, record in zip(latents, payloads(mixed, latents, n=5, context=context), strict=True):
        same(record, plain_payload(mixed, tiny, latent, 5, *sides))


def test_numbers_are_plain(mixed):
    import json

    for record in payloads(mixed, range(64), n=3):
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_wrong_ones_are_named_before_any_work(mixed):
    with pytest.raises(SaelabError, match="0…63"):
        payloads(mixed, [0, 64])
    with pytest.raises(SaelabError, match="n must be at least 1"):
        payloads(mixed, [0], n=0)
    assert list(payloads(mixed, [])) == []
    assert top_tokens(mixed, []) == []


def test_a_token_outside_the_vocabulary_is_named(mixed):
    for wrong in (-1, len(mixed.vocab)):
        with pytest.raises(SaelabError, match=f"token id {wrong} is outside"):
            mixed.vocab.labels([0, wrong])


def test_without_an_sae_the_decoder_norm_is_not_known(tiny, tmp_path):  # C25
    import saelab as sl

    sae = sl.SAE(sl.SAEConfig("relu", 16, 24, hook_in="blocks.0.hook_resid_post"))
    index = sl.LatentIndex.build(tiny, sae, ["The red fox"], path=tmp_path / "index", progress=False)
    assert payload(index, 3)["decoder_norm"] == pytest.approx(float(sae.W_dec[3].detach().norm()), rel=1e-3)
    assert payload(sl.LatentIndex.open(tmp_path / "index"), 3)["decoder_norm"] is None
