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

// figure.js
var NS = "http://www.w3.org/2000/svg";
var CONTROLS = ".sl-button, .sl-tabs, .sl-input, .sl-check, .sl-tip, .sl-alert, .sl-figure, .sl-controls, .sl-pin, [hidden]";
var SVG_STYLE = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "font-family", "font-size", "font-weight", "text-anchor", "opacity", "visibility"];
var ILLEGAL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
function shape(tag, attributes, text) {
  const node = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, typeof value === "number" ? String(Math.round(value * 100) / 100) : value);
  if (text !== void 0) node.append(text.replace(ILLEGAL, "�"));
  return node;
}
var paints = (colour) => !!colour && colour !== "transparent" && !/rgba\(.*, 0\)$|\/ 0\)$/.test(colour);
function lines(node) {
  const range = document.createRange();
  const text = node.data;
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter((b) => b.width > 0);
  if (boxes.length <= 1) return boxes.length && text.trim() ? [{ text, box: boxes[0] }] : [];
  const out = [];
  let at = 0;
  for (const character of text) {
    range.setStart(node, at);
    range.setEnd(node, at + character.length);
    at += character.length;
    const box = range.getClientRects()[0];
    if (!box || !box.width) continue;
    const last = out[out.length - 1];
    if (last && Math.abs(last.box.top - box.top) < box.height / 2) {
      last.text += character;
      const left = Math.min(last.box.left, box.left);
      last.box = new DOMRect(left, last.box.top, Math.max(last.box.right, box.right) - left, last.box.height);
    } else out.push({ text: character, box });
  }
  return out.filter((l) => l.text.trim());
}
function toSvg(view) {
  const frame = view.getBoundingClientRect();
  const out = (
    /** @type {SVGSVGElement} */
    shape("svg", { xmlns: NS, width: frame.width, height: frame.height, viewBox: `0 0 ${Math.ceil(frame.width)} ${Math.ceil(frame.height)}` })
  );
  const [x0, y0] = [frame.left, frame.top];
  const probe = h("span", { style: "color: var(--sl-bg)" });
  view.append(probe);
  out.append(shape("rect", { width: "100%", height: "100%", fill: getComputedStyle(probe).color }));
  probe.remove();
  let clips = 0;
  function walk(node, into) {
    if (node.matches(CONTROLS)) return;
    const style = getComputedStyle(node);
    if (style.display === "none" || style.visibility === "hidden") return;
    const box = node.getBoundingClientRect();
    if (node instanceof SVGSVGElement) return void into.append(inline(node, box));
    if (node instanceof HTMLCanvasElement) {
      if (box.width) into.append(shape("image", { x: box.left - x0, y: box.top - y0, width: box.width, height: box.height, href: node.toDataURL("image/png") }));
      return;
    }
    for (const b of style.display === "inline" ? node.getClientRects() : [box]) {
      if (paints(style.backgroundColor)) into.append(shape("rect", { x: b.left - x0, y: b.top - y0, width: b.width, height: b.height, fill: style.backgroundColor, rx: parseFloat(style.borderTopLeftRadius) || 0 }));
      bars(style, b, into);
      for (
        const [side, y] of
        /** @type {[string, number][]} */
        [["Top", b.top], ["Bottom", b.bottom]]
      ) {
        const width = parseFloat(style[
          /** @type {"borderTopWidth"} */
          `border${side}Width`
        ]);
        const colour = style[
          /** @type {"borderTopColor"} */
          `border${side}Color`
        ];
        if (width && paints(colour)) into.append(shape("line", { x1: b.left - x0, x2: b.right - x0, y1: y - y0, y2: y - y0, stroke: colour, "stroke-width": width }));
      }
    }
    let inner = into;
    if (style.overflowX !== "visible" && box.width) {
      clips += 1;
      const clip = shape("clipPath", { id: `saelab-clip-${clips}` });
      clip.append(shape("rect", { x: box.left - x0, y: box.top - y0, width: box.width, height: box.height }));
      inner = shape("g", { "clip-path": `url(#saelab-clip-${clips})` });
      into.append(clip, inner);
    }
    mark(node, style, inner);
    for (const child of node.childNodes) {
      if (child instanceof Element) walk(child, inner);
      else if (child instanceof Text) for (const line of lines(child)) inner.append(letters(line.text, line.box, style));
    }
  }
  function bars(style, b, into) {
    if (!style.backgroundImage.includes("gradient")) return;
    const colours = style.backgroundImage.match(/(?:rgba?|color|oklab|oklch)\([^()]*\)/g) ?? [];
    const share = style.backgroundSize.match(/^([\d.]+)%/);
    const colour = colours[colours.length - 1];
    if (!colour) return;
    const width = b.width * (share ? Number(share[1]) / 100 : 1);
    if (share) return void into.append(shape("rect", { x: b.left - x0, y: b.top - y0, width, height: b.height, fill: colour }));
    for (let i = 0; i < 24; i += 1) into.append(shape("rect", { x: b.left - x0 + i * width / 24, y: b.top - y0, width: width / 24 + 0.3, height: b.height, fill: colour, "fill-opacity": (i + 0.5) / 24 }));
  }
  function mark(node, style, into) {
    if (!(node instanceof HTMLElement) || !node.dataset.mark) return;
    const before = getComputedStyle(node, "::before");
    const b = node.getClientRects()[0];
    if (before.display === "none" || !b) return;
    into.append(letters(node.dataset.mark, new DOMRect(b.left, b.top, 8, b.height), style, before.color));
  }
  function letters(text, box, style, fill = style.color) {
    const size = parseFloat(style.fontSize) || 13;
    const rtl = style.direction === "rtl";
    return shape("text", {
      x: (rtl ? box.right : box.left) - x0,
      y: box.top - y0 + box.height / 2 + size * 0.36,
      fill,
      "font-family": style.fontFamily,
      "font-size": size,
      "font-weight": style.fontWeight,
      style: "white-space: pre",
      ...rtl ? { direction: "rtl" } : {}
    }, text);
  }
  function inline(node, box) {
    const copy = (
      /** @type {SVGSVGElement} */
      node.cloneNode(true)
    );
    const [from, to] = [[node, ...node.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
    from.forEach((source, i) => {
      const style = getComputedStyle(source);
      for (const name of SVG_STYLE) if (style.getPropertyValue(name)) to[i].style.setProperty(name, style.getPropertyValue(name));
    });
    for (const [key, value] of Object.entries({ x: box.left - x0, y: box.top - y0, width: box.width, height: box.height })) copy.setAttribute(key, String(value));
    return copy;
  }
  walk(view, out);
  return out;
}
var svgText = (figure) => new XMLSerializer().serializeToString(figure);
async function toPng(figure, scale = 2) {
  const [width, height] = ["width", "height"].map((k) => Number(figure.getAttribute(k)));
  const image = new Image();
  const url = URL.createObjectURL(new Blob([svgText(figure)], { type: "image/svg+xml" }));
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = () => reject(new Error("the figure could not be drawn"));
      image.src = url;
    });
    const canvas2 = h("canvas", { width: Math.ceil(width * scale), height: Math.ceil(height * scale) });
    canvas2.getContext("2d")?.drawImage(image, 0, 0, canvas2.width, canvas2.height);
    return await new Promise((resolve, reject) => canvas2.toBlob((blob) => blob ? resolve(blob) : reject(new Error("the figure is too large for a picture")), "image/png"));
  } finally {
    URL.revokeObjectURL(url);
  }
}
function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
}
function figureMenu(view, name, say, draw = () => toSvg(view)) {
  const menu = h("details", { class: "sl-figure" }, h("summary", { class: "sl-button", title: "Take what is shown as a figure" }, "figure"));
  const item = (label, title, action) => button(label, title, () => {
    menu.open = false;
    Promise.resolve().then(action).catch((e) => say(e.message));
  });
  menu.append(h(
    "div",
    { class: "sl-menu" },
    item("save SVG", "Save as an SVG file, to be edited or printed", () => save(new Blob([svgText(draw())], { type: "image/svg+xml" }), `${name()}.svg`)),
    item("save PNG", "Save as a picture with twice the screen's resolution", async () => save(await toPng(draw()), `${name()}.png`)),
    item("copy PNG", "Copy as a picture", async () => {
      const picture = toPng(draw());
      if (!navigator.clipboard?.write) throw new Error("this page may not write to the clipboard; save the picture instead");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
    })
  ));
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      event.stopPropagation();
    }
  });
  return menu;
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

