import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from saelab.sae import ops


def entries(rows, nnz, n, seed):
    g = torch.Generator().manual_seed(seed)
    row = torch.randint(rows, (nnz,), generator=g).sort().values
    index = torch.randint(n, (nnz,), generator=g)
    return row, index, torch.randn(nnz, generator=g)


@given(st.integers(1, 5), st.integers(0, 20), st.integers(1, 7), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_against_loops(rows, nnz, n, seed):
    row, index, weight = entries(rows, nnz, n, seed)
    g = torch.Generator().manual_seed(seed + 1)
    table, other = torch.randn(n, 3, generator=g), torch.randn(rows, 3, generator=g)
    offsets = torch.searchsorted(row, torch.arange(rows + 1))

    want = torch.zeros(rows, 3)
    for r, i, w in zip(row, index, weight, strict=True):
        want[r] += w * table[i]
    torch.testing.assert_close(ops.weighted_rows(table, index, offsets, weight), want)

    dots = ops.row_dots(table, index, row, other)
    torch.testing.assert_close(dots, (table[index] * other[row]).sum(-1))

    order, segments = ops.by_latent(index, n)
    for latent in range(n):
        assert set(order[segments[latent] : segments[latent + 1]].tolist()) == {
            j for j in range(nnz) if index[j] == latent
        }


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_the_way_without_the_kernel_gives_the_same_in_several_chunks(dtype):
    row, index, _ = entries(5, 20, 7, 0)
    table, other = torch.randn(7, 3, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    got = ops.row_dots(table, index, row, other, chunk=6)
    assert torch.equal(got, (table[index] * other[row]).sum(-1))


def test_no_rows_at_all():
    none = torch.zeros(0, dtype=torch.long)
    assert ops.weighted_rows(torch.ones(4, 3), none, torch.zeros(1).long(), torch.zeros(0)).shape == (0, 3)
    assert ops.weighted_rows(torch.ones(4, 3), none, torch.zeros(3).long(), torch.zeros(0)).eq(0).all()
    assert ops.row_dots(torch.ones(4, 3), none, none, torch.ones(2, 3)).shape == (0,)


@given(
    st.integers(0, 5),
    st.sampled_from([64, 100, 101, 256, 1003, 1024]),
    st.integers(0, 20),
    st.integers(0, 9999),
)
def test_the_search_in_two_stages_finds_the_same_values(rows, columns, k, seed):
    g = torch.Generator().manual_seed(seed)
    table = torch.randn(rows, columns, generator=g)
    if seed % 2:
        table = (table * 2).round()  # many equal values
    places = ops.top_columns(table, k)
    assert torch.equal(
        table.gather(1, places).sort(dim=-1, descending=True).values, table.topk(k, dim=-1).values
    )
    assert all(len(set(row)) == k for row in places.tolist())


def test_paired_dots_in_chunks():
    a, b = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)), torch.ones(7, 3)
    torch.testing.assert_close(ops.paired_dots(a, b, chunk=2), a.sum(1, keepdim=True))
