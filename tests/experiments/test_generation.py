"""Generation, steered and not, and its display."""

import gc
import weakref
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from helpers import random_sae, tiny_model

import saelab as sl
from saelab import models
from saelab.errors import SaelabError
from saelab.experiments import Comparison, Generation, compare, generate
from saelab.experiments.written import Sample
from saelab.interventions import Edit, Intervention, attach, interventions, steer

PROMPT = "The red fox ran"  # five tokens with BOS
POSITIONS = ["all", "prompt", "generated", "last", [2], [-1]]


def logits_after(model, ids):
    with torch.no_grad():
        return models.forward(model, torch.tensor([ids]))[0].log_softmax(-1)


# ------------------------------------------------------------------------------------------ C09 the cache


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("mode", ["add", "clamp", "project"])
def test_c09_the_cache_changes_nothing(model, sae, positions, mode):
    made = [
        generate(
            model, sae, PROMPT, {3: 6.0}, max_new_tokens=8, temperature=0, mode=mode, positions=positions,
            schedule=[0.5, 1.0, 2.0], cache=cache, stop_at_end=False,
        )
        for cache in (True, False)
    ]  # fmt: skip
    assert made[0].ids == made[1].ids
    np.testing.assert_allclose(made[0].logprobs, made[1].logprobs, atol=1e-4)


def test_c09_what_each_position_means(model, sae):
    """Against passes over the whole text with the edit at places written out by hand."""
    for positions, places in [
        ("all", range(1, 9)),
        ("prompt", range(1, 5)),
        ("generated", range(5, 9)),
        ("last", range(4, 9)),
        ([2], [2]),
        ([-1], [4]),
    ]:
        made = generate(
            model,
            sae,
            PROMPT,
            {3: 6.0},
            max_new_tokens=4,
            temperature=0,
            positions=positions,
            stop_at_end=False,
        )
        text = [*made.prompt_ids, *made.ids]
        assert 0 not in made.ids
        for step in range(4):
            length = len(made.prompt_ids) + step
            here = [p for p in places if p < length]
            edits = {3: Edit(6.0, positions=tuple(here))} if here else {3: 0.0}
            with steer(model, sae, edits):
                logp = logits_after(model, text[:length])[-1]
            assert made.ids[step] == int(logp.argmax())
            assert made.logprobs[step] == pytest.approx(float(logp.max()), abs=1e-4)


def test_c09_generated_only_leaves_the_first_token_and_strength_0_leaves_all(model, sae):
    plain = generate(model, None, PROMPT, max_new_tokens=6, temperature=0)
    late = generate(model, sae, PROMPT, {3: 60.0}, max_new_tokens=6, temperature=0, positions="generated")
    assert late.logprobs[0] == plain.logprobs[0]
    assert late.ids[0] == plain.ids[0]
    assert late.logprobs[1] != plain.logprobs[1]
    zero = generate(model, sae, PROMPT, {3: 0.0}, max_new_tokens=6, temperature=0)
    assert (zero.ids, zero.logprobs) == (plain.ids, plain.logprobs)


@pytest.mark.filterwarnings("ignore:`past_key_values` is deprecated")
@pytest.mark.parametrize("positions", POSITIONS)
def test_the_models_own_generate_is_steered_the_same(model, sae, positions):
    ours = generate(
        model, sae, PROMPT, {3: 6.0}, max_new_tokens=6, temperature=0, positions=positions, stop_at_end=False
    )
    ids = torch.tensor([ours.prompt_ids])
    with steer(model, sae, {3: 6.0}, positions=positions):
        theirs = model.generate(ids, max_new_tokens=6, do_sample=False, verbose=False, stop_at_eos=False)
    with steer(model, sae, {3: 6.0}, positions=positions):  # this one gives no mask beside its cache
        huggingface = model.hf_generate(ids, max_new_tokens=6, do_sample=False)
    assert huggingface[0].tolist() == theirs[0].tolist()
    assert theirs[0].tolist() == [*ours.prompt_ids, *ours.ids]