// node_modules/d3-hierarchy/src/hierarchy/count.js
function count2(node) {
  var sum = 0, children = node.children, i = children && children.length;
  if (!i) sum = 1;
  else while (--i >= 0) sum += children[i].value;
  node.value = sum;
}
function count_default() {
  return this.eachAfter(count2);
}

// node_modules/d3-hierarchy/src/hierarchy/each.js
function each_default(callback, that) {
  let index = -1;
  for (const node of this) {
    callback.call(that, node, ++index, this);
  }
  return this;
}

// node_modules/d3-hierarchy/src/hierarchy/eachBefore.js
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

// node_modules/d3-hierarchy/src/hierarchy/eachAfter.js
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

// node_modules/d3-hierarchy/src/hierarchy/find.js
function find_default(callback, that) {
  let index = -1;
  for (const node of this) {
    if (callback.call(that, node, ++index, this)) {
      return node;
    }
  }
}

// node_modules/d3-hierarchy/src/hierarchy/sum.js
function sum_default(value) {
  return this.eachAfter(function(node) {
    var sum = +value(node.data) || 0, children = node.children, i = children && children.length;
    while (--i >= 0) sum += children[i].value;
    node.value = sum;
  });
}

// node_modules/d3-hierarchy/src/hierarchy/sort.js
function sort_default(compare) {
  return this.eachBefore(function(node) {
    if (node.children) {
      node.children.sort(compare);
    }
  });
}

// node_modules/d3-hierarchy/src/hierarchy/path.js
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

// node_modules/d3-hierarchy/src/hierarchy/ancestors.js
function ancestors_default() {
  var node = this, nodes = [node];
  while (node = node.parent) {
    nodes.push(node);
  }
  return nodes;
}

// node_modules/d3-hierarchy/src/hierarchy/descendants.js
function descendants_default() {
  return Array.from(this);
}

// node_modules/d3-hierarchy/src/hierarchy/leaves.js
function leaves_default() {
  var leaves = [];
  this.eachBefore(function(node) {
    if (!node.children) {
      leaves.push(node);
    }
  });
  return leaves;
}

// node_modules/d3-hierarchy/src/hierarchy/links.js
function links_default() {
  var root2 = this, links = [];
  root2.each(function(node) {
    if (node !== root2) {
      links.push({ source: node.parent, target: node });
    }
  });
  return links;
}

// node_modules/d3-hierarchy/src/hierarchy/iterator.js
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

// node_modules/d3-hierarchy/src/hierarchy/index.js
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

