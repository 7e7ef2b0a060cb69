"""Every answer of an index equals a brute-force computation on the dense codes."""

import re
import shutil
import tempfile
import weakref
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import SENTENCES, random_sae, shared_tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from index.makers import files, random_codes, random_rows, rows_of, vocab, write
from saelab.errors import SaelabError
from saelab.index import LatentIndex

cases = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "n_rows": st.integers(1, 9),
        "longest": st.integers(1, 14),
        "d_sae": st.sampled_from([1, 2, 3, 8, 20]),
        "share": st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    }
)
quick = settings(max_examples=30, deadline=None)


class Case:
    """A random index in a temporary folder, with its dense codes."""

    def __init__(self, seed, n_rows, longest, d_sae, share, **options):
        rng = self.rng = np.random.default_rng(seed)
        self.rows = random_rows(rng, n_rows, longest)
        self.counted = self.rows.ids != 0
        self.z = random_codes(rng, self.counted, d_sae, share)
        self.folder = Path(tempfile.mkdtemp(prefix="saelab-test-")) / "index"
        weakref.finalize(self, shutil.rmtree, self.folder.parent)
        self.index = write(self.folder, self.rows, self.z, **options)
        self.latents = range(d_sae)

    def window(self, token, before=10, after=5):
        """What makes two examples equal, by the definition: what stands at each place around the token."""
        row, _ = self.rows.locate(token)
        low, high = self.rows.offsets[row], self.rows.offsets[row + 1]
        return tuple(
            int(self.rows.ids[i]) if low <= i < high else None
            for i in range(token - before, token + after + 1)
        )


@given(cases)
@quick
def test_statistics_equal_dense(case):
    c = Case(**case)
    stats, z = c.index.stats(), c.z[c.counted].astype(np.float64)
    n = len(z)
    assert list(stats.index) == list(c.latents)
    for latent, line in stats.iterrows():
        a = z[:, latent]
        fires = a[a > 0]
        assert line["n"] == len(fires)
        assert line["dead"] == (len(fires) == 0)
        assert line["max"] == (fires.max() if len(fires) else 0)
        if n == 0:
            assert np.isnan(line["density"])
            assert np.isnan(line["mean_sq"])
            continue
        assert line["density"] == len(fires) / n
        np.testing.assert_allclose(line["mean_sq"], (a**2).mean(), rtol=1e-13)
        if len(fires):
            np.testing.assert_allclose(line["mean"], fires.mean(), rtol=1e-13)
            np.testing.assert_allclose(line["skew"], (a**3).mean() / (a**2).mean() ** 1.5, rtol=1e-12)
            np.testing.assert_allclose(line["kurtosis"], (a**4).mean() / (a**2).mean() ** 2, rtol=1e-12)
        else:
            assert np.isnan([line["mean"], line["skew"], line["kurtosis"]]).all()
        one = c.index.latent_stats(latent)
        pd.testing.assert_series_equal(
            pd.Series(one).drop("latent"), line, check_dtype=False, check_names=False
        )


@given(cases)
@quick
def test_postings_rows_and_activations_equal_dense(case):
    c = Case(**case)
    for latent in c.latents:
        token, value = c.index.postings(latent)
        assert token.tolist() == np.flatnonzero(c.z[:, latent]).tolist()
        assert value.tolist() == c.z[token, latent].tolist()
    for row in range(len(c.rows)):
        dense = c.z[c.rows.offsets[row] : c.rows.offsets[row + 1]]
        latent, value, position = c.index.row_codes(row)
        assert np.array_equal(np.stack([position, latent]), np.nonzero(dense))
        assert value.tolist() == dense[position, latent].tolist()
        some = [0, c.index.d_sae - 1, 0]
        assert np.array_equal(c.index.activations(some, row), dense[:, some])
    assert c.index.n_counted == c.counted.sum()
    assert c.index.config["masked"]["positions"] == (~c.counted).sum()


@given(cases)
@quick
def test_frame_names_the_strongest_token(case):
    c = Case(**case)
    c.index.set_label(0, "a dead one")
    frame = c.index.to_frame()
    assert frame["label"].tolist() == ["a dead one"] + [""] * (c.index.d_sae - 1)
    for latent in c.latents:
        best = c.index.top(latent, 1)["token"].tolist()
        assert frame.loc[latent, "top_token"] == (best[0] if best else "")
    pd.testing.assert_frame_equal(frame[c.index.stats().columns], c.index.stats())


