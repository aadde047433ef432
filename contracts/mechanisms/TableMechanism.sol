// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {ITableMechanism} from "../../interfaces/ITableMechanism.sol";

/// @title What the factory's mechanisms share: a table in the clone's own code
/// @dev The table is 7 * 96 uint32, big-endian, day by day: the immutable arguments of an OpenZeppelin clone.
abstract contract TableMechanism is ITableMechanism {
    uint256 private constant DAYS = 7;
    uint256 private constant INTERVALS = 96;
    uint256 private constant VALUE_BYTES = 4;

    /// @inheritdoc ITableMechanism
    function tableValue(uint8 dayOfWeek, uint8 interval) public view returns (uint32) {
        if (dayOfWeek >= DAYS) revert TableMechanismUnknownDay(dayOfWeek);
        if (interval >= INTERVALS) revert TableMechanismUnknownInterval(interval);
        bytes memory table = Clones.fetchCloneArgs(address(this));
        uint256 at = (uint256(dayOfWeek) * INTERVALS + interval) * VALUE_BYTES;
        uint32 value;
        for (uint256 i = 0; i < VALUE_BYTES; ++i) {
            value = (value << 8) | uint8(table[at + i]);
        }
        return value;
    }
}
