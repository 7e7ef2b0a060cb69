// Bundles every widget into ../saelab/static, unminified, so that a diff of the committed files can be read.
// Paths in the bundles' comments depend on the working directory: run it as `npm run build` from this folder.
import { readFileSync } from "node:fs";
import { build } from "esbuild";

const widgets = Object.keys(JSON.parse(readFileSync("../saelab/widgets/registry.json", "utf8")));

await build({
  entryPoints: [...widgets.flatMap((name) => [`${name}.js`, `${name}.css`]), "standalone.js", "page.css"],
  outdir: "../saelab/static",
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome120", "firefox121", "safari17.4"],
  charset: "utf8",
  preserveSymlinks: true, // node_modules may be a link: the comments name it all the same
  legalComments: "inline",
  logLevel: "warning",
});
