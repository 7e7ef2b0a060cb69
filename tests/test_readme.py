"""README claims what tests hold: a comment beside each claim names them."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import saelab as sl
from saelab.formats import FORMATS, WRITABLE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NAMED = sorted(
    {name for comment in re.findall(r"<!-- test:(.*?)-->", README, re.S) for name in comment.split()}
)
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)
# sections in which every row of a table, or every point of a list, claims something
CLAIMING = ("Try it", "What is in it", "Things it does not let you get wrong")


@pytest.mark.parametrize("name", NAMED)
def test_a_test_that_is_named_exists(name):
    path, _, function = name.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def sections() -> dict[str, str]:
    """Heading -> what stands under it, up to the next one of any level."""
    parts = re.split(r"^#+ (.+)\n", README, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("section", CLAIMING)
def test_every_claim_names_a_test(section):
    lines = sections()[section].splitlines()
    claims = [line for line in lines if re.match(r"- |\| (?!to \| call|where \| one job)[^-]", line)]
    assert len(claims) > 5
    assert not [line for line in claims if "<!-- test:" not in line]


@pytest.mark.parametrize("section", ["The course", "The zoo", "Large", "Published SAEs"])
def test_a_section_that_claims_something_names_tests(section):
    assert "<!-- test:" in sections()[section]


@pytest.mark.parametrize("block", BLOCKS)
def test_its_calls_fit_the_functions(block):
    """What is called on ``sl`` or on an SAE, model or index is there, and takes these keywords."""
    objects = {"sae": sl.SAE, "index": sl.LatentIndex}
    calls = 0
    for call in [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]:
        way = ast.unparse(call.func).split(".")
        if way[0] not in ("sl", *objects):
            continue
        function = sl if way[0] == "sl" else objects[way[0]]
        for part in way[1:]:
            function = getattr(function, part)
        own = [None] if way[0] in objects else []  # self
        keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(function).bind(*own, *[None] * len(call.args), **keywords)
        calls += 1
    assert calls


def test_every_name_it_shows_is_there():
    for way in set(re.findall(r"\bsl\.(\w+(?:\.\w+)*)", README)):
        value = sl
        for part in way.split("."):
            value = getattr(value, part)
    for way in set(re.findall(r"`saelab\.(\w+)`", README)):
        assert (ROOT / "saelab" / way).is_dir() or (ROOT / "saelab" / f"{way}.py").is_file()
    for method in set(re.findall(r"`index\.(\w+)\(", README)):
        assert hasattr(sl.LatentIndex, method)


def test_the_course_is_listed():
    listed = re.findall(r"^\| `(\d\d_\w+)` \|", README, re.M)
    assert listed == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_formats_are_counted():
    words = {4: "four", 5: "five", 6: "six", 17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty"}
    assert f"{words[len(FORMATS) - 1]} formats read, {words[len(WRITABLE)]} written" in README


def test_the_size_of_the_zoo():
    cfg, sae = sl.load_model("zoo").cfg, sl.load_sae("zoo").config
    assert (cfg.n_layers, cfg.d_mlp, sae.d_sae, sae.hook_in) == (1, 512, 4096, "blocks.0.mlp.hook_post")
    assert "A one-layer, 512-neuron model of GPT-2's shape with a 4,096-latent SAE on its neurons" in README
