"""Facts read from pictures: every widget as a saved page and as a saved figure, light and dark, wide and narrow."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lab import use_theme
from things import widgets

import saelab as sl

SVG = "{http://www.w3.org/2000/svg}"
LOOKS = [(dark, width) for dark in (False, True) for width in (1440, 800)]
# what a figure says: that it is of this latent, on this scale, with these settings; {L} is the latent, {H} its maximum
SAYS = {
    "heatmap": [r"latent.*{L}", r"\b0\b", "{H}"],
    "together": [r"{L}", r"0 – {H}"],
    "compare": [r"Latent.*{L}", "Both fire", "false-discovery rate", "{H}"],
    "dashboard": [r"Latent.*{L}", "Top", "strongest first", "{H}", "Nearest latents by.*encoder"],
    "table": [r"\b{L}\b", "strongest on", "density"],
    "map": ["colour by.*group", r"latent.*{L}", "red", "blue", "near: decoder directions"],
    "n2g_editor": [r"Latent {L}"],
    "steering": [
        r"\b{L}\b",
        r"Prompt:\s+Hello there",
        "all tokens",
        r"temperature.*0\.7",
        r"seed.*3",
        "add to the activation",
    ],
    "effect_map": [r"Latent {L} ablated", "loss difference", r"\+"],
    "training_monitor": ["loss", r"log scale", "tokens seen", "explained variance"],
}
INSTRUCTIONS = re.compile(r"[Cc]lick|[Dd]rag|save SVG|lasso|Space picks|\+ latent")

CONTRAST = """(view) => {
  const rgba = (c) => {
    const p = (c.replace("color(srgb", "").match(/-?[\\d.]+(?:e-?\\d+)?/g) || []).map(Number);
    return [...p.slice(0, 3).map((v) => c.startsWith("color(") ? 255 * v : v), p.length > 3 ? p[3] : p.length ? 1 : 0];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((v, i) => v * a + under[i] * (1 - a));
  const light = (c) => c.map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = [], seen = new Set();
  const walk = document.createTreeWalker(view, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const node = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || seen.has(node) || !node.checkVisibility()) continue;
    if (node.closest("svg, :disabled, option, .sl-tip")) continue;
    seen.add(node);
    const style = getComputedStyle(node);
    if (style.fontSize === "0px") continue;
    const stack = [];
    for (let e = node; e; e = e.parentElement) stack.push(rgba(getComputedStyle(e).backgroundColor));
    const back = stack.reverse().reduce((under, c) => over(c, under), [255, 255, 255]);
    const [a, b] = [light(over(rgba(style.color), back)), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) bad.push([walk.currentNode.data.slice(0, 30), node.className, Number(ratio.toFixed(2))]);
  }
  return bad;
}"""
OUTSIDE = """(view) => {
  const box = view.getBoundingClientRect();
  const out = [...view.querySelectorAll("button, input, select, textarea, h2, h3, svg, canvas")].filter((e) => {
    if (!e.checkVisibility() || e.closest(".sl-tip, .sl-menu, .sl-grid, .sl-stage, .sl-swept")) return false;
    const b = e.getBoundingClientRect();
    return b.width && (b.right > box.right + 1 || b.left < box.left - 1);
  });
  const wide = document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : [];
  return [...out.map((e) => e.outerHTML.slice(0, 80)), ...wide];
}"""
# what explains colors, and what is drawn in them
LEGEND = {
    "heatmap": (".sl-ramp", ".sl-tok.sl-hot"),
    "together": (".sl-latent .sl-dot", ".sl-tok.sl-hot"),
    "dashboard": (".sl-main .sl-ramp", ".sl-example .sl-tok.sl-hot"),
    "compare": (".sl-key .sl-tok.sl-hot", ".sl-example .sl-tok.sl-hot"),
    "n2g_editor": (".sl-sign-shade", ".sl-shade"),
    "steering": (".sl-key .sl-tok", ".sl-texts .sl-tok.sl-differs"),
    "effect_map": (".sl-ramp", ".sl-tok.sl-hot, .sl-tok.sl-less"),
    "training_monitor": (".sl-lines-key i, .sl-now th i", ".sl-chart path.sl-series"),
}
COLORS = """(view, [legend, data]) => {
  const rgb = (c) => (c.match(/(rgba?|color)\\([^)]*\\)/g) || []).map((one) => {
    const p = one.replace("color(srgb", "").match(/-?[\\d.]+(?:e-?\\d+)?/g).map(Number);
    return p[3] === 0 ? "" : p.slice(0, 3).map((v) => Math.round(one.startsWith("color") ? 255 * v : v)).join();
  });
  const of = (e) => {
    const s = getComputedStyle(e), box = e.matches("rect, text");
    if (e.matches(".sl-now i, .sl-lines-key i")) return rgb(s.borderTopColor);
    return e.matches("path") ? rgb(s.stroke) : box ? rgb(s.fill) : [...rgb(s.backgroundImage), ...rgb(s.backgroundColor)];
  };
  const all = (what) => [...new Set([...view.querySelectorAll(what)].flatMap(of))].filter((c) => c);
  return [all(legend), all(data)];
}"""
PIXELS = """(source) => new Promise((done) => {
  const image = new Image();
  image.onload = () => {
    const c = document.createElement("canvas");
    [c.width, c.height] = [image.width, image.height];
    c.getContext("2d").drawImage(image, 0, 0);
    const data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, times = {};
    for (let i = 0; i < data.length; i += 4) {
      const key = `${data[i]},${data[i + 1]},${data[i + 2]}`;
      times[key] = (times[key] || 0) + 1;
    }
    done(times);
  };
  image.src = source;
})"""


@pytest.fixture(scope="module")
def pages(things, tmp_path_factory):
    """name -> saved page; and what stands in for {L} and {H}."""
    made, folder = widgets(things), tmp_path_factory.mktemp("pages")
    latent = int(things["latent"])
    high = {name: made[name].maxima[0] for name in ("heatmap", "together")}
    files = {name: w.export_html(folder / f"{name}.html") for name, w in made.items()}
    return files, high, float(sl.LatentIndex.open(things["index"]).stats()["max"][latent]), latent


def check_view(name: str, view, where: str) -> list[str]:
    """What is drawn can be read, is whole, and has the colors that are explained; returns these."""
    assert view.evaluate(CONTRAST) == [], f"{where}: contrast below 4.5"
    assert view.evaluate(OUTSIDE) == [], f"{where}: cut"
    if name not in LEGEND:
        return []
    explained, drawn = view.evaluate(COLORS, LEGEND[name])
    assert drawn, f"{where}: nothing is drawn in a color"
    far = [c for c in drawn if not any(_near(c, e) for e in explained)]
    assert not far, f"{where}: {far} are drawn, {explained} explained"
    return drawn


def _near(a: str, b: str, most: int = 2) -> bool:
    return all(abs(int(x) - int(y)) <= most for x, y in zip(a.split(","), b.split(","), strict=True))


def figure(shown, kind: str) -> Path:
    """What the menu saves, as a path."""
    shown.locator(".sl-figure summary").first.click()
    with shown.expect_download() as download:
        shown.get_by_role("button", name=f"save {kind}").or_(shown.get_by_text(f"save {kind}")).first.click()
    return Path(download.value.path())


def check_figure(name: str, path: Path, latent: int, high: float, drawn: list[str]) -> None:
    """What the figure says, that no text of it is outside, and that its colors are those of the page."""
    root = ElementTree.parse(path).getroot()
    said = " ".join("".join(t.itertext()) for t in root.iter(f"{SVG}text"))
    for pattern in SAYS[name]:
        wanted = pattern.replace("{L}", str(latent)).replace("{H}", f"{high:.3g}")
        assert re.search(wanted, said), f"{name}: {wanted!r} is not in the figure: {said[:400]}"
    assert not INSTRUCTIONS.search(said), f"{name}: {INSTRUCTIONS.search(said)[0]!r} is in the figure"
    width = float(root.get("width"))
    for text in root.findall(f"{SVG}text"):  # those that nothing clips
        assert 0 <= float(text.get("x")) <= width, f"{name}: {''.join(text.itertext())!r} is outside"
    colors = {e.get(k) for e in root.iter() for k in ("fill", "stroke") if e.get(k)}
    odd = {c for c in colors if not re.match(r"(rgb\(|none|url\(#|#)", c) and name != "n2g_editor"}
    assert not odd, f"{name}: colors that only a browser knows: {odd}"
    if name != "n2g_editor":  # its own way of drawing, with the page's style sheet
        held = [",".join(re.findall(r"\d+", c)[:3]) for c in colors if c.startswith("rgb")]
        held += [",".join(re.findall(r"\d+", e.get("stop-color", ""))[:3]) for e in root.iter(f"{SVG}stop")]
        lost = [c for c in drawn if not any(_near(c, one) for one in held if one)]
        assert not lost, (
            f"{name}: {lost} are in the page and not in the figure, which has {sorted(set(held))}"
        )


@pytest.mark.parametrize("name", SAYS)
def test_L02_pictures_say_what_they_are_of(saved, pages, name):
    files, highs, high, latent = pages
    for dark, width in LOOKS:
        shown = saved(files[name], dark=dark, width=width)
        shown.locator(".saelab").first.wait_for()
        shown.wait_for_function("() => !document.querySelector('.saelab').textContent.includes('loading…')")
        where = f"{name}, {'dark' if dark else 'light'}, {width} px"
        if name == "dashboard":
            shown.get_by_role("tab", name="encoder").click()
        drawn = check_view(name, shown.locator(".saelab").first, where)
        check_figure(name, figure(shown, "SVG"), latent, highs.get(name, high), drawn)
        shown.close()


def test_L25_live_widgets_are_whole_and_can_be_read(notebook, things):
    """As in the pages, in JupyterLab, where themes are the Lab's and columns narrow."""
    here = str(Path(__file__).parent)
    page, _ = notebook(
        f"import sys; sys.path.insert(0, {here!r})\nfrom things import widgets\nmade = widgets({things!r})",
        *(f"made[{name!r}]" for name in SAYS),
    )
    views = page.locator(".jp-OutputArea-output .saelab")
    failed = page.locator(".jp-OutputArea-output pre", has=page.locator(".ansi-red-fg"))
    views.or_(failed).first.wait_for(timeout=600_000)  # all are made first
    assert not failed.count(), failed.first.inner_text()
    for dark, width in LOOKS:
        page.set_viewport_size({"width": width, "height": 850})
        use_theme(page, dark)
        for i, name in enumerate(SAYS):
            view = views.nth(i)
            view.scroll_into_view_if_needed()
            page.wait_for_function("(v) => !v.textContent.includes('loading…')", arg=view.element_handle())
            check_view(name, view, f"live {name}, {'dark' if dark else 'light'}, {width} px")


