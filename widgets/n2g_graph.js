/** The drawing of a pattern graph: pan, zoom, fold, select, keys, and the picture as a file. */
import { button, clamp, h, show, svg } from "./dom.js";
import { shade } from "./text.js";
import { BESIDE, fold, layout } from "./tree.js";

/** @typedef {import("./tree.js").PatternNode} PatternNode */

/**
 * @param {object} given
 * @param {() => PatternNode[]} given.nodes
 * @param {() => number | null} given.selected
 * @param {(id: number | null) => void} given.select
 * @param {AbortSignal} given.signal
 */
export function canvas({ nodes, selected, select, signal }) {
  const content = svg("g");
  const graph = svg("svg", { class: "sl-graph", tabindex: "0", role: "tree", "aria-label": "Pattern graph. Arrow keys move between nodes, Enter folds and unfolds." }, content);
  const empty = h("div", { class: "sl-empty", hidden: true });
  let at = { x: 0, y: 0, k: 1 };
  let plan = layout([]);
  let shape = ""; // size of the graph that the present zoom was made for
  /** @type {Map<number, boolean>} */
  const opened = new Map();
  /** @type {Map<number, number>} */
  const beside = new Map();
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  const move = () => content.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);

  /** Show the whole graph; a large one at a size that can be read, its right end first. */
  function fit() {
    const { width, height } = stage();
    const room = { w: width - 36, h: height - 76 };
    const k = clamp(Math.min(room.w / Math.max(plan.width, 1), room.h / Math.max(plan.height, 1)), 0.75, 1.15);
    const tall = plan.height * k > room.h;
    at = { k, x: plan.width * k > room.w ? width - 18 - plan.width * k : (width - plan.width * k) / 2, y: tall ? 36 : (height - plan.height * k) / 2 + 8 };
    move();
  }

  /** @param {number} factor @param {{ x: number, y: number }} [around] */
  function zoom(factor, around = { x: stage().width / 2, y: stage().height / 2 }) {
    const k = clamp(at.k * factor, 0.15, 3);
    at = { k, x: around.x - ((around.x - at.x) * k) / at.k, y: around.y - ((around.y - at.y) * k) / at.k };
    move();
  }

  /** @param {string} reason why there are no nodes */
  function draw(reason) {
    const all = nodes();
    const chosen = selected();
    plan = layout(fold(all, opened, beside));
    if (chosen !== null && !plan.placed.some((p) => p.node.id === chosen)) {
      reveal(chosen);
      plan = layout(fold(all, opened, beside));
    }
    const by = new Map(plan.placed.map((p) => [p.node.id, p]));
    const most = all.reduce((a, n) => Math.max(a, n.end?.value ?? 0), 1e-9);
    const edges = plan.placed.filter((p) => by.has(p.node.parent)).map((p) => {
      const q = /** @type {import("./tree.js").Placed} */ (by.get(p.node.parent));
      const [x1, y1, x2, y2] = [p.x + p.width, p.y + p.height / 2, q.x, q.y + q.height / 2];
      const middle = (x1 + x2) / 2;
      return svg("path", { class: "sl-edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
    });
    const wide = clamp((stage().width - 36) / Math.max(plan.width, 1), 0.75, 1.15);
    graph.style.height = `${clamp(Math.round(plan.height * wide) + 90, 150, 480)}px`;
    content.replaceChildren(...edges, ...plan.placed.map((p) => nodeBox(p, most)));
    empty.hidden = all.length > 0;
    graph.toggleAttribute("hidden", all.length === 0);
    empty.textContent = `No patterns. ${reason}`;
    mark();
    if (shape !== `${plan.width} ${plan.height}`) fit();
    shape = `${plan.width} ${plan.height}`;
  }

  /** @param {import("./tree.js").Placed} p @param {number} most */
  function nodeBox({ node, lines, x, y, width, height, depth }, most) {
    const named = node.kind === "tok" || node.kind === "not";
    const group = svg("g", {
      class: `sl-node sl-${node.kind}${depth === 1 ? " sl-first" : ""}${node.end ? " sl-has-end" : ""}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-id": node.id, role: "treeitem", "aria-level": depth,
      "aria-label": `${node.kind === "more" ? "more nodes: " : ""}${lines.join(", ")}${node.end ? `, ends a pattern of value ${show(node.end.value)}` : ""}${node.locked ? ", locked" : ""}`,
      "aria-expanded": node.kind === "more" ? null : String(!folded(node.id)),
    });
    // an end is shaded by its value; other nodes by how much they matter
    const strength = node.end ? shade(node.end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
    const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
    shadeBox.style.setProperty("--a", strength.toFixed(3));
    group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
    lines.forEach((text, i) => group.append(svg("text", {
      class: named && !text.startsWith("+ ") ? "" : "sl-aside", x: width / 2, y: 18 + i * 19, "text-anchor": "middle", direction: "ltr",
      "unicode-bidi": text.includes("\\x") ? "embed" : "plaintext", // an escaped byte beside right-to-left letters would be read backwards
    }, text)));
    if (node.end) {
      const said = show(node.end.value);
      const wide = 7 * said.length + 12;
      group.append(svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
        svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, said));
    }
    if (node.locked) group.append(lock(width));
    return group;
  }

  /** A padlock on the upper edge of a node. @param {number} width */
  function lock(width) {
    return svg("g", { class: "sl-lock", transform: `translate(${width - 11} -7)` },
      svg("rect", { x: 0, y: 5, width: 10, height: 8, rx: 1.5 }), svg("path", { d: "M2 5V3.5a3 3 0 0 1 6 0V5" }));
  }

  /** @param {number} id */
  function below(id) {
    const inside = new Set([id]);
    for (const n of nodes()) if (inside.has(n.parent)) inside.add(n.id); // parents come first
    return inside;
  }

  /** Mark the selected node and what hangs on it. */
  function mark() {
    const chosen = selected();
    const under = chosen === null ? new Set() : below(chosen);
    for (const node of content.querySelectorAll(".sl-node")) {
      const id = Number(/** @type {SVGElement} */ (node).dataset.id);
      node.setAttribute("aria-selected", String(id === chosen));
      node.classList.toggle("sl-below", under.has(id) && id !== chosen);
    }
  }

  const folded = (/** @type {number} */ id) => plan.placed.some((p) => p.node.id === -id - 1 && p.node.text[0].startsWith("◂"));

  /** From the first fold on nothing opens or closes by itself: nodes would move under the reader's hand. */
  function keep() {
    for (const { node } of plan.placed) if (node.kind !== "more" && !opened.has(node.id)) opened.set(node.id, !folded(node.id));
  }

  /** Open what hides a node. @param {number} id */
  function reveal(id) {
    keep();
    const by = new Map(nodes().map((n) => [n.id, n]));
    for (let n = by.get(id); n; n = by.get(n.parent)) {
      const parent = n.parent;
      if (parent) opened.set(parent, true);
      if (!fold(nodes(), opened, beside).some((m) => m.id === n?.id)) beside.set(parent, Infinity);
    }
  }

  /** Unfold what a `more` node stands for, or fold and unfold a node. @param {number} id */
  function toggle(id) {
    const found = plan.placed.find((p) => p.node.id === id)?.node;
    if (!found) return;
    keep();
    if (found.kind === "more") {
      if (found.text[0].startsWith("◂")) opened.set(found.parent, true);
      else beside.set(found.parent, (beside.get(found.parent) ?? BESIDE) + 2 * BESIDE);
    } else {
      opened.set(id, folded(id));
    }
    draw("");
  }

  /** @type {{ x: number, y: number, moved: boolean } | null} */
  let drag = null;
  graph.addEventListener("pointerdown", (event) => {
    if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
  });
  window.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.hypot(dx, dy) < 4) return;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    at = { ...at, x: at.x + dx, y: at.y + dy };
    move();
  }, { signal });
  window.addEventListener("pointerup", (event) => {
    const [was, target] = [drag, /** @type {Element} */ (event.target)];
    drag = null;
    if (!was || was.moved || !graph.contains(target)) return;
    const node = /** @type {SVGElement | null} */ (target.closest(".sl-node"));
    const id = node ? Number(node.dataset.id) : null;
    if (id !== null && id < 0) toggle(id);
    else select(id);
  }, { signal });
  graph.addEventListener("dblclick", (event) => {
    const node = /** @type {SVGElement | null} */ (/** @type {Element} */ (event.target).closest(".sl-node"));
    if (node && Number(node.dataset.id) > 0) toggle(Number(node.dataset.id));
  });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls the notebook
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }, { passive: false });

  /** Left: deeper; right: towards the activating token; up and down: nodes of the same column. @param {string} key */
  function walk(key) {
    const drawn = plan.placed.filter((p) => p.node.kind !== "more");
    const here = drawn.find((p) => p.node.id === selected());
    if (!here) return void (drawn.length && select(drawn[0].node.id));
    const peers = drawn.filter((p) => p.depth === here.depth).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    if (key === "ArrowLeft" && folded(here.node.id)) toggle(here.node.id);
    const next = {
      ArrowLeft: plan.placed.find((p) => p.node.parent === here.node.id && p.node.kind !== "more")?.node.id,
      ArrowRight: here.node.parent || undefined,
      ArrowUp: peers[peers.indexOf(here.node.id) - 1],
      ArrowDown: peers[peers.indexOf(here.node.id) + 1],
    }[key];
    if (next !== undefined) select(next);
    const place = plan.placed.find((p) => p.node.id === next);
    if (place) bringIntoView(place);
  }

  /** @param {import("./tree.js").Placed} p */
  function bringIntoView(p) {
    const { width, height } = stage();
    const [left, top] = [at.x + p.x * at.k, at.y + p.y * at.k];
    const [right, bottom] = [left + p.width * at.k, top + p.height * at.k];
    at = { ...at, x: at.x + (left < 10 ? 10 - left : right > width - 10 ? width - 10 - right : 0), y: at.y + (top < 30 ? 30 - top : bottom > height - 40 ? height - 40 - bottom : 0) };
    move();
  }

  /** The whole drawing by itself, with the colours it has here. */
  function picture() {
    const [width, height] = [Math.ceil(plan.width + 90), Math.ceil(plan.height + 40)];
    const copy = /** @type {SVGGElement} */ (content.cloneNode(true));
    const [from, to] = [[...content.querySelectorAll("*")], [...copy.querySelectorAll("*")]];
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-family", "font-size", "font-style", "font-weight", "white-space"])
        if (style.getPropertyValue(name)) to[i].setAttribute(name, style.getPropertyValue(name));
      to[i].removeAttribute("class");
      to[i].removeAttribute("style");
    });
    copy.setAttribute("transform", "translate(70 20)");
    const background = svg("rect", { width, height, fill: getComputedStyle(graph.parentElement ?? graph).backgroundColor || "#fff" });
    return /** @type {SVGSVGElement} */ (svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` }, background, copy));
  }

  if (typeof ResizeObserver !== "undefined") { // the view may be attached, or made visible, only later
    let width = 0;
    const watch = new ResizeObserver(() => { if (graph.clientWidth && graph.clientWidth !== width) { width = graph.clientWidth; fit(); } });
    watch.observe(graph);
    signal.addEventListener("abort", () => watch.disconnect());
  }
  const box = h("div", { class: "sl-stage" }, graph, empty,
    h("span", { class: "sl-hint sl-left" }, "← earlier context"), h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
    h("div", { class: "sl-zoom" }, button("−", "Smaller (-)", () => zoom(0.8)), button("fit", "Show the whole graph (0)", fit), button("+", "Larger (+)", () => zoom(1.25))));
  return { box, graph, draw, mark, fit, zoom, walk, toggle, picture };
}
