// node generate/cid.mjs, with ipfs-unixfs-importer 17.1.1 and blockstore-core 7.0.1: writes cid.json
import { bytes, load, save } from "./formulas.mjs";

const { importer } = await load("ipfs-unixfs-importer");
const { MemoryBlockstore } = await load("blockstore-core/memory");
const CHUNK = 262144;
const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 600000, 174 * CHUNK, 174 * CHUNK + 1];

const vectors = [];
for (const size of SIZES) {
  // The profile of `ipfs add` before 2025 (256 KiB chunks, 174 links), with --cid-version=1, which turns raw leaves on.
  const options = { profile: "unixfs-v0-2015", cidVersion: 1, rawLeaves: true };
  for await (const entry of importer([{ path: "f", content: bytes(size) }], new MemoryBlockstore(), options))
    vectors.push({ size, cid: entry.cid.toString() });
}
save("cid", vectors);