@given(cases, st.lists(st.integers(0, 9), max_size=4), st.sampled_from([50, 500, 10**6]))
@quick
def test_files_do_not_depend_on_stretches_or_memory(case, cuts, memory):
    one = Case(**case)
    two = Case(**case, cuts=[min(c, case["n_rows"]) for c in cuts], memory=memory)
    assert files(one.folder) == files(two.folder)


@given(cases, st.integers(1, 30), st.booleans())
@quick
def test_histogram_equals_numpy(case, bins, log):
    c = Case(**case)
    for latent in c.latents:
        a = c.z[:, latent].astype(np.float64)
        a = a[a > 0]
        frame = c.index.histogram(latent, bins, log)
        assert frame["count"].sum() == len(a)
        if len(a) == 0:
            assert len(frame) == 0
        elif log and a.min() == a.max():
            assert frame.values.tolist() == [[a[0], a[0], len(a)]]
        else:
            edges = np.append(frame["lo"], frame["hi"].iloc[-1])
            assert frame["count"].tolist() == np.histogram(a, edges)[0].tolist()
            assert edges[-1] == a.max()
            assert edges[0] == (a.min() if log else 0)
            assert len(frame) == bins


def check_examples(c, frame, latent, among, n):
    """What must hold for every list of examples drawn from the postings ``among``."""
    windows = [c.window(t) for t in frame["token_index"]]
    assert len(set(windows)) == len(windows)  # no text twice
    kinds = {}
    for t in among:
        kinds.setdefault(c.window(t), []).append(t)
    assert len(frame) == min(n, len(kinds))
    assert frame["count"].tolist() == [len(kinds[w]) for w in windows]
    for line in frame.itertuples():
        assert line.token_index in among
        assert line.value == c.z[line.token_index, latent]
        row, position = c.rows.locate(line.token_index)
        assert (line.row, line.position, line.doc) == (row, position, c.rows.doc[row])
        assert line.token == vocab().label(c.rows.ids[line.token_index])


@given(cases, st.sampled_from([1, 3, 100]))
@quick
def test_L20_top_is_the_strongest_of_each_document_and_text(case, n):
    c = Case(**case)
    for latent, thin in product(c.latents, (True, False)):
        among = np.flatnonzero(c.z[:, latent]).tolist()
        frame = c.index.top(latent, n, one_per_document=thin)
        best, documents = {}, set()
        for t in sorted(among, key=lambda t: (-c.z[t, latent], t)):
            doc = c.rows.doc[c.rows.locate(t)[0]]
            if not thin or doc not in documents:
                best.setdefault(c.window(t), t)
            documents.add(doc)
        if thin:
            assert frame["doc"].is_unique
        else:
            check_examples(c, frame, latent, among, n)
        assert frame["token_index"].tolist() == list(best.values())[:n]


@given(cases, st.sampled_from([1, 3, 100]), st.integers(0, 5))
@quick
def test_random_and_interval_stay_inside(case, n, seed):
    c = Case(**case)
    for latent in c.latents:
        among = np.flatnonzero(c.z[:, latent]).tolist()
        check_examples(c, c.index.random(latent, n, seed), latent, among, n)
        inside = [t for t in among if 0.25 <= c.z[t, latent] <= 3.0]
        frame = c.index.interval(latent, 0.25, 3.0, n, seed)
        check_examples(c, frame, latent, inside, n)
        assert frame["value"].is_monotonic_decreasing
        check_examples(c, c.index.interval(latent, n=n), latent, among, n)


def test_random_is_even_and_seeded(tmp_path):
    rows = rows_of([[0, *([1] * 3), 2 + i, *([3] * 3)] for i in range(10)])
    z = np.zeros((rows.n_tokens, 1), np.float32)
    z[rows.offsets[:-1] + 4] = 1.0  # one firing per row, all windows different
    index = write(tmp_path / "i", rows, z)
    drawn = [index.random(0, 1, seed)["row"].item() for seed in range(400)]
    assert drawn == [index.random(0, 1, seed)["row"].item() for seed in range(400)]
    # each row 40 times on average; 15…75 is beyond five standard deviations
    assert all(15 < drawn.count(r) < 75 for r in range(10))


