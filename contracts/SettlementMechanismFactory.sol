// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {ISettlementMechanism} from "../interfaces/ISettlementMechanism.sol";
import {ISettlementMechanismFactory} from "../interfaces/ISettlementMechanismFactory.sol";

/// @title Makes settlement mechanisms for aggregators
contract SettlementMechanismFactory is ISettlementMechanismFactory {
    uint256 private constant DAYS = 7;
    uint256 private constant INTERVALS = 96;
    uint256 private constant WHOLE_BASIS_POINTS = 10_000;
    uint256 private constant TABLE_BYTES = DAYS * INTERVALS * 4;

    IParticipantRegistry public immutable participants;
    /// @notice Code of every fixed-price mechanism.
    address public immutable fixedPrice;
    /// @notice Code of every percentage mechanism.
    address public immutable percentage;

    mapping(address aggregator => address[]) private _mechanisms;
    /// @inheritdoc ISettlementMechanismFactory
    mapping(address mechanism => address) public aggregatorOf;

    constructor(IParticipantRegistry participants_, address fixedPrice_, address percentage_) {
        participants = participants_;
        fixedPrice = fixedPrice_;
        percentage = percentage_;
    }

    /// @inheritdoc ISettlementMechanismFactory
    function createFixedPrice(uint32[INTERVALS][DAYS] calldata pricesUeurPerKw, string calldata label)
        external
        returns (address mechanism)
    {
        return _create(fixedPrice, pricesUeurPerKw, type(uint32).max, label);
    }

    /// @inheritdoc ISettlementMechanismFactory
    function createPercentage(uint32[INTERVALS][DAYS] calldata sharesBasisPoints, string calldata label)
        external
        returns (address mechanism)
    {
        // INVARIANT: a customer isn't promised more than its aggregator is paid.
        return _create(percentage, sharesBasisPoints, WHOLE_BASIS_POINTS, label);
    }

    /// @inheritdoc ISettlementMechanismFactory
    function mechanismsOf(address aggregator) external view returns (address[] memory) {
        return _mechanisms[aggregator];
    }

    function _create(address code, uint32[INTERVALS][DAYS] calldata table, uint256 most, string calldata label)
        private
        returns (address mechanism)
    {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.AGGREGATOR);
        mechanism = Clones.cloneWithImmutableArgs(code, _pack(table, most));
        _mechanisms[msg.sender].push(mechanism);
        aggregatorOf[mechanism] = msg.sender;
        emit MechanismCreated(mechanism, msg.sender, ISettlementMechanism(mechanism).kind(), label);
    }

    /// @dev Big-endian, eight values a word. In assembly because index checks on 672 values cost five times the rest.
    function _pack(uint32[INTERVALS][DAYS] calldata table, uint256 most) private pure returns (bytes memory packed) {
        packed = new bytes(TABLE_BYTES);
        // Index + 1 of the first value beyond `most`; the loop ends there.
        uint256 tooHigh;
        assembly ("memory-safe") {
            let to := add(packed, 0x20)
            let end := add(table, mul(mul(DAYS, INTERVALS), 0x20))
            for { let from := table } lt(from, end) { to := add(to, 0x20) } {
                let word := 0
                for { let next := add(from, 0x100) } lt(from, next) { from := add(from, 0x20) } {
                    let value := calldataload(from)
                    if gt(value, most) {
                        tooHigh := add(div(sub(from, table), 0x20), 1)
                        from := end
                        next := end
                    }
                    word := or(shl(32, word), value)
                }
                mstore(to, word)
            }
        }
        if (tooHigh != 0) _refuse(table, tooHigh - 1, most);
    }

    function _refuse(uint32[INTERVALS][DAYS] calldata table, uint256 index, uint256 most) private pure {
        uint256 value;
        assembly ("memory-safe") {
            value := calldataload(add(table, mul(index, 0x20)))
        }
        revert SettlementMechanismFactoryValueAboveMost(index / INTERVALS, index % INTERVALS, value, most);
    }
}
