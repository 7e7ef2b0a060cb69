"""A graph as a notebook shows it."""

from saelab.n2g import PatternGraph

HOSTILE = {1: "<script>alert(1)</script>", 2: " שלום", 3: "$x$", 4: "\n", 5: "\\xe4"}


def graph():
    g = PatternGraph(labels=HOSTILE)
    g.add_path([1, 2, "*", 3], value=2.5)
    g.add_path([4, 5], value=1.0)
    return g


def test_a_graph_shows_its_patterns_and_is_inert():
    page = graph()._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "$x$" not in page
    assert "<bdi" in page
    assert "2.5" in page
    assert "↵" in page
    assert "2 patterns" in page
    assert '<div style="overflow-x:auto"><table>' in page
    assert "¬ any but these" in page
    assert "\\x9c</bdi> a byte of a letter" in page


def test_the_token_it_fires_on_is_the_last_and_bold():
    lines = graph()._repr_html_().split("<tr>")[2:]
    assert all(line.count("font-weight:bold") == 1 for line in lines)
    assert all(line.index("→") < line.index("font-weight:bold") for line in lines)


def test_alternatives_exclusions_and_long_lists_are_cut():
    g = PatternGraph(labels={i: f"t{i}" for i in range(40)})
    for i in range(20):
        g.add_path([i, 39], value=float(i + 1))
    page = g._repr_html_()
    assert "and 8 more" in page
    assert page.count("<tr>") == 13
    g = PatternGraph(labels={i: f"t{i}" for i in range(40)})
    g.add_path([1, 2], value=1.0)
    g.add_alternative(g.nodes()[0]["id"], list(range(3, 20)))
    assert "+10" in g._repr_html_()


def test_many_wildcards_are_counted():
    g = PatternGraph(labels={1: "a", 2: "b"})
    g.add_path([1, *"*" * 15, 2], value=1.0)
    assert "* × 15 →" in g._repr_html_()
    assert ' dir="ltr">\\xe4<' in graph()._repr_html_()


def test_an_empty_graph_says_why():
    page = PatternGraph(reason="the latent never fires & stays silent")._repr_html_()
    assert "never fires &amp; stays silent" in page
    assert ".edit()" not in page


def test_L03_alternatives_share_a_box_and_a_sequence_has_one_for_each_position():
    g = PatternGraph(labels={1: ")", 2: " The", 3: " B"})
    g.add_path([1, 2, 3], value=1.0)
    apart = g._repr_html_()
    g = PatternGraph(labels={1: ")", 2: " The", 3: " B"})
    g.add_path([[1, 2], 3], value=1.0)
    together = g._repr_html_()
    assert [page.count("border:1px solid") for page in (apart, together)] == [3, 2]
    assert [page.count(" | ") for page in (apart, together)] == [0, 1]
    assert ">·The<" in together  # L25: the sign of a space that the widgets have
