import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import ts from "typescript";

const MOST = 80; // lines from `function` to its closing brace, with all functions in it

/** @param {string} file @returns {[string, number][]} every function with a body, and how many lines it has */
function functions(file) {
  const source = ts.createSourceFile(file, readFileSync(new URL(`../${file}`, import.meta.url), "utf8"), ts.ScriptTarget.Latest, true);
  const line = (/** @type {number} */ at) => source.getLineAndCharacterOfPosition(at).line;
  const found = [];
  const visit = (/** @type {ts.Node} */ node) => {
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      const name = node.name?.getText() ?? (ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : "a function");
      found.push([`${file}:${line(node.getStart()) + 1} ${name}`, line(node.end) - line(node.getStart()) + 1]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

test(`no function is longer than ${MOST} lines`, () => {
  const all = readdirSync(new URL("..", import.meta.url)).filter((f) => f.endsWith(".js")).flatMap(functions);
  assert.ok(all.length > 300, "the sources are read");
  assert.deepEqual(all.filter(([, lines]) => lines > MOST), []);
});
