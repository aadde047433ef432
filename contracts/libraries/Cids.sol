// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Content ids on chain: a SHA-256 digest and a codec
library Cids {
    uint8 internal constant RAW = 0x55;
    uint8 internal constant DAG_PB = 0x70;

    error CidsUnknownCodec(uint8 codec);

    /// @notice Reverts unless the codec is one that documents have.
    function requireKnown(uint8 codec) internal pure {
        if (codec != RAW && codec != DAG_PB) revert CidsUnknownCodec(codec);
    }
}
