"""Answers worked out by hand: edges that peers get wrong."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import random_sae

from index.makers import rows_of, write
from saelab import models
from saelab.errors import SaelabError
from saelab.index import LatentIndex
from saelab.index.summary import worth_a_look
from saelab.intervals import of_share
from saelab.models.lens import residual_direction, token_votes


@pytest.fixture
def small(tmp_path):
    """Six latents on two rows; latent 0 is dead, 1 fires once, 2 always with the same value."""
    rows = rows_of([[0, 1, 2, 3, 1, 2], [0, 12, 13, 10, 1]])
    z = np.zeros((rows.n_tokens, 6), np.float32)
    z[3, 1] = 4
    z[[1, 4, 10], 2] = 0.5  # "the"
    z[[2, 5], 3] = [3, 1]  # [0, 3, 0, 0, 1] on the first row's text
    z[[7, 8], 4] = [1, 2]  # HT TP
    return write(tmp_path / "small", rows, z)


def test_dead_latents_answer_everything(small):
    """C55, C44."""
    line = small.latent_stats(0)
    assert (line["n"], line["density"], line["max"], line["dead"]) == (0, 0.0, 0.0, True)
    assert np.isnan([line[name] for name in ("density_lo", "density_hi", "mean", "skew", "kurtosis")]).all()
    for frame in (small.top(0), small.random(0), small.interval(0, 1, 2)):
        assert list(frame.columns) == [
            "token_index",
            "row",
            "position",
            "doc",
            "token",
            "value",
            "text",
            "count",
        ]
        assert len(frame) == 0
    assert len(small.histogram(0)) == len(small.histogram(0, log=True)) == len(small.coactive(0)) == 0
    assert np.isnan(small.percentile(0, 1.0))
    assert small.activations([0], 0).sum() == 0


def test_one_hit_and_one_value(small):
    """C55: one hit, and a histogram without width."""
    assert small.top(1)[["token", "value", "text", "count"]].values.tolist() == [
        [" ran", 4.0, "the fox ranthe fox", 1]
    ]
    linear, log = small.histogram(2, bins=4), small.histogram(2, bins=4, log=True)
    assert linear.values.tolist() == [[0, 0.125, 0], [0.125, 0.25, 0], [0.25, 0.375, 0], [0.375, 0.5, 3]]
    assert log.values.tolist() == [[0.5, 0.5, 3]]
    assert small.latent_stats(2)["mean"] == 0.5


def test_a_value_on_an_edge_belongs_to_the_bin_above(tmp_path):
    rows = rows_of([[0, 1, 2, 3]])
    index = write(tmp_path / "i", rows, np.array([[0], [1], [2], [4]], np.float32))
    assert index.histogram(0, bins=4).values.tolist() == [[0, 1, 0], [1, 2, 1], [2, 3, 1], [3, 4, 1]]
    assert index.histogram(0, bins=2, log=True).values.tolist() == [[1, 2, 1], [2, 4, 2]]


def test_an_index_in_which_nothing_fires_or_counts(tmp_path):
    """C44 (b): no position counts. Undefined, not 0 and not an error."""
    rows = rows_of([[0], [0, 0]])
    index = write(tmp_path / "i", rows, np.zeros((3, 4), np.float32))
    line = index.latent_stats(1)
    assert np.isnan([line["density"], line["density_lo"], line["density_hi"], line["mean_sq"]]).all()
    assert line["max"] == 0
    with pytest.raises(SaelabError, match="'fox' does not occur in the 0 counted tokens"):
        index.search("fox")
    assert len(index.concepts({"x": np.ones(3, bool)})) == 0
    assert "no position counts" in index._repr_html_()
    assert "No latent fires" in index._repr_html_()


def test_activation_is_at_its_own_token(small):
    """C57: highlight at the positions that fired, nowhere else."""
    assert small.activations(3, 0)[:, 0].tolist() == [0, 0, 3, 0, 0, 1]
    assert small.top(3, one_per_document=False)[["position", "token", "value"]].values.tolist() == [
        [2, " fox", 3.0],
        [5, " fox", 1.0],
    ]
    ids, start, centre = small.window(2, before=1, after=1)
    assert (ids.tolist(), start, centre) == ([1, 2, 3], 1, 1)


def test_windows_stay_in_their_row(small):
    ids, start, centre = small.window(0)
    assert (ids.tolist(), start, centre) == ([0, 1, 2, 3, 1, 2], 0, 0)
    ids, start, centre = small.window(7, before=99, after=99)
    assert (ids.tolist(), start, centre) == ([0, 12, 13, 10, 1], 0, 1)
    ids, start, centre = small.window(10, before=0, after=0)
    assert (ids.tolist(), start, centre) == ([1], 4, 0)


PER_LATENT = (
    "postings", "top", "random", "interval", "histogram", "coactive", "nearest", "latent_stats", "label",
    "note", "dashboard", "logit_lens",
)  # fmt: skip


@pytest.mark.parametrize("query", PER_LATENT)
@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (6, r"latent 6 is out of range.*0…5"),
        (-1, r"-1 is out of range.*0…5"),
        (1.0, "integer"),
        ("1", "integer"),
        (None, "integer"),
    ],
)
def test_out_of_range_latents(small, query, latent, message):
    """C59."""
    if latent is None and query == "dashboard":  # one worth a look
        assert small.dashboard().latent in range(6)
        return
    with pytest.raises(SaelabError, match=message):
        getattr(small, query)(latent)


@pytest.mark.parametrize("one", [1, np.int64(1), np.uint8(1), torch.tensor(1), np.array(1)])
def test_integer_likes_are_latents(small, one):
    """C59."""
    assert small.top(one)["value"].tolist() == [4.0]
    assert small.activations([one, one], 0).shape == (6, 2)
    assert small.activations(one, 0).shape == (6, 1)
    assert small.activations(np.array([3, 1]), 0)[2].tolist() == [3, 0]
    assert small.activations(torch.tensor([3, 1]), 0)[3].tolist() == [0, 4]


def test_bad_arguments(small):
    for call, message in [
        (lambda: small.top(1, 0), "n must be at least 1, got 0"),
        (lambda: small.top(1, 2.5), "n must be a whole number"),
        (lambda: small.histogram(1, 0), "bins must be at least 1"),
        (lambda: small.interval(1, 3, 2), "lo <= hi"),
        (lambda: small.interval(1, float("nan"), 2), "lo must be a finite number, got nan"),
        (lambda: small.row_codes(2), r"row 2 is out of range.*0…1"),
        (lambda: small.window(11), r"token 11 is out of range.*0…10"),
        (lambda: small.window(0, before=-1), "before must be at least 0"),
        (lambda: small.search(), "either text=… or regex=…"),
        (lambda: small.search("a", regex="b"), "either text=… or regex=…"),
        (lambda: small.search(""), "at least one character"),
        (lambda: small.search(regex="("), "not a regular expression"),
        (lambda: small.latents_for(0, 3, 3), r"span 3…3 must lie in row 0, which has positions 0…6"),
        (lambda: small.latents_for(0, 0, 7), "span 0…7"),
        (lambda: small.nearest(1, by="decodre"), "Did you mean 'decoder'"),
        (lambda: small.nearest(1), "needs the SAE"),
        (lambda: small.logit_lens(1), "needs the SAE"),
        (lambda: small.concepts({"a": np.zeros(3, bool)}), "cover 3 tokens, but the index has 11"),
        (lambda: small.concepts([1, 2]), "labels must be"),
        (lambda: small.set_label(1, 3), "text must be a string"),
    ]:
        with pytest.raises(SaelabError, match=message):
            call()


def test_search_across_tokens_and_rows(small):
    frame = small.search("HTTP")
    assert frame.values.tolist() == [[4, 2, 1.0, 1.0, 1.5, 1.0]]
    assert frame.attrs["matches"] == 1
    for nothing in (
        "http",
        "foxHT",
        "<bos>",
    ):  # the end of one row and the begin of the next are not one text
        with pytest.raises(SaelabError, match="does not occur in .* of this index's text"):
            small.search(nothing)  # nor is a special token
    assert len(small.search("http", ignore_case=True)) == 1
    # "the" three times; latent 2 fires on all of them, and nowhere else
    assert small.search("the")[["latent", "hits", "precision", "recall"]].values.tolist() == [[2, 3, 1, 1]]


def test_search_counts_a_position_once(small):
    """Several matches inside one token: 18 letters on 6 positions."""
    frame = small.search(regex="[a-z]")
    assert frame.attrs["matches"] == 18
    assert frame[["latent", "hits", "precision", "recall", "mean"]].values.tolist() == [
        [2, 3, 1, 9 / 18, 0.5],
        [3, 2, 1, 6 / 18, 2.0],
        [1, 1, 1, 3 / 18, 4.0],
    ]


def test_search_finds_characters_spread_over_tokens(tmp_path):
    """C05: 日 is three byte tokens; half of it is shown as what it is."""
    rows = rows_of([[0, 1, 4, 5, 6, 2], [0, 4, 6, 7, 8, 9, 11]])
    z = np.zeros((rows.n_tokens, 3), np.float32)
    z[[2, 3, 4], 1] = [1, 2, 3]
    z[[7, 8, 9, 10, 11, 12], 2] = [1, 2, 3, 4, 5, 6]
    index = write(tmp_path / "i", rows, z)
    assert index.search("日")[["latent", "hits", "recall"]].values.tolist() == [[1, 3, 1.0]]
    assert index.top(1, one_per_document=False)["token"].tolist() == ["\\xa5", "\\x97", "\\xe6"]
    assert index.top(1, one_per_document=False)["text"].tolist() == ["the日 fox"] * 3
    assert index.top(2, one_per_document=False)["token"].tolist() == ["$", "\n", '"', "<b>", "\\xa5", "\\xe6"]
    assert index.search(regex="日 f")["hits"].tolist() == [3]
    assert index.search("<b>")["hits"].tolist() == [1]


def test_summary_is_inert(tmp_path):
    """C03: tokens with meaning in HTML are text in the summary."""
    rows = rows_of([[0, 7, 8, 9, 11, 10]])
    z = np.zeros((rows.n_tokens, 1), np.float32)
    z[1:, 0] = 1
    shown = write(tmp_path / "i", rows, z)._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "&quot;" in shown
    assert "↵" in shown
    assert "<script" not in shown
    assert "1 left out (special tokens: &lt;bos&gt; × 1)" in shown
    assert "index.dashboard(0)" in shown


def test_the_summary_begins_with_latents_that_are_rare_and_strong(tmp_path):
    """A newcomer opens the first latent that is named: it should not be one that fires everywhere, or thrice."""
    rows = rows_of([[0, *([1] * 99), 2]] * 30)
    z = np.zeros((rows.n_tokens, 4), np.float32)
    z[:, 0] = 9  # everywhere
    z[rows.ids == 2, 1] = 1
    z[np.flatnonzero(rows.ids == 1)[::100], 2] = 5
    z[np.flatnonzero(rows.ids == 1)[:3], 3] = 8
    index = write(tmp_path / "i", rows, z)
    assert worth_a_look(index, 5)[0] == [2, 1]
    assert "index.dashboard(2)" in index._repr_html_()
    assert index.dashboard().latent == 2


def test_statistics_are_a_copy(small):
    frame = small.stats()
    frame["n"] = -1
    assert small.stats()["n"].tolist() == [0, 1, 3, 2, 2, 0]


def test_counts_and_sums_keep_small_values(tmp_path):
    """C39: 1000 hits of 0.001 after one of 10,000: in float32 sums the small ones would drown."""
    rows = rows_of([[0, *[1] * 1001]])
    z = np.zeros((1002, 1), np.float32)
    z[1:, 0] = 1e-3
    z[1, 0] = 1e4
    line = write(tmp_path / "i", rows, z).latent_stats(0)
    assert line["n"] == 1001
    small = float(np.float32(1e-3))
    np.testing.assert_allclose(line["mean"], (1e4 + 1000 * small) / 1001, rtol=1e-14)
    np.testing.assert_allclose(line["mean_sq"], (1e8 + 1000 * small**2) / 1001, rtol=1e-14)


def test_opens_without_model_or_sae(small):
    index = LatentIndex.open(small.path)
    assert index.sae is None
    assert index.top(1)["text"].item() == "the fox ranthe fox"
    assert index.arrays["tokens"].flags.writeable is False
    pd.testing.assert_frame_equal(index.stats(), small.stats())


# ------------------------------------------------------------------------------- with the model and SAE


@pytest.fixture(scope="module")
def built(tiny):
    return LatentIndex.build(tiny, random_sae(), ["the red fox", "ant"], progress=False)


def test_nearest_by_direction(built):
    for by, table in [("decoder", built.sae.W_dec), ("encoder", built.sae.W_enc.T)]:
        unit = torch.nn.functional.normalize(table.detach(), dim=1)
        cosine = unit @ unit[7]
        cosine[7] = -2
        frame = built.nearest(7, by, n=5)
        want = cosine.topk(5)
        assert frame["latent"].tolist() == want.indices.tolist()
        np.testing.assert_allclose(frame["similarity"], want.values, atol=1e-6)
    assert len(built.nearest(7, n=1000)) == 63  # never itself


def test_nearest_passes_over_latents_without_direction(tiny):
    sae = random_sae()
    with torch.no_grad():
        sae.W_dec[3] = 0
    index = LatentIndex.build(tiny, sae, ["the red fox"], progress=False)
    assert 3 not in index.nearest(7, n=64)["latent"].tolist()
    assert index.nearest(3).empty


def test_logit_lens_is_the_derivative_of_the_logits(tiny, built):
    """Adding a little of the direction to the residual stream moves the logits as the lens says.

    The final norm's division by the standard deviation is left out of the lens: moving along a direction
    that changes the standard deviation changes all logits, so the residual is chosen orthogonal to it, with
    unit deviation.
    """
    g = torch.Generator().manual_seed(0)
    with torch.no_grad():
        d = built.sae.W_dec[5]
        centred = d - d.mean()
        x = torch.randn(16, generator=g)
        x = x - x.mean()
        x = x - (x @ centred) / (centred @ centred) * centred
        x = x / x.std(correction=0)
        eps = 1e-2

        def logits(r):
            return tiny.unembed(tiny.ln_final(r[None, None]))[0, 0]

        moved = (logits(x + eps * d) - logits(x - eps * d)) / (2 * eps)
        moved = moved - moved.mean()
        np.testing.assert_allclose(token_votes(tiny, d), moved, atol=5e-3)
    frame = built.logit_lens(5, n=4)
    assert frame["up_token"].tolist() == models.token_labels(tiny, moved.topk(4).indices.tolist())
    assert frame["down_token"].tolist() == models.token_labels(tiny, (-moved).topk(4).indices.tolist())
    assert frame["up_value"].is_monotonic_decreasing
    assert frame["down_value"].is_monotonic_increasing
    assert frame["rank"].tolist() == [1, 2, 3, 4]


def output_of(model, hook, out, push):
    """(T, d_model) at hook point ``out`` when ``push`` is added at ``hook``."""
    seen = []
    with models.hooked(model, {hook: lambda x: x + push, out: seen.append}):
        models.forward(model, torch.tensor([[0, 5, 7]]))
    return seen[0][0]


@pytest.mark.parametrize(
    ("hook", "out", "width"),
    [
        ("blocks.1.mlp.hook_post", "blocks.1.hook_mlp_out", 64),
        ("blocks.0.attn.hook_z", "blocks.0.hook_attn_out", 16),
    ],
)
def test_logit_lens_through_output_matrices(tiny, hook, out, width):
    """A direction of MLP neurons or of attention heads reaches the stream through their output matrix."""
    d = torch.randn(width, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        moved = output_of(tiny, hook, out, d) - output_of(tiny, hook, out, 0 * d)
        np.testing.assert_allclose(residual_direction(tiny, d, hook), moved[1], atol=1e-4)


def test_logit_lens_where_it_has_no_meaning(tiny):
    d = torch.randn(64)
    with pytest.raises(SaelabError, match="only through a nonlinearity"):
        residual_direction(tiny, d, "blocks.0.mlp.hook_pre")
    assert residual_direction(tiny, d, "blocks.1.hook_resid_mid") is d


def test_D30_density_intervals_count_documents(tmp_path):
    """By hand from each document's firings; documents come in any order and in several rows."""
    g = np.random.default_rng(0)
    lengths, docs = g.integers(2, 9, 90), g.permutation(np.repeat(np.arange(30), 3))
    rows = dataclasses.replace(
        rows_of([[0, *g.integers(1, 14, n)] for n in lengths]), doc=docs.astype(np.int32)
    )
    doc = np.repeat(docs, lengths + 1)
    bursts = (g.random(30) < 0.4)[doc] & (g.random(len(doc)) < 0.8)  # often, in some documents
    z = np.stack([bursts, g.random(len(doc)) < 0.2, doc < 4, doc < 0], 1).astype(np.float32)
    z[rows.offsets[:-1]] = 0
    index = write(tmp_path / "i", rows, z)
    stats, size = index.stats(), np.bincount(doc[index.counted])
    for latent in range(4):
        by_hand = of_share(np.bincount(doc, z[:, latent]).astype(int), size)
        got = stats.loc[latent, ["density_lo", "density_hi"]].tolist()
        assert np.isnan(got).all() if by_hand is None else got == pytest.approx(by_hand)
        assert index.latent_stats(latent)["density_hi"] == pytest.approx(got[1], nan_ok=True)
    assert stats["density_lo"].notna().tolist() == [True, True, False, False]
    wide = stats["density_hi"] - stats["density_lo"]
    assert wide[0] > 3 * wide[1]  # as many tokens, but they come together


