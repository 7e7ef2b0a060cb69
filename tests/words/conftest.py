import json
import re
import warnings

import numpy as np
import pytest

import saelab as sl
from tests.index.makers import rows_of, write

# concepts that one latent each tells so well that a judge who knows them is hardly ever wrong
SURE = ("arithmetic.sequence", "dna.poly_a", "json.key", "chess.piece_move", "log.level")
_STRING = r'"(?:[^"\\]|\\.)*"'


def asked(messages):
    """What a prompt asks about: description, texts."""
    text = messages[-1]["content"]
    description = json.loads(re.search(rf"Description: ({_STRING})", text)[1])
    return description, [json.loads(t) for t in re.findall(rf"^\d+: ({_STRING})$", text, re.MULTILINE)]


def judge_of(fits):
    """A judge from a function of description and text."""

    def judge(messages):
        description, texts = asked(messages)
        return json.dumps([fits(description, t) for t in texts])

    return judge


literal = judge_of(lambda words, text: int(bool(words) and words in text))


@pytest.fixture
def planted(tmp_path):
    return make_planted(tmp_path / "i")


def make_planted(folder):
    """160 documents of 60 tokens. Latent 1 fires on " ran" behind " fox", latent 2 on "<b>", latent 3 never, latent 4 on "$"
    three times as strongly on every other one."""
    rng = np.random.default_rng(0)
    often = np.ones(13)
    often[[6, 10]] = 0.2  # "<b>" and "$" are rare
    rows = rows_of([[0, *(1 + rng.choice(13, 60, p=often / often.sum())).tolist()] for _ in range(160)])
    ids, z = rows.ids, np.zeros((rows.n_tokens, 5), np.float32)
    behind = np.roll(ids, 1)
    z[:, 1] = np.where((ids == 3) & (behind == 2), 1 + rng.random(len(ids)), 0)
    z[:, 2] = np.where(ids == 7, 2.0, 0)
    z[:, 4] = np.where(ids == 11, np.where(np.arange(len(ids)) % 2, 3.0, 1.0), 0)
    z[ids == 0] = 0
    return write(folder, rows, z)


@pytest.fixture(scope="session")
def zoo():
    """(index, {latent: concept} of one latent for each of SURE, reader) of 500 documents of the zoo."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, sae = sl.load_model("zoo"), sl.load_sae("zoo")
        rows, labels = sl.zoo.labelled_rows(model, 500, seed=3, progress=False)
        index = sl.LatentIndex.build(model, sae, rows, progress=False)
    found = index.concepts(labels).astype({"concept": str})
    found = found[found.concept.isin(SURE)].sort_values("span_f1", ascending=False).drop_duplicates("concept")
    truth = dict(zip(found.latent.tolist(), found.concept, strict=True))
    return index, truth, sl.zoo.Reader(list(sl.zoo.documents(500, seed=3)))


@pytest.fixture
def parsed():
    from widgets.parsing import Parsed

    return Parsed
