"""The README's two pictures, made from the widgets' saved pages of the bundled zoo; look at both before you commit them.

usage: python tests/browser/readme_pictures.py [FOLDER]          (default: notebooks/images)

``widgets.png`` shows a dashboard, a heatmap, a graph and a steered text; ``search.png`` is animated (APNG): a word is
typed into the search of an exported page, and another latent is opened.
"""

from __future__ import annotations

import base64
import struct
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import saelab as sl  # noqa: E402

MOST = 2_000_000  # bytes of the animated picture
CONCEPTS = ("http.header_name", "dna", "recipe", "nutrition.unit", "legal", "hebrew", "python", "http")
PAGE = """<body style="margin:0;padding:16px;background:#e9edf2;display:grid;gap:16px;grid-template-columns:780px 780px;
align-items:start;width:1576px"><div style="display:grid;gap:16px">{}{}</div><div style="display:grid;gap:16px">{}{}</div>
<style>img{{width:100%;border-radius:8px;display:block;padding:12px;box-sizing:border-box}}</style></body>"""


def save_pages(folder: Path) -> str:
    """Write a page for each widget; returns the word to search for."""
    model, sae = sl.load_model("zoo"), sl.zoo.load_sae()
    rows, labels = sl.zoo.labelled_rows(model, 900, seed=3)
    index = sl.LatentIndex.build(model, sae, rows, path=folder / "index", progress=False)
    found = index.concepts(labels)
    best = {c: int(found[found.concept == c].latent.iloc[0]) for c in CONCEPTS}
    index.set_label({latent: name for name, latent in best.items()})
    dna, header = best["dna"], best["http.header_name"]
    texts = [next(sl.zoo.texts(1, seed=9, genres=[g]))[:260] for g in ("dna", "http")]
    graph = sl.n2g.fit(index, [header], progress=False)[header]
    panel = sl.steering_panel(index, edits={dna: 12.0}, prompt="The", max_new_tokens=60)
    panel.run(wait=True)
    widgets = {
        "dashboard": index.dashboard(dna),
        "heatmap": sl.heatmap(model, sae, texts, [dna, header], index=index, selected_token=9),
        "n2g": graph.edit(),
        "steering": panel,
    }
    for name, widget in widgets.items():
        widget.export_html(folder / f"{name}.html")
    likely = index.search("Accept", n=5).latent.tolist()
    shown = list(dict.fromkeys([*best.values(), *(int(i) for i in likely)]))
    index.export_html(folder / "search.html", latents=shown, title="Latents of the zoo")
    return "Accept"


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """(type, data) of each chunk of a PNG."""
    out, at = [], 8
    while at < len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        out.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += size + 12
    return out


def animated(frames: list[tuple[bytes, int]]) -> bytes:
    """One APNG of PNGs of the same size, each shown for so many milliseconds; it repeats for ever."""
    parts = [chunks(png) for png, _ in frames]
    header = parts[0][0]
    assert all(p[0] == header for p in parts), "frames differ in size or colour type"
    width, height = struct.unpack(">II", header[1][:8])
    out, number = [header, (b"acTL", struct.pack(">II", len(frames), 0))], 0
    for i, (found, (_, milliseconds)) in enumerate(zip(parts, frames, strict=True)):
        out.append(
            (b"fcTL", struct.pack(">IIIIIHHBB", number, width, height, 0, 0, milliseconds, 1000, 0, 0))
        )
        number += 1
        for data in (data for kind, data in found if kind == b"IDAT"):
            out.append((b"fdAT", struct.pack(">I", number) + data) if i else (b"IDAT", data))
            number += i > 0
    out.append((b"IEND", b""))
    lines = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in out)
    return b"\x89PNG\r\n\x1a\n" + b"".join(lines)


def still(browser, folder: Path) -> bytes:
    """The four widgets beside each other."""
    images = []
    for name, wait in (
        ("dashboard", ".sl-example"), ("heatmap", ".sl-tok"), ("n2g", ".sl-node"), ("steering", ".sl-differs"),
    ):  # fmt: skip
        dark = "dark" if name == "heatmap" else "light"
        page = browser.new_page(
            viewport={"width": 860 if name == "heatmap" else 1080, "height": 700},
            color_scheme=dark,
            device_scale_factor=1.5,
        )
        page.goto((folder / f"{name}.html").as_uri())
        page.locator(wait).first.wait_for()
        png = page.locator(".saelab").first.screenshot()
        back = "#15191e" if dark == "dark" else "#fff"
        images.append(
            f'<img style="background:{back}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
        )
        page.close()
    page = browser.new_page(viewport={"width": 1576, "height": 900})
    page.set_content(PAGE.format(*images))
    return page.locator("body").screenshot()


def moving(browser, folder: Path, word: str) -> list[tuple[bytes, int]]:
    """Frames: the word is typed, the second latent that was found is opened."""
    page = browser.new_page(viewport={"width": 1000, "height": 640}, color_scheme="light")
    page.goto((folder / "search.html").as_uri())
    page.locator(".sl-example").first.wait_for()
    frames = [(page.screenshot(), 1200)]
    box = page.locator(".sl-query")
    box.click()
    for letter in word:
        box.press_sequentially(letter)
        page.wait_for_timeout(250)  # for the eye alone: the search has answered
        frames.append((page.screenshot(), 180))
    rows = page.locator(".saelab-table .sl-tall > .sl-row:not([hidden])")
    for i in range(min(3, rows.count())):
        rows.nth(i).click()
        page.wait_for_timeout(400)
        page.locator(".saelab-dashboard").scroll_into_view_if_needed()
        frames.append((page.screenshot(), 1600))
    return frames


def main(out: Path) -> None:
    """Write both pictures."""
    from lab import CHROMIUM
    from playwright.sync_api import sync_playwright

    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as p:
        word = save_pages(folder := Path(name))
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        (out / "widgets.png").write_bytes(still(browser, folder))
        picture = animated(moving(browser, folder, word))
        browser.close()
    assert len(picture) <= MOST, f"the animated picture has {len(picture):,} bytes, {MOST:,} are allowed"
    (out / "search.png").write_bytes(picture)
    print(f"look at {out / 'widgets.png'} and {out / 'search.png'} ({len(picture):,} bytes)")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parents[1] / "notebooks" / "images")