def test_D33_concepts_of_some_documents(tmp_path):
    """So that the best latent is chosen on some and scored on others; by hand."""
    g = np.random.default_rng(1)
    rows = dataclasses.replace(
        rows_of([[0, *g.integers(1, 14, 6)] for _ in range(20)]), doc=np.arange(20) % 10
    )
    z = (g.random((rows.n_tokens, 3)) < 0.4).astype(np.float32)
    z[rows.offsets[:-1]] = 0
    index, label = write(tmp_path / "i", rows, z), g.random(rows.n_tokens) < 0.5
    doc = np.repeat(rows.doc, 7)
    for part in (np.arange(5), [7], np.arange(5, 10)):
        inside, found = np.isin(doc, part) & index.counted, index.concepts({"x": label}, documents=part)
        assert found.attrs["scored_on"] == f"{len(part)} of 10 documents"
        assert len(found) == 3
        for line in found.itertuples():
            fires = (z[:, line.latent] > 0) & inside
            assert (line.tp, line.fires) == ((fires & label).sum(), fires.sum())
            assert line.recall == pytest.approx((fires & label).sum() / (label & inside).sum())
    assert index.concepts({"x": label}).attrs["scored_on"] == "all 10 documents"
    for wrong in ([], [10], "half"):
        with pytest.raises(SaelabError, match="documents are numbers"):
            index.concepts({"x": label}, documents=wrong)


