// dom.js
function setAll(node, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === void 0) continue;
    node.setAttribute(key, value === true ? "" : String(value));
  }
}
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  setAll(node, attributes);
  node.append(...children.filter((c) => c !== null));
  return node;
}
function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAll(node, attributes);
  node.append(...children.filter((c) => c !== null));
  return node;
}
function button(text, name, action) {
  const node = h("button", { type: "button", class: "sl-button", title: name, "aria-label": name }, text);
  node.addEventListener("click", action);
  return node;
}
function root(name, label) {
  return h("div", {
    class: `saelab saelab-${name}`,
    role: "group",
    "aria-label": label,
    tabindex: "-1",
    "data-lm-suppress-shortcuts": "true"
  });
}
function show(value, digits = 3) {
  if (value === null || value === void 0 || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (value < 0) return `−${show(size, digits)}`;
  if (Number.isInteger(value)) return count(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(digits - 1).replace("e+", "e");
  if (size >= 1e3) return count(Math.round(value));
  return String(Number(value.toPrecision(digits)));
}
function count(value) {
  return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}
function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
function typing(event) {
  const target = (
    /** @type {HTMLElement} */
    event.target
  );
  return ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}
function throttle(fn, wait, signal) {
  let timer;
  let last;
  signal?.addEventListener("abort", () => clearTimeout(timer));
  return (...args) => {
    if (signal?.aborted) return;
    last = args;
    timer ??= setTimeout(() => {
      timer = void 0;
      fn(...last);
    }, wait);
  };
}

// alert.js
function alertBox(model) {
  const box = h("div", { class: "sl-alert", role: "alert", hidden: true });
  const say = (message, traceback) => {
    box.hidden = !message;
    box.replaceChildren();
    if (!message) return;
    box.append(
      h("span", { class: "sl-alert-text" }, message),
      button("×", "Dismiss the message", () => say(""))
    );
    if (traceback) box.append(h("details", {}, h("summary", {}, "traceback"), h("pre", {}, traceback)));
  };
  const fromPython = () => {
    const error = model.get("error") ?? {};
    say(error.message ?? "", error.traceback);
  };
  model.on("change:error", fromPython);
  fromPython();
  return { box, say };
}

// rpc.js
var made = 0;
var uuid = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${made += 1}`;
function requests(model, signal) {
  const waiting = /* @__PURE__ */ new Map();
  const receive = (message, buffers) => {
    const entry = waiting.get(message?.request);
    if (!entry) return;
    waiting.delete(message.request);
    if (message.error !== void 0) entry.reject(new Error(message.error));
    else entry.resolve(buffers?.length ? { ...message.result, buffers } : message.result);
  };
  model.on("msg:custom", receive);
  signal.addEventListener("abort", () => {
    model.off("msg:custom", receive);
    waiting.clear();
  });
  return (method, params = {}) => new Promise((resolve, reject) => {
    const id = uuid();
    waiting.set(id, { resolve, reject });
    model.send({ request: id, method, params });
  });
}

// text.js
var MARKS = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "\r": "␍", "	": "⇥", " ": "·", " ": "⍽" }
);
var WHITE = /[\n\r\t \u00a0]/;
function marked(text) {
  if (!WHITE.test(text)) return [text];
  const out = [];
  for (const part of text.split(/([\n\r\t \u00a0])/)) {
    const mark = MARKS[part];
    if (mark === void 0) {
      if (part) out.push(part);
    } else out.push(h("span", { class: part === " " ? "sl-ws sl-space" : "sl-ws", "data-mark": mark }, part));
  }
  return out;
}
function chip(label) {
  const dir = label.includes("\\x") ? "ltr" : null;
  const node = h("code", { class: "sl-chip" }, h("bdi", { dir }, ...marked(label)));
  if (!label) node.append("(empty)");
  return node;
}
function groups(text) {
  let start = 0;
  return text.text.map((piece, i) => {
    const group = { start, stop: start + (text.size?.[i] ?? 1), text: piece };
    start = group.stop;
    return group;
  });
}
function shade(value, low, high) {
  if (!(value > low)) return 0;
  return high > low ? clamp(0.07 + 0.93 * (value - low) / (high - low), 0, 1) : 1;
}
function tokens(text, values, { low = 0, high, from = 0, to = Infinity }) {
  const special = new Set(text.special ?? []);
  const out = [];
  for (const { start, stop, text: piece } of groups(text)) {
    if (start < from || start >= to) continue;
    let value = -Infinity;
    for (let i = start; i < stop; i += 1) value = Math.max(value, values[i] ?? 0);
    const node = h("span", { class: "sl-tok", "data-start": start, "data-stop": stop }, ...marked(piece));
    if (special.has(start)) node.classList.add("sl-special");
    const a = shade(value, low, high);
    if (a > 0) {
      node.style.setProperty("--a", a.toFixed(3));
      node.classList.add("sl-hot");
    }
    out.push(node);
  }
  return out;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/count.js
function count2(node) {
  var sum = 0, children = node.children, i = children && children.length;
  if (!i) sum = 1;
  else while (--i >= 0) sum += children[i].value;
  node.value = sum;
}
function count_default() {
  return this.eachAfter(count2);
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/each.js
function each_default(callback, that) {
  let index = -1;
  for (const node of this) {
    callback.call(that, node, ++index, this);
  }
  return this;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/eachBefore.js
function eachBefore_default(callback, that) {
  var node = this, nodes = [node], children, i, index = -1;
  while (node = nodes.pop()) {
    callback.call(that, node, ++index, this);
    if (children = node.children) {
      for (i = children.length - 1; i >= 0; --i) {
        nodes.push(children[i]);
      }
    }
  }
  return this;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/eachAfter.js
function eachAfter_default(callback, that) {
  var node = this, nodes = [node], next = [], children, i, n, index = -1;
  while (node = nodes.pop()) {
    next.push(node);
    if (children = node.children) {
      for (i = 0, n = children.length; i < n; ++i) {
        nodes.push(children[i]);
      }
    }
  }
  while (node = next.pop()) {
    callback.call(that, node, ++index, this);
  }
  return this;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/find.js
function find_default(callback, that) {
  let index = -1;
  for (const node of this) {
    if (callback.call(that, node, ++index, this)) {
      return node;
    }
  }
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/sum.js
function sum_default(value) {
  return this.eachAfter(function(node) {
    var sum = +value(node.data) || 0, children = node.children, i = children && children.length;
    while (--i >= 0) sum += children[i].value;
    node.value = sum;
  });
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/sort.js
function sort_default(compare) {
  return this.eachBefore(function(node) {
    if (node.children) {
      node.children.sort(compare);
    }
  });
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/path.js
function path_default(end) {
  var start = this, ancestor = leastCommonAncestor(start, end), nodes = [start];
  while (start !== ancestor) {
    start = start.parent;
    nodes.push(start);
  }
  var k = nodes.length;
  while (end !== ancestor) {
    nodes.splice(k, 0, end);
    end = end.parent;
  }
  return nodes;
}
function leastCommonAncestor(a, b) {
  if (a === b) return a;
  var aNodes = a.ancestors(), bNodes = b.ancestors(), c = null;
  a = aNodes.pop();
  b = bNodes.pop();
  while (a === b) {
    c = a;
    a = aNodes.pop();
    b = bNodes.pop();
  }
  return c;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/ancestors.js
function ancestors_default() {
  var node = this, nodes = [node];
  while (node = node.parent) {
    nodes.push(node);
  }
  return nodes;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/descendants.js
function descendants_default() {
  return Array.from(this);
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/leaves.js
function leaves_default() {
  var leaves = [];
  this.eachBefore(function(node) {
    if (!node.children) {
      leaves.push(node);
    }
  });
  return leaves;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/links.js
function links_default() {
  var root2 = this, links = [];
  root2.each(function(node) {
    if (node !== root2) {
      links.push({ source: node.parent, target: node });
    }
  });
  return links;
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/iterator.js
function* iterator_default() {
  var node = this, current, next = [node], children, i, n;
  do {
    current = next.reverse(), next = [];
    while (node = current.pop()) {
      yield node;
      if (children = node.children) {
        for (i = 0, n = children.length; i < n; ++i) {
          next.push(children[i]);
        }
      }
    }
  } while (next.length);
}

// ../../main/widgets/node_modules/d3-hierarchy/src/hierarchy/index.js
function hierarchy(data, children) {
  if (data instanceof Map) {
    data = [void 0, data];
    if (children === void 0) children = mapChildren;
  } else if (children === void 0) {
    children = objectChildren;
  }
  var root2 = new Node(data), node, nodes = [root2], child, childs, i, n;
  while (node = nodes.pop()) {
    if ((childs = children(node.data)) && (n = (childs = Array.from(childs)).length)) {
      node.children = childs;
      for (i = n - 1; i >= 0; --i) {
        nodes.push(child = childs[i] = new Node(childs[i]));
        child.parent = node;
        child.depth = node.depth + 1;
      }
    }
  }
  return root2.eachBefore(computeHeight);
}
function node_copy() {
  return hierarchy(this).eachBefore(copyData);
}
function objectChildren(d) {
  return d.children;
}
function mapChildren(d) {
  return Array.isArray(d) ? d[1] : null;
}
function copyData(node) {
  if (node.data.value !== void 0) node.value = node.data.value;
  node.data = node.data.data;
}
function computeHeight(node) {
  var height = 0;
  do
    node.height = height;
  while ((node = node.parent) && node.height < ++height);
}
function Node(data) {
  this.data = data;
  this.depth = this.height = 0;
  this.parent = null;
}
Node.prototype = hierarchy.prototype = {
  constructor: Node,
  count: count_default,
  each: each_default,
  eachAfter: eachAfter_default,
  eachBefore: eachBefore_default,
  find: find_default,
  sum: sum_default,
  sort: sort_default,
  path: path_default,
  ancestors: ancestors_default,
  descendants: descendants_default,
  leaves: leaves_default,
  links: links_default,
  copy: node_copy,
  [Symbol.iterator]: iterator_default
};

// ../../main/widgets/node_modules/d3-hierarchy/src/tree.js
function defaultSeparation(a, b) {
  return a.parent === b.parent ? 1 : 2;
}
function nextLeft(v) {
  var children = v.children;
  return children ? children[0] : v.t;
}
function nextRight(v) {
  var children = v.children;
  return children ? children[children.length - 1] : v.t;
}
function moveSubtree(wm, wp, shift) {
  var change = shift / (wp.i - wm.i);
  wp.c -= change;
  wp.s += shift;
  wm.c += change;
  wp.z += shift;
  wp.m += shift;
}
function executeShifts(v) {
  var shift = 0, change = 0, children = v.children, i = children.length, w;
  while (--i >= 0) {
    w = children[i];
    w.z += shift;
    w.m += shift;
    shift += w.s + (change += w.c);
  }
}
function nextAncestor(vim, v, ancestor) {
  return vim.a.parent === v.parent ? vim.a : ancestor;
}
function TreeNode(node, i) {
  this._ = node;
  this.parent = null;
  this.children = null;
  this.A = null;
  this.a = this;
  this.z = 0;
  this.m = 0;
  this.c = 0;
  this.s = 0;
  this.t = null;
  this.i = i;
}
TreeNode.prototype = Object.create(Node.prototype);
function treeRoot(root2) {
  var tree = new TreeNode(root2, 0), node, nodes = [tree], child, children, i, n;
  while (node = nodes.pop()) {
    if (children = node._.children) {
      node.children = new Array(n = children.length);
      for (i = n - 1; i >= 0; --i) {
        nodes.push(child = node.children[i] = new TreeNode(children[i], i));
        child.parent = node;
      }
    }
  }
  (tree.parent = new TreeNode(null, 0)).children = [tree];
  return tree;
}
function tree_default() {
  var separation = defaultSeparation, dx = 1, dy = 1, nodeSize = null;
  function tree(root2) {
    var t = treeRoot(root2);
    t.eachAfter(firstWalk), t.parent.m = -t.z;
    t.eachBefore(secondWalk);
    if (nodeSize) root2.eachBefore(sizeNode);
    else {
      var left = root2, right = root2, bottom = root2;
      root2.eachBefore(function(node) {
        if (node.x < left.x) left = node;
        if (node.x > right.x) right = node;
        if (node.depth > bottom.depth) bottom = node;
      });
      var s = left === right ? 1 : separation(left, right) / 2, tx = s - left.x, kx = dx / (right.x + s + tx), ky = dy / (bottom.depth || 1);
      root2.eachBefore(function(node) {
        node.x = (node.x + tx) * kx;
        node.y = node.depth * ky;
      });
    }
    return root2;
  }
  function firstWalk(v) {
    var children = v.children, siblings = v.parent.children, w = v.i ? siblings[v.i - 1] : null;
    if (children) {
      executeShifts(v);
      var midpoint = (children[0].z + children[children.length - 1].z) / 2;
      if (w) {
        v.z = w.z + separation(v._, w._);
        v.m = v.z - midpoint;
      } else {
        v.z = midpoint;
      }
    } else if (w) {
      v.z = w.z + separation(v._, w._);
    }
    v.parent.A = apportion(v, w, v.parent.A || siblings[0]);
  }
  function secondWalk(v) {
    v._.x = v.z + v.parent.m;
    v.m += v.parent.m;
  }
  function apportion(v, w, ancestor) {
    if (w) {
      var vip = v, vop = v, vim = w, vom = vip.parent.children[0], sip = vip.m, sop = vop.m, sim = vim.m, som = vom.m, shift;
      while (vim = nextRight(vim), vip = nextLeft(vip), vim && vip) {
        vom = nextLeft(vom);
        vop = nextRight(vop);
        vop.a = v;
        shift = vim.z + sim - vip.z - sip + separation(vim._, vip._);
        if (shift > 0) {
          moveSubtree(nextAncestor(vim, v, ancestor), v, shift);
          sip += shift;
          sop += shift;
        }
        sim += vim.m;
        sip += vip.m;
        som += vom.m;
        sop += vop.m;
      }
      if (vim && !nextRight(vop)) {
        vop.t = vim;
        vop.m += sim - sop;
      }
      if (vip && !nextLeft(vom)) {
        vom.t = vip;
        vom.m += sip - som;
        ancestor = v;
      }
    }
    return ancestor;
  }
  function sizeNode(node) {
    node.x *= dx;
    node.y = node.depth * dy;
  }
  tree.separation = function(x) {
    return arguments.length ? (separation = x, tree) : separation;
  };
  tree.size = function(x) {
    return arguments.length ? (nodeSize = false, dx = +x[0], dy = +x[1], tree) : nodeSize ? null : [dx, dy];
  };
  tree.nodeSize = function(x) {
    return arguments.length ? (nodeSize = true, dx = +x[0], dy = +x[1], tree) : nodeSize ? [dx, dy] : null;
  };
  return tree;
}

// tree.js
/*!
 * The layout is d3-hierarchy's, Copyright 2010-2021 Mike Bostock. Permission to use, copy, modify, and/or distribute this
 * software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this
 * permission notice appear in all copies. THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH
 * REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE
 * LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE,
 * DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION
 * WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.
 */
var CHARACTER = 7.9;
var GAP_X = 28;
var VALUE = 58;
var LINE = 19;
var PAD = 9;
var GAP_Y = 9;
var MAX_LINES = 4;
var MAX_CHARS = 22;
var VISIBLE = (
  /** @type {Record<string, string>} */
  { "\n": "↵", "	": "⇥", "\r": "␍", " ": "·" }
);
function visible(text) {
  const out = [...text].map((c) => VISIBLE[c] ?? (new RegExp("\\p{C}", "u").test(c) ? `\\u{${c.codePointAt(0)?.toString(16)}}` : c)).join("");
  return [...out].length > MAX_CHARS ? `${[...out].slice(0, MAX_CHARS - 1).join("")}…` : out || "(empty)";
}
function lines(node) {
  if (node.kind === "any") return ["*"];
  if (node.kind === "start") return ["start of text"];
  if (node.kind === "gap") return [node.lo === node.hi ? `${node.lo} tokens` : `${node.lo}–${node.hi} tokens`];
  const shown = node.text.slice(0, node.text.length > MAX_LINES ? MAX_LINES - 1 : MAX_LINES).map(visible);
  if (node.text.length > shown.length) shown.push(`+ ${node.text.length - shown.length} more`);
  return node.kind === "not" ? shown.map((s) => `not ${s}`) : shown;
}
var WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}]/u;
var columns = (s) => [...s].reduce((n, c) => n + (WIDE.test(c) ? 2 : 1), 0);
function layout(nodes) {
  if (!nodes.length) return { placed: [], width: 0, height: 0 };
  const children = /* @__PURE__ */ new Map();
  for (const n of nodes) children.set(n.parent, [...children.get(n.parent) ?? [], n]);
  const root2 = hierarchy(
    /** @type {Item} */
    { node: null, id: 0 },
    (item) => (children.get(item.id) ?? []).map((node) => ({ node, id: node.id }))
  );
  const said = new Map(nodes.map((n) => [n.id, lines(n)]));
  const height = (item) => (said.get(item.id)?.length ?? 1) * LINE + 2 * PAD - 6;
  const arranged = tree_default().nodeSize([1, 1]).separation((a, b) => {
    const [p, q] = [
      /** @type {Item} */
      a.data,
      /** @type {Item} */
      b.data
    ];
    return (height(p) + height(q)) / 2 + (a.parent === b.parent ? GAP_Y : 2 * GAP_Y);
  })(
    /** @type {any} */
    root2
  );
  const widths = [];
  arranged.each((d) => {
    if (!d.data.node) return;
    const wide = Math.max(...(said.get(d.data.id) ?? []).map(columns)) * CHARACTER + 2 * PAD;
    widths[d.depth] = Math.max(widths[d.depth] ?? 34, wide);
  });
  const gaps = widths.map((_, depth) => arranged.descendants().some((d) => d.depth === depth && d.children && /** @type {any} */
  d.data.node?.end) ? VALUE : GAP_X);
  const deepest = arranged.descendants().some((d) => d.depth === widths.length - 1 && /** @type {any} */
  d.data.node?.end);
  const before = (depth) => widths.slice(1, depth).reduce((a, w, i) => a + w + gaps[i + 1], 0);
  const total = before(widths.length - 1) + widths[widths.length - 1] + (deepest ? VALUE - 8 : 0);
  const placed = [];
  arranged.each((d) => {
    const { node } = d.data;
    if (!node) return;
    const mine = said.get(node.id) ?? [];
    const width = Math.max(...mine.map(columns), 1) * CHARACTER + 2 * PAD;
    const right = total - before(d.depth);
    placed.push({ node, lines: mine, depth: d.depth, width, height: height(d.data), x: right - width, y: d.x - height(d.data) / 2 });
  });
  const top = Math.min(...placed.map((p) => p.y));
  for (const p of placed) p.y -= top;
  return { placed, width: total, height: Math.max(...placed.map((p) => p.y + p.height)) };
}

// n2g_editor.js
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("n2g", "Pattern graph editor");
  const alert = alertBox(model);
  const canvas = svg("g");
  const graph = svg("svg", { class: "sl-graph", tabindex: "0", role: "tree", "aria-label": "Pattern graph. Arrow keys move between nodes." }, canvas);
  const empty = h("div", { class: "sl-empty", hidden: true });
  const title = h("h2");
  const scores = h("section");
  const detail = h("section");
  const steps = h("section");
  function set(changes) {
    for (const [key, value] of Object.entries(changes)) model.set(
      /** @type {any} */
      key,
      value
    );
    model.save_changes();
  }
  const ask = (method, params) => request(method, params).catch((e) => alert.say(e.message));
  const remove = button("Delete", "Delete the selected node and what is to its left (Del)", () => {
    const node = model.get("selected");
    if (node !== null) ask("delete", { node });
  });
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));
  let at = { x: 0, y: 0, k: 1 };
  let plan = layout([]);
  let shape = "";
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  const move = () => canvas.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);
  function fit() {
    const { width, height } = stage();
    const room = { w: width - 36, h: height - 76 };
    const k = clamp(Math.min(room.w / Math.max(plan.width, 1), room.h / Math.max(plan.height, 1)), 0.75, 1.15);
    const tall = plan.height * k > room.h;
    at = { k, x: plan.width * k > room.w ? width - 18 - plan.width * k : (width - plan.width * k) / 2, y: tall ? 36 : (height - plan.height * k) / 2 + 8 };
    move();
  }
  function zoom(factor, around = { x: stage().width / 2, y: stage().height / 2 }) {
    const k = clamp(at.k * factor, 0.15, 3);
    at = { k, x: around.x - (around.x - at.x) * k / at.k, y: around.y - (around.y - at.y) * k / at.k };
    move();
  }
  function drawGraph() {
    const nodes = model.get("nodes");
    plan = layout(nodes);
    const by = new Map(plan.placed.map((p) => [p.node.id, p]));
    const most = Math.max(...nodes.map((n) => n.end?.value ?? 0), 1e-9);
    const edges = plan.placed.filter((p) => by.has(p.node.parent)).map((p) => {
      const q = (
        /** @type {import("./tree.js").Placed} */
        by.get(p.node.parent)
      );
      const [x1, y1, x2, y2] = [p.x + p.width, p.y + p.height / 2, q.x, q.y + q.height / 2];
      const middle = (x1 + x2) / 2;
      return svg("path", { class: "sl-edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` });
    });
    const wide = clamp((stage().width - 36) / Math.max(plan.width, 1), 0.75, 1.15);
    graph.style.height = `${clamp(Math.round(plan.height * wide) + 90, 150, 480)}px`;
    const boxes = plan.placed.map((p) => nodeBox(p, most));
    canvas.replaceChildren(...edges, ...boxes);
    empty.hidden = nodes.length > 0;
    graph.toggleAttribute("hidden", nodes.length === 0);
    empty.textContent = `No patterns. ${model.get("reason")}`;
    drawSelection();
    if (shape !== `${plan.width} ${plan.height}`) fit();
    shape = `${plan.width} ${plan.height}`;
  }
  function nodeBox({ node, lines: lines2, x, y, width, height, depth }, most) {
    const named = node.kind === "tok" || node.kind === "not";
    const group = svg("g", {
      class: `sl-node sl-${node.kind}${depth === 1 ? " sl-first" : ""}${node.end ? " sl-has-end" : ""}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      "data-id": node.id,
      role: "treeitem",
      "aria-level": depth,
      "aria-label": `${lines2.join(", ")}${node.end ? `, ends a pattern of value ${show(node.end.value)}` : ""}`
    });
    const strength = node.end ? shade(node.end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
    const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
    shadeBox.style.setProperty("--a", strength.toFixed(3));
    group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
    lines2.forEach((text, i) => group.append(svg("text", {
      class: named && !text.startsWith("+ ") ? "" : "sl-aside",
      x: width / 2,
      y: 18 + i * 19,
      "text-anchor": "middle",
      direction: "ltr",
      "unicode-bidi": "plaintext"
    }, text)));
    if (node.end) {
      const said = show(node.end.value);
      const wide = 7 * said.length + 12;
      group.append(
        svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
        svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, said)
      );
    }
    if (node.locked) group.append(svg("text", { class: "sl-aside", x: width - 4, y: 10, "text-anchor": "end", "font-size": 9 }, "🔒"));
    return group;
  }
  function below(id) {
    const inside = /* @__PURE__ */ new Set([id]);
    for (const n of model.get("nodes")) if (inside.has(n.parent)) inside.add(n.id);
    return inside;
  }
  function drawSelection() {
    const selected = model.get("selected");
    const under = selected === null ? /* @__PURE__ */ new Set() : below(selected);
    for (const node of canvas.querySelectorAll(".sl-node")) {
      const id = Number(
        /** @type {SVGElement} */
        node.dataset.id
      );
      node.setAttribute("aria-selected", String(id === selected));
      node.classList.toggle("sl-below", under.has(id) && id !== selected);
    }
    remove.disabled = selected === null;
    drawDetails();
  }
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
  }, { signal: abort.signal });
  window.addEventListener("pointerup", (event) => {
    const [was, target] = [
      drag,
      /** @type {Element} */
      event.target
    ];
    drag = null;
    if (!was || was.moved || !graph.contains(target)) return;
    const node = (
      /** @type {SVGElement | null} */
      target.closest(".sl-node")
    );
    select(node ? Number(node.dataset.id) : null);
  }, { signal: abort.signal });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = graph.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box.left, y: event.clientY - box.top });
  }, { passive: false });
  function select(id) {
    if (id === model.get("selected")) return;
    set({ selected: id, details: null });
    if (id !== null && !model.get("read_only")) ask("details", { node: id });
  }
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    const key = event.key.toLowerCase();
    const command = event.ctrlKey || event.metaKey;
    let action;
    if (command && key === "z" && !model.get("read_only")) action = () => ask(event.shiftKey ? "redo" : "undo");
    else if (command && key === "y" && !model.get("read_only")) action = () => ask("redo");
    else if (!command && (event.key === "Delete" || event.key === "Backspace") && !model.get("read_only")) action = () => remove.click();
    else if (!command && event.key === "Escape") action = () => select(null);
    else if (!command && event.key.startsWith("Arrow")) action = () => walk(event.key);
    else if (!command && (event.key === "+" || event.key === "=")) action = () => zoom(1.25);
    else if (!command && event.key === "-") action = () => zoom(0.8);
    else if (!command && event.key === "0") action = fit;
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  function walk(key) {
    const nodes = model.get("nodes");
    const here = nodes.find((n) => n.id === model.get("selected"));
    if (!here) return void (nodes.length && select(nodes[0].id));
    const column = plan.placed.find((p) => p.node.id === here.id)?.depth;
    const peers = plan.placed.filter((p) => p.depth === column).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    const next = {
      ArrowLeft: nodes.find((n) => n.parent === here.id)?.id,
      ArrowRight: nodes.find((n) => n.id === here.parent)?.id,
      ArrowUp: peers[peers.indexOf(here.id) - 1],
      ArrowDown: peers[peers.indexOf(here.id) + 1]
    }[key];
    if (next !== void 0) select(next);
  }
  function drawScores() {
    const [now, was] = [model.get("score"), model.get("before")];
    const n = model.get("history").length;
    undo.disabled = n === 0;
    redo.disabled = !model.get("can_redo");
    title.textContent = model.get("latent") === null ? "Patterns" : `Latent ${model.get("latent")}`;
    scores.replaceChildren(h("h3", {}, now?.split ? `Score on held-out documents (${now.split})` : "Score"));
    if (!now) return scores.append(h("p", { class: "sl-muted sl-small" }, model.get("score_reason")));
    const percent = (v) => v === null ? "–" : `${(100 * v).toFixed(1)} %`;
    const keys = (
      /** @type {const} */
      ["precision", "recall", "f1"]
    );
    const row = (name, s, kind = "") => h("tr", { class: kind }, h("td", {}, name), ...keys.map((k) => h("td", {}, percent(s[k]))));
    const table = h(
      "table",
      { class: "sl-scores" },
      h("tr", {}, h("th", {}, ""), h("th", {}, "precision"), h("th", {}, "recall"), h("th", {}, "F1")),
      row("graph", now, "sl-now")
    );
    if (was && n) {
      table.append(h("tr", {}, h("td", { class: "sl-muted" }, "change"), ...keys.map((k) => {
        const [a, b] = [was[k], now[k]];
        if (a === null || b === null) return h("td", { class: "sl-delta" }, "–");
        const points = 100 * (b - a);
        return h("td", { class: `sl-delta ${points > 0.05 ? "sl-up" : points < -0.05 ? "sl-down" : "sl-muted"}` }, `${points >= 0.05 ? "+" : points <= -0.05 ? "−" : "±"}${Math.abs(points).toFixed(1)}`);
      })));
    }
    for (const [name, s] of Object.entries(model.get("baselines"))) table.append(row(name, s));
    scores.append(table, h(
      "p",
      { class: "sl-muted sl-small" },
      `${count(now.tp)} hits, ${count(now.fp)} false alarms, ${count(now.fn)} misses` + (now.tokens ? ` in ${count(now.tokens)} tokens` : "")
    ));
  }
  function drawDetails() {
    const id = model.get("selected");
    const node = model.get("nodes").find((n) => n.id === id);
    detail.replaceChildren();
    if (!node) return detail.append(h("p", { class: "sl-muted sl-small" }, model.get("nodes").length ? "Select a node to see what it matches." : ""));
    const what = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text" }[node.kind];
    detail.append(h("h3", {}, `Node ${node.id}: ${what}`));
    if (node.text.length) detail.append(h("div", { class: "sl-chips" }, ...node.text.slice(0, 60).map(chip), node.text.length > 60 ? `+ ${node.text.length - 60}` : null));
    const rows = [];
    if (node.end) rows.push(["predicted activation", show(node.end.value)]);
    if (node.end?.n) rows.push(["in the fit", `fires on ${count(node.end.n_fire ?? 0)} of ${count(node.end.n)}`]);
    if (node.imp !== null) rows.push(["importance", show(node.imp)]);
    const more = model.get("details");
    const mine = more && more.node === id ? more : null;
    for (const [name, value] of mine?.facts ?? []) rows.push([name, show(value)]);
    detail.append(h("dl", { class: "sl-facts-list" }, ...rows.flatMap(([a, b]) => [h("dt", {}, a), h("dd", {}, b)])));
    if (!mine) return;
    for (
      const [name, samples] of
      /** @type {[string, Sample[]][]} */
      [["hits", mine.hits], ["false alarms", mine.false_alarms]]
    ) {
      if (!samples.length) continue;
      detail.append(h("h3", {}, name), h("div", { class: "sl-samples" }, ...samples.map((s) => sampleLine(s, mine.high))));
    }
  }
  function sampleLine(s, high) {
    const line = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(s.text, s.values, { high }));
    line.querySelector(`[data-start="${s.centre}"]`)?.classList.add("sl-centre");
    return h("div", { class: "sl-sample" }, line);
  }
  function drawHistory() {
    const history = model.get("history");
    steps.replaceChildren();
    if (!history.length) return;
    steps.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, ...history.map((step, i) => {
      const item = h("li", {}, h("span", {}, step.op, " ", step.text ? chip(step.text) : null), h("span", { class: "sl-muted" }, step.f1 === null ? "" : `F1 ${(100 * step.f1).toFixed(1)} %`));
      if (model.get("read_only")) {
        if (step.note) item.append(h("span", { class: "sl-muted sl-small" }, step.note));
      } else {
        const note = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
        note.value = step.note;
        note.addEventListener("change", () => ask("annotate", { step: i, note: note.value }));
        item.append(note);
      }
      return item;
    })));
  }
  const editing = h("span", { class: "sl-bar" }, remove, undo, redo);
  editing.style.margin = "0";
  const redraw = throttle(() => {
    drawGraph();
    drawScores();
    drawHistory();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["nodes", "score", "before", "baselines", "history", "can_redo", "reason", "latent"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:selected", drawSelection);
  model.on("change:details", drawDetails);
  const readOnly = () => {
    editing.hidden = model.get("read_only");
  };
  model.on("change:read_only", readOnly);
  view.append(
    alert.box,
    h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), editing),
    h(
      "div",
      { class: "sl-columns" },
      h(
        "div",
        { class: "sl-stage" },
        graph,
        empty,
        h("span", { class: "sl-hint sl-left" }, "← earlier context"),
        h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
        h("div", { class: "sl-zoom" }, button("−", "Smaller (-)", () => zoom(0.8)), button("fit", "Show the whole graph (0)", fit), button("+", "Larger (+)", () => zoom(1.25)))
      ),
      h("aside", {}, scores, detail, steps)
    )
  );
  el.append(view);
  readOnly();
  drawGraph();
  drawScores();
  drawHistory();
  fit();
  if (typeof ResizeObserver !== "undefined") {
    let width = 0;
    const watch = new ResizeObserver(() => {
      if (graph.clientWidth && graph.clientWidth !== width) {
        width = graph.clientWidth;
        fit();
      }
    });
    watch.observe(graph);
    abort.signal.addEventListener("abort", () => watch.disconnect());
  }
  return () => abort.abort();
}
var n2g_editor_default = { render };
export {
  n2g_editor_default as default
};
