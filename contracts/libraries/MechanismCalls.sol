// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ISettlementMechanism} from "../../interfaces/ISettlementMechanism.sol";

/// @title Asks a settlement mechanism that nobody vouches for
/// @notice A mechanism that reverts, burns its gas or answers nonsense gives no price; it can neither change state nor
/// make the caller pay more than the stipend.
library MechanismCalls {
    /// @notice Gas that a mechanism has for its answer. The factory's use a tenth.
    uint256 internal constant STIPEND_GAS = 100_000;
    /// @dev What the call itself costs (a cold account, memory), generously.
    uint256 private constant CALL_GAS = 5000;

    error MechanismCallsTooLittleGas(uint256 gasLeft);

    /// @notice The customer's price for flexibility delivered in a quarter-hour; arguments and units as in
    /// ISettlementMechanism.
    /// @return ok false if the mechanism has no code, reverted, used up the stipend or didn't answer with one word of at most
    /// 2^32 - 1, the greatest price in a table: a greater one would stop the sums of a whole settlement
    /// @return customerPriceUeurPerKw 0 unless ok
    function tryCustomerPrice(address mechanism, uint8 dayOfWeek, uint8 interval, uint64 flexibilityPriceUeurPerKw)
        internal
        view
        returns (bool ok, uint64 customerPriceUeurPerKw)
    {
        if (mechanism.code.length == 0) return (false, 0);
        bytes memory question = abi.encodeCall(
            ISettlementMechanism.customerPriceUeurPerKw, (dayOfWeek, interval, flexibilityPriceUeurPerKw)
        );
        // INVARIANT: a caller can't make a good mechanism fail by leaving it too little gas. A call passes on at most
        // 63 in 64 parts of what is left, silently less than asked for.
        uint256 gasLeft = gasleft();
        if (gasLeft < CALL_GAS + STIPEND_GAS * 64 / 63) revert MechanismCallsTooLittleGas(gasLeft);
        uint256 answer;
        // In assembly, so that no more than one word of the answer is copied, however long it is.
        assembly ("memory-safe") {
            let good := staticcall(STIPEND_GAS, mechanism, add(question, 0x20), mload(question), 0, 0x20)
            ok := and(good, eq(returndatasize(), 0x20))
            answer := mload(0)
        }
        if (!ok || answer > type(uint32).max) return (false, 0);
        // Narrowing is safe: just checked.
        return (true, uint64(answer));
    }
}