def test_a_schedule_counts_generated_tokens(model, sae):
    """The 1st, 2nd and every later generated token; the prompt as the first."""
    made = generate(
        model,
        sae,
        PROMPT,
        {3: 2.0},
        max_new_tokens=5,
        temperature=0,
        schedule=[0.0, 1.0, 3.0],
        stop_at_end=False,
    )
    text = [*made.prompt_ids, *made.ids]
    with steer(model, sae, [Edit(2.0, latent=3, positions=(6,)), Edit(6.0, latent=3, positions=(7, 8))]):
        logp = logits_after(model, text[:-1])[4:]
    expected = logp.gather(-1, torch.tensor(made.ids)[:, None])[:, 0]
    np.testing.assert_allclose(made.logprobs, expected, atol=1e-4)


def test_a_schedule_that_ended_in_zero_is_over_for_this_text_only(model, sae):
    """Zeros on the way are no end, and the next text begins anew."""
    options = {"max_new_tokens": 8, "temperature": 0, "stop_at_end": False}
    late, early = [0.0, 0.0, 3.0, 0.0], [2.0, 0.0]
    for schedule in (late, early):
        made = [
            generate(model, sae, PROMPT, {3: 6.0}, schedule=schedule, cache=c, **options)
            for c in (True, False)
        ]
        assert made[0].ids == made[1].ids
        np.testing.assert_allclose(made[0].logprobs, made[1].logprobs, atol=1e-4)
        plain = generate(model, None, PROMPT, max_new_tokens=8, temperature=0, stop_at_end=False)
        assert made[0].logprobs != plain.logprobs
    with steer(model, sae, {3: 6.0}, schedule=early):
        twice = [
            generate(model, None, PROMPT, max_new_tokens=8, temperature=0, stop_at_end=False)
            for _ in range(2)
        ]
        longer = generate(model, None, PROMPT + PROMPT, **options)
    assert twice[0].logprobs == twice[1].logprobs
    np.testing.assert_allclose(twice[0].logprobs, made[0].logprobs, atol=1e-5)
    alone = generate(model, sae, PROMPT + PROMPT, {3: 6.0}, schedule=early, **options)
    assert longer.ids == alone.ids
    np.testing.assert_allclose(longer.logprobs, alone.logprobs, atol=1e-5)


# ---------------------------------------------------------------------------------------------- sampling


def test_c46_a_seed_gives_the_same_text_and_nothing_global_is_touched(model):
    state = torch.get_rng_state()
    one = generate(model, None, PROMPT, max_new_tokens=8, seed=4)
    torch.rand(3)
    assert generate(model, None, PROMPT, max_new_tokens=8, seed=4) == one
    assert generate(model, None, PROMPT, max_new_tokens=8, seed=5).ids != one.ids
    torch.set_rng_state(state)
    generate(model, None, PROMPT, max_new_tokens=2, seed=4)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sample_does_not_depend_on_how_many_there_are(model):
    many = generate(model, None, PROMPT, max_new_tokens=6, seed=2, n=4)
    few = generate(model, None, PROMPT, max_new_tokens=6, seed=2, n=2)
    assert many.texts[:2] == few.texts
    assert len(set(many.texts)) == 4


def test_first_tokens_follow_the_models_distribution(model):
    n = 4000
    prompt = models.tokenize(model, PROMPT)
    expected = (logits_after(model, prompt)[-1] / 0.7).softmax(-1).numpy()
    made = generate(model, None, prompt, max_new_tokens=1, temperature=0.7, n=n, seed=1)
    seen = np.bincount([s.ids[0] for s in made.samples], minlength=len(expected)) / n
    # the mean of |seen - expected| over n draws is about sqrt(2 p (1 - p) / (pi n))
    typical = 0.5 * np.sqrt(expected * (1 - expected) * 2 / (np.pi * n)).sum()
    assert 0.5 * np.abs(seen - expected).sum() < 1.3 * typical


