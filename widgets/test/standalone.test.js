import assert from "node:assert/strict";
import { test } from "node:test";
import { browser, settle } from "./fake.js";

const dom = browser();
const { link, Model, requestKey, start } = await import("../standalone.js");
const { requests } = await import("../rpc.js");

test("a model keeps state, unpacks bytes and tells of changes", () => {
  const model = new Model({ a: 1, b: { $bytes: Buffer.from(new Float32Array([1.5]).buffer).toString("base64") } });
  assert.equal(model.get("b").getFloat32(0, true), 1.5);
  const nested = new Model({ c: { d: { $bytes: "AADAPw==" }, e: null, f: [1] } }).get("c");
  assert.deepEqual([nested.d.getFloat32(0, true), nested.e, nested.f], [1.5, null, [1]]);
  const seen = [];
  const fn = (v) => seen.push(v);
  model.on("change:a", fn);
  model.set("a", 2);
  model.set("a", 2);
  model.off("change:a", fn);
  model.set("a", 3);
  assert.deepEqual(seen, [2]);
});

test("requests are answered from the page, or say that they cannot be", async () => {
  const model = new Model({ latent: 1 }, { [requestKey("open", { latent: 2 })]: { latent: 2 } });
  const request = requests(model, new AbortController().signal);
  await request("open", { latent: 2 });
  assert.equal(model.get("latent"), 2);
  await assert.rejects(request("open", { latent: 3 }), /saved page/);
});

test("two views of one model take only their own answers", async () => {
  const model = new Model({}, { [requestKey("a", {})]: {} });
  const [one, two] = [requests(model, new AbortController().signal), requests(model, new AbortController().signal)];
  const settled = [];
  one("a").then(() => settled.push("one"));
  two("b").catch(() => settled.push("two"));
  await settle();
  assert.deepEqual(settled.sort(), ["one", "two"]);
});

test("widgets in closed sections are drawn when these open", async () => {
  document.body.replaceChildren();
  const data = document.createElement("script");
  data.id = "saelab-data";
  data.type = "application/json";
  data.textContent = JSON.stringify({ modules: { x: "code" }, widgets: [{ module: "x", state: { n: 1 }, replies: {} }, { module: "x", state: { n: 2 }, replies: {} }] });
  const open = document.createElement("div");
  open.dataset.widget = "0";
  const closed = document.createElement("details");
  const slot = document.createElement("div");
  slot.dataset.widget = "1";
  closed.append(slot);
  document.body.append(data, open, closed);
  globalThis.addEventListener ??= () => {};
  let loads = 0;
  URL.createObjectURL ??= () => "blob:x";
  const load = async () => { loads += 1; return { default: { render: ({ model, el }) => { el.textContent = `n=${model.get("n")}`; } } }; };
  await start(dom.window.document, load);
  assert.deepEqual([open.textContent, slot.textContent], ["n=1", ""]);
  closed.open = true;
  closed.dispatchEvent(new Event("toggle"));
  await settle();
  assert.equal(slot.textContent, "n=2");
  assert.equal(loads, 1);
});

test("linked widgets show the same latent; one without an answer for it stays where it is", async () => {
  const open = (latent) => [requestKey("open", { latent }), { payload: `of ${latent}`, latent }];
  const table = new Model({ latent: 1 });
  const dashboard = new Model({ latent: 1, payload: "of 1", available: [1, 2] }, Object.fromEntries([open(1), open(2)]));
  link([table, dashboard]);
  table.set("latent", 2);
  await settle();
  assert.deepEqual([dashboard.get("latent"), dashboard.get("payload")], [2, "of 2"]);
  dashboard.send({ request: "x", method: "open", params: { latent: 1 } });
  await settle();
  assert.equal(table.get("latent"), 1);
  table.set("latent", 9);
  await settle();
  assert.equal(dashboard.get("latent"), 1);
});

test("large data are held compressed", async () => {
  const { gzipSync } = await import("node:zlib");
  document.body.replaceChildren();
  const data = document.createElement("script");
  data.id = "saelab-data";
  data.type = "text/plain";
  data.dataset.packed = "gzip";
  const stored = { modules: { x: "code" }, widgets: [{ module: "x", state: { t: "</script> é 🙂" }, replies: {} }] };
  data.textContent = gzipSync(JSON.stringify(stored)).toString("base64");
  const slot = document.createElement("div");
  slot.dataset.widget = "0";
  document.body.append(data, slot);
  await start(dom.window.document, async () => ({ default: { render: ({ model, el }) => { el.textContent = model.get("t"); } } }));
  assert.equal(slot.textContent, "</script> é 🙂");
});
