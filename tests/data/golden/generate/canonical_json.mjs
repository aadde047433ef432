// node generate/canonical_json.mjs, with canonicalize 2.0.0: writes canonical_json.json
import { require, save } from "./formulas.mjs";

const canonicalize = require("canonicalize");
const VALUES = [
  null,
  true,
  "",
  {},
  [],
  0,
  -1,
  9007199254740991,
  -9007199254740991,
  { b: 1, a: [2, { d: null, c: false }], "": "empty key", A: "capital" },
  { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 },
  "\u0000\u0001\b\t\n\u000b\f\r\u001f \"\\/\u007f\u0080\u2028\u20ac\ud83d\ude00",
  { slot: 96, powerW: -3000, pod: "0x00ff", prices: [1, 10, 100] },
];
const FLOATS = [0.1, -2.5, 1e-7, 1e25, 1.7976931348623157e308, 5e-324, 333333333.3333333, 0.000001, 4.5, 1e-27];
save("canonical_json", {
  integers: VALUES.map((value) => ({ value, canonical: canonicalize(value) })),
  floats: FLOATS.map((value) => ({ value, canonical: canonicalize(value) })),
});