def test_top_k_and_temperature(model):
    greedy = generate(model, None, PROMPT, max_new_tokens=6, temperature=0)
    assert generate(model, None, PROMPT, max_new_tokens=6, top_k=1, seed=9).ids == greedy.ids
    best = logits_after(model, greedy.prompt_ids)[-1].topk(3).indices.tolist()
    made = generate(model, None, PROMPT, max_new_tokens=1, top_k=3, n=60)
    assert {s.ids[0] for s in made.samples} == set(best)
    assert generate(model, None, PROMPT, max_new_tokens=2, top_k=10**6).ids  # more than there are: all


def test_log_probabilities_are_those_of_the_model_that_wrote(model, sae):
    made = generate(model, sae, PROMPT, {3: 6.0}, max_new_tokens=6, seed=3, temperature=0.5, top_k=20)
    with steer(model, sae, {3: 6.0}):
        logp = logits_after(model, [*made.prompt_ids, *made.ids][:-1])[4:]
    np.testing.assert_allclose(
        made.logprobs, logp.gather(-1, torch.tensor(made.ids)[:, None])[:, 0], atol=1e-4
    )


def test_a_sample_ends_at_the_end_of_text_token(model):
    made = generate(model, None, PROMPT, max_new_tokens=25, n=40, temperature=5.0)
    ended = [s for s in made.samples if 0 in s.ids]
    assert ended
    for s in ended:
        assert s.ids.index(0) == len(s.ids) - 1 == len(s.logprobs) - 1
        assert s.text == models.decode(model, s.ids[:-1])
    assert any(len(s.ids) > len(ended[0].ids) for s in made.samples)
    free = generate(model, None, PROMPT, max_new_tokens=25, n=40, temperature=5.0, stop_at_end=False)
    assert all(len(s.ids) == 25 for s in free.samples)


def test_streaming_and_cancelling(model):
    seen = []

    def on_token(step, ids):
        seen.append((step, ids))
        return step < 2  # False at the third

    made = generate(model, None, PROMPT, max_new_tokens=8, n=2, seed=1, on_token=on_token, stop_at_end=False)
    assert made.cancelled
    assert [step for step, _ in seen] == [0, 1, 2]
    assert [len(row) for row in seen[1][1]] == [2, 2]
    assert seen[-1][1] == [s.ids for s in made.samples]
    whole = generate(model, None, PROMPT, max_new_tokens=8, n=2, seed=1, stop_at_end=False)
    assert whole.samples[0].ids[:3] == made.ids
    assert not whole.cancelled


def test_an_exception_in_the_callback_leaves_the_model_clean(model, sae):
    clean = logits_after(model, [0, 5, 6])

    def on_token(step, ids):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(model, sae, PROMPT, {3: 5.0}, max_new_tokens=4, on_token=on_token)
    assert torch.equal(logits_after(model, [0, 5, 6]), clean)


