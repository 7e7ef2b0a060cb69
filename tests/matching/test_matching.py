"""Matching: planted partners are found, chance is not, and every number is what its definition says."""

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.optimize import linear_sum_assignment

import saelab as sl
from saelab.errors import SaelabError
from saelab.matching import chance
from saelab.matching.match import _alike
from saelab.matching.partners import best_of, copies, correlations, cosines
from saelab.matching.text import align, shuffled
from tests.index.makers import random_codes, random_rows, rows_of, vocab, write


def _sae(
    directions: torch.Tensor, *, hook: str = "blocks.0.hook_resid_post", model: str = "toy", k: int = 4
) -> sl.SAE:
    n, d = directions.shape
    sae = sl.SAE(sl.SAEConfig("topk", d_in=d, d_sae=n, k=k, hook_in=hook, model=model))
    with torch.no_grad():
        sae.W_dec.copy_(torch.nn.functional.normalize(directions, dim=1))
        sae.W_enc.copy_(sae.W_dec.T)
    return sae


def _noise(seed: int, n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("by", ["decoder", "encoder"])
def test_a_planted_permutation_is_found_for_the_planted_half_alone(by):
    a = _noise(0, 200, 32)
    order = np.random.default_rng(0).permutation(200)
    b = torch.empty_like(a)
    b[order] = a + 0.1 * _noise(1, 200, 32)  # latent i of a is latent order[i] of b
    kept = np.arange(200) < 100
    b[order[100:]] = _noise(2, 100, 32)
    found = sl.match(_sae(a), _sae(b), by=by, fdr=0.05)
    assert (found.frame["partner"][kept].to_numpy() == order[:100]).all()
    assert found.frame["mutual"][kept].all()
    for side, planted in ((found.frame, np.flatnonzero(kept)), (found.back, order[:100])):
        assert side["matched"][planted].all()
        assert side["matched"].sum() <= 100 / (1 - 0.05) + 1  # the rest is what the rate allows
    alone = found.back.index[~found.back["matched"]]
    assert sorted(found.unmatched("b").index) == alone.tolist()


def test_random_saes_have_no_more_matches_than_stated():
    """Under chance every match is false, so the false-discovery rate is the share of runs with any."""
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        lean = torch.from_numpy(rng.normal(size=12)).float()  # directions of a real SAE are not around zero
        a, b = (torch.from_numpy(rng.normal(size=(60, 12))).float() + lean for _ in range(2))
        wrong += bool(sl.match(_sae(a), _sae(b), seed=seed, fdr=0.1).frame["matched"].any())
    assert wrong / 200 <= 0.1 + 1.645 * (0.1 * 0.9 / 200) ** 0.5


@pytest.mark.parametrize("kind", ["t2", "sparse"])
@pytest.mark.parametrize("by", ["decoder", "encoder"])
def test_heavy_tailed_directions_dealt_anew_are_not_matched(kind, by):
    """Normal directions are less alike than those of a few strong coordinates, so most would seem to match."""
    rng = np.random.default_rng(0)
    x = (
        rng.standard_t(2, (300, 64))
        if kind == "t2"
        else rng.normal(size=(300, 64)) * (rng.random((300, 64)) < 0.1)
    )
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    a, b = (torch.from_numpy(y).float() for y in (x, rng.permuted(x, axis=0)))
    assert sl.match(_sae(a), _sae(b), by=by).frame["matched"].mean() <= 0.01
    assert sl.match(_sae(a), _sae(a + 0.05 * _noise(0, 300, 64)), by=by).frame["matched"].mean() > 0.9


def test_random_firings_have_no_more_matches_than_stated(tmp_path):
    wrong = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = rows_of([[0, *rng.integers(1, 14, 12).tolist()] for _ in range(20)])
        z = [(rng.random((rows.n_tokens, 50)) < 0.1) * rng.random((rows.n_tokens, 50)) for _ in range(2)]
        a, b = (
            write(tmp_path / f"{seed}{name}", rows, np.where(rows.ids[:, None] == 0, 0, x).astype(np.float32))
            for name, x in zip("ab", z, strict=True)
        )
        wrong += bool(sl.match(a, b, by="activation", seed=seed, fdr=0.1).frame["matched"].any())
    assert wrong / 200 <= 0.1 + 1.645 * (0.1 * 0.9 / 200) ** 0.5


def test_copies_of_a_latent_are_one_discovery():
    """Counted one by one, a chance agreement of 80 copies would need to be no better than that of many single latents."""
    sizes = np.repeat([80, 20, 5, 1], [1, 2, 8, 40])
    of = np.repeat(np.arange(len(sizes)), sizes)
    rng, wrong, runs = np.random.default_rng(0), np.zeros(2), 1000
    for _ in range(runs):
        score, null = rng.normal(size=len(sizes))[of], rng.normal(size=(20, len(sizes)))[:, of]
        for i, counted in enumerate((sizes[of], 1)):
            wrong[i] += chance.verdict(score, null, np.zeros(len(of), int), counted).q.min() <= 0.1
    bound = 0.1 + 1.645 * (0.1 * 0.9 / runs) ** 0.5
    assert wrong[0] / runs <= bound < wrong[1] / runs


@pytest.mark.parametrize("by", ["decoder", "activation"])
def test_copies_are_those_with_one_partner_that_are_alike(by, tmp_path, monkeypatch):
    monkeypatch.setattr("saelab.matching.partners._TOGETHER", 4)  # some in each of several portions
    rng = np.random.default_rng(0)
    rows = rows_of([[0, *rng.integers(1, 14, 20).tolist()] for _ in range(40)])
    z = np.where(rng.random((rows.n_tokens, 30)) < 0.1, rng.uniform(0.5, 2, (rows.n_tokens, 30)), 0)
    z[:, 3:12] = z[:, [2]] * np.exp(0.1 * rng.normal(size=(rows.n_tokens, 9)))
    z[:, 29] = 0  # dead
    z = np.where(rows.ids[:, None] == 0, 0, z).astype(np.float32)
    w = _noise(0, 30, 64)
    w[3:12] = w[2] + 0.1 * _noise(1, 9, 64)
    w[29] = 0
    values = sparse.csr_matrix(z)
    alike = _alike(values) if by == "activation" else lambda some: cosines(w[some], w[some])
    partner = np.where(np.arange(30) < 29, 5, -1)
    expected = np.where((np.arange(30) >= 2) & (np.arange(30) < 12), 10, 1)
    assert copies(partner, alike).tolist() == expected.tolist()
    partner[2] = 6  # another partner: a discovery of its own
    assert copies(partner, alike)[2:12].tolist() == [1, *[9] * 9]


def test_best_partners_are_those_of_the_whole_table():
    a, b = _noise(0, 70, 8), _noise(1, 45, 8)
    whole = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1).numpy()
    pieces = ((i, whole[i : i + 7]) for i in range(0, 70, 7))
    for forth, back in (best_of(cosines(a, b), 70, 45), best_of(pieces, 70, 45)):
        for side, table in ((forth, whole), (back, whole.T)):
            order = np.sort(table, 1)
            np.testing.assert_array_equal(side.partner, table.argmax(1))
            np.testing.assert_allclose(side.score, order[:, -1], rtol=1e-5)
            np.testing.assert_allclose(side.second, order[:, -2], rtol=1e-5)