WRONG_LABELS = {
    "texts": ["False"] * 11, "probabilities": [0.3] * 11, "missing": [np.nan] * 11, "numbers": [-1] * 11,
    "ragged": [[1], [2, 3]], "objects": [None] * 11,
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_LABELS)
def test_D59_labels_that_say_neither_yes_nor_no_are_refused(small, wrong):
    with pytest.raises(SaelabError, match="the labels of 'x' must be True or False"):
        small.concepts({"x": WRONG_LABELS[wrong]})


def test_D59_labels_come_in_every_form_of_yes_and_no(small):
    label = np.arange(11) % 3 == 1
    wanted = small.concepts({"x": label})
    assert len(wanted)
    for form in (
        label.tolist(),
        label.astype(int),
        label.astype(np.float32),
        torch.from_numpy(label),
        pd.Series(label),
    ):
        pd.testing.assert_frame_equal(small.concepts({"x": form}), wanted)
    pd.testing.assert_frame_equal(small.concepts(pd.DataFrame({"x": label})), wanted)


def test_D59_a_mask_is_no_numbers_of_documents(small):
    for wrong in (np.ones(len(small.rows), bool), [True, False], [0.0]):
        with pytest.raises(SaelabError, match="documents are numbers"):
            small.concepts({"x": np.ones(11, bool)}, documents=wrong)


