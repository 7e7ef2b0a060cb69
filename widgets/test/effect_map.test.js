import assert from "node:assert/strict";
import { test } from "node:test";
import { all, browser, bytes, HOSTILE, mount, press, settle } from "./fake.js";

browser();
const { default: widget } = await import("../effect_map.js");
const { signed } = await import("../dom.js");

const none = NaN;
const state = (more = {}) => ({
  measure: "loss_diff", direct: false, selected_token: 1, vmax: null, show_whitespace: false, latent: 7, d_sae: 64,
  text: { ids: [0, 1, 2], text: ["<b>", " fox", "$"], special: [0] }, following: [" fox", "$", null], edited: [1],
  numbers: { activation: bytes([0, 2, 0]), loss: bytes([1, 3, none]), loss_diff: bytes([0, -0.5, none]), kl: bytes([0, 0.25, 0.5]), direct_kl: bytes([0, 0.125, 0]) },
  votes: { up: [[], ["<i>x</i>", "b"], ["c"]], down: [[], ["d"], []], direct_up: [[], ["e"], []], direct_down: [[], [], []] },
  weights: { up: bytes([none, none, 0.75, 0.5, 0.25, none]), down: bytes([none, -1.5, none]), direct_up: bytes([none, 2, none]), direct_down: bytes([]) },
  has_direct: true, can_ask: true, ...more,
});

test("signs are written out", () => {
  assert.deepEqual([signed(0.25), signed(-0.25), signed(0), signed(NaN)], ["+0.25", "−0.25", "0", "–"]);
});

test("the chosen place shows losses and votes with their signs, as text", () => {
  const { el } = mount(widget, state());
  assert.equal(el.querySelector(".sl-detail b, .sl-strip b, .sl-detail i *"), null);
  const facts = el.querySelector(".sl-place").textContent;
  for (const part of ["loss difference−0.5", "loss with / without3 / 2.5", "KL0.25", "activation2 → 0", "next$"]) assert.ok(facts.includes(part), facts);
  assert.deepEqual(all(el, ".sl-up .sl-vote").map((v) => v.textContent), ["<i>x</i>+0.75", "b+0.5"]);
  assert.deepEqual(all(el, ".sl-down .sl-vote").map((v) => v.textContent), ["d−1.5"]);
  assert.equal(el.querySelector(".sl-down .sl-vote i").style.width, "100%");
});

test("harm and help have different colours, and each token says its number", () => {
  const { el } = mount(widget, state({ numbers: { ...state().numbers, loss_diff: bytes([0.25, -0.5, none]) } }));
  const [help, harm, last] = all(el, ".sl-tok");
  assert.ok(help.classList.contains("sl-hot") && harm.classList.contains("sl-less"));
  assert.ok(!last.classList.contains("sl-hot") && !last.classList.contains("sl-less"));
  assert.equal(help.title, "loss difference +0.25");
  assert.ok(harm.classList.contains("sl-edited"));
});

test("arrows move, a click chooses, Escape lets go", async () => {
  const { el, model } = mount(widget, state());
  press(el.querySelector(".sl-strip"), "ArrowRight");
  assert.equal(model.get("selected_token"), 2);
  await settle();
  assert.match(el.querySelector(".sl-place").textContent, /next\(end\)/);
  all(el, ".sl-tok")[0].click();
  assert.equal(model.get("selected_token"), 0);
  press(el.querySelector(".sl-strip"), "Escape");
  assert.equal(model.get("selected_token"), null);
  await settle();
  assert.ok(el.querySelector(".sl-detail").hidden);
});

test("the table has every position; measures and the direct effect change what is shown", async () => {
  const { el, model } = mount(widget, state());
  el.querySelector("button.sl-link").click();
  const rows = all(el, ".sl-table tbody tr");
  assert.equal(rows.length, 3);
  assert.equal(rows[1].textContent, "1 fox2−0.50.25<i>x</i> +0.75b +0.5d −1.5");
  rows[2].click();
  assert.equal(model.get("selected_token"), 2);
  all(el, '[role="tab"]').find((t) => t.textContent === "KL").click();
  assert.deepEqual([model.get("measure"), model.get("vmax")], ["kl", null]);
  model.set("selected_token", 1);
  const box = el.querySelector('input[type="checkbox"]');
  box.checked = true;
  box.dispatchEvent(new Event("change"));
  await settle();
  assert.match(el.querySelector(".sl-place").textContent, /KL \(direct\)0\.125/);
  assert.deepEqual(all(el, ".sl-up .sl-vote").map((v) => v.textContent), ["e+2"]);
});

test("another latent is asked for; a wrong number is a message", () => {
  const { el, model } = mount(widget, state());
  const box = el.querySelector('input[type="text"]');
  box.value = "64";
  press(box, "Enter");
  assert.match(el.querySelector(".sl-alert-text").textContent, /0 to 63/);
  box.value = "12";
  press(box, "Enter");
  assert.deepEqual(model.sent.map((m) => [m.method, m.params]), [["ablate", { latent: 12 }]]);
  assert.ok(mount(widget, state({ can_ask: false })).el.querySelector('input[type="text"]').parentElement.hidden);
});

test("hostile tokens are inert", () => {
  const text = { ids: HOSTILE.map((_, i) => i), text: HOSTILE };
  const blank = bytes(HOSTILE.map(() => 0));
  const { el } = mount(widget, state({
    text, following: [...HOSTILE.slice(1), null], selected_token: 0, edited: [], has_direct: false,
    numbers: { activation: blank, loss: blank, loss_diff: blank, kl: blank },
    votes: { up: HOSTILE.map((t) => [t]), down: HOSTILE.map(() => []) }, weights: { up: bytes(HOSTILE.map(() => 1)), down: bytes([]) },
  }));
  el.querySelector("button.sl-link").click();
  assert.equal(el.querySelector("img, script, svg, iframe"), null);
  assert.deepEqual(all(el, ".sl-tok").map((t) => t.textContent), HOSTILE);
});