def test_other_windows_make_other_duplicates(tmp_path):
    rows = rows_of([[0, 1, 2, 3], [0, 1, 2, 8], [0, 3, 2, 3]])
    z = np.zeros((rows.n_tokens, 1), np.float32)
    z[rows.ids == 2] = [[1], [3], [2]]
    index = write(tmp_path / "i", rows, z)
    assert index.top(0)["count"].tolist() == [1, 1, 1]
    assert index.top(0, before=1, after=0)[["row", "count", "text"]].values.tolist() == [
        [1, 2, "the fox"],
        [2, 1, " ran fox"],
    ]
    assert index.top(0, before=0, after=0)[["row", "count", "text"]].values.tolist() == [[1, 3, " fox"]]


@given(cases)
@quick
def test_coactivation_equals_dense(case):
    c = Case(**case)
    z = c.z.astype(np.float64)
    on = z > 0
    for latent in c.latents:
        frame = c.index.coactive(latent, c.index.d_sae)
        both = (on & on[:, [latent]]).sum(0)
        both[latent] = 0
        assert sorted(frame["latent"]) == np.flatnonzero(both).tolist()
        for line in frame.itertuples():
            j = line.latent
            cosine = z[:, latent] @ z[:, j] / np.linalg.norm(z[:, latent]) / np.linalg.norm(z[:, j])
            np.testing.assert_allclose(line.similarity, cosine, rtol=1e-12)
            assert line.both == both[j]
            assert line.share == both[j] / on[:, latent].sum()
            assert line.jaccard == both[j] / (on[:, latent] | on[:, j]).sum()
        assert frame["similarity"].is_monotonic_decreasing
        assert c.index.nearest(latent, "coactivation", 3)["latent"].tolist() == frame["latent"][:3].tolist()


def match_tokens(c, pattern):
    """By characters, the slow way: tokens of each match in each row, as lists of flat indices."""
    table = vocab()
    found = []
    for row in range(len(c.rows)):
        owner, text = [], ""
        for t in range(c.rows.offsets[row], c.rows.offsets[row + 1]):
            piece = b"" if c.rows.ids[t] == 0 else table.bytes_of(c.rows.ids[t])
            piece = piece.decode("latin-1")  # one character per byte: only for ASCII patterns
            text += piece
            owner += [t] * len(piece)
        found += [sorted(set(owner[m.start() : m.end()])) for m in re.finditer(pattern, text) if m.group()]
    return [tokens for tokens in found if c.counted[tokens].any()]


