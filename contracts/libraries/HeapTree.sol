// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title Subtrees of OpenZeppelin's StandardMerkleTree with its leaves in list order
/// @notice A tree of n leaves is an array of 2n - 1 nodes: node i has the children 2i + 1 and 2i + 2, and leaf k is node
/// 2n - 2 - k. Leaves lie on the deepest level and, where n isn't a power of two, on the one above it.
library HeapTree {
    /// @notice Which leaves lie under a node: `deepCount` on the deepest level from position `deepFirst` on, `upperCount`
    /// on the level above from `upperFirst` on. `width`: nodes that the deepest level has room for.
    struct Span {
        uint256 width;
        uint256 deepFirst;
        uint256 deepCount;
        uint256 upperFirst;
        uint256 upperCount;
    }

    /// @notice The leaves under node 2^level - 1 + part of a tree of `count` leaves; the level lies above all leaves.
    function span(uint256 count, uint256 level, uint256 part) internal pure returns (Span memory found) {
        uint256 depth = 0;
        while ((1 << depth) < count) ++depth;
        found.width = 1 << (depth - level);
        uint256 last = 2 * count - 2;
        uint256 start = (1 << depth) - 1 + part * found.width;
        if (start <= last) {
            uint256 end = start + found.width - 1;
            if (end > last) end = last;
            found.deepCount = end - start + 1;
            found.deepFirst = last - end;
        }
        found.upperCount = (found.width - found.deepCount) / 2;
        if (found.upperCount != 0) {
            uint256 upperEnd = (1 << (depth - 1)) - 1 + (part + 1) * (found.width / 2) - 1;
            found.upperFirst = last - upperEnd;
        }
    }

    /// @notice The node over the leaves of a span. `hashes`: those of the deepest level, then those above, by position;
    /// overwritten.
    function node(Span memory found, bytes32[] memory hashes) internal pure returns (bytes32) {
        if (found.width == 1) return hashes[0];
        uint256 half = found.width / 2;
        bytes32[] memory level = new bytes32[](half);
        // Positions run against the order of the nodes.
        uint256 pairs = found.deepCount / 2;
        for (uint256 i = 0; i < pairs; ++i) {
            uint256 left = found.deepCount - 1 - 2 * i;
            level[i] = Hashes.commutativeKeccak256(hashes[left], hashes[left - 1]);
        }
        for (uint256 i = pairs; i < half; ++i) {
            level[i] = hashes[found.deepCount + half - 1 - i];
        }
        while (half > 1) {
            half /= 2;
            for (uint256 i = 0; i < half; ++i) {
                level[i] = Hashes.commutativeKeccak256(level[2 * i], level[2 * i + 1]);
            }
        }
        return level[0];
    }
}
