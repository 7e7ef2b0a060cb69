import pytest

from saelab import n2g
from saelab.errors import SaelabError


def test_fast_asks_for_fewer_prompts_and_keeps_what_is_said():
    usual, fast = n2g.N2GConfig(), n2g.N2GConfig.fast(n_train=9)
    assert fast.n_train == 9
    assert fast.max_len < usual.max_len
    assert fast.fillers < usual.fillers
    assert fast.keep == usual.keep
    assert n2g.N2GConfig.from_dict(fast.to_dict()) == fast
    with pytest.raises((TypeError, SaelabError)):
        n2g.N2GConfig.fast(n_trian=9)