def test_coactivation_of_dense_latents_takes_bounded_memory(tmp_path, monkeypatch):
    """A latent that fires everywhere meets every code there is; they are looked at in parts."""
    import tracemalloc

    from saelab.index import relations

    rng, n, d_sae, k = np.random.default_rng(0), 3000, 400, 50
    z = np.zeros((n, d_sae), np.float32)
    np.put_along_axis(z, rng.random((n, d_sae)).argsort(1)[:, :k], 1 + rng.random((n, k), np.float32), 1)
    z[:, 7] = 1.5
    rows = rows_of([[0, *[1] * 49]] * (n // 50))
    z[rows.ids == 0] = 0
    index = write(tmp_path / "dense", rows, z)
    monkeypatch.setattr(relations, "_ENTRIES", 2000)
    index.coactive(7, 5)
    tracemalloc.start()
    found = index.coactive(7, 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    exact = z.astype(np.float64)
    cosine = exact.T @ exact[:, 7] / np.linalg.norm(exact, axis=0) / np.linalg.norm(exact[:, 7])
    cosine[7] = -1
    assert found["latent"].tolist() == np.argsort(-cosine, kind="stable")[:5].tolist()
    np.testing.assert_allclose(found["similarity"], np.sort(cosine)[::-1][:5], rtol=1e-6)
    codes = index.config["n_active"]
    assert codes > 140_000
    assert peak < 3 * codes, "in one piece it would be 24 bytes per code"


@given(cases, st.sampled_from(["fox", "x ra", "HTTP", "t", "[a-z]", r"[a-z]+ ?", "n.*", "zebra", r"\n|<"]))
@quick
def test_search_equals_brute_force(case, pattern):
    c = Case(**case)
    found = match_tokens(c, pattern)
    inside = sorted({t for tokens in found for t in tokens})
    if not any((c.z[inside, latent] > 0).any() for latent in c.latents):
        with pytest.raises(
            SaelabError, match="no latent fires on one of the" if found else "does not occur in the"
        ):
            c.index.search(regex=pattern, n=c.index.d_sae)
        return
    frame = c.index.search(regex=pattern, n=c.index.d_sae)
    assert frame.attrs["matches"] == len(found)
    expected = {}
    for latent in c.latents:
        on = c.z[:, latent] > 0
        hits = on[inside].sum()
        if hits:
            precision, recall = hits / on.sum(), np.mean([on[tokens].any() for tokens in found])
            f1 = 2 * precision * recall / (precision + recall)
            mean = c.z[inside, latent].astype(np.float64).sum() / hits
            expected[latent] = (hits, precision, recall, mean, f1)
    assert sorted(frame["latent"]) == sorted(expected)
    for line in frame.itertuples():
        np.testing.assert_allclose(tuple(line)[2:], expected[line.latent], rtol=1e-12)
    assert frame["f1"].is_monotonic_decreasing


@given(cases, st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
@quick
def test_latents_for_a_span(case, row, a, b):
    c = Case(**case)
    row %= len(c.rows)
    low, high = c.rows.offsets[row], c.rows.offsets[row + 1]
    start, stop = sorted((a % (high - low), b % (high - low)))
    stop += 1
    frame = c.index.latents_for(row, start, stop, c.index.d_sae)
    on = c.z[low:high] > 0
    inside, total = on[start:stop].sum(0), on.sum(0)
    assert sorted(frame["latent"]) == np.flatnonzero(inside).tolist()
    for line in frame.itertuples():
        j = line.latent
        assert (line.inside, line.outside) == (inside[j], total[j] - inside[j])
        assert line.precision == inside[j] / total[j]
        assert line.recall == inside[j] / c.counted[low + start : low + stop].sum()
        assert line.max == c.z[low + start : low + stop, j].max()
        assert line.fires == (c.z[:, j] > 0).sum()


@given(
    cases, st.integers(1, 6), st.sampled_from(["dict", "dense", "sparse"]), st.integers(1, 3),
    st.sampled_from([3, 1 << 21]), st.sampled_from([0.3, 0.8]),
)  # fmt: skip
@quick
def test_concepts_equal_dense(case, n_concepts, form, min_tp, entries, share):
    c = Case(**case)
    matrix = c.rng.random((len(c.counted), n_concepts)) < share
    names = tuple(f"concept {i}" for i in range(n_concepts))
    with pytest.MonkeyPatch.context() as m:  # a few postings at a time: latents are cut in the middle
        m.setattr("saelab.index.concepts._ENTRIES", entries)
        frame = c.index.concepts(labels_as(form, names, matrix), min_tp=min_tp)
    spans = {name: runs(matrix[:, j], c.rows.offsets, c.counted) for j, name in enumerate(names)}
    on = (c.z > 0).astype(int)
    tp = on.T @ matrix.astype(int)
    pairs = {(names[j], i) for i, j in zip(*np.nonzero(tp >= min_tp), strict=True)}
    assert set(zip(frame["concept"], frame["latent"], strict=True)) == pairs
    assert len(frame) == len(pairs)
    for line in frame.itertuples():
        j = names.index(line.concept)
        assert (line.tp, line.fires) == (tp[line.latent, j], on[:, line.latent].sum())
        precision, recall = line.tp / line.fires, line.tp / (matrix[:, j] & c.counted).sum()
        np.testing.assert_allclose([line.precision, line.recall], [precision, recall], rtol=1e-15)
        np.testing.assert_allclose(line.f1, 2 * precision * recall / (precision + recall), rtol=1e-14)
        met = np.mean([on[span, line.latent].any() for span in spans[line.concept]])
        np.testing.assert_allclose(
            [line.span_recall, line.span_f1], [met, 2 * precision * met / (precision + met)]
        )
    for _, part in frame.groupby("concept", observed=True):
        assert part["f1"].is_monotonic_decreasing


def runs(column, offsets, counted):
    """Lists of neighbouring positions of a row that carry a concept, of those with a counted one."""
    found, before = [], False
    for i, carries in enumerate(column):
        if carries and (not before or i in set(offsets.tolist())):
            found.append([])
        if carries:
            found[-1].append(i)
        before = carries
    return [span for span in found if counted[span].any()]


def labels_as(form, names, matrix):
    class Labels:
        concepts = names

    class Sparse:
        indptr = np.concatenate([[0], np.cumsum(matrix.sum(1))])
        indices = np.nonzero(matrix)[1]

    if form == "dict":
        return dict(zip(names, matrix.T, strict=True))
    Labels.matrix = matrix if form == "dense" else Sparse
    return Labels


@given(cases, st.integers(2, 4), st.permutations(range(4)), st.sampled_from([50, 10**6]))
@quick
def test_shards_give_the_whole(case, n, order, memory):
    """The index of shards, named in any order, is the index of the whole, file by file."""
    whole = Case(**case)
    cuts = np.linspace(0, len(whole.rows), n + 1).astype(int)
    if len(set(cuts.tolist())) <= n:
        return  # fewer rows than shards
    from saelab.index.storage.build import part_of

    paths = []
    for i, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False)):
        part = part_of(whole.rows, a, b)
        z = whole.z[whole.rows.offsets[a] : whole.rows.offsets[b]]
        paths.append(whole.folder.parent / f"shard{i}")
        write(paths[-1], part, z, shard=[i, n])
    out = whole.folder.parent / "merged"
    LatentIndex.merge([paths[i] for i in order if i < n], out, spill=max(memory, 10**6))
    merged, expected = files(out), files(whole.folder)
    assert merged.keys() == expected.keys()
    for name in merged:
        if name != "index.json":
            assert merged[name] == expected[name], name
    one, two = whole.index.config, LatentIndex.open(out).config
    assert {k: v for k, v in one.items() if k != "identity"} == {
        k: v for k, v in two.items() if k != "identity"
    }


def test_merge_of_different_texts_numbers_documents_on(tmp_path):
    z = np.zeros((3, 4), np.float32)
    z[1:, 2] = [1, 2]
    rows = rows_of([[0, 1, 2]])
    write(tmp_path / "a", rows, z, text_id="a").set_label(2, "from a")
    other = write(tmp_path / "b", rows, z * 2, text_id="b")
    other.set_label(2, "from b")
    other.set_note(3, "only in b")
    merged = LatentIndex.merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert merged.rows.doc.tolist() == [0, 1]
    assert merged.postings(2).token.tolist() == [1, 2, 4, 5]
    assert merged.postings(2).value.tolist() == [1, 2, 2, 4]
    assert merged.label(2) == "from a"
    assert merged.note(3) == "only in b"
    assert merged.stats().loc[2, "n"] == 4
    again = LatentIndex.merge([tmp_path / "out", tmp_path / "b"], tmp_path / "three")
    assert again.rows.doc.tolist() == [0, 1, 2]


def test_merge_refuses_what_does_not_fit(tmp_path):
    rows, z = rows_of([[0, 1, 2]]), np.ones((3, 4), np.float32) * [[0], [1], [1]]
    for i in range(2):
        write(tmp_path / f"s{i}", rows, z, shard=[i, 3])
    write(tmp_path / "other", rows, z, sae_id="another")
    with pytest.raises(SaelabError, match="not of one SAE"):
        LatentIndex.merge([tmp_path / "s0", tmp_path / "other"], tmp_path / "out")
    with pytest.raises(SaelabError, match="shard 2 of 3 is missing"):
        LatentIndex.merge([tmp_path / "s0", tmp_path / "s1"], tmp_path / "out")
    with pytest.raises(SaelabError, match="named twice"):
        LatentIndex.merge([tmp_path / "s0", tmp_path / "s0"], tmp_path / "out")
    with pytest.raises(SaelabError, match="one of the indexes"):
        LatentIndex.merge([tmp_path / "s0"], tmp_path / "s0")
    with pytest.raises(SaelabError, match="no indexes"):
        LatentIndex.merge([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_D63_text_that_two_indexes_hold_is_not_counted_twice(tmp_path):
    sae, model = random_sae(), shared_tiny()
    made = {
        name: LatentIndex.build(model, sae, texts, path=tmp_path / name, shard=shard, progress=False).path
        for name, texts, shard in (
            ("a", SENTENCES, None), ("again", SENTENCES, None), ("half", SENTENCES, (0, 2)),
            ("other", ["Another text."], None),
        )
    }  # fmt: skip
    for some in (["a", "again"], ["a", "half"], ["half", "a"], ["a", "other", "again"]):
        with pytest.raises(SaelabError, match="would be counted twice"):
            LatentIndex.merge([made[name] for name in some], tmp_path / "no")
    assert not (tmp_path / "no").exists()
    assert LatentIndex.merge([made["a"], made["other"]], tmp_path / "both").rows.doc.max() == len(SENTENCES)


def test_an_index_in_a_temporary_folder_says_so(tmp_path):
    sae = random_sae()
    held, kept = (
        LatentIndex.build(shared_tiny(), sae, SENTENCES, path=path, progress=False)
        for path in (None, tmp_path / "i")
    )
    for shown in (repr(held), held._repr_html_()):
        assert "a temporary folder" in shown
    assert "temporary" not in repr(kept)