def test_beginning_from_bos_alone_and_without_it(model):
    made = generate(model, None, [models.bos_id(model)], max_new_tokens=4)
    assert (made.prompt, made.prompt_ids) == ("", [0])
    assert (
        generate(model, None, PROMPT, bos=False, max_new_tokens=1).prompt_ids
        == models.tokenize(model, PROMPT)[1:]
    )
    no_bos = random_sae(bos=False)
    both = compare(model, no_bos, PROMPT, {3: 1.0}, max_new_tokens=1)
    assert both.baseline.prompt_ids == both.steered.prompt_ids == models.tokenize(model, PROMPT)[1:]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prompt": ""}, "empty"),
        ({"prompt": []}, "empty"),
        ({"prompt": [10**6]}, "outside the vocabulary"),
        ({"prompt": 3.0}, "not iterable|token id"),
        ({"prompt": "fox " * 40}, r"context 32: there is room for 0 new ones, not 40"),
        ({}, r"the prompt has 5 tokens and the model's context 32: there is room for 27 new ones, not 40"),
        ({"max_new_tokens": 0}, "at least 1"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"seed": -1}, "seed"),
        ({"n": 0}, "n must"),
        ({"edits": {3: 1.0}, "max_new_tokens": 4}, "need the sae"),
        ({"mode": "add", "max_new_tokens": 4}, "need the sae"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_runs(model, options, said):
    options = {"prompt": PROMPT, **options}
    runs = []
    handle = model.original_model.register_forward_pre_hook(lambda *a: runs.append(1))
    try:
        with pytest.raises((SaelabError, TypeError), match=said):
            generate(model, None, options.pop("prompt"), options.pop("edits", None), **options)
    finally:
        handle.remove()
    assert not runs


def test_wrong_edits_are_refused_before_the_baseline_runs(model, sae):
    runs = []
    handle = model.original_model.register_forward_pre_hook(lambda *a: runs.append(1))
    try:
        for edits, options in [
            ({64: 1.0}, {}),
            ({3: 1.0}, {"mode": "ad"}),
            ({3: 1.0}, {"positions": "lst"}),
            ({}, {}),
        ]:
            with pytest.raises(SaelabError):
                compare(model, sae, PROMPT, edits, max_new_tokens=4, **options)
    finally:
        handle.remove()
    assert not runs


def test_a_saved_intervention_gives_the_same_text(model, sae, tmp_path):
    where = {"positions": "generated", "schedule": [1, 2]}
    [(_, made)] = interventions(model, sae, {3: 2.0}, relative={3: 3.0}, **where)
    again = Intervention.load(made.save(tmp_path / "push.json"))
    one = generate(model, sae, PROMPT, again, max_new_tokens=6, seed=2)
    two = generate(model, sae, PROMPT, {3: 6.0}, max_new_tokens=6, seed=2, **where)
    assert one.ids == two.ids


def test_several_saes_in_one_generation(model, sae):
    late = random_sae(hook_in="blocks.1.hook_resid_post", seed=2)
    made = generate(model, [(sae, {3: 6.0}), (late, {5: 4.0})], PROMPT, max_new_tokens=4, temperature=0)
    with steer(model, sae, {3: 6.0}), steer(model, late, {5: 4.0}):
        logp = logits_after(model, made.prompt_ids)[-1]
    assert made.ids[0] == int(logp.argmax())


def test_c54_results_do_not_hold_on_to_the_model():
    model = tiny_model()
    made = compare(model, random_sae(), PROMPT, {3: 6.0}, max_new_tokens=2)
    with attach(model, random_sae(), error=True), torch.no_grad():
        models.forward(model, torch.tensor([[0, 1]]))
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None
    assert made.baseline.text


# --------------------------------------------------------------------------------------------- comparing


def test_compare_uses_the_same_noise(model, sae):
    same = compare(model, sae, PROMPT, {3: 0.0}, max_new_tokens=8, seed=3, n=2)
    assert same.baseline.texts == same.steered.texts
    assert not same.frame["differs"].any()
    other = compare(model, sae, PROMPT, {3: 20.0}, max_new_tokens=8, seed=3, n=2)
    assert other.baseline == same.baseline
    assert other.baseline.texts != other.steered.texts
    frame = other.frame
    assert list(frame.columns) == ["side", "sample", "step", "id", "token", "logprob", "change", "differs"]
    assert len(frame) == sum(len(s.ids) for g in (other.baseline, other.steered) for s in g.samples)
    assert other.steered.steered_by == "latent 3: add 20"
    assert "latent 3: add 20" in str(other)


def test_compare_cancels_either_run(model, sae):
    stopped = compare(
        model, sae, PROMPT, {3: 1.0}, max_new_tokens=6, n=2, on_baseline=lambda step, ids: False
    )
    assert stopped.baseline.cancelled
    assert stopped.steered.cancelled
    assert stopped.steered.texts == ["", ""]
    late = compare(model, sae, PROMPT, {3: 1.0}, max_new_tokens=6, on_token=lambda step, ids: step < 1)
    assert len(late.baseline.ids) == 6
    assert len(late.steered.ids) == 2
    for one in (stopped, late):
        assert "cancelled" in one._repr_html_()


def made(*pieces, by=""):
    ids = [hash(p) % 997 for p in pieces]
    groups = [(i, i + 1, p) for i, p in enumerate(pieces)]
    written = Sample(
        ids, list(pieces), "".join(pieces), [-1.0] * len(ids), groups, "p", [1], [-0.5, 2.0, 0.0] * len(ids)
    )
    return Generation((written,), 0, False, by)


def test_differences_are_tokens_without_a_partner():
    both = Comparison(made("a", "b", "c", "d"), made("a", "x", "c", "d", "e"))
    assert both.differences() == ([False, True, False, False], [False, True, False, False, True])


class Tree(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


HOSTILE = [
    "<b>", "</b>", "&amp;", '"', "'", "<img src=x onerror=alert(1)>", "</script>", "<!--<script>", "$x$", "$",
    "`", "  ", "\n", "\u2028", "עברית",
]  # fmt: skip


def test_c03_hostile_tokens_are_inert():
    by = "latent 1: <script>alert(1)</script>"
    for page in (
        Comparison(made(*HOSTILE), made("<i>", *HOSTILE[::-1], by=by))._repr_html_(),
        made(*HOSTILE, by=by)._repr_html_(),
    ):
        tree = Tree()
        tree.feed(page)
        assert {tag for tag, _ in tree.tags} <= {"div", "table", "tr", "th", "td", "span"}
        assert not any(name.startswith("on") for _, attrs in tree.tags for name in attrs)
        assert "<script" not in page
        assert "".join(HOSTILE) in "".join(tree.text)
        assert "$x$" not in page  # each dollar alone, so that no pair reads as maths
        assert "$" not in [d for d in tree.text if len(d) > 1 and "$" in d]


def test_c05_a_character_of_several_tokens_is_one_piece(model):
    table = models.token_bytes(model)
    ids = [table.index(bytes([b])) for b in "日".encode()]
    sample = Sample.of(model, [1], [*ids, ids[0]], [0.0] * 4)
    assert sample.groups == [(0, 3, "日"), (3, 4, "\\xe6")]
    assert sample.tokens == ["\\xe6", "\\x97", "\\xa5", "\\xe6"]
    page = Comparison(replace(made("x"), samples=(sample,)), made("x"))._repr_html_()
    assert ">日</span>" in page


@pytest.mark.parametrize("way", ["generate", "compare", "sweep"])
def test_D41_a_position_out_of_reach_is_refused_before_any_step(way, tiny, monkeypatch):
    sae, steps = random_sae(), []

    def call(positions, prompts=("The red fox",), **options):
        count = lambda step, ids: steps.append(step)  # noqa: E731
        options = {"max_new_tokens": 5, "positions": positions, "on_token": count, **options}
        if way == "sweep":
            return sl.sweep(tiny, sae, prompts, [3], [2.0], progress=False, **options).frame["text"].tolist()
        if way == "compare":
            return sl.compare(tiny, sae, prompts[0], {3: 2.0}, on_baseline=count, **options).steered.texts
        return sl.generate(tiny, sae, prompts[0], {3: 2.0}, **options).texts

    n = len(models.tokenize(tiny, "The red fox"))
    for place in (n + 4, -n - 1, 1000):
        with pytest.raises(SaelabError, match=rf"positions \[{place}\] are never reached"):
            call([1, place])
        assert steps == []
    assert call([n + 3, -1]), "the last place that is read"
    if way == "sweep":  # the second prompt is shorter than the first
        steps.clear()
        with pytest.raises(SaelabError, match="never reached"):
            call([n + 3], prompts=["The red fox", "The"])
        assert steps == []
    with pytest.raises(SaelabError, match="special token"):
        call([0])
    # a sample that ends before it comes to the place keeps its text, and so does one whose place is a special token
    end = tiny.tokenizer.eos_token_id
    monkeypatch.setattr(
        "saelab.experiments.decoding.Picker.__call__", lambda self, ids, p: torch.full((len(p),), end)
    )
    assert call([n + 3]) == [""]
    assert call([n], stop_at_end=False)