// node_modules/d3-hierarchy/src/tree.js
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
  var change2 = shift / (wp.i - wm.i);
  wp.c -= change2;
  wp.s += shift;
  wm.c += change2;
  wp.z += shift;
  wp.m += shift;
}
function executeShifts(v) {
  var shift = 0, change2 = 0, children = v.children, i = children.length, w;
  while (--i >= 0) {
    w = children[i];
    w.z += shift;
    w.m += shift;
    shift += w.s + (change2 += w.c);
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
function lines2(node) {
  if (node.kind === "any") return ["*"];
  if (node.kind === "more") return node.text;
  if (node.kind === "start") return ["start of text"];
  if (node.kind === "gap") return [node.lo === node.hi ? `${node.lo} tokens` : `${node.lo}–${node.hi} tokens`];
  const shown = node.text.slice(0, node.text.length > MAX_LINES ? MAX_LINES - 1 : MAX_LINES).map(visible);
  const more = node.text.length > shown.length ? [`+ ${node.text.length - shown.length} more`] : [];
  return [...node.kind === "not" ? shown.map((s) => `not ${s}`) : shown, ...more];
}
var FOLD_FROM = 70;
var DRAWN = 45;
var BESIDE = 16;
function fold(nodes, opened = /* @__PURE__ */ new Map(), beside = /* @__PURE__ */ new Map()) {
  const children = /* @__PURE__ */ new Map();
  for (const n of nodes) children.set(n.parent, [...children.get(n.parent) ?? [], n]);
  const weight = /* @__PURE__ */ new Map(), size = /* @__PURE__ */ new Map();
  for (const n of [...nodes].reverse()) {
    const below = children.get(n.id) ?? [];
    weight.set(n.id, (n.end?.sum || n.end?.value || 0) + below.reduce((a, c) => a + (weight.get(c.id) ?? 0), 0));
    size.set(n.id, 1 + below.reduce((a, c) => a + (size.get(c.id) ?? 0), 0));
  }
  const large = nodes.length >= FOLD_FROM;
  const heavy = (n) => weight.get(n.id) ?? 0;
  const shown = (id) => {
    const all = children.get(id) ?? [];
    const most = beside.get(id) ?? BESIDE;
    return !large || all.length <= most ? all : [...all].sort((a, b) => heavy(b) - heavy(a)).slice(0, most);
  };
  const open = new Set(nodes.filter((n) => opened.get(n.id) ?? !large).map((n) => n.id));
  if (large) {
    let drawn = shown(0).length;
    const waiting = [...shown(0)];
    while (waiting.length) {
      waiting.sort((a, b) => heavy(b) - heavy(a));
      const next = (
        /** @type {PatternNode} */
        waiting.shift()
      );
      const more2 = shown(next.id);
      if (opened.get(next.id) === false || opened.get(next.id) === void 0 && drawn + more2.length > DRAWN) continue;
      open.add(next.id);
      drawn += more2.length;
      waiting.push(...more2);
    }
  }
  const sized = (list) => list.reduce((a, c) => a + (size.get(c.id) ?? 0), 0);
  const more = (parent, text) => (
    /** @type {PatternNode} */
    { id: -parent - 1, parent, kind: "more", ids: [], text: [text], lo: 0, hi: 0, imp: null, end: null, locked: false }
  );
  const out = [];
  const visit = (id) => {
    const all = children.get(id) ?? [];
    if (id !== 0 && !open.has(id)) {
      if (all.length) out.push(more(id, `◂ ${sized(all)}`));
      return;
    }
    const some = new Set(shown(id));
    for (const n of all) if (some.has(n)) {
      out.push(n);
      visit(n.id);
    }
    if (some.size < all.length) out.push(more(id, `+ ${all.length - some.size} beside`));
  };
  visit(0);
  return out;
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
  const said = new Map(nodes.map((n) => [n.id, lines2(n)]));
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

// n2g_graph.js
function canvas({ nodes, selected, select, signal }) {
  const content = svg("g");
  const graph = svg("svg", { class: "sl-graph", tabindex: "0", role: "tree", "aria-label": "Pattern graph. Arrow keys move between nodes, Enter folds and unfolds." }, content);
  const empty = h("div", { class: "sl-empty", hidden: true });
  let at = { x: 0, y: 0, k: 1 };
  let plan = layout([]);
  let shape2 = "";
  const opened = /* @__PURE__ */ new Map();
  const beside = /* @__PURE__ */ new Map();
  const stage = () => ({ width: graph.clientWidth || 640, height: graph.clientHeight || 420 });
  const move = () => content.setAttribute("transform", `translate(${at.x.toFixed(1)} ${at.y.toFixed(1)}) scale(${at.k.toFixed(4)})`);
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
    content.replaceChildren(...edges, ...plan.placed.map((p) => nodeBox(p, most)));
    empty.hidden = all.length > 0;
    graph.toggleAttribute("hidden", all.length === 0);
    empty.textContent = `No patterns. ${reason}`;
    mark();
    if (shape2 !== `${plan.width} ${plan.height}`) fit();
    shape2 = `${plan.width} ${plan.height}`;
  }
  function nodeBox({ node, lines: lines3, x, y, width, height, depth }, most) {
    const named = node.kind === "tok" || node.kind === "not";
    const group = svg("g", {
      class: `sl-node sl-${node.kind}${depth === 1 ? " sl-first" : ""}${node.end ? " sl-has-end" : ""}`,
      transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
      "data-id": node.id,
      role: "treeitem",
      "aria-level": depth,
      "aria-label": `${node.kind === "more" ? "more nodes: " : ""}${lines3.join(", ")}${node.end ? `, ends a pattern of value ${show(node.end.value)}` : ""}${node.locked ? ", locked" : ""}`,
      "aria-expanded": node.kind === "more" ? null : String(!folded(node.id))
    });
    const strength = node.end ? shade(node.end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
    const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
    shadeBox.style.setProperty("--a", strength.toFixed(3));
    group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
    lines3.forEach((text, i) => group.append(svg("text", {
      class: named && !text.startsWith("+ ") ? "" : "sl-aside",
      x: width / 2,
      y: 18 + i * 19,
      "text-anchor": "middle",
      direction: "ltr",
      "unicode-bidi": text.includes("\\x") ? "embed" : "plaintext"
      // an escaped byte beside right-to-left letters would be read backwards
    }, text)));
    if (node.end) {
      const said = show(node.end.value);
      const wide = 7 * said.length + 12;
      group.append(
        svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
        svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, said)
      );
    }
    if (node.locked) group.append(lock(width));
    return group;
  }
  function lock(width) {
    return svg(
      "g",
      { class: "sl-lock", transform: `translate(${width - 11} -7)` },
      svg("rect", { x: 0, y: 5, width: 10, height: 8, rx: 1.5 }),
      svg("path", { d: "M2 5V3.5a3 3 0 0 1 6 0V5" })
    );
  }
  function below(id) {
    const inside = /* @__PURE__ */ new Set([id]);
    for (const n of nodes()) if (inside.has(n.parent)) inside.add(n.id);
    return inside;
  }
  function mark() {
    const chosen = selected();
    const under = chosen === null ? /* @__PURE__ */ new Set() : below(chosen);
    for (const node of content.querySelectorAll(".sl-node")) {
      const id = Number(
        /** @type {SVGElement} */
        node.dataset.id
      );
      node.setAttribute("aria-selected", String(id === chosen));
      node.classList.toggle("sl-below", under.has(id) && id !== chosen);
    }
  }
  const folded = (id) => plan.placed.some((p) => p.node.id === -id - 1 && p.node.text[0].startsWith("◂"));
  function keep() {
    for (const { node } of plan.placed) if (node.kind !== "more" && !opened.has(node.id)) opened.set(node.id, !folded(node.id));
  }
  function reveal(id) {
    keep();
    const by = new Map(nodes().map((n) => [n.id, n]));
    for (let n = by.get(id); n; n = by.get(n.parent)) {
      const parent = n.parent;
      if (parent) opened.set(parent, true);
      if (!fold(nodes(), opened, beside).some((m) => m.id === n?.id)) beside.set(parent, Infinity);
    }
  }
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
    const id = node ? Number(node.dataset.id) : null;
    if (id !== null && id < 0) toggle(id);
    else select(id);
  }, { signal });
  graph.addEventListener("dblclick", (event) => {
    const node = (
      /** @type {SVGElement | null} */
      /** @type {Element} */
      event.target.closest(".sl-node")
    );
    if (node && Number(node.dataset.id) > 0) toggle(Number(node.dataset.id));
  });
  graph.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box2 = graph.getBoundingClientRect();
    zoom(Math.exp(-event.deltaY / 300), { x: event.clientX - box2.left, y: event.clientY - box2.top });
  }, { passive: false });
  function walk(key) {
    const drawn = plan.placed.filter((p) => p.node.kind !== "more");
    const here = drawn.find((p) => p.node.id === selected());
    if (!here) return void (drawn.length && select(drawn[0].node.id));
    const peers = drawn.filter((p) => p.depth === here.depth).sort((a, b) => a.y - b.y).map((p) => p.node.id);
    if (key === "ArrowLeft" && folded(here.node.id)) toggle(here.node.id);
    const next = {
      ArrowLeft: plan.placed.find((p) => p.node.parent === here.node.id && p.node.kind !== "more")?.node.id,
      ArrowRight: here.node.parent || void 0,
      ArrowUp: peers[peers.indexOf(here.node.id) - 1],
      ArrowDown: peers[peers.indexOf(here.node.id) + 1]
    }[key];
    if (next !== void 0) select(next);
    const place = plan.placed.find((p) => p.node.id === next);
    if (place) bringIntoView(place);
  }
  function bringIntoView(p) {
    const { width, height } = stage();
    const [left, top] = [at.x + p.x * at.k, at.y + p.y * at.k];
    const [right, bottom] = [left + p.width * at.k, top + p.height * at.k];
    at = { ...at, x: at.x + (left < 10 ? 10 - left : right > width - 10 ? width - 10 - right : 0), y: at.y + (top < 30 ? 30 - top : bottom > height - 40 ? height - 40 - bottom : 0) };
    move();
  }
  function picture() {
    const [width, height] = [Math.ceil(plan.width + 90), Math.ceil(plan.height + 40)];
    const copy = (
      /** @type {SVGGElement} */
      content.cloneNode(true)
    );
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
    return (
      /** @type {SVGSVGElement} */
      svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` }, background, copy)
    );
  }
  if (typeof ResizeObserver !== "undefined") {
    let width = 0;
    const watch = new ResizeObserver(() => {
      if (graph.clientWidth && graph.clientWidth !== width) {
        width = graph.clientWidth;
        fit();
      }
    });
    watch.observe(graph);
    signal.addEventListener("abort", () => watch.disconnect());
  }
  const box = h(
    "div",
    { class: "sl-stage" },
    graph,
    empty,
    h("span", { class: "sl-hint sl-left" }, "← earlier context"),
    h("span", { class: "sl-hint sl-right" }, "token the latent fires on"),
    h("div", { class: "sl-zoom" }, button("−", "Smaller (-)", () => zoom(0.8)), button("fit", "Show the whole graph (0)", fit), button("+", "Larger (+)", () => zoom(1.25)))
  );
  return { box, graph, draw, mark, fit, zoom, walk, toggle, picture };
}

// n2g_rows.js
var KINDS = (
  /** @type {const} */
  [["hit", "Hits"], ["false_alarm", "False alarms"], ["miss", "Misses"]]
);
function examples({ selected, select, stage, request, fail }) {
  let kind = "miss";
  let seed = 0;
  let asked = 0;
  const list = h("div", { class: "sl-rows", role: "list" });
  const said = h("span", { class: "sl-muted sl-small" });
  const tabs = h("div", { class: "sl-tabs", role: "tablist", "aria-label": "Examples" }, ...KINDS.map(([name, label]) => {
    const tab = h("button", { type: "button", role: "tab", "data-kind": name }, label);
    tab.addEventListener("click", () => {
      kind = name;
      seed = 0;
      load();
    });
    return tab;
  }));
  const box = h(
    "section",
    { class: "sl-examples" },
    h("div", { class: "sl-bar" }, tabs, said, h("span", { class: "sl-grow" }), button("others", "Other examples", () => {
      seed += 1;
      load();
    })),
    list
  );
  function load() {
    for (const tab of tabs.children) tab.setAttribute("aria-selected", String(
      /** @type {HTMLElement} */
      tab.dataset.kind === kind
    ));
    const mine = asked += 1;
    const node = kind === "miss" ? null : selected();
    request("rows", { kind, node, seed }).then((found) => {
      if (mine === asked) draw(found, node);
    }, (e) => {
      if (mine !== asked) return;
      list.replaceChildren();
      said.textContent = e.message;
    });
  }
  function draw(found, node) {
    const where = kind === "miss" ? "firings that no pattern matches" : node === null ? "all patterns" : `patterns through node ${node}`;
    said.textContent = `${count(found.total)} · ${where}`;
    const open = list.querySelector(".sl-compose:not([hidden])");
    const at = (
      /** @type {HTMLElement | undefined} */
      (open?.parentElement ?? void 0)?.dataset.at
    );
    list.replaceChildren(...found.rows.map((row) => line(row, found.high)));
    if (open) list.querySelector(`[data-at="${at}"] .sl-compose`)?.replaceWith(open);
    if (!found.rows.length) list.append(h("p", { class: "sl-muted sl-small" }, "none"));
  }
  function line(row, high) {
    const text = h("bdi", { class: "sl-line", dir: "auto" }, ...tokens(row.text, row.values, { high }));
    text.querySelector(`[data-start="${row.centre}"]`)?.classList.add("sl-centre");
    const below = h("div", { class: "sl-compose", hidden: true });
    const todo = h("span", { class: "sl-todo" });
    if (kind === "miss") todo.append(button("path …", "Add a path from this miss", () => compose(row, below, null)));
    if (kind === "false_alarm") {
      const b = row.before;
      if (b && b.id !== void 0) todo.append(button(`not after`, `Not where the token before the pattern is ${b.text}`, () => stage("exclude", { node: row.node, ids: [b.id] })), chip(b.text ?? ""));
      else todo.append(h("span", { class: "sl-muted sl-small", title: b?.reason }, "no token before"));
      todo.append(button("exception …", "Add a longer path on which the latent does not fire", () => compose(row, below, 0)));
    }
    const value = h("span", { class: "sl-act", title: `activation ${show(row.value)}, predicted ${show(row.predicted)}` }, kind === "false_alarm" ? show(row.predicted) : show(row.value));
    const out = h("div", { class: "sl-row", role: "listitem", "data-at": row.token_index }, value, h("div", { class: "sl-sample" }, text), todo, below);
    if (row.node) text.addEventListener("click", () => select(row.node));
    return out;
  }
  function compose(row, place, value) {
    if (!place.hidden) {
      place.hidden = true;
      return;
    }
    request("compose", { token_index: row.token_index }).then((found) => {
      const into = (
        /** @type {HTMLElement} */
        list.querySelector(`[data-at="${row.token_index}"] .sl-compose`) ?? place
      );
      const n = found.tokens.length;
      let first = n - (value === 0 ? Math.min(n, found.length + 1) : found.length);
      let start = false;
      const wild = /* @__PURE__ */ new Set();
      const go = () => stage("add_path", { items: [...start ? ["^"] : [], ...found.tokens.slice(first).map((t, i) => wild.has(first + i) ? "*" : t.id)], value });
      const redraw = () => {
        const buttons = found.tokens.map((t, i) => {
          const state = i < first ? "left out" : wild.has(i) ? "any token" : "this token";
          const press = h("button", { type: "button", class: `sl-step sl-${state.split(" ")[0]}`, "aria-label": `${t.text}: ${state}`, title: "Click: this token, any token, left out" }, state === "any token" ? "*" : chip(t.text));
          press.addEventListener("click", () => {
            if (i < first) first = i;
            else if (!wild.has(i)) wild.add(i);
            else {
              wild.delete(i);
              if (i === first && i < n - 1) first += 1;
            }
            if (first > 0) start = false;
            redraw();
            go();
          });
          return press;
        });
        const anchor = h("button", { type: "button", class: "sl-step", "aria-pressed": String(start), title: "Only at the start of the text", hidden: !(found.whole && first === 0) }, "^ start");
        anchor.addEventListener("click", () => {
          start = !start;
          redraw();
          go();
        });
        into.replaceChildren(h("span", { class: "sl-muted sl-small" }, value === 0 ? "silent on" : "fires on"), anchor, h("bdi", { dir: "ltr", class: "sl-steps" }, ...buttons));
      };
      into.hidden = false;
      redraw();
      go();
    }, (e) => fail(e.message));
  }
  return { box, load };
}

// n2g_tools.js
var percent = (v) => v === null || v === void 0 ? "–" : `${(100 * v).toFixed(1)} %`;
var signed = (n) => n > 0 ? `+${count(n)}` : n < 0 ? `−${count(-n)}` : "±0";
function change(name, n, good) {
  return h("span", { class: n === 0 ? "sl-muted" : n * good > 0 ? "sl-up" : "sl-down" }, `${name} ${signed(n)}`);
}
var changes = (delta) => [change("hits", delta.tp, 1), " ", change("false alarms", delta.fp, -1)];
function tools({ node, nodes, request, fail }) {
  const strip = h("div", { class: "sl-pending", role: "status", "aria-live": "polite", hidden: true });
  const box = h("section", { class: "sl-tools" });
  const form = h("div", { class: "sl-form" });
  let pending = null;
  let shown = null;
  let form_of = "";
  function stage(op, args) {
    const mine = pending = { op, args };
    wait(!strip.hidden);
    request("preview", { op, args }).then((found) => {
      if (pending !== mine) return;
      shown = mine;
      drawStrip(found);
      wait(false);
    }, (error) => {
      if (pending === mine) cancel();
      fail(error.message);
    });
  }
  function wait(on) {
    strip.setAttribute("aria-busy", String(on));
    const apply = (
      /** @type {HTMLButtonElement | null} */
      strip.querySelector(".sl-primary")
    );
    if (apply) apply.disabled = on;
  }
  function cancel() {
    pending = shown = null;
    strip.hidden = true;
  }
  function commit() {
    if (!pending || pending !== shown) return;
    const { op, args } = pending;
    const note = (
      /** @type {HTMLInputElement | null} */
      strip.querySelector("input")?.value ?? ""
    );
    cancel();
    closeForm();
    request("apply", { op, args, note }).catch((e) => fail(e.message));
  }
  function drawStrip(found) {
    const kept = (
      /** @type {HTMLInputElement | null} */
      strip.querySelector("input")?.value ?? ""
    );
    const typing2 = strip.contains(document.activeElement) && document.activeElement?.tagName === "INPUT";
    const note = h("input", { class: "sl-input", type: "text", placeholder: "Why? (a note, if you like)", "aria-label": "Note on this edit", maxlength: 500 });
    note.value = strip.hidden ? "" : kept;
    note.addEventListener("keydown", (event) => {
      if (event.key === "Enter") commit();
      if (event.key === "Escape") cancel();
    });
    const arrows = (k, name) => {
      const [a, b] = [found.before?.[k], found.after?.[k]];
      const better = a === null || a === void 0 || b === null || b === void 0 || Math.abs(a - b) < 5e-5 ? "" : b > a ? "sl-up" : "sl-down";
      return h("span", {}, `${name} ${percent(a)} → `, h("b", { class: better }, percent(b)));
    };
    const apply = button("Apply", "Make this edit (Enter)", commit);
    apply.classList.add("sl-primary");
    strip.replaceChildren(
      h("div", { class: "sl-bar" }, h("span", { class: "sl-pending-text" }, "Preview: ", h("bdi", {}, found.text)), h("span", { class: "sl-grow" }), apply, button("Cancel", "Leave the graph as it is (Esc)", cancel)),
      h("div", { class: "sl-bar sl-small" }, ...found.delta ? [
        change("hits", found.delta.tp, 1),
        change("false alarms", found.delta.fp, -1),
        change("misses", found.delta.fn, -1),
        arrows("precision", "precision"),
        arrows("recall", "recall"),
        arrows("f1", "F1")
      ] : [h("span", { class: "sl-muted" }, "not scored")]),
      h("ul", { class: "sl-diff" }, ...[["removed", "−"], ["added", "+"], ["revalued", "≈"]].flatMap(([kind, sign]) => found.patterns[
        /** @type {"added"} */
        kind
      ].map((text) => h("li", { class: `sl-${kind}` }, h("span", { "aria-label": kind }, sign), " ", h("bdi", {}, text))))),
      note
    );
    strip.hidden = false;
    if (typing2) note.focus();
  }
  function closeForm() {
    form_of = "";
    form.replaceChildren();
  }
  function open(name, fill) {
    const key = `${name} ${node()?.id}`;
    const again = form_of === key;
    closeForm();
    if (again) return;
    form_of = key;
    fill(form);
    form.querySelector("input, button")?.focus();
  }
  function chooser(name, op, suggested) {
    const here = node();
    if (!here) return;
    open(name, (into) => {
      const chosen = /* @__PURE__ */ new Set();
      const list = h("div", { class: "sl-choices", role: "group", "aria-label": name });
      const search = h("input", { class: "sl-input", type: "search", placeholder: "find a token", "aria-label": "Find a token" });
      const line = (s) => {
        const tick = h("input", { type: "checkbox" });
        tick.checked = chosen.has(s.token);
        tick.addEventListener("change", () => {
          if (tick.checked) chosen.add(s.token);
          else chosen.delete(s.token);
          if (chosen.size) stage(op, { node: here.id, ids: [...chosen] });
          else cancel();
        });
        return h("label", { class: "sl-check sl-choice" }, tick, chip(s.text), s.tp === void 0 ? null : h("span", { class: "sl-muted sl-small" }, `${count(s.tp)} hits, ${count(s.fp ?? 0)} false alarms`));
      };
      const showAll = (found) => list.replaceChildren(...found.length ? found.map(line) : [h("span", { class: "sl-muted sl-small" }, "none found in the train documents; search for one")]);
      const ask = (answer) => answer.then((found) => {
        if (form.contains(list)) showAll(found);
      }, (e) => fail(e.message));
      let timer = setTimeout(() => {
      }, 0);
      search.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          if (search.value) ask(request("tokens", { text: search.value }));
          else if (suggested) ask(request("suggest", { node: here.id }));
        }, 150);
      });
      into.append(h("h3", {}, name), search, list);
      if (suggested) ask(request("suggest", { node: here.id }));
    });
  }
  function gapForm() {
    const here = node();
    if (!here) return;
    open("gap", (into) => {
      const field = (name, value) => {
        const input = h("input", { class: "sl-input sl-number", type: "number", min: 0, max: 64, "aria-label": name });
        input.value = String(value);
        return input;
      };
      const gap = here.kind === "gap";
      const [lo, hi] = [field("At least so many tokens", gap ? here.lo : 0), field("At most so many tokens", gap ? here.hi : 4)];
      const go = () => {
        if (lo.value !== "" && hi.value !== "") stage("gap", { node: here.id, lo: Number(lo.value), hi: Number(hi.value) });
      };
      lo.addEventListener("input", go);
      hi.addEventListener("input", go);
      into.append(
        h("h3", {}, gap || here.kind === "any" ? "Tokens that may stand here" : "Tokens that may stand after this one"),
        h("div", { class: "sl-bar" }, lo, "to", hi, button("Show", "Preview the gap", go)),
        h("p", { class: "sl-muted sl-small" }, "At most 0 takes a gap away.")
      );
    });
  }
  function valueForm() {
    const here = node();
    if (!here) return;
    open("value", (into) => {
      const input = h("input", { class: "sl-input sl-number", type: "number", min: 0, step: "any", "aria-label": "Predicted activation" });
      input.value = here.end ? String(Number(here.end.value.toPrecision(4))) : "";
      const go = () => {
        if (input.value !== "") stage("set_value", { node: here.id, value: Number(input.value) });
      };
      input.addEventListener("input", go);
      into.append(
        h("h3", {}, "Predicted activation where a pattern ends here"),
        h(
          "div",
          { class: "sl-bar" },
          input,
          button("Show", "Preview this value", go),
          here.end ? button("Fit", "The mean activation on the train documents", () => stage("refit", { node: here.id })) : null
        ),
        h("p", { class: "sl-muted sl-small" }, "0 makes an exception: the latent does not fire here.")
      );
    });
  }
  function verify() {
    const here = node();
    if (!here) return;
    open("verify", (into) => {
      const said = h("p", { class: "sl-verdict" }, "asking the model …");
      into.append(h("h3", {}, "The model's word"), said);
      request("verify", { node: here.id }).then((found) => {
        said.textContent = `Around these tokens everything random: fires on ${Math.round(100 * found.sufficiency)} % of the prompts, mean activation ${show(found.mean)}.`;
      }, (e) => {
        said.textContent = e.message;
      });
    });
  }
  const named = (n) => n.kind === "tok" || n.kind === "not";
  const anchored = (n) => nodes().some((m) => m.parent === n.id && m.kind === "start");
  const place = (n) => named(n) || n.kind === "any";
  const actions = [
    { key: "Delete", label: "Delete", name: "Delete the node and what is to its left (Del)", fits: () => true, run: (n) => stage("delete", { node: n.id }) },
    { key: "w", label: "Any token", name: "Any token may stand here (W)", fits: named, run: (n) => stage("wildcard", { node: n.id }) },
    { key: "s", label: "Only …", name: "Only these tokens may stand here (S)", fits: place, run: () => chooser("Only these tokens", "specialise", true) },
    { key: "a", label: "Also …", name: "Further tokens may stand here (A)", fits: named, run: (n) => chooser(n.kind === "tok" ? "Also these tokens" : "Also not these tokens", "add_alternative", n.kind === "tok") },
    { key: "x", label: "Not after …", name: "Not where one of these tokens is before it (X)", fits: place, run: () => chooser("Not after these tokens", "exclude", false) },
    { key: "g", label: "Gap …", name: "Tokens that may stand between (G)", fits: (n) => n.kind === "gap" || n.kind === "any" || n.parent !== 0, run: gapForm },
    { key: "^", label: "Start", name: "Only at the start of the text, or anywhere again (^)", fits: (n) => place(n) && (n.end !== null || anchored(n)), run: (n) => stage("anchor_start", { node: n.id, on: !anchored(n) }) },
    { key: "m", label: "End", name: "A pattern ends here: what is to the left is not needed; or no longer (M)", fits: (n) => place(n) || n.kind === "start", run: (n) => stage("mark", { node: n.id, on: n.end === null }) },
    { key: "v", label: "Value …", name: "Predicted activation where a pattern ends here (V)", fits: (n) => n.end !== null, run: valueForm },
    { key: "p", label: "Split", name: "A node of its own for each alternative (P)", fits: (n) => n.kind === "tok" && n.ids.length > 1, run: (n) => stage("split", { node: n.id, ids: null }) },
    { key: "l", label: "Lock", name: "Protect the node from edits, or release it (L)", fits: () => true, run: (n) => stage("lock", { node: n.id, on: !n.locked }) },
    { key: "?", label: "Verify", name: "Ask the model whether this pattern alone makes the latent fire (?)", fits: (n) => n.end !== null, run: verify }
  ];
  function forKey(key) {
    const here = node();
    const action = actions.find((a) => a.key === (key === "Backspace" ? "Delete" : key.length === 1 ? key.toLowerCase() : key));
    return here && action?.fits(here) ? () => action.run(here) : void 0;
  }
  const leaving = /* @__PURE__ */ new Set();
  let drawn = "";
  function draw() {
    const here = node();
    const key = JSON.stringify(here ?? null);
    if (key === drawn) return;
    drawn = key;
    leaving.clear();
    cancel();
    closeForm();
    box.replaceChildren();
    if (!here) return;
    box.append(h("div", { class: "sl-actions", role: "toolbar", "aria-label": "Edit the node" }, ...actions.filter((a) => a.fits(here)).map((a) => {
      const pressed = a.label === "End" ? here.end !== null : a.label === "Lock" ? here.locked : a.label === "Start" ? anchored(here) : null;
      const made2 = button(a.label, a.name, () => a.run(here));
      if (pressed !== null) made2.setAttribute("aria-pressed", String(pressed));
      return made2;
    })), form);
  }
  function alternatives(here, fixed) {
    return here.text.slice(0, 60).map((text, i) => {
      const made2 = chip(text);
      if (fixed || here.ids.length < 2) return made2;
      const press = h("button", { type: "button", class: "sl-alternative", title: "Take away", "aria-pressed": String(leaving.has(here.ids[i])), "aria-label": `Take away ${text}` }, made2);
      press.addEventListener("click", () => {
        const id = here.ids[i];
        if (leaving.has(id)) leaving.delete(id);
        else leaving.add(id);
        press.setAttribute("aria-pressed", String(leaving.has(id)));
        if (leaving.size) stage("remove_alternative", { node: here.id, ids: [...leaving] });
        else cancel();
      });
      return press;
    });
  }
  return { box, strip, draw, stage, cancel, commit, forKey, alternatives, waiting: () => pending !== null };
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

// n2g_editor.js
var WHAT = { tok: "one of these tokens", not: "any token but these", any: "any token", gap: "a gap", start: "the start of the text", more: "" };
function render({ model, el, signal }) {
  const abort = new AbortController();
  signal?.addEventListener("abort", () => abort.abort());
  const request = requests(model, abort.signal);
  const view = root("n2g", "Pattern graph editor");
  const alert = alertBox(model);
  const title = h("h2");
  const scores = h("section");
  const detail = h("section", { class: "sl-detail" });
  const steps = h("section");
  const fixed = model.get("read_only");
  const node = () => model.get("nodes").find((n) => n.id === model.get("selected"));
  const ask = (method, params) => request(method, params).catch((e) => alert.say(e.message));
  function select(id) {
    if (id === model.get("selected")) return;
    model.set("selected", id);
    model.save_changes();
  }
  const drawing = canvas({ nodes: () => model.get("nodes"), selected: () => model.get("selected"), select, signal: abort.signal });
  const editing = tools({ node, nodes: () => model.get("nodes"), request, fail: alert.say });
  const rows = examples({ selected: () => model.get("selected"), select, stage: editing.stage, request, fail: alert.say });
  const undo = button("Undo", "Undo (Ctrl+Z)", () => ask("undo"));
  const redo = button("Redo", "Redo (Ctrl+Shift+Z)", () => ask("redo"));
  function download(name, text, type) {
    const link = h("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
  }
  const file = (end) => `latent-${model.get("latent") ?? "graph"}.${end}`;
  const save2 = (kind, type) => button(kind.toUpperCase(), `Save the graph as ${kind.toUpperCase()}`, () => request("export", { kind }).then((text) => download(file(kind), text, type), (e) => alert.say(e.message)));
  const picture = figureMenu(view, () => `latent-${model.get("latent") ?? "graph"}-graph`, alert.say, drawing.picture);
  view.addEventListener("keydown", (event) => {
    if (typing(event)) return event.stopPropagation();
    const target = (
      /** @type {HTMLElement} */
      event.target
    );
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    let action;
    if (command && !event.altKey && key === "z" && !fixed) action = () => ask(event.shiftKey ? "redo" : "undo");
    else if (command && key === "y" && !fixed) action = () => ask("redo");
    else if (command || event.altKey) return;
    else if (event.key === "Escape") action = editing.waiting() ? editing.cancel : () => select(null);
    else if (event.key === "Enter" && target.tagName !== "BUTTON") action = editing.waiting() ? editing.commit : () => {
      const id = model.get("selected");
      if (id !== null) drawing.toggle(id);
    };
    else if (event.key.startsWith("Arrow")) action = () => drawing.walk(event.key);
    else if (event.key === "+" || event.key === "=") action = () => drawing.zoom(1.25);
    else if (event.key === "-") action = () => drawing.zoom(0.8);
    else if (event.key === "0") action = drawing.fit;
    else if (!fixed) action = editing.forKey(event.key);
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    action();
  });
  function drawScores() {
    const [now, was, final] = [model.get("score"), model.get("before"), model.get("final")];
    const done = model.get("done");
    undo.disabled = done === 0;
    redo.disabled = done >= model.get("history").length;
    title.textContent = model.get("latent") === null ? "Patterns" : `Latent ${model.get("latent")}`;
    scores.replaceChildren(h("h3", {}, now?.split ? `Score on the ${now.split} documents` : "Score"));
    if (!now) return scores.append(h("p", { class: "sl-muted sl-small" }, model.get("score_reason")));
    const keys = (
      /** @type {const} */
      ["precision", "recall", "f1"]
    );
    const cell = (s, k) => {
      const range = s[`${k}_interval`];
      return h("td", { title: range ? `95 %: ${percent(range[0])} to ${percent(range[1])}` : null }, percent(s[k]));
    };
    const row = (name, s, kind = "") => h("tr", { class: kind }, h("td", {}, name), ...keys.map((k) => cell(s, k)));
    const table = h(
      "table",
      { class: "sl-scores" },
      h("tr", {}, h("th", {}, ""), h("th", {}, "precision"), h("th", {}, "recall"), h("th", {}, "F1")),
      row("graph", now, "sl-now")
    );
    if (now.f1_interval && now.precision_interval && now.recall_interval) {
      table.append(h("tr", { class: "sl-range" }, h("td", { class: "sl-muted" }, "95 %"), ...keys.map((k) => {
        const [a, b] = (
          /** @type {[number, number]} */
          now[`${k}_interval`]
        );
        return h("td", { class: "sl-muted" }, `${(100 * a).toFixed(0)}–${(100 * b).toFixed(0)}`);
      })));
    }
    if (was && done) {
      table.append(h("tr", {}, h("td", { class: "sl-muted" }, "change"), ...keys.map((k) => {
        const [a, b] = [was[k], now[k]];
        if (a === null || b === null) return h("td", { class: "sl-delta" }, "–");
        const points = 100 * (b - a);
        return h("td", { class: `sl-delta ${points > 0.05 ? "sl-up" : points < -0.05 ? "sl-down" : "sl-muted"}` }, `${points >= 0.05 ? "+" : points <= -0.05 ? "−" : "±"}${Math.abs(points).toFixed(1)}`);
      })));
    }
    for (const [name, s] of Object.entries(model.get("baselines"))) table.append(row(name, s));
    if (final) table.append(row(final.done === done ? "test" : `test, at edit ${final.done}`, final, "sl-final"));
    scores.append(table, h(
      "p",
      { class: "sl-muted sl-small" },
      `${count(now.tp)} hits, ${count(now.fp)} false alarms, ${count(now.fn)} misses` + (now.tokens ? ` in ${count(now.tokens)} tokens` : "")
    ));
    if (!fixed) scores.append(button("Test score", "Score on the test documents. Ask once, at the end: who edits until it looks good has made it worthless", () => ask("final_score")));
  }
  function drawDetails() {
    const here = node();
    detail.replaceChildren();
    editing.draw();
    if (!here) return detail.append(h("p", { class: "sl-muted sl-small" }, model.get("nodes").length ? "Select a node to see and change what it matches." : ""));
    detail.append(h("h3", {}, `Node ${here.id}: ${WHAT[here.kind]}`));
    if (here.text.length) detail.append(h("div", { class: "sl-chips" }, ...editing.alternatives(here, fixed), here.text.length > 60 ? `+ ${here.text.length - 60}` : null));
    const known = [];
    if (here.end) known.push(["predicted activation", here.end.value]);
    if (here.imp !== null) known.push(["importance", here.imp]);
    const list = h("dl", { class: "sl-facts-list" });
    const fill = (rows2) => list.append(...rows2.flatMap(([a, b]) => [h("dt", {}, a), h("dd", {}, show(b))]));
    fill(known);
    detail.append(list);
    if (!fixed && model.get("score")) request("facts", { node: here.id }).then((found) => {
      if (detail.contains(list)) fill(found);
    }, (e) => alert.say(e.message));
  }
  function drawHistory() {
    const [history, done] = [model.get("history"), model.get("done")];
    steps.replaceChildren();
    if (!history.length) return;
    const jump = (i, text) => {
      if (fixed) return h("span", {}, text);
      const made2 = h("button", { type: "button", class: "sl-link", title: i === done ? "The graph is here" : "Go here", "aria-current": i === done ? "step" : null }, text);
      made2.addEventListener("click", () => ask("go_to", { step: i }));
      return made2;
    };
    const first = h("li", {}, jump(0, "as it began"));
    const before = model.get("before");
    first.append(h("span", { class: "sl-muted" }, before ? `F1 ${percent(before.f1)}` : ""));
    steps.append(h("h3", {}, "Edits"), h("ol", { class: "sl-history" }, first, ...history.map((step, i) => {
      const item = h("li", { class: i < done ? "" : "sl-undone" }, jump(i + 1, h("bdi", {}, step.text)), h("span", { class: "sl-muted" }, step.f1 === null || step.f1 === void 0 ? "" : `F1 ${percent(step.f1)}`));
      if (step.delta) item.append(h("span", { class: "sl-small sl-changes" }, ...changes(step.delta)));
      if (fixed || i >= done) {
        if (step.note) item.append(h("span", { class: "sl-muted sl-small" }, step.note));
        return item;
      }
      const note = h("input", { class: "sl-input", type: "text", placeholder: "Why?", "aria-label": `Note on edit ${i + 1}`, maxlength: 500 });
      note.value = step.note;
      note.addEventListener("change", () => ask("annotate", { step: i, note: note.value }));
      item.append(note);
      return item;
    })));
  }
  const scored = () => !fixed && model.get("score") !== null;
  const load = throttle(() => {
    rows.box.hidden = !scored();
    if (scored()) rows.load();
  }, 60, abort.signal);
  const redraw = throttle(() => {
    drawing.draw(model.get("reason"));
    drawScores();
    drawDetails();
    drawHistory();
    load();
  }, 0, abort.signal);
  for (
    const key of
    /** @type {const} */
    ["nodes", "score", "before", "baselines", "history", "done", "final", "reason", "latent", "selected"]
  ) model.on(`change:${key}`, redraw);
  model.on("change:selected", drawing.mark);
  const bar = h("span", { class: "sl-bar sl-edit-bar" }, undo, redo, h("span", { class: "sl-muted sl-small" }, "save"), save2("json", "application/json"), save2("dot", "text/vnd.graphviz"), picture);
  if (fixed) bar.replaceChildren(picture);
  view.append(
    alert.box,
    h("div", { class: "sl-bar" }, title, h("span", { class: "sl-grow" }), bar),
    h("div", { class: "sl-columns" }, h("div", { class: "sl-main" }, drawing.box, ...fixed ? [] : [editing.strip, rows.box]), h("aside", {}, scores, detail, fixed ? "" : editing.box, steps))
  );
  el.append(view);
  rows.box.hidden = true;
  drawing.draw(model.get("reason"));
  drawScores();
  drawDetails();
  drawHistory();
  drawing.fit();
  load();
  return () => abort.abort();
}
var n2g_editor_default = { render };
export {
  n2g_editor_default as default
};
