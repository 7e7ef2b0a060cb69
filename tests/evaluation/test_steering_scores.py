"""Input and output score, counted again by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import SENTENCES, random_sae

import saelab as sl
from saelab import models
from saelab.errors import SaelabError


@pytest.fixture(scope="module")
def index(tiny):
    words, rng = " ".join(SENTENCES).split(), np.random.default_rng(0)
    texts = SENTENCES + [" ".join(rng.permutation(words)[:9]) for _ in range(40)]
    return sl.LatentIndex.build(tiny, random_sae(), texts, progress=False)


def test_both_scores_are_those_of_their_definition(tiny, index):
    prompts, sae = ["The red fox", "A dog sat"], index.sae
    latents = [int(i) for i in np.flatnonzero(index.counts)[:6]]
    found = sl.steering_scores(index, latents, prompts=prompts, strength=3, top=5, examples=4, progress=False)
    for latent, line in found.frame.set_index("latent").iterrows():
        with torch.no_grad():
            votes = models.lens.token_votes(
                tiny, models.lens.residual_direction(tiny, sae.W_dec[[latent]].float(), sae.config.hook_out)
            )
        voted = votes[0].topk(5).indices
        scores = []
        for prompt in prompts:
            with torch.no_grad(), sl.steer(tiny, sae, {latent: 3.0}, relative=index):
                p = models.forward(tiny, torch.tensor([models.tokenize(tiny, prompt)]))[0, -1].softmax(-1)
            rank = int((p > p[voted].max()).sum())
            scores.append(float(p[voted].max()) * (1 - rank / len(p)))
        assert line["output_score"] == pytest.approx(np.mean(scores), abs=1e-5)
        token, value = index.postings(latent)
        rows = index.rows.locate(token)[0]
        peaks = [
            (value[rows == r].max(), token[rows == r][value[rows == r].argmax()]) for r in np.unique(rows)
        ]
        peaks = sorted(peaks, key=lambda x: -x[0])
        floor = peaks[:4][-1][0]
        if sum(v >= floor for v, _ in peaks) <= 4:  # else which of equals is taken is not said
            assert line["input_score"] == np.mean([index.rows.ids[t] in voted for _, t in peaks[:4]])
    assert found.frame["output_lo"].isna().all()  # of two prompts


def test_scores_have_intervals_from_20_prompts_on_and_are_kept(index):
    latents = np.flatnonzero(index.counts)
    found = sl.steering_scores(index, progress=False)
    assert found.frame["latent"].tolist() == latents.tolist()
    assert found.prompts == 20
    frame = found.frame
    assert (
        (frame["output_lo"] <= frame["output_score"]) & (frame["output_score"] <= frame["output_hi"])
    ).all()
    kept = index.to_frame().loc[latents]
    np.testing.assert_array_equal(kept["output_score"], frame["output_score"])
    np.testing.assert_array_equal(kept["input_score"], frame["input_score"])
    assert len(found.plot().data[0].x) == len(latents)


def test_D62_prompts_that_are_equal_count_once(tiny, index):
    latents, prompts = np.flatnonzero(index.counts)[:4], ["The red fox", "A dog sat"]
    once, often = (
        sl.steering_scores(index, latents, prompts=p, progress=False) for p in (prompts, prompts * 15)
    )
    np.testing.assert_array_equal(often.frame["output_score"], once.frame["output_score"])
    assert often.prompts == 2
    assert often.frame["output_lo"].isna().all()
    copies = sl.LatentIndex.build(tiny, index.sae, SENTENCES[:3] * 20, progress=False)
    assert sl.steering_scores(copies, [int(copies.counts.argmax())], progress=False).prompts <= 3


def test_what_cannot_be_scored_is_refused_before_work(index):
    silent = np.flatnonzero(index.counts == 0)
    for latents, options, said in [
        ([64], {}, "out of range"),
        (silent[:1], {}, f"latent {silent[0] if len(silent) else ''} never fires"),
        ([4], {"prompts": []}, "no prompts"),
        ([4], {"top": 0}, "top must be"),
    ]:
        if not len(latents):
            continue
        with pytest.raises(SaelabError, match=said):
            sl.steering_scores(index, latents, progress=False, **options)
    with pytest.raises(SaelabError, match="needs the model"):
        sl.steering_scores(sl.LatentIndex.open(index.path))


@pytest.mark.parametrize("strength", [1e39, 1e300])
def test_D67_a_push_after_which_logits_are_no_numbers_is_refused_and_not_kept(index, strength):
    before = index.to_frame()
    with pytest.raises(SaelabError, match="smaller strength"):
        sl.steering_scores(index, [int(index.counts.argmax())], strength=strength, progress=False)
    pd.testing.assert_frame_equal(index.to_frame(), before)
