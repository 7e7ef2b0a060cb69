"""Small library objects that the browser tests show, in a folder, so that a kernel opens them at once."""

from __future__ import annotations

from pathlib import Path

HOSTILE = [
    "<img src=x onerror='window.__hit=1'>", "</script><script>window.__hit=2</script>", "\u2028", " $",
    "x", "$ ",
    "\\(y\\)", "<b>bold</b>", "&amp;", '"', "'", "\n", "\t", "`",
]  # fmt: skip
TEXTS = [
    "The red fox ran over the hill and the ant sat on a log.",
    "def add(a, b):\n    return a + b\n",
    "Host: example.com\nAccept: text/html\n",
    "日本語のテキスト、🙂 é и русский язык",
    "12 + 34 = 46; 7 * 8 = 56",
    "<img src=x onerror='window.__hit=3'></script> $x$",
]


def make(folder: Path) -> dict[str, int | str]:
    """An index and a graph of a tiny random model; returns the latent they are about and where they are."""
    import numpy as np
    from helpers import random_sae, tiny_model

    import saelab as sl

    model, sae = tiny_model(), random_sae(k=6)
    index = sl.LatentIndex.build(model, sae, TEXTS * 6, path=folder / "index", progress=False)
    latent = int(index.counts.argmax())
    graph = sl.n2g.PatternGraph(
        target={"latent": latent},
        labels={i: index.vocab.label(i) for i in range(len(index.vocab))},
    )
    first, second = (int(i) for i in index.rows[0][1:3])
    silent = np.asarray(index.counted) & ~np.isin(np.arange(index.n_tokens), index.postings(latent).token)
    silent[np.add.outer(index.rows.offsets[:-1], [0, 1, 2]).ravel()] = False  # with tokens before it
    wrong = int(np.bincount(np.asarray(index.rows.ids)[silent]).argmax())  # patterns on it give false alarms
    for items, value in (
        ([first, second], 2.0),
        ([second, "*", first], 1.0),
        ([sorted({first, second, wrong, 40, 41, 42, 43, 44})], 0.5),
    ):
        graph.add_path(items, value=value)
    graph._done.clear()  # as if it had been fitted
    graph.save(folder / "graph.json")
    sae.save(folder / "sae")
    return {"latent": latent, "index": str(folder / "index"), "graph": str(folder / "graph.json")}


def widgets(things: dict[str, int | str]) -> dict[str, object]:
    """One of each widget on those objects, by name."""
    from helpers import random_sae, tiny_model

    import saelab as sl

    model, sae = tiny_model(), random_sae(k=6)
    index = sl.LatentIndex.open(things["index"], model=model, sae=sae)
    latent = int(things["latent"])
    others = [i for i in range(index.d_sae) if index.counts[i] and i != latent][:40]
    groups = {i: ("red", "blue")[k % 2] for k, i in enumerate(others)}
    panel = sl.steering_panel(
        index, edits={latent: 2.0}, prompt="Hello there", temperature=0.7, seed=3, max_new_tokens=6
    )
    panel.run(wait=True)
    pair = [latent, others[0]]
    return {
        "heatmap": sl.heatmap(model, sae, TEXTS[:3], pair, index=index),
        "together": sl.heatmap(model, sae, TEXTS[:3], pair, index=index, together=True),
        "dashboard": index.dashboard(latent), "table": index.table(latent, density=(0.0, 0.9)),
        "compare": sl.match(index, index, by="activation").compare(latent),
        "map": index.map(latent, method="neighbors", groups=groups),
        "n2g_editor": sl.n2g.PatternGraph.load(things["graph"]).edit(), "steering": panel,
        "effect_map": sl.effect_map(model, sae, TEXTS[0], latent),
        "training_monitor": sl.training_monitor([sl.load_sae("zoo"), sl.load_sae("zoo")]),
    }  # fmt: skip
