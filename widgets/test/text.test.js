import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { browser, HOSTILE } from "./fake.js";

browser();
const { chip, direction, labelOf, shade, tokens } = await import("../text.js");
const { column, floats, show } = await import("../dom.js");
const { logHeight } = await import("../chart.js");
const { requestKey } = await import("../standalone.js");

test("no source puts a string into the page as markup", () => {
  const banned = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function/;
  const sources = readdirSync(new URL("..", import.meta.url)).filter((f) => f.endsWith(".js"));
  assert.ok(sources.length > 8);
  for (const f of sources) assert.doesNotMatch(readFileSync(new URL(`../${f}`, import.meta.url), "utf8"), banned, f);
});

test("no source or style asks for anything on the network", () => {
  for (const f of readdirSync(new URL("..", import.meta.url)).filter((n) => /\.(js|css)$/.test(n))) {
    const text = readFileSync(new URL(`../${f}`, import.meta.url), "utf8").replaceAll("http://www.w3.org/2000/svg", "");
    assert.doesNotMatch(text, /https?:\/\/|@import url|fetch\(/, f);
  }
});

test("every rule of a widget's style begins with a class of ours", () => {
  for (const f of ["base", "heatmap", "dashboard", "table", "map", "n2g_editor", "steering"]) {
    const css = readFileSync(new URL(`../${f}.css`, import.meta.url), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    for (const [, selectors] of css.matchAll(/(?:^|[{}])\s*([^{}@;]+)\{/g)) {
      if (/^(\d+%|from|to)\s*$/.test(selectors.trim())) continue;
      for (const s of selectors.split(",")) assert.match(s.trim(), /^(\[data-[^\]]+\] |\.dark )?\.saelab/, `${f}: ${s}`);
    }
  }
});

test("hostile tokens stay text, one element each", () => {
  const spans = tokens({ ids: HOSTILE.map((_, i) => i), text: HOSTILE }, HOSTILE.map(() => 1), { high: 1 });
  assert.deepEqual(spans.map((s) => s.textContent), HOSTILE);
  for (const s of spans) assert.equal(s.querySelector("img, b, script"), null);
});

test("a group of tokens is one element with the shade of its strongest token", () => {
  const text = { ids: [1, 2, 3, 4], text: ["🙂", "a"], size: [3, 1], labels: { 0: "\\xf0", 1: "\\x9f", 2: "\\x99\\x82" } };
  const spans = tokens(text, [0, 4, 0, 2], { high: 4 });
  assert.deepEqual(spans.map((s) => [s.dataset.start, s.dataset.stop, s.style.getPropertyValue("--a")]), [["0", "3", "1.000"], ["3", "4", "0.535"]]);
  assert.deepEqual([0, 1, 2, 3].map((i) => labelOf(text, i)), ["\\xf0", "\\x9f", "\\x99\\x82", "a"]);
});

test("shade: silent is nothing, weak is something, above the top is full", () => {
  assert.deepEqual([-1, 0, 5, 20].map((v) => shade(v, 0, 10)), [0, 0, 0.535, 1]);
  assert.ok(shade(1e-9, 0, 10) > 0.05);
  assert.equal(shade(3, 2, 2), 1); // a zero-width scale draws, and divides by nothing
  assert.equal(shade(NaN, 0, 1), 0);
});

test("special tokens are marked, and only they", () => {
  const spans = tokens({ ids: [0, 1], text: ["<bos>", "a"], special: [0] }, [0, 0], { high: 1 });
  assert.deepEqual(spans.map((s) => s.classList.contains("sl-special")), [true, false]);
});

test("a text runs the way it begins, special tokens and bytes aside", () => {
  assert.equal(direction("<|bos|> שלום עולם"), "rtl");
  assert.equal(direction("\\xd7 שלום a"), "rtl");
  assert.equal(direction("The old man said: שלום שלום שלום"), "ltr");
  assert.equal(direction({ ids: [0, 1], text: ["<start>", "שלום"], special: [0] }), "rtl");
  assert.equal(direction("123 …"), "ltr");
});

test("no script draws a special token or an escaped byte backwards", () => {
  const spans = tokens({ ids: [0, 1], text: ["<|bos|>", "א\\xd7\\x9b"], special: [0] }, [], { high: 1 });
  assert.equal(spans[0].outerHTML.startsWith('<bdi class="sl-tok sl-special"'), true);
  assert.equal(spans[0].getAttribute("dir"), "ltr");
  assert.equal(spans[1].innerHTML, 'א<bdi dir="ltr">\\xd7\\x9b</bdi>');
});

test("white space is marked without changing the text", () => {
  const node = chip(" a\n\tb");
  assert.equal(node.textContent, " a\n\tb");
  assert.deepEqual([...node.querySelectorAll(".sl-ws")].map((n) => n.dataset.mark), ["·", "↵", "⇥"]);
});

test("numbers for the eye", () => {
  assert.deepEqual([0, 1.23456, -2.5, 12345.6, 0.00012345, 1234567.8, 7, null, NaN].map((v) => show(v)),
    ["0", "1.23", "−2.5", "12,346", "1.23e-4", "1.23e6", "7", "–", "–"]);
  assert.deepEqual([0, 3.5, -0.5, 12.345, 123.4, 0.0625].map(column), ["0.000", "3.50", "−0.500", "12.3", "123", "0.063"]);
});

test("floats at an odd offset", () => {
  const view = new DataView(new ArrayBuffer(9), 1);
  view.setFloat32(0, 1.5, true);
  view.setFloat32(4, -2, true);
  assert.deepEqual([...floats(view)], [1.5, -2]);
  assert.equal(floats(undefined).length, 0);
});

test("one firing is visible beside ten thousand", () => {
  assert.equal(logHeight(0, 1e4), 0);
  assert.ok(logHeight(1, 1e4) > 0.05);
  assert.equal(logHeight(1e4, 1e4), 1);
});

test("requests have one name whatever the order of their parameters", () => {
  assert.equal(requestKey("open", { b: 1, a: "x" }), 'open {"a":"x","b":1}');
});
