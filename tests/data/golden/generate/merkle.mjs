// node generate/merkle.mjs, with @openzeppelin/merkle-tree 1.0.8: writes merkle.json
import { require, rows, save } from "./formulas.mjs";

const { StandardMerkleTree } = require("@openzeppelin/merkle-tree");
const SHAPES = [
  ["uint8", "uint32", "uint32", "bytes32", "uint16", "int32"],
  ["address", "uint256", "bool", "bytes32", "int64", "uint64", "bytes32"],
  ["uint8", "uint32", "uint32", "address[]", "uint64[]", "string"],
];
const SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 1000];

const vectors = [];
for (const types of SHAPES)
  for (const count of SIZES)
    for (const sortLeaves of [false, true])
      for (const period of count === 9 || count === 33 ? [count, 4] : [count]) {
        const tree = StandardMerkleTree.of(rows(types, count, period), types, { sortLeaves });
        const positions = [...new Set([0, count >> 1, count - 1])];
        const proofs = Object.fromEntries(positions.map((position) => [position, tree.getProof(position)]));
        const nodes = count <= 9 ? tree.dump().tree : null;
        vectors.push({ types, count, period, sortLeaves, root: tree.root, proofs, nodes });
      }
save("merkle", vectors);
