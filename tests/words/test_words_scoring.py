"""Scores: every number as on paper, documents apart, and what known explanations get."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from words.conftest import asked, judge_of, literal, make_planted

import saelab as sl
from saelab.errors import SaelabError
from saelab.intervals import of_share
from saelab.words.adapters import _reply
from saelab.words.calls import Reply
from saelab.words.measures import Judged, Simulated, auroc
from saelab.words.passages import TEST, TRAIN, Texts
from saelab.words.scoring import numbers

DELPHI = json.loads((Path(__file__).parent / "delphi.json").read_text())


def test_detection_is_as_on_paper():
    kind = np.array(["fires"] * 4 + ["random"] * 3 + ["hard"] * 3)
    answer = np.array([1, 1, 0, np.nan, 0, 0, 1, 0, 0.5, np.nan])
    found = Judged(kind, np.arange(10), answer, np.full(10, np.nan)).numbers()
    assert found["recall"] == (1 + 1 + 0 + 0.5) / 4
    assert found["random"] == 2 / 3
    assert found["hard"] == (1 + 0.5 + 0.5) / 3
    assert found["specificity"] == (2 + 2) / 6
    assert found["value"] == (2.5 / 4 + 4 / 6) / 2
    assert found["base_rate"] == 0.4
    assert (found["n"], found["documents"], found["failed"]) == (10, 10, 2)
    # called: 2 right, half of the failed one; wrongly 1, half of 0.5, half of the failed one
    assert found["f1"] == pytest.approx(2 * 2.5 / (2.5 + 2 + 4))
    assert np.isnan([found["low"], found["high"], found["auroc"]]).all()


def test_the_interval_counts_documents():
    rng = np.random.default_rng(1)
    kind = np.array(["fires", "random"] * 60)
    answer, document = rng.integers(0, 2, 120).astype(float), np.repeat(np.arange(30), 4)
    found = Judged(kind, document, answer, answer).numbers()
    right = (answer == (kind == "fires")).reshape(30, 4).sum(1)
    low, high = of_share(right, np.full(30, 4))
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert low < found["value"] < high
    few = Judged(kind, document % 19, answer, answer).numbers()
    assert math.isnan(few["low"]), "below 20 documents there is none"


def test_unequal_numbers_count_alike():
    kind = np.array(["fires"] * 30 + ["random"] * 90)
    found = Judged(kind, np.arange(120), np.zeros(120), np.zeros(120)).numbers()
    assert found["value"] == 0.5, "always no"
    assert found["base_rate"] == 0.25
    assert found["low"] < 0.5 < found["high"]


def test_auroc_is_as_on_paper():
    assert auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1, 0.6])) == (3 + 0.5 + 1) / 6
    assert math.isnan(auroc(np.array([0.9, np.nan]), np.array([0.1])))
    assert math.isnan(auroc(np.array([]), np.array([0.1])))
    kinds = np.array(["fires", "fires", "random", "hard"])
    found = Judged(
        kinds, np.arange(4), np.array([1, np.nan, 0, 1]), np.array([0.9, np.nan, 0.2, 0.6])
    ).numbers()
    assert found["auroc"] == (2 + 1) / 4, "an answer that failed has 0.5"


def test_simulation_is_as_on_paper():
    rng = np.random.default_rng(0)
    a = rng.random(200) * (rng.random(200) < 0.3)
    s = np.clip(a + rng.normal(0, 0.2, 200), 0, 1)
    found = Simulated(a, s, np.repeat(np.arange(40), 5), np.array([False] * 39 + [True])).numbers()
    assert found["value"] == pytest.approx(np.corrcoef(a, s)[0, 1])
    assert found["r2"] == pytest.approx(1 - ((a - s) ** 2).sum() / ((a - a.mean()) ** 2).sum())
    assert found["low"] < found["value"] < found["high"]
    assert (found["n"], found["failed"]) == (40, 1)
    for same in (0, 0.1, 2, 7):  # of which rounding leaves a variance
        constant = Simulated(a, np.full(200, float(same)), np.arange(200), np.zeros(0, bool)).numbers()
        assert math.isnan(constant["value"])


def test_a_deeply_nested_answer_is_an_unreadable_one():
    with pytest.raises(ValueError, match="list"):
        numbers(2, 1)(Reply("[1][" + '{"":' * 100_000 + "]"))


def test_detection_is_that_of_delphi_on_the_same_answers():
    def mine(batches):
        kind, said = [], []
        for b in batches:
            kind += ["fires" if t else "random" for t in b["truth"]]
            try:
                said += numbers(5, 1)(Reply(b["answer"]))[0]
            except ValueError:
                said += [np.nan] * 5
        return Judged(np.array(kind), np.arange(len(kind)), np.array(said), np.array(said)).numbers()

    found, theirs = mine(DELPHI["batches"]), DELPHI["delphi"]
    assert found["value"] == pytest.approx(theirs["accuracy"], abs=1e-12)
    assert found["recall"] == pytest.approx(theirs["recall"])
    assert found["specificity"] == pytest.approx(theirs["true_negative_rate"])
    assert found["f1"] == pytest.approx(theirs["f1_score"])
    assert found["base_rate"] == theirs["positive_class_ratio"]
    # where they differ: an answer that cannot be read is dropped there, and not counted
    broken = [dict(b) for b in DELPHI["batches"]]
    broken[3]["answer"] = "I cannot help with that."
    found, theirs = mine(broken), DELPHI["delphi_one_broken"]
    assert (found["n"], found["failed"]) == (80, 5)
    assert (theirs["total_examples"], theirs["failed_count"]) == (75, 0)


def test_probabilities_are_those_of_delphi_on_the_same_logprobs():
    body = {
        "choices": [{"message": {"content": "[1, 0, 1, 0, 1]"}, "logprobs": {"content": DELPHI["logprobs"]}}]
    }
    reply = _reply(json.dumps(body).encode())
    assert reply.probabilities == pytest.approx(DELPHI["probabilities"])
    assert numbers(5, 1)(reply) == ([1, 0, 1, 0, 1], list(reply.probabilities))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("[1, 0]", [1, 0]), ("The list: [0,1].", [0, 1]), ("[true, false]", [1, 0]), ("1, 0", [1, 0]),
        ("[1] or [0, 0]", [0, 0]), ("[0.9, 0.2]", [0.9, 0.2]), ("", None), ("[1]", None),
        ("[1, 0, 0]", None), ("[1, 2]", None), ("[1, -1]", None),
        ("[NaN, 1]", None), ("[1, \"0\"]", None), ("[1, null]", None), ("I cannot help.", None), ("[[1, 0]", [1, 0]),
        ("[" * 20_000, None), ("[1e999, 0]", None), ("<script>[0, 1]</script>", [0, 1]), ("{\"a\": 1}", None),
        ("1" * 5000 + ", 0", None), ("As in [1, 0]: [0, 1]", [0, 1]), ("As in [1, 0]: [0, 1, 1]", None),
    ],
)  # fmt: skip
def test_an_answer_is_read_or_failed(answer, value):
    if value is None:
        with pytest.raises(ValueError, match="no list of 2 numbers"):
            numbers(2, 1)(Reply(answer))
    else:
        assert numbers(2, 1)(Reply(answer))[0] == value


# ------------------------------------------------------------------------------------------------ documents


def shown_and_scored(index, seed, n, by):
    words = sl.words.explain(index, [1, 2, 3, 4], by=by, seed=seed, n=n)
    found = sl.words.score(words, literal, ways=("detection", "fuzzing", "simulation"), n=n, progress=False)
    shown = {d for e in words.items.values() for d in e.documents}
    return shown, set(found.documents)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return make_planted(tmp_path_factory.mktemp("planted") / "i")


@given(st.integers(0, 10_000), st.integers(2, 40), st.sampled_from(["tokens", "llm"]))
@settings(max_examples=25, deadline=None)
def test_no_document_that_was_shown_is_scored(kept, seed, n, by):
    prompts = []

    def explainer(messages):
        prompts.append(messages[-1]["content"])
        return "EXPLANATION: x"

    shown, scored = shown_and_scored(kept, seed, n, "tokens" if by == "tokens" else explainer)
    assert shown
    assert scored
    assert not shown & scored
    # what was really in the prompts is of train documents alone
    texts = Texts(kept, seed)
    train = "\n".join(kept.vocab.decode(kept.rows.ids[a:b]) for a, b, d in zip(
        kept.rows.offsets, kept.rows.offsets[1:], kept.rows.doc, strict=False) if d in texts.documents(TRAIN))  # fmt: skip
    for prompt in prompts:
        for line in prompt.splitlines():
            text = json.loads(line.split(": ", 1)[1].rsplit(" [", 1)[0])
            if text.isascii() and "\\x" not in text:  # halves of characters join to others where text is cut
                assert text.replace("<<", "").replace(">>", "") in train


def test_D62_copies_of_what_was_shown_are_not_scored(tmp_path):
    from tests.index.makers import rows_of, write

    rng = np.random.default_rng(0)
    texts = [[0, *rng.integers(1, 14, 30).tolist()] for _ in range(40)] * 3
    rows = rows_of(texts)
    index = write(tmp_path / "i", rows, ((rows.ids == 3)[:, None] * np.ones(5)).astype(np.float32))
    shown, scored = shown_and_scored(index, 0, 20, "tokens")
    assert shown
    assert scored <= set(range(40)), "of copies the first is named, so that they are one document"
    assert not {d % 40 for d in shown} & scored


def test_few_documents_are_refused(tmp_path):
    from tests.index.makers import rows_of, write

    index = write(tmp_path / "i", rows_of([[0, 1, i] for i in range(2, 9)] * 2), np.ones((42, 2), np.float32))
    with pytest.raises(SaelabError, match="at least 8 different ones are needed, the index has 7"):
        sl.words.explain(index, [0], by="tokens")


def test_passages_are_what_they_are_called(planted):
    texts, rng = Texts(planted, 0), np.random.default_rng(0)
    fires, quiet = texts.firing(1, TEST, 20, rng), texts.silent(1, TEST, 20, rng)
    assert len(fires) == len(quiet) == 20
    assert [p.kind for p in quiet].count("hard") == 10
    for p in fires:
        assert texts.activations(1, p)[p.token - p.low] > 0
    for p in quiet:
        assert not texts.activations(1, p).any()
        assert p.kind == "random" or planted.rows.ids[p.token] == 3  # " ran", on which it fires behind " fox"
    both = [*fires, *quiet]
    assert len({texts.text(p) for p in both}) == 40, "no text twice"
    assert {p.document for p in both} <= set(texts.documents(TEST))
    assert not any("<bos>" in texts.text(p) for p in both)
    marked = texts.fuzzed(1, fires, quiet, rng)
    assert [p.kind for p in marked].count("fires") == 20
    for p in marked:
        on = set((np.flatnonzero(texts.activations(1, p)) + p.low).tolist())
        assert set(p.marked) == on if p.kind == "fires" else not set(p.marked) & on
        plain = texts.text(p._replace(marked=())).replace("<<", "‹‹").replace(">>", "››")
        assert texts.text(p).replace("<<", "").replace(">>", "") == plain
        assert texts.text(p).count("<<") == texts.text(p).count(">>") > 0


# ------------------------------------------------------------------------------- known explanations, known judges


def test_a_right_explanation_is_scored_1_and_a_constant_answer_half(planted):
    right = sl.words.explain(planted, {1: " fox ran", 2: "<b>"}, source="oracle")
    found = sl.words.score(right, literal, progress=False)
    assert found.frame["value"].tolist() == [1.0, 1.0]
    assert found.frame["low"].isna().all(), "no interval where nothing is wrong"
    for constant in ("[1, 1, 1, 1, 1]", "[0, 0, 0, 0, 0]", "", "I cannot.", "[0.5, 0.5, 0.5, 0.5, 0.5]"):
        found = sl.words.score(right, lambda messages, said=constant: said, progress=False)
        assert found.frame["value"].tolist() == [0.5, 0.5], constant
        assert (found.frame["failed"] == (0 if "[" in constant else found.frame["n"])).all()
    assert found.frame["auroc"].tolist() == [0.5, 0.5], "numbers between 0 and 1 are probabilities"


def test_the_oracle_a_near_miss_a_shuffled_and_an_empty_explanation(zoo):
    index, truth, reader = zoo
    near = {
        i: next(c for c in sl.zoo.CONCEPTS if c != t and c.split(".")[:-1] == t.split(".")[:-1])
        for i, t in truth.items()
    }
    llm = sl.words.LLM(reader)
    assert "not checked" in sl.words.score(sl.words.explain(index, truth), llm, progress=False).judge
    found = sl.words.check_judge(index, truth, llm, near=near, progress=False)
    line = found.summary.set_index("source")
    assert line["value"]["oracle"] >= 0.95
    assert line["low"]["shuffled"] <= 0.5 <= line["high"]["shuffled"]
    assert line["value"]["empty"] == 0.5
    assert line["value"]["shuffled"] < line["value"]["near miss"] < line["value"]["oracle"]
    apart = line["value"]["oracle"] - line["value"]["shuffled"]
    assert llm.apart == {"detection": apart}
    assert (found.frame["apart"] == apart).all()
    again = sl.words.score(sl.words.explain(index, truth), llm, progress=False)
    assert again.frame["apart"].tolist() == [apart] * len(truth)
    assert f"by {min(apart, 0.5):.2f} of 0.5" in repr(again)


def test_how_good_a_judge_is_belongs_to_the_way_it_was_checked_in(planted):
    def judge(messages):
        text = messages[-1]["content"]
        if "Tokens: " not in text:
            return "[1, 1, 1, 1, 1]"
        said, tokens = (json.loads(text.split(f"{k}: ")[1].split("\n")[0]) for k in ("Description", "Tokens"))
        return json.dumps([10 * int(bool(said) and said.strip() in t) for t in tokens])

    llm, truth = sl.words.LLM(judge), {1: " ran", 2: "<b>", 4: "$"}
    checked = sl.words.check_judge(planted, truth, llm, ways=("simulation",), progress=False)
    assert (
        checked.judge
        == f"judge, which tells right from wrong explanations by {llm.apart['simulation']:.2f} of 1"
    )
    found = sl.words.score(
        sl.words.explain(planted, truth), llm, ways=("detection", "simulation"), progress=False
    )
    assert found.frame.groupby("way")["apart"].count().to_dict() == {"detection": 0, "simulation": 3}
    assert (
        found.judge == f"detection: judge, not checked as a judge of detection; simulation: {checked.judge}"
    )
    found.label()
    assert planted.notes.source(1).endswith("not checked as a judge of detection")


def test_refusals_and_broken_answers_are_counted_and_nothing_is_dropped(planted):
    turn = iter(range(10**6))

    def judge(messages):
        kind = next(turn) % 4
        return ["I cannot help with that.", "[1, 0", "", literal(messages)][kind]

    llm = sl.words.LLM(judge)
    words = sl.words.explain(planted, {1: " fox ran", 2: "<b>", 4: "$"})
    found = sl.words.score(words, llm, progress=False)
    assert found.summary["n"].item() == 120
    assert found.summary["failed"].item() == 90
    assert llm.cost["calls"] == found.summary["calls"].item() == 24
    assert llm.cost["failed"] == 18
    assert found.summary["value"].item() == (0.75 * 0.5 + 0.25)


def test_a_latent_that_never_fires_has_a_line(planted):
    words = sl.words.explain(planted, [3, 2], by="tokens")
    assert words.frame["failed"].tolist() == ["it never fires in the train documents", ""]
    found = sl.words.score(words, literal, ways=("detection", "fuzzing", "simulation"), progress=False)
    lines = found.frame[found.frame["latent"] == 3]
    assert lines["n"].tolist() == [0, 0, 0]
    assert lines["value"].isna().all()
    assert found.summary["unexplained"].tolist() == [1, 1, 1]
    found.label()
    assert planted.labels()["latent"].tolist() == [2]


def test_fuzzing_and_simulation_of_a_judge_that_reads(planted):
    def fits(words, text):
        return int(f"<<{words}>>" in text)

    words = sl.words.explain(planted, {2: "<b>"})
    fuzzed = sl.words.score(words, judge_of(fits), ways=["fuzzing"], progress=False).frame
    assert fuzzed["value"].item() == 1.0

    def simulate(messages):
        text = messages[-1]["content"]
        tokens = json.loads(text.split("Tokens: ")[1].split("\nAnswer")[0])
        return str([10 * (t == "<b>") for t in tokens])

    found = sl.words.score(words, simulate, ways=["simulation"], progress=False).frame
    assert found["value"].item() == pytest.approx(1.0)
    assert found["r2"].item() == pytest.approx(1.0)
    silent = sl.words.score(words, lambda messages: "no", ways=["simulation"], progress=False).frame
    assert silent["failed"].item() == silent["n"].item() > 0
    assert math.isnan(silent["value"].item())
    assert silent["r2"].item() < 0


def test_wrong_calls_are_refused_before_work(planted, tmp_path):
    words = sl.words.explain(planted, [1], by="tokens")
    ask = lambda messages: pytest.fail("a call was made")  # noqa: E731
    for call, said in (
        (lambda: sl.words.explain(planted, [9], by=ask), "out of range"),
        (lambda: sl.words.explain(planted, [1], by="n3g"), "Did you mean 'n2g'"),
        (lambda: sl.words.explain(planted, {1: 3}), "text, got 3"),
        (lambda: sl.words.explain(planted, [1], by="n2g", graphs={}), "graph of latent 1"),
        (lambda: sl.words.explain(planted, [1], by=ask, prompts=tmp_path), "copy_prompts"),
        (lambda: sl.words.score(words, ask, ways=["detect"]), "Did you mean 'detection'"),
        (lambda: sl.words.score([words, words], ask), "each of another source"),
        (lambda: sl.words.score([], ask), "what explain gives"),
        (lambda: sl.words.score(words, ask, n=1), "n must be at least 2"),
        (lambda: sl.words.check_judge(planted, {1: "a", 2: "a"}, ask), "two different texts"),
        (lambda: sl.words.check_judge(planted, {1: "a", 2: "b"}, ask, near={1: "c"}), "lacks 2"),
    ):
        with pytest.raises(SaelabError, match=said):
            call()


# ------------------------------------------------------------------------------------------- graphs, cost, texts


def test_a_graph_is_read_out_scored_by_itself_and_its_cost_is_told(zoo):
    index, truth, reader = zoo
    latents = [i for i, c in truth.items() if c in ("dna.poly_a", "json.key")]
    graphs = sl.n2g.fit(index, latents, config=sl.n2g.N2GConfig.fast(), progress=False)
    words = [sl.words.explain(index, latents, graphs=graphs), sl.words.explain(index, latents, by="tokens")]
    words.append(sl.words.explain(index, {i: truth[i] for i in latents}, source="oracle"))
    found = sl.words.score(words, reader, progress=False)
    line = found.summary.set_index(["source", "way"])
    graph = line.loc["n2g", "graph"]
    assert graph["value"] > 0.8
    assert graph["calls"] == 0
    assert graph["tokens_a_latent"] == np.mean([g.fit_info["probe_tokens"] for g in graphs.values()])
    test = [g.score(split="test") for g in graphs.values()]
    assert graph["graph_f1"] == np.mean([s.f1 for s in test])
    assert line.loc["tokens", "detection"]["tokens_a_latent"] == 0
    assert {t.name for t in found.plot().data} == {"n2g", "n2g, by itself", "tokens", "oracle"}
    other = sl.n2g.fit(index, latents[:1], config=sl.n2g.N2GConfig.fast(seed=1), progress=False)
    with pytest.raises(SaelabError, match="fitted with seed 0"):
        sl.words.explain(index, latents[:1], graphs=other)


def test_words_of_a_graph():
    g = sl.n2g.PatternGraph(labels={1: "\n", 2: " <b>", 3: "x", 4: "y"})
    g.add_path(["^", [1, 2], "*", "*", {"gap": [1, 3]}, {"not": [3]}, 4], value=3.0)
    g.add_path([3], value=1.0)
    g.add_path([1, 3], value=0.0)
    assert sl.words.of_graph(g) == (
        'on "y" after the start of the text, "\\n" or " <b>", any 2 tokens, 1 to 3 tokens, anything but "x"; on "x"; '
        'but not on "x" after "\\n"'
    )
    assert sl.words.of_graph(sl.n2g.PatternGraph()) == ""


def test_words_of_tokens(planted):
    words = sl.words.explain(planted, [2, 4], by="tokens")
    assert words[2].startswith('on "<b>" (100%), as in "')
    assert words[4].startswith('on "$" (100%)')


def test_words_of_tokens_keep_bytes_and_right_to_left_letters_apart():
    graph = sl.n2g.PatternGraph(labels={1: "\\xaa", 2: "לא"})
    graph.add_path([1, 2], value=2.0)
    assert sl.words.of_graph(graph) == 'on \u2068"לא"\u2069 after "\\xaa"'


def test_what_an_explainer_is_shown(planted):
    seen = []

    def explainer(messages):
        seen.append(messages[-1]["content"])
        return "Let me see.\nEXPLANATION: a <b>tag</b>\x00\u202e\n and more"

    words = sl.words.explain(planted, [4], by=explainer, n=6, source="me")
    assert words[4] == "a <b>tag</b> and more", "one line without controls"
    lines = seen[0].splitlines()
    assert len(lines) == 6
    for line in lines:
        text, strengths = line.split(": ", 1)[1].rsplit(" [", 1)
        marked = json.loads(text).count("<<$>>")
        assert marked == len(strengths.split(","))
        assert set(strengths.strip("]").split(", ")) <= {"10", "4"}  # 3 and 1 of 3, rounded up
    assert asked([{"content": f'Description: "d"\n{lines[0].rsplit(" [", 1)[0]}'}])[1]


@pytest.mark.parametrize(
    "answer", ["I cannot help with that.", "", "EXPLANATION:", "explanation - x", "EXPLANATION: \u202e\x07"]
)
def test_an_explanation_that_failed_is_kept_as_failed(planted, answer):
    words = sl.words.explain(planted, [1], by=lambda messages: answer)
    assert words[1] == ""
    assert "no explanation in the answer" in words.items[1].failed
    assert sl.words.score(words, literal, progress=False).summary["unexplained"].item() == 1


def test_texts_that_are_given_are_not_explained(planted):
    with pytest.raises(SaelabError, match="bring their texts"):
        sl.words.explain(planted, {1: "x"}, by=lambda messages: "EXPLANATION: y")