def test_pw_mcc_is_the_assignment_of_the_dense_table_and_mmcs_the_mean_maximum():
    a, b = _noise(0, 60, 8), _noise(1, 40, 8)
    whole = torch.nn.functional.cosine_similarity(a[:, None], b[None], dim=-1).numpy()
    rows, columns = linear_sum_assignment(-np.abs(whole))
    found = sl.match(_sae(a), _sae(b))
    assert found.pw_mcc().value == pytest.approx(np.abs(whole)[rows, columns].mean(), rel=1e-5)
    assert found.pw_mcc().n == 40
    assert found.mmcs.value == pytest.approx(whole.max(1).mean(), rel=1e-5)


def test_correlation_is_pearsons(tmp_path):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, 60, 12)
    counted = rows.ids != 0
    z = [random_codes(rng, counted, d, 0.2) for d in (30, 22)]
    a, b = (write(tmp_path / name, rows, x) for name, x in zip("ab", z, strict=True))
    aligned = align(a, b)
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = np.corrcoef(z[0][counted].T, z[1][counted].T)[:30, 30:]
    together = (z[0][counted] > 0).T.astype(int) @ (z[1][counted] > 0).astype(int)
    for start, r in correlations(aligned.a, aligned.b):
        part = whole[start : start + len(r)]
        assert (np.isnan(r) == ((together[start : start + len(r)] == 0) | np.isnan(part))).all()
        np.testing.assert_allclose(r[~np.isnan(r)], part[~np.isnan(r)], atol=1e-9)


