// Inputs of the golden vectors, by formulas that the Python tests repeat, so that only results need be kept.
import { createRequire } from "node:module";
import { writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Packages are taken from node_modules of the folder in which the script is run, or from NODE_PATH.
export const require = createRequire(process.cwd() + "/");
export const load = (name) => import(pathToFileURL(require.resolve(name)).href);

export const save = (name, vectors) =>
  writeFileSync(new URL(`../${name}.json`, import.meta.url), JSON.stringify(vectors, null, 1) + "\n");

export const bytes = (length) => {
  const out = new Uint8Array(length);
  for (let i = 0; i < length; i++) out[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 255;
  return out;
};

const number = (row, column) => row * 2654435761 + column * 40503 + 1;

const value = (type, row, column) => {
  const n = number(row, column);
  if (type.endsWith("[]")) return Array.from({ length: row % 4 }, (_, k) => value(type.slice(0, -2), row, column + k));
  if (type === "bytes32") return "0x" + n.toString(16).padStart(16, "0").repeat(4);
  if (type === "address") return "0x" + n.toString(16).padStart(20, "0").repeat(2);
  if (type === "bool") return n % 2 === 1;
  if (type === "string") return `PoD ${n} è qui`;
  const bits = Math.min(Number(type.replace(/u?int/, "")), 48);
  return type.startsWith("u") ? n % 2 ** bits : (n % 2 ** (bits - 1)) * (row % 2 ? -1 : 1);
};

// `period`: rows repeat after so many, which makes leaves that are equal.
export const rows = (types, count, period) =>
  Array.from({ length: count }, (_, row) => types.map((type, column) => value(type, row % period, column)));
