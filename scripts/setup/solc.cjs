// Stands in for the native Solidity compiler where that can't be downloaded: npm's solc, the official compiler as
// wasm, behind the command line that py-solc-x uses.
const fs = require("fs");
const path = require("path");

const project = path.resolve(__dirname, "..", "..");
const packageFolder = path.join(project, "node_modules", "solc");
const args = process.argv.slice(2);

if (!args.includes("--standard-json")) {
  console.error("this stand-in for solc knows --standard-json only");
  process.exit(1);
}

const option = (name) => (args.includes(name) ? args[args.indexOf(name) + 1] : undefined);
const roots = [option("--base-path"), option("--include-path"), process.cwd(), project].filter(Boolean);

function readImport(name) {
  for (const root of roots) {
    const file = path.resolve(root, name);
    if (fs.existsSync(file)) return { contents: fs.readFileSync(file, "utf8") };
  }
  return { error: `${name}: not found below ${roots.join(", ")}` };
}

const solc = require(packageFolder);
process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readImport }));
