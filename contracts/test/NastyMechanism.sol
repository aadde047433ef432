// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title A mechanism for tests that answers in one of many bad ways
contract NastyMechanism {
    enum Manner {
        REVERT,
        REVERT_WITH_A_PRICE,
        REVERT_WITH_A_BOMB,
        BURN_ALL_GAS,
        BOMB,
        NOTHING,
        SHORT,
        LONG,
        ABOVE_MOST,
        HUGE,
        WRITE,
        GREATEST,
        SPEND
    }

    Manner private immutable _manner;
    /// @dev Gas that SPEND uses up before it answers.
    uint256 private immutable _spend;
    uint256 private _written;

    constructor(Manner manner, uint256 spend) {
        _manner = manner;
        _spend = spend;
    }

    fallback() external {
        Manner manner = _manner;
        if (manner == Manner.REVERT) revert();
        if (manner == Manner.REVERT_WITH_A_PRICE) _revert(0x20);
        if (manner == Manner.REVERT_WITH_A_BOMB) _revert(0x5000);
        if (manner == Manner.BURN_ALL_GAS) while (true) {}
        // As much as the stipend's memory pays for.
        if (manner == Manner.BOMB) _answer(7, 0x5000);
        if (manner == Manner.NOTHING) _answer(7, 0);
        if (manner == Manner.SHORT) _answer(7, 31);
        if (manner == Manner.LONG) _answer(7, 33);
        if (manner == Manner.ABOVE_MOST) _answer(uint256(type(uint32).max) + 1, 0x20);
        if (manner == Manner.HUGE) _answer(type(uint256).max, 0x20);
        if (manner == Manner.WRITE) _written = 7;
        if (manner == Manner.GREATEST) _answer(type(uint32).max, 0x20);
        uint256 end = gasleft() - _spend;
        while (gasleft() > end) {}
        _answer(7, 0x20);
    }

    function _answer(uint256 value, uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(0, value)
            return(0, length)
        }
    }

    function _revert(uint256 length) private pure {
        assembly ("memory-safe") {
            mstore(0, 7)
            revert(0, length)
        }
    }
}
