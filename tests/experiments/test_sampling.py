"""The options of sampling mean what they mean in ``generate`` of transformers, and several prompts are each alone."""

import warnings
from typing import Any

import pytest
import torch

import saelab as sl
from saelab import models, zoo
from saelab.errors import SaelabError
from saelab.experiments.decoding import Picker
from saelab.experiments.generation import compare, generate

NEW = 12
PROMPT = "The red fox ran"


@pytest.fixture(scope="module")
def zoo_model():
    return sl.load_model("zoo")


@pytest.fixture(scope="module")
def zoo_sae():
    return sl.load_sae("zoo")


@pytest.fixture(scope="module")
def stock():
    """The zoo's model in transformers, that no one wrapped."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(zoo.model_path()).eval()


def theirs(stock, model, monkeypatch, ids, *, seed=None, **options):
    """Ids that transformers writes; where it draws, with the noise of ours."""
    if seed is not None:
        noise = Picker(model, 1, seed)
        monkeypatch.setattr(torch, "multinomial", lambda p, num_samples: noise(None, p.log())[:, None])
        options |= {"do_sample": True, "top_k": options.get("top_k", 0)}
    config = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        got = stock.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            tokenizer=model.tokenizer, **config | options,
        )  # fmt: skip
    return got[0, len(ids) :].tolist()


OPTIONS = [
    {}, {"temperature": 0.6}, {"top_k": 3}, {"top_p": 0.5}, {"min_p": 0.2}, {"repetition_penalty": 1.8},
    {"temperature": 1.7, "top_k": 40, "top_p": 0.9, "min_p": 0.01, "repetition_penalty": 1.2},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "+".join(o) or "plain")
@pytest.mark.parametrize("seed", [None, 0, 7])
def test_every_option_means_what_it_means_in_transformers(zoo_model, stock, monkeypatch, options, seed):
    how = {"max_new_tokens": NEW, "stop_at_end": False, **options}
    how |= {"temperature": 0} if seed is None else {"seed": seed}
    ours = generate(zoo_model, None, PROMPT, **how)
    if seed is None:
        options = {k: v for k, v in options.items() if k == "repetition_penalty"}  # all else is of sampling
    assert ours.ids == theirs(stock, zoo_model, monkeypatch, ours.prompt_ids, seed=seed, **options)


def test_an_option_changes_the_text(zoo_model):
    """Else the test above would hold of options that nothing reads."""
    texts = {str(generate(zoo_model, None, PROMPT, max_new_tokens=NEW, n=8, seed=7, **o)) for o in OPTIONS}
    assert len(texts) == len(OPTIONS)


def test_a_text_stops_where_transformers_stops_it(zoo_model, stock, monkeypatch):
    whole = generate(zoo_model, None, PROMPT, max_new_tokens=NEW, temperature=0, stop_at_end=False)
    piece = whole.text[5:9]
    for stop in (piece, [piece, "never"]):
        made = generate(zoo_model, None, PROMPT, max_new_tokens=NEW, temperature=0, stop=stop, n=2)
        assert made.ids == theirs(stock, zoo_model, monkeypatch, made.prompt_ids, stop_strings=stop)
        assert piece in made.text
        assert len(made.ids) < NEW
        assert made.samples[1].ids == made.ids
    # each sample by itself
    drawn = generate(zoo_model, None, PROMPT, max_new_tokens=NEW, n=6, stop="a", stop_at_end=False)
    assert len({len(s.ids) for s in drawn.samples}) > 1
    for s in drawn.samples:
        assert "a" not in models.decode(zoo_model, s.ids[:-1])
        assert len(s.ids) == NEW or "a" in s.text


def test_several_prompts_are_each_written_as_alone(zoo_model, zoo_sae):
    prompts = [PROMPT, "GET /", [0]]
    how = {"max_new_tokens": 5, "n": 2, "seed": 3, "positions": "generated", "stop_at_end": False}
    seen = []
    made = generate(
        zoo_model, zoo_sae, prompts, {3: 9.0}, on_token=lambda step, ids: seen.append((step, ids)), **how
    )
    alone = [generate(zoo_model, zoo_sae, p, {3: 9.0}, **how) for p in prompts]
    assert [s.ids for s in made.samples] == [s.ids for a in alone for s in a.samples]
    assert [s.prompt_ids for s in made.samples[::2]] == [a.prompt_ids for a in alone]
    assert [step for step, _ in seen] == [*range(5)] * 3
    assert [len(row) for row in seen[6][1]] == [5, 5, 2, 2, 0, 0]
    assert all(p in str(made) for p in (PROMPT, "GET /"))
    both = compare(zoo_model, zoo_sae, prompts, {3: 9.0}, **how)
    assert [s.ids for s in both.steered.samples] == [s.ids for s in made.samples]
    assert [s.prompt for s in both.baseline.samples] == [s.prompt for s in made.samples]
    # what was written is continued, each sample by itself, and read in whole
    more = generate(zoo_model, None, made, max_new_tokens=1)
    assert [s.prompt_ids for s in more.samples] == [[*s.prompt_ids, *s.ids] for s in made.samples]
    assert sl.heatmap(zoo_model, zoo_sae, made, latents=[3]).n_sequences == 6


def test_a_cancel_in_the_first_of_several_prompts_leaves_the_others_empty(zoo_model, zoo_sae):
    made = compare(
        zoo_model, zoo_sae, ["The", "A"], {3: 1.0}, max_new_tokens=4, on_token=lambda step, ids: step < 1
    )
    assert made.steered.cancelled
    assert [len(s.ids) for s in made.steered.samples] == [2, 0]
    assert made.frame["side"].tolist().count("baseline") == sum(len(s.ids) for s in made.baseline.samples)


def test_a_conversation_is_written_in_the_tokenizers_own_template(zoo_model, monkeypatch):
    talk = [{"role": "user", "content": "Say DNA"}]
    with pytest.raises(SaelabError, match="no chat template"):
        generate(zoo_model, None, messages=talk)
    template = (
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}<it>{% endif %}"
    )
    monkeypatch.setattr(zoo_model.tokenizer, "chat_template", template)
    made = generate(zoo_model, None, messages=talk, max_new_tokens=3)
    assert made.prompt_ids == models.tokenize(zoo_model, "<user>Say DNA\n<it>", bos=False)
    wrong: Any
    for wrong in ("hello", [], {"role": "user"}, ["hello"]):
        with pytest.raises(SaelabError, match="messages"):
            generate(zoo_model, None, messages=wrong)
    for prompt, messages in ((None, None), ("The", talk)):
        with pytest.raises(SaelabError, match="and not both"):
            generate(zoo_model, None, prompt, messages=messages)
    monkeypatch.setattr(zoo_model.tokenizer, "chat_template", "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(SaelabError, match="roles must alternate"):
        generate(zoo_model, None, messages=talk)


def test_the_change_is_that_of_the_log_probability(zoo_model, zoo_sae):
    made = generate(zoo_model, zoo_sae, ["The", PROMPT], {3: 9.0}, max_new_tokens=6, n=2, stop_at_end=False)
    for s in made.samples:
        with torch.no_grad():
            logp = models.forward(zoo_model, torch.tensor([[*s.prompt_ids, *s.ids]]))[0].log_softmax(-1)
        plain = logp[len(s.prompt_ids) - 1 : -1].gather(-1, torch.tensor(s.ids)[:, None])[:, 0]
        torch.testing.assert_close(
            torch.tensor(s.changes), torch.tensor(s.logprobs) - plain, atol=1e-4, rtol=0
        )
    assert max(abs(c) for s in made.samples for c in s.changes) > 0.5
    assert "more probable" in made._repr_html_()
    assert "rgba(255,140,0" in made._repr_html_()
    plain = generate(zoo_model, None, "The", max_new_tokens=6)
    assert plain.samples[0].changes == [0.0] * 6
    assert "rgba(255,140,0" not in plain._repr_html_()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"top_p": 0.0}, "top_p must be between"),
        ({"top_p": 1.5}, "top_p must be between"),
        ({"min_p": -0.1}, "min_p must be between"),
        ({"repetition_penalty": 0}, "repetition_penalty must be above 0"),
        ({"stop": [""]}, "empty string"),
        ({"stop": [3]}, "stop"),
    ],
)
def test_sampling_options_are_checked_before_anything_runs(zoo_model, options, said):
    with pytest.raises(SaelabError, match=said):
        generate(zoo_model, None, PROMPT, on_token=lambda *a: pytest.fail("a step ran"), **options)


def test_D67_a_temperature_below_what_numbers_hold_is_refused(tiny):
    for temperature in (1e-38, 5e-324):
        with pytest.raises(SaelabError, match="temperature must be 0"):
            sl.generate(tiny, None, "The", temperature=temperature)
    cold = sl.generate(tiny, None, "The", temperature=1e-20, max_new_tokens=4)
    assert cold.ids == sl.generate(tiny, None, "The", temperature=0, max_new_tokens=4).ids
