import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, HOSTILE, settle } from "./fake.js";
import { Model } from "../standalone.js";

browser();
const { mount: begin } = await import("../mount.js");
const { promptBox } = await import("../prompt.js");

function box(state) {
  const model = new Model({ latent: 7, prompt: "", tried: {}, cannot_try: "", read_only: false, ...state });
  const opened = [];
  const ui = begin(model, document.createElement("div"), undefined, "dashboard", "Latent dashboard");
  const made = promptBox(ui, (i) => opened.push(i), () => ({ low: 0, high: 4 }));
  model.on("change:tried", made.changed);
  document.body.append(made.node);
  made.draw();
  return { ...made, model, opened };
}
const tried = (more = {}) => ({
  prompt: "a b", text: { ids: [0, 5, 6], text: ["<bos>", "a", " b"], special: [0] }, latent: 7, values: [0, 0, 3],
  strongest: [[], [[9, 2.5]], [[7, 3], [8, 1]]], labels: { 8: "<b>eight</b>" }, ...more,
});

test("what is typed goes to Python once, a moment later", async () => {
  const { node, model } = box({});
  const field = node.querySelector("textarea");
  for (const text of ["a", "a ", "a b"]) {
    field.value = text;
    field.dispatchEvent(new Event("input"));
  }
  assert.equal(model.get("prompt"), "");
  await new Promise((r) => setTimeout(r, 160));
  assert.equal(model.get("prompt"), "a b");
});

test("tokens are shaded by this latent; a click lists what fires on one", () => {
  const { node, opened } = box({ tried: tried() });
  const tokens = all(node, ".sl-tok");
  assert.deepEqual(tokens.map((t) => t.textContent), ["<bos>", "a", " b"]);
  assert.deepEqual(tokens.map((t) => t.classList.contains("sl-hot")), [false, false, true]);
  assert.deepEqual(all(node, ".sl-link").map((b) => b.textContent), ["7", "8"], "of the token where this latent is strongest");
  assert.match(node.querySelector(".sl-fires").textContent, /on · ?b fire; this latent 3|on {1,2}b fire; this latent 3/);
  tokens[1].click();
  assert.deepEqual(all(node, ".sl-link").map((b) => b.textContent), ["9"]);
  all(node, ".sl-link")[0].click();
  assert.deepEqual(opened, [9]);
  tokens[0].click();
  assert.match(node.querySelector(".sl-fires").textContent, /not counted, a special token/);
  assert.equal(node.querySelector("b b, img, script"), null);
});

test("hostile text stays text", () => { // C03
  const { node } = box({ tried: tried({ text: { ids: HOSTILE.map((_, i) => i), text: HOSTILE }, values: HOSTILE.map(() => 1), strongest: HOSTILE.map(() => [[1, 1]]), labels: { 1: HOSTILE[0] } }) });
  assert.deepEqual(all(node, ".sl-tok").map((t) => t.textContent), HOSTILE);
  assert.equal(node.querySelector("img, script"), null);
});

test("nothing fires, no model, no text", async () => {
  const { node } = box({ tried: tried({ values: [0, 0, 0], strongest: [[], [], []] }) });
  assert.match(node.textContent, /no latent fires/);
  const bare = box({ cannot_try: "needs the model" });
  assert.match(bare.node.textContent, /needs the model/);
  assert.ok(bare.node.querySelector("textarea").hidden);
  assert.ok(box({ read_only: true }).node.hidden);
  const saved = box({ read_only: true, tried: tried() });
  assert.ok(!saved.node.hidden && saved.node.querySelector("textarea").hidden);
  await settle();
});
