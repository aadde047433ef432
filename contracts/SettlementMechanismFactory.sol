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
    uint32 private constant WHOLE_BASIS_POINTS = 10_000;
    uint256 private constant VALUE_BITS = 32;
    uint256 private constant VALUES_PER_WORD = 8;
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
        return _create(fixedPrice, pricesUeurPerKw, label);
    }

    /// @inheritdoc ISettlementMechanismFactory
    function createPercentage(uint32[INTERVALS][DAYS] calldata sharesBasisPoints, string calldata label)
        external
        returns (address mechanism)
    {
        for (uint256 day = 0; day < DAYS; ++day) {
            for (uint256 interval = 0; interval < INTERVALS; ++interval) {
                uint32 share = sharesBasisPoints[day][interval];
                // INVARIANT: a customer isn't promised more than its aggregator is paid.
                if (share > WHOLE_BASIS_POINTS) {
                    revert SettlementMechanismFactoryShareAbove100Percent(day, interval, share);
                }
            }
        }
        return _create(percentage, sharesBasisPoints, label);
    }

    /// @inheritdoc ISettlementMechanismFactory
    function mechanismsOf(address aggregator) external view returns (address[] memory) {
        return _mechanisms[aggregator];
    }

    function _create(address code, uint32[INTERVALS][DAYS] calldata table, string calldata label)
        private
        returns (address mechanism)
    {
        participants.requireRole(msg.sender, IParticipantRegistry.Role.AGGREGATOR);
        mechanism = Clones.cloneWithImmutableArgs(code, _pack(table));
        _mechanisms[msg.sender].push(mechanism);
        aggregatorOf[mechanism] = msg.sender;
        emit MechanismCreated(mechanism, msg.sender, ISettlementMechanism(mechanism).kind(), label);
    }

    /// @dev Eight values a word, big-endian: 96 intervals are 12 words.
    function _pack(uint32[INTERVALS][DAYS] calldata table) private pure returns (bytes memory packed) {
        packed = new bytes(TABLE_BYTES);
        uint256 offset = 32;
        for (uint256 day = 0; day < DAYS; ++day) {
            for (uint256 first = 0; first < INTERVALS; first += VALUES_PER_WORD) {
                uint256 word = 0;
                for (uint256 i = 0; i < VALUES_PER_WORD; ++i) {
                    word = (word << VALUE_BITS) | table[day][first + i];
                }
                assembly ("memory-safe") {
                    mstore(add(packed, offset), word)
                }
                offset += 32;
            }
        }
    }
}
