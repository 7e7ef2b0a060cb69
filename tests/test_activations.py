import numpy as np
import pytest
import torch
from helpers import SENTENCES
from test_buffer import HOOK, wanted

from saelab import activations, data
from saelab.errors import SaelabError


@pytest.mark.parametrize("batch_tokens", [1, 50, 8192])
def test_harvest_and_mean_do_not_depend_on_the_batch(tiny, batch_tokens):
    rows = data.tokenize_texts(tiny, SENTENCES)
    want = wanted(tiny, SENTENCES)
    got = torch.zeros(rows.n_tokens, 16)
    counted = np.zeros(rows.n_tokens, dtype=bool)
    for batch, acts, keep in activations.harvest(tiny, rows, HOOK, batch_tokens=batch_tokens):
        assert acts.shape == (*batch.ids.shape, 16)
        got[batch.flat[keep.numpy()]] = acts[keep]
        counted[batch.flat[keep.numpy()]] = True
    torch.testing.assert_close(got[counted], want, atol=1e-5, rtol=0)
    mean = activations.mean_activation(tiny, rows, HOOK, batch_tokens=batch_tokens)
    np.testing.assert_allclose(mean, want.double().mean(0).numpy(), atol=1e-5)


def test_C44_a_mean_of_nothing_is_an_error(tiny):
    rows = data.rows_from([(0, 0, [0])], bos=True)
    with pytest.raises(SaelabError, match="nothing to average"):
        activations.mean_activation(tiny, rows, HOOK)
