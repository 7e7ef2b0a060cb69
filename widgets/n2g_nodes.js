/** Nodes and edges of a pattern graph as SVG, and the whole as a picture. */
import { show, svg } from "./dom.js";
import { styled } from "./figure.js";
import { shade } from "./text.js";

/** The line from a node to its parent. @param {Placed} p @param {Placed | undefined} parent */
export function edge(p, parent) {
  if (!parent) return [];
  const [x1, y1, x2, y2] = [p.x + p.width, p.y + p.height / 2, parent.x, parent.y + parent.height / 2];
  const middle = (x1 + x2) / 2;
  return [svg("path", { class: "sl-edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}` })];
}

/** @param {Placed} p @param {number} most largest value of all patterns @param {boolean} folded */
export function nodeBox({ node, lines, x, y, width, height, depth }, most, folded) {
  const { kind, end, locked } = node;
  const says = `${kind === "more" ? "more nodes: " : ""}${lines.join(", ")}`;
  const group = svg("g", {
    class: `sl-node sl-${kind}${depth === 1 ? " sl-first" : ""}${end ? " sl-has-end" : ""}`,
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-id": node.id, role: "treeitem", "aria-level": depth,
    "aria-label": `${says}${end ? `, ends a pattern of value ${show(end.value)}` : ""}${locked ? ", locked" : ""}`,
    "aria-expanded": kind === "more" ? null : String(!folded),
  });
  // an end is shaded by its value; other nodes by how much they matter
  const strength = end ? shade(end.value, 0, most) : node.imp !== null ? 0.6 * shade(node.imp, 0, 1) : 0;
  const shadeBox = svg("rect", { class: "sl-shade", width, height, rx: 6 });
  shadeBox.style.setProperty("--a", strength.toFixed(3));
  group.append(svg("rect", { class: "sl-box", width, height, rx: 6 }), shadeBox);
  lines.forEach((text, i) => group.append(svg("text", {
    class: (kind === "tok" || kind === "not") && !text.startsWith("+ ") ? "" : "sl-aside",
    x: width / 2, y: 18 + i * 19, "text-anchor": "middle", direction: "ltr",
    "unicode-bidi": text.includes("\\x") ? "embed" : "plaintext", // an escaped byte beside right-to-left letters would be read backwards
  }, text)));
  if (end) {
    const value = show(end.value), wide = 7 * value.length + 12;
    group.append(svg("rect", { class: "sl-pill", x: -wide - 1, y: height / 2 - 9, width: wide + 4, height: 18, rx: 9 }),
      svg("text", { class: "sl-end", x: -wide / 2, y: height / 2 + 4 }, value));
  }
  if (locked) group.append(svg("g", { class: "sl-lock", transform: `translate(${width - 11} -7)` },
    svg("rect", { x: 0, y: 5, width: 10, height: 8, rx: 1.5 }), svg("path", { d: "M2 5V3.5a3 3 0 0 1 6 0V5" })));
  return group;
}

/** The whole drawing by itself under its name, with the colours it has here. @param {SVGSVGElement} graph @param {SVGGElement} content @param {{ width: number, height: number }} plan @param {string} name */
export function pictureOf(graph, content, plan, name) {
  const [width, height] = [Math.ceil(Math.max(plan.width + 90, 8 * name.length + 40)), Math.ceil(plan.height + 70)];
  const copy = styled(content);
  for (const node of copy.querySelectorAll("*")) node.removeAttribute("class");
  copy.setAttribute("transform", "translate(70 50)");
  const style = getComputedStyle(graph.parentElement ?? graph);
  const background = svg("rect", { width, height, fill: style.backgroundColor || "#fff" });
  return svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` }, background,
    svg("text", { x: 16, y: 26, "font-family": "system-ui, sans-serif", "font-size": 14, "font-weight": 600, fill: style.color }, name), copy);
}
