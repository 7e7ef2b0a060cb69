"""What is asked about many latents at once is what one at a time, and the plain way, would give."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.makers import rows_of, write
from index.test_latent_index import Case, cases, quick
from saelab.index import examples, firings, relations
from saelab.index.examples import Parts
from saelab.index.exports.neuronpedia import chosen_examples
from saelab.index.firings import Firings
from saelab.index.storage.arrays import highest


def plain_draw(index, token, value, n, seed):
    """Places of random examples of one part, one after another: the definition of which ones are shown."""
    rng, size = np.random.default_rng(seed), len(token)
    drawn = rng.choice(size, min(size, 4 * n + 64), replace=False) if size else []
    chosen, seen = [], set()

    def add(places):
        for i in places:
            window = int(index.arrays["window"][token[i]])
            if window not in seen and len(chosen) < n:
                seen.add(window)
                chosen.append(int(i))

    add(drawn)
    if len(chosen) < n and len(drawn) < size:
        add(rng.permutation(np.setdiff1d(np.arange(size), drawn)))
    return chosen


def orders(rng, d_sae):
    """All latents, some of them, and in no order, one of them twice."""
    return [np.arange(d_sae), np.arange(d_sae)[1::2], np.append(rng.permutation(d_sae), 0)]


@given(cases, st.sampled_from([1, 3, 50]), st.integers(0, 3))
@quick
def test_examples_of_many_are_those_of_each(case, n, seed):
    c = Case(**case)
    for latents in orders(c.rng, c.index.d_sae):
        some = Firings.of(c.index, latents)
        whole = Parts.whole(c.index, some)
        for name, (part, place) in (("top", whole.strongest(n)), ("random", whole.at_random(n, seed))):
            found, copies = whole.found(part, place), whole.copies(part, place)
            for i, latent in enumerate(latents.tolist()):
                mine = found.part == i
                token, value = c.index.postings(latent)
                if name == "top":
                    frame = c.index.top(latent, n)
                    assert found.token[mine].tolist() == frame["token_index"].tolist()
                    assert copies[mine].tolist() == frame["count"].tolist()
                else:
                    want = plain_draw(c.index, token, value, n, seed)
                    assert found.token[mine].tolist() == token[want].tolist()
                    assert found.value[mine].tolist() == value[want].tolist()


@given(cases, st.integers(1, 4), st.integers(0, 3))
@quick
def test_ranges_of_many_are_intervals_of_each(case, intervals, seed):
    c = Case(**case)
    for latents in orders(c.rng, c.index.d_sae):
        some = Firings.of(c.index, latents)
        options = {"n_top": 2, "intervals": intervals, "n_interval": 2, "before": 3, "after": 2, "seed": seed}
        for latent, shown in zip(latents.tolist(), chosen_examples(c.index, some, **options), strict=True):
            want = c.index.top(latent, 2)["token_index"].tolist()
            edges = np.linspace(0, c.index.latent_stats(latent)["max"], intervals + 1).astype(np.float32)
            for low, high in list(pairwise(edges))[::-1] if c.index.counts[latent] else []:
                above = float(np.nextafter(low, np.float32(np.inf)))  # a range is open below
                want += c.index.interval(latent, above, float(high), 2, seed)["token_index"].tolist()
            got = [(e.token_ids, e.values, e.center) for e, _ in shown]
            assert len(got) == len(want)
            for (ids, values, center), token in zip(got, want, strict=True):
                window, _, at = c.index.window(token, 3, 2)
                first = token - at
                assert (list(ids), center) == (window.tolist(), at)
                dense = c.z[first : first + len(ids), latent]
                assert values == tuple(float(str(v)) for v in dense)


@given(cases)
@quick
def test_coactive_latents_of_many_are_those_of_each(case):
    c = Case(**case)
    for latents in orders(c.rng, c.index.d_sae):
        for n in (1, 3, 20):
            found = relations.coactive(c.index, Firings.of(c.index, latents), n)
            for latent, (other, similarity) in zip(latents.tolist(), found, strict=True):
                frame = c.index.coactive(latent, n)
                assert other.tolist() == frame["latent"].tolist()
                np.testing.assert_allclose(similarity, frame["similarity"], rtol=1e-12)


def test_nothing_depends_on_how_much_is_looked_at_together(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = rows_of([[0, *rng.integers(1, 12, 9).tolist()] for _ in range(40)])
    z = np.where(rng.random((rows.n_tokens, 12)) < 0.3, rng.random((rows.n_tokens, 12)), 0).astype(np.float32)
    z[rows.ids == 0] = 0
    index = write(tmp_path / "i", rows, z)
    latents = rng.permutation(12)

    def answers():
        groups, out = list(Firings.groups(index, latents)), {}
        for some in groups:
            whole = Parts.whole(index, some)
            top, near = whole.found(*whole.strongest(4)), relations.coactive(index, some, 3)
            for i, latent in enumerate(some.latents.tolist()):
                out[latent] = (
                    top.token[top.part == i].tolist(),
                    near[i][0].tolist(),
                    near[i][1].round(12).tolist(),
                )
        return len(groups), out

    groups, before = answers()
    monkeypatch.setattr(firings, "_FIRINGS", 100)
    monkeypatch.setattr(firings, "_LATENTS", 5)
    monkeypatch.setattr(relations, "_ENTRIES", 50)
    monkeypatch.setattr(relations, "_CELLS", 24)
    more, after = answers()
    assert (groups, more > 1) == (1, True)
    assert before == after
    assert list(after) == latents.tolist()


@pytest.mark.parametrize("large", [False, True])
def test_more_than_the_first_candidates_are_looked_at(tmp_path, large, monkeypatch):
    """The strongest firings, and most of all, are of one text; the others are behind them."""
    same, other = [[0, 1, 2, 3]] * 400, [[0, 1, 2 + i, 3] for i in range(1, 9)]
    rows = rows_of([*same, *other])
    z = np.zeros((rows.n_tokens, 2), np.float32)
    at = rows.offsets[:-1] + 2
    z[at] = np.linspace(2, 1, len(at), dtype=np.float32)[:, None]
    index = write(tmp_path / "i", rows, z)
    n = 3 if large else 30  # 400 firings are many beside 4 * n + 64, or not
    first = index.top(0, n)
    assert len(first) == min(n, 9)
    assert first["count"].tolist() == [400, *[1] * (len(first) - 1)]
    assert first["value"].tolist() == z[at[[0, *range(400, 399 + len(first))]], 0].tolist()
    token, value = index.postings(0)
    assert index.random(0, n)["token_index"].tolist() == token[plain_draw(index, token, value, n, 0)].tolist()
    parts = Parts.whole(index, Firings.of(index, [0, 1]))
    part, place = parts.strongest(n)
    assert part.tolist() == [0] * len(first) + [1] * len(first)
    assert parts.found(part, place).token.tolist() == first["token_index"].tolist() * 2


def test_a_draw_is_remembered_but_not_a_large_one():
    examples._remembered.cache_clear()
    assert (
        examples._draw(50, 10, 3, False).tolist()
        == np.random.default_rng(3).choice(50, 10, replace=False).tolist()
    )
    examples._draw(10**4, 5000, 3, False)
    assert examples._remembered.cache_info().currsize == 1
    whole = examples._draw(9, 4, 1, True)
    assert sorted(whole) == list(range(9))
    assert whole[:4].tolist() == np.random.default_rng(1).choice(9, 4, replace=False).tolist()


@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.sampled_from([1, 2, 7, 40]))
@quick
def test_highest_of_rows_with_equal_values(seed, width, n):
    rng = np.random.default_rng(seed)
    score = rng.choice([-np.inf, 0.0, 0.5, 1.0], (4, width))
    for row in score:
        want = sorted(np.flatnonzero(row > -np.inf), key=lambda i: (-row[i], i))[:n]
        assert highest(row, n).tolist() == want
