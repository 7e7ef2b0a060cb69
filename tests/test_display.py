"""What objects show at the end of a notebook cell."""

import ast
from pathlib import Path

import numpy as np
import pytest
import torch

import saelab as sl
from saelab.display import facts_html
from saelab.interventions import interventions
from saelab.n2g.reconstruct import SimulatedLoss
from saelab.sae import SAE, SAEConfig
from saelab.zoo.labels import Labels

HOSTILE = "你好 שלום <script>alert(1)</script> $x$ \n\t"


def test_text_is_inert():
    page = facts_html(HOSTILE, [(HOSTILE, HOSTILE), ("n", 3)])
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
    assert "$x$" not in page  # each dollar stands alone
    assert "你好 שלום" in page


@pytest.fixture(scope="module")
def sae():
    return SAE(SAEConfig("topk", 16, 24, k=2, hook_in="blocks.0.hook_resid_post"))


def test_codes(sae):
    codes = sae.encode_sparse(torch.randn(2, 5, 16))
    assert "2 × 5 × 24" in codes._repr_html_()
    assert f"{len(codes.values)} active" in repr(codes)
    assert "none" in sae.encode_sparse(torch.zeros(0, 16))._repr_html_()


def test_rows_and_labels():
    model = sl.load_model("zoo")
    rows, labels = sl.zoo.labelled_rows(model, 12, seed=5)
    assert f"{len(rows)} of 12 documents" in rows._repr_html_()
    assert f"{rows.n_tokens:,}" in repr(rows)
    share = labels.column("legal").mean()
    assert f"{share:.1%} of the tokens" in labels._repr_html_()
    assert len(repr(labels)) < 60
    none = Labels(labels.concepts, np.zeros((0, len(labels.concepts)), bool))
    assert "0.0%" in none._repr_html_()


def test_a_document_shows_its_concepts():
    document = next(iter(sl.zoo.documents(1, seed=1, genres=["http"])))
    page = document._repr_html_()
    assert "Document: http" in page
    assert "http.header_name" in page


def test_an_intervention(tiny, sae):
    page = interventions(tiny, sae, {3: 2.5}, positions="last")[0][1]._repr_html_()
    assert "latent 3: add 2.5 at last" in page


def test_a_simulated_loss():
    loss = SimulatedLoss(1.0, 2.0, 3.0, 4.0, 5.0, 0.1, 0.2, 0.3, None, 7, 1000, "test", 500)
    page = loss._repr_html_()
    assert "7 graphs, on 1,000 tokens" in page
    assert "undefined" in page


def test_L06_text_in_a_frame_is_not_maths():
    from saelab.frames import TextFrame

    page = TextFrame({"text": ["$2x - 8$", "\\(y\\)"]})._repr_html_()
    assert "$2x" not in page
    assert "\\(" not in page
    assert page.count("<span>$</span>") == 2


def test_L06_a_frame_with_text_is_one_whose_dollars_are_shown():
    """Wherever a column of text is named beside the making of a DataFrame."""
    for path in sorted(Path(sl.__file__).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pd.DataFrame":
                named = {n.value for n in ast.walk(call) if isinstance(n, ast.Constant)}
                assert not named & {"text", "token", "example", "prompt", "up_token"}, f"{path}:{call.lineno}"
