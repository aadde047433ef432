// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title Leaves of the market's lists
/// @notice Field lists and hashes of every kind of leaf, equal to `offchain/protocol/leaves.py`, where each field is explained.
/// A leaf's hash is keccak256(keccak256(abi.encode(kind, fields...))), as in OpenZeppelin's StandardMerkleTree.
library Leaves {
    uint8 internal constant OFFER = 1;
    uint8 internal constant REQUEST = 2;
    uint8 internal constant EFFECTIVENESS = 3;
    uint8 internal constant BASELINE = 4;
    uint8 internal constant OUTCOME_BY_OFFER = 5;
    uint8 internal constant OUTCOME_BY_REQUEST = 6;
    uint8 internal constant OUTCOME_RESERVE = 7;
    uint8 internal constant REFUSAL = 8;
    uint8 internal constant READING = 9;
    uint8 internal constant SETTLEMENT = 10;
    uint8 internal constant CLAIM = 11;

    struct OfferLeaf {
        uint32 position;
        uint32 length;
        bytes32 pod;
        uint16 slot;
        uint16 lastSlot;
        uint16 durationSlots;
        uint8 product;
        uint32 powerW;
        uint32 minPowerW;
        uint64 priceUeurPerKw;
        uint32 exclusiveGroup;
        uint32 linkedTo;
        uint8 options;
        bytes32 payback;
        bytes32 salt;
    }

    struct RequestLeaf {
        uint32 position;
        uint32 length;
        uint32 area;
        uint16 slot;
        uint8 product;
        uint32 reliefW;
        uint64 priceCapUeurPerKw;
        uint16 reservePermille;
        uint64 availabilityPriceUeurPerKw;
        bytes32 element;
        bytes32 gridModel;
        bytes32 salt;
    }

    struct EffectivenessLeaf {
        uint32 position;
        uint32 length;
        uint32 area;
        bytes32 pod;
        uint16 effectivenessPermille;
        uint64 gridFeeUeurPerKw;
        bytes32 salt;
    }

    struct BaselineLeaf {
        uint32 position;
        uint32 length;
        bytes32 pod;
        uint16 slot;
        int32 powerW;
        int32 reactiveVar;
        bytes32 salt;
    }

    struct OutcomeByOfferLeaf {
        uint32 position;
        uint32 length;
        uint32 commitment;
        uint32 offerPosition;
        uint32 countedW;
        uint32 acceptedW;
        uint8 status;
        uint16 startSlot;
        uint32 firstByRequest;
        uint32 because;
        uint64 coverUeur;
        bytes32 salt;
    }

    struct OutcomeByRequestLeaf {
        uint32 position;
        uint32 length;
        uint32 requestPosition;
        uint32 effectivenessPosition;
        uint32 offerPosition;
        bytes32 pod;
        uint16 slot;
        uint8 product;
        uint32 acceptedW;
        uint64 priceUeurPerKw;
        uint16 effectivenessPermille;
        uint64 gridFeeUeurPerKw;
        uint64 requestRunningWPermille;
        uint32 offerRunningW;
        uint32 podRunningW;
        uint32 podTotalW;
        uint32 nextForOffer;
        uint32 previousForPod;
        uint32 nextForPod;
        uint64 runningW;
        uint64 runningUeur;
        uint64 documentUeur;
        bytes32 salt;
    }

    struct RefusalLeaf {
        uint32 position;
        uint32 length;
        uint32 byRequestPosition;
        uint32 offerPosition;
        uint16 slot;
        uint8 product;
        uint32 refusedW;
        uint64 runningW;
        bytes32 element;
        int64 margin;
        uint8 marginUnit;
        bytes32 gridModel;
        bytes32 salt;
    }

    struct ReadingLeaf {
        uint32 position;
        uint32 length;
        bytes32 pod;
        address node;
        uint64 startTime;
        uint32 periodS;
        uint32 absorbedActiveWh;
        uint32 injectedActiveWh;
        uint32 absorbedInductiveVarh;
        uint32 injectedInductiveVarh;
        uint32 absorbedCapacitiveVarh;
        uint32 injectedCapacitiveVarh;
        uint64 sequence;
        bytes32 r;
        bytes32 vs;
    }

    struct SettlementLeaf {
        uint32 position;
        uint32 length;
        bytes32 pod;
        uint16 slot;
        uint8 product;
        address payer;
        address payee;
        uint32 acceptedW;
        uint32 deliveredW;
        uint8 status;
        uint64 paymentUeur;
        uint64 penaltyUeur;
        uint64 rewardUeur;
        uint64 rewardPenaltyUeur;
        uint64 pairPaymentUeur;
        uint64 pairPenaltyUeur;
        uint64 podRewardUeur;
        uint64 podRewardPenaltyUeur;
        uint32 previousForPair;
        uint32 nextForPair;
        uint32 previousForPod;
        uint32 nextForPod;
        uint32 claimPosition;
        uint8 claimIndex;
        bytes32 baselineRoot;
        uint32 baselinePosition;
        bytes32 readingRoot;
        uint32 readingPosition;
        bytes32 salt;
    }

    function hash(OfferLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(OFFER, place, 15);
    }

    function hash(RequestLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(REQUEST, place, 12);
    }

    function hash(EffectivenessLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(EFFECTIVENESS, place, 7);
    }

    function hash(BaselineLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(BASELINE, place, 7);
    }

    function hash(OutcomeByOfferLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(OUTCOME_BY_OFFER, place, 12);
    }

    function hash(OutcomeByRequestLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(OUTCOME_BY_REQUEST, place, 23);
    }

    function hashReserve(OutcomeByRequestLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(OUTCOME_RESERVE, place, 23);
    }

    function hash(RefusalLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(REFUSAL, place, 13);
    }

    function hash(ReadingLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(READING, place, 15);
    }

    function hash(SettlementLeaf calldata leaf) internal pure returns (bytes32) {
        uint256 place;
        assembly ("memory-safe") {
            place := leaf
        }
        return _ofWords(SETTLEMENT, place, 29);
    }

    /// @param wallets customers' wallets, @param amounts net rewards in token units (10^-6), below 0
    /// what is carried over; up to 100 of both
    function hashClaim(uint32 position, uint32 length, address[] memory wallets, int64[] memory amounts)
        internal
        pure
        returns (bytes32)
    {
        return _double(abi.encode(CLAIM, position, length, wallets, amounts));
    }

    /// @dev A leaf's fields are static: in calldata they lie as abi.encode would write them, a word each. A word that is no
    /// value of its field is hashed as it is; who reads the field then reverts.
    function _ofWords(uint8 kind, uint256 place, uint256 fields) private pure returns (bytes32 hashed) {
        assembly ("memory-safe") {
            let encoded := mload(0x40)
            mstore(encoded, kind)
            calldatacopy(add(encoded, 0x20), place, shl(5, fields))
            mstore(0x00, keccak256(encoded, shl(5, add(fields, 1))))
            hashed := keccak256(0x00, 0x20)
        }
    }

    function _double(bytes memory encoded) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(encoded)));
    }
}