@pytest.mark.parametrize("dark", [False, True])
def test_L01_a_map_from_disk_has_the_colors_of_its_legend(saved, pages, dark):
    files, *_ = pages
    shown = saved(files["map"], dark=dark)
    shown.locator(".sl-legend .sl-key").first.wait_for()
    colors = shown.locator(".sl-legend .sl-dot").evaluate_all(
        "es => es.map(e => getComputedStyle(e).backgroundColor)"
    )
    assert len(set(colors)) == len(colors) >= 3  # two groups, and those without one
    png = base64.b64encode(figure(shown, "PNG").read_bytes()).decode()
    canvas = shown.locator("canvas").evaluate("c => c.toDataURL()")
    for where, source in (("page", canvas), ("figure", f"data:image/png;base64,{png}")):
        times = shown.evaluate(PIXELS, source)
        for color in colors:
            red, green, blue = (
                round(float(v) * (255 if "srgb" in color else 1)) for v in re.findall(r"[\d.]+", color)[:3]
            )
            near = sum(
                n
                for key, n in times.items()
                if all(
                    abs(a - b) <= 2 for a, b in zip(map(int, key.split(",")), (red, green, blue), strict=True)
                )
            )
            assert near > 20, f"{where}: no point has the color {color} of the legend"
    # a legend filters: one group alone
    shown.locator("button.sl-key").first.click()
    left = shown.evaluate(
        PIXELS,
        shown.locator("canvas").evaluate(
            "c => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => r(c.toDataURL()))))"
        ),
    )
    assert len(left) < len(times)
    # a group is found by its name, and what was chosen is listed with tokens
    shown.locator(".sl-find").fill("blue")
    shown.locator(".sl-find").press("Enter")
    assert shown.locator(".sl-picked .sl-one").count() == 20
