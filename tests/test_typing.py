"""A type checker sees in a user's script what is wrong, and nothing else."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("pyright", reason="pyright comes with the dev extra")

SCRIPT = """
import saelab as sl

model = sl.load_model("zoo")
texts = ["The red fox", "GET / HTTP/1.1"]
sae = sl.train(model, texts, hook="blocks.0.mlp.hook_post", d_sae=64, k=4, tokens="1k")
index = sl.LatentIndex.build(model, sae, texts)
print(index.top(3), sl.evaluate(model, sae, texts))
sl.heatmap(model, sae, "some text", latents=[3])
graph = sl.n2g.fit(index, [3])[3]
with sl.steer(model, sae, {3: 8.0}):
    print(model.generate("The"))
sl.train(model, texts, hook="blocks.0.mlp.hook_post", d_sae=64, kk=3)  # wrong
sl.heatmap(sae, model, "some text")  # wrong
index.top("3")  # wrong
"""


def test_pyright_strict_sees_the_three_mistakes_and_nothing_else(tmp_path):
    script = tmp_path / "user.py"
    script.write_text(SCRIPT)
    (tmp_path / "pyrightconfig.json").write_text(
        json.dumps({"typeCheckingMode": "strict", "include": ["user.py"]})
    )
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)["generalDiagnostics"]
    wrong = {i for i, line in enumerate(SCRIPT.splitlines()) if line.endswith("# wrong")}
    assert {d["range"]["start"]["line"] for d in found if d["severity"] == "error"} == wrong, found