def test_D61_what_is_out_of_range_is_said(small):
    for call in (
        lambda: small.stats_of(np.array([999])), lambda: small.stats_of(np.array([-1])),
        lambda: small.code_span(np.array([-1])), lambda: small.code_span(np.array([10**9])),
    ):  # fmt: skip
        with pytest.raises(SaelabError, match="out of range"):
            call()


@pytest.mark.parametrize(("before", "after"), [(0, 0), (2, 1), (0, 3), (1, 0), (50, 50)])
def test_D63_equal_texts_are_one_line_whatever_is_shown_beside_them(tmp_path, before, after):
    """By hand: the firings of each text of this width are one line, with their number and the strongest of them."""
    g = np.random.default_rng(3)
    rows = rows_of([[0, *g.integers(1, 4, 9)] for _ in range(30)])
    z = (g.random((rows.n_tokens, 2)) * (g.random((rows.n_tokens, 2)) < 0.5)).astype(np.float32)
    z[rows.offsets[:-1]] = 0
    index = write(tmp_path / "i", rows, z)
    for latent in (0, 1):
        texts = {}
        for token in np.flatnonzero(z[:, latent]):
            row, place = divmod(int(token), 10)
            shown = rows[row][max(place - before, 0) : place + after + 1].tolist()
            key = (min(place, before), *shown)
            texts.setdefault(key, []).append(z[token, latent])
        want = sorted((max(v), len(v)) for v in texts.values())
        for found in (
            index.top(latent, 10**6, before=before, after=after, one_per_document=False),
            index.random(latent, 10**6, before=before, after=after),
            index.interval(latent, 0.0, 9.0, 10**6, before=before, after=after),
        ):
            assert found["count"].sum() == int(index.counts[latent])
            assert sorted(found["count"]) == sorted(n for _, n in want)
        top = index.top(latent, 10**6, before=before, after=after, one_per_document=False)
        np.testing.assert_allclose(sorted(zip(top["value"], top["count"], strict=True)), want, rtol=1e-6)


def test_D66_a_window_is_at_most_a_row(tmp_path):
    rows = rows_of([[0, *range(1, 9)] for _ in range(3)])
    z = np.ones((rows.n_tokens, 1), np.float32)
    z[rows.offsets[:-1]] = 0
    index = write(tmp_path / "i", rows, z)
    pd.testing.assert_frame_equal(index.top(0, before=10**9, after=10**6), index.top(0, before=9, after=9))