def test_planted_firings_are_found_and_coverage_is_by_rate(tmp_path):
    rng = np.random.default_rng(4)
    rows = rows_of([[0, *rng.integers(1, 14, 30).tolist()] for _ in range(60)])
    counted = rows.ids != 0
    rate = np.geomspace(0.01, 0.3, 80)
    z = ((rng.random((rows.n_tokens, 80)) < rate) * rng.uniform(0.5, 2, (rows.n_tokens, 80))).astype(
        np.float32
    )
    z[~counted] = 0
    other = ((rng.random(z.shape) < rate) * rng.uniform(0.5, 2, z.shape)).astype(np.float32)
    other[~counted] = 0
    order = rng.permutation(80)
    w = np.empty_like(z)
    w[:, order] = np.where(
        np.arange(80) % 2 == 0, z * 3, other
    )  # every second latent is a's, three times as strong
    found = sl.match(write(tmp_path / "a", rows, z), write(tmp_path / "b", rows, w), by="activation")
    assert found.frame["matched"][::2].all()
    assert found.frame["matched"][1::2].sum() <= 3  # what the rate of 0.05 allows beside 40
    assert (found.frame["partner"][::2].to_numpy() == order[::2]).all()
    assert found.frame["score"][::2].min() > 0.999
    share = found.coverage(4)
    assert share["latents"].sum() == 80
    assert share["matched"].between(0.4, 0.6).all()
    assert (share["null"] < 0.05).all()
    assert share["low"].is_monotonic_increasing
    assert f"{found.frame['matched'].sum()} of 80" in repr(found)
    assert "chance" in found._repr_html_()
    assert [len(found.plot().data)] == [4]


def test_dead_latents_and_duplicates(tmp_path):
    rng = np.random.default_rng(5)
    rows = rows_of([[0, *rng.integers(1, 14, 20).tolist()] for _ in range(30)])
    z = (rng.random((rows.n_tokens, 50)) < 0.1).astype(np.float32) * 2
    z[rows.ids == 0] = 0
    z[:, 7] = 0
    w = z.copy()
    w[:, 9] = w[:, 8]  # a duplicate in b
    found = sl.match(write(tmp_path / "a", rows, z), write(tmp_path / "b", rows, w), by="activation")
    dead = found.frame.loc[7]
    assert dead.isna()[["partner", "score"]].all()
    assert not dead["matched"]
    assert 7 not in found.unmatched().index  # it never fires: nothing is known of it
    assert found.frame.loc[8, "score"] == found.frame.loc[8, "second"] == pytest.approx(1)
    splits = found.splits()
    assert splits.loc[0, "latent"] == 8
    assert splits.loc[0, "parts"] == [8, 9]
    assert splits.loc[0, "covered"] == 1


def test_a_latent_that_splits_is_seen_with_its_parts(tmp_path):
    rng = np.random.default_rng(6)
    rows = rows_of([[0, *rng.integers(1, 14, 40).tolist()] for _ in range(40)])
    z = (rng.random((rows.n_tokens, 45)) < 0.1).astype(np.float32)
    z[rows.ids == 0] = 0
    w = np.concatenate([z, np.zeros((len(z), 1), np.float32)], 1)
    half = rng.random(len(z)) < 0.5
    w[:, 45], w[:, 3] = z[:, 3] * half, z[:, 3] * ~half
    found = sl.match(write(tmp_path / "a", rows, z), write(tmp_path / "b", rows, w), by="activation")
    (line,) = found.splits().to_dict("records")
    assert (line["latent"], sorted(line["parts"]), line["covered"]) == (3, [3, 45], 1.0)
    assert 0.3 < line["most"] < 0.7
    assert len(found.splits("b")) == 0


def test_D62_copies_make_chance_no_smaller(tmp_path):
    """Text that stands five times is matched, and chance drawn, as text that stands once."""
    rng = np.random.default_rng(6)
    texts = [[0, *rng.integers(1, 14, 20).tolist()] for _ in range(30)]
    z = np.where(rng.random((2, 30 * 21, 20)) < 0.1, rng.uniform(0.5, 2, (2, 30 * 21, 20)), 0).astype(
        np.float32
    )
    z[:, np.concatenate(texts) == 0] = 0
    once, often = (
        sl.match(
            *(write(tmp_path / f"{n}{i}", rows_of(texts * n), np.tile(z[i], (n, 1))) for i in (0, 1)),
            by="activation",
        )
        for n in (1, 5)
    )
    assert often.frame["score"].tolist() == once.frame["score"].tolist()
    assert often.null_frame["score"].tolist() == once.null_frame["score"].tolist()
    assert "30 documents" in often.of
    same = write(tmp_path / "same", rows_of(texts[:1] * 4), np.tile(z[0, :21], (4, 1)))
    with pytest.raises(SaelabError, match="at least 2 different ones are needed, got 1"):
        sl.match(same, same, by="activation")


