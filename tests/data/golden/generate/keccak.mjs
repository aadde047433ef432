// node generate/keccak.mjs, with ethereum-cryptography 3.2.0: writes keccak.json
import { bytes, require, save } from "./formulas.mjs";

const { keccak256 } = require("ethereum-cryptography/keccak");
const LENGTHS = [0, 1, 7, 8, 9, 32, 64, 66, 127, 128, 135, 136, 137, 143, 144, 271, 272, 273, 480, 768];
save(
  "keccak",
  LENGTHS.map((length) => ({ length, digest: "0x" + Buffer.from(keccak256(bytes(length))).toString("hex") })),
);