@pytest.mark.parametrize("n", [2, 9, 130])
def test_every_document_stands_beside_one_of_similar_length_from_the_beginning(n):
    rng = np.random.default_rng(1)
    length = rng.integers(3, 30, n)
    doc = np.repeat(np.arange(0, 2 * n, 2), length)
    start, place = np.cumsum(np.r_[0, length[:-1]]), shuffled(doc, rng)
    beside = doc[place[start]] // 2
    assert sorted(beside) == list(range(n))
    if n > 2:
        assert (beside != np.arange(n)).all()
        near = np.argsort(np.argsort(length, kind="stable"))
        assert np.abs(near - near[beside]).max() < 80 + (length == length[0]).sum() + 3
    for d in range(n):
        got = place[doc == 2 * d] - start[beside[d]]
        assert got.tolist() == (np.arange(length[d]) % length[beside[d]]).tolist()


def test_latents_of_whole_documents_have_no_more_matches_than_stated(tmp_path):
    """Documents of unequal length that begin elsewhere under chance would make it too small: 19 of 20 runs."""
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(3, 30, 40)
        rows = rows_of([[0, *rng.integers(1, 14, n - 1).tolist()] for n in lengths])
        a, b = (
            write(tmp_path / f"{seed}{name}", rows, np.where(on, z, 0).astype(np.float32))
            for name in "ab"
            for on in [np.repeat(rng.random((40, 50)) < 0.1, lengths, 0) & (rows.ids != 0)[:, None]]
            for z in [1 + rng.random((rows.n_tokens, 50))]
        )
        wrong += bool(sl.match(a, b, by="activation", seed=seed, fdr=0.1).frame["matched"].any())
    assert wrong / 20 <= 0.1 + 1.645 * (0.1 * 0.9 / 20) ** 0.5


def _words(folder, vocabulary, docs, z):
    rows = rows_of([[0, *d] for d in docs])
    index = write(folder, rows, z)
    index.vocab = vocab(vocabulary)
    return index


def test_other_tokenizers_are_compared_piece_by_piece(tmp_path):
    """ab|cd|e beside a|bc|de: pieces a, b, c, d, e; a latent's value is that of the token that holds the piece."""
    one, two = [b"<bos>", b"ab", b"cd", b"e", b"E"], [b"<bos>", b"a", b"bc", b"de", b"dE"]
    za = np.array([[0], [1], [0], [3], [0], [1], [2], [0]], np.float32)  # two documents of four tokens
    zb = np.array([[0], [5], [0], [7], [0], [5], [0], [0]], np.float32)
    docs = [[1, 2, 3], [1, 2, 4]]
    a, b = _words(tmp_path / "a", one, docs, za), _words(tmp_path / "b", two, docs, zb)
    aligned = align(a, b)
    assert aligned.a.toarray()[:, 0].tolist() == [1, 1, 0, 0, 3, 1, 1, 2, 2, 0]
    assert aligned.b.toarray()[:, 0].tolist() == [5, 0, 0, 7, 7, 5, 0, 0, 0, 0]
    assert aligned.doc.tolist() == [0] * 5 + [1] * 5
    found = sl.match(a, b, by="activation")
    want = np.corrcoef(aligned.a.toarray()[:, 0], aligned.b.toarray()[:, 0])[0, 1]
    assert found.frame.loc[0, "score"] == pytest.approx(want)
    assert "pieces" in found.of
    pair = found.pair(0)
    assert pair["fires"].tolist() == ["both", "a", "b", "both", "both", "a", "a", "a"]
    assert pair["token_a"].tolist() == [1, 1, 2, 3, 5, 5, 6, 6]
    assert pair["token_b"].tolist() == [1, 2, 3, 3, 5, 6, 6, 7]
    shown = found.compare(0).payload["texts"]["both"][
        0
    ]  # of each token the most that the other does on its pieces
    assert (shown["a"]["values"], shown["a"]["other"]) == ([0, 1, 0, 3], [0, 5, 7, 7])
    assert (shown["b"]["values"], shown["b"]["other"]) == ([0, 5, 0, 7], [0, 1, 1, 3])


def test_a_space_before_the_text_makes_no_other_text(tmp_path):
    one, two = [b"<bos>", b"ab", b"c"], [b"<bos>", b" ab", b"c"]
    z = np.ones((3, 1), np.float32) * [[0], [1], [2]]
    a = _words(tmp_path / "a", one, [[1, 2]], z.astype(np.float32))
    b = _words(tmp_path / "b", two, [[1, 2]], z.astype(np.float32))
    assert align(a, b).b.toarray().ravel().tolist() == [1, 2]


def test_different_texts_are_refused_and_the_document_is_named(tmp_path):
    pieces = [b"<bos>", b"ab", b"c"]
    z = np.ones((6, 1), np.float32)
    a = _words(tmp_path / "a", pieces, [[1, 2], [1, 1]], z)
    b = _words(tmp_path / "b", pieces, [[1, 2], [1, 2]], z)
    with pytest.raises(sl.SaelabError, match="document 1 is 'abab'.*'abc'"):
        sl.match(a, b, by="activation")


@pytest.mark.parametrize(
    ("other", "word"),
    [
        ({"hook": "blocks.1.hook_resid_post"}, "hook points"),
        ({"model": "another"}, "models"),
    ],
)
def test_directions_of_other_places_are_refused(other, word):
    with pytest.raises(sl.SaelabError, match=f"different {word}"):
        sl.match(_sae(_noise(0, 20, 8)), _sae(_noise(1, 20, 8), **other))


def test_widths_kinds_and_arguments_are_refused(tmp_path):
    sae = _sae(_noise(0, 20, 8))
    for call, word in (
        (lambda: sl.match(sae, _sae(_noise(0, 20, 9))), "different widths"),
        (lambda: sl.match(sae, sae, by="cosine"), "unknown by"),
        (lambda: sl.match(sae, sae, by="activation"), "LatentIndex"),
        (lambda: sl.match(sae, "b"), "b must be an SAE"),
        (lambda: sl.match(sae, sae, fdr=0), "between 0 and 1"),
        (lambda: sl.match(sae, sae, fdr=True), "fdr must be a finite number, got True"),
        (lambda: sl.match(sae, sae, draws=0), "at least 1"),
        (lambda: sl.match(sae, sae).coverage(), "firing rate"),
        (lambda: sl.match(sae, sae).splits("c"), "unknown side"),
    ):
        with pytest.raises(sl.SaelabError, match=word):
            call()


def test_another_k_and_another_size_are_no_hindrance():
    a = _noise(0, 60, 16)
    found = sl.match(_sae(a, k=2), _sae(torch.cat([_noise(1, 30, 16), a]), k=8))
    assert (found.frame["partner"].to_numpy() == np.arange(30, 90)).all()
    assert found.frame["matched"].all()


def test_dead_latents_are_no_disagreement_and_nothing_in_common_is_said(tmp_path):
    rng = np.random.default_rng(0)
    rows = rows_of([[0, *rng.integers(1, 14, 30).tolist()] for _ in range(40)])
    z = (rng.random((rows.n_tokens, 60)) * (rng.random((rows.n_tokens, 60)) < 0.1)).astype(np.float32)
    z[:, 30:], z[rows.ids == 0] = 0, 0
    index, dead = write(tmp_path / "a", rows, z), write(tmp_path / "b", rows, z * 0)
    found = sl.match(index, index, by="activation").pw_mcc()
    assert found.n == 30
    assert 1 - 1e-6 < found.low <= found.high <= 1
    assert "0 of 30 latents" in repr(sl.match(index, dead, by="activation"))
    assert sl.match(index, dead, by="activation").pw_mcc().n == 0
    zero = sl.SAE(sl.SAEConfig("topk", d_in=8, d_sae=30, k=3))
    with torch.no_grad():
        zero.W_dec.zero_()
    assert not sl.match(zero, zero).frame["matched"].any()


def test_arguments_of_another_way_are_refused_and_few_documents_said(tmp_path):
    for given in ({"latents": [1]}, {"n": 4}):
        with pytest.raises(SaelabError, match="of by='substitution' alone"):
            sl.match(_sae(_noise(0, 9, 4)), _sae(_noise(1, 9, 4)), **given)
    for documents in (12, 40):
        rng = np.random.default_rng(0)
        rows = rows_of([[0, *rng.integers(1, 14, 30).tolist()] for _ in range(documents)])
        z = (rows.ids[:, None] == np.arange(1, 6)).astype(np.float32)
        index = write(tmp_path / str(documents), rows, z)
        said = repr(sl.match(index, index, by="activation"))
        assert ("fewer than 40 documents up to 1.5 times" in said) == (documents < 40)
