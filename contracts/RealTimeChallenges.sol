// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {IRealTimeChallenges} from "../interfaces/IRealTimeChallenges.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {MarketTime} from "./libraries/MarketTime.sol";

/// @title Challenges of what a real-time session makes of the day-ahead result
contract RealTimeChallenges is OutcomeProofs, IRealTimeChallenges {
    uint256 private constant SLOT_S = 900;
    uint8 private constant DAY_AHEAD = 0;
    uint8 private constant COM_SOLD = 11;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) OutcomeProofs(market_, board_, pods_) {}

    /// @inheritdoc IRealTimeChallenges
    function soldTwice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        IOutcomeBoard.Outcome calldata ahead,
        Entry calldata sold
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry);
        _requireIn(ahead, sold);
        (bytes32 standing, uint256 offset) = _aheadOf(outcome.session);
        _requireBasis(standing, keccak256(abi.encode(ahead)));
        uint256 slot = offset + entry.leaf.slot;
        bool fault = _sells(sold.leaf, entry.leaf.pod, entry.leaf.product, slot, slot + 1);
        _decide(outcome.session, stage, fault, "SoldTwice");
    }

    /// @inheritdoc IRealTimeChallenges
    function falselySold(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        IOutcomeBoard.Outcome calldata ahead,
        Entry calldata sold
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        bool fault =
            answer.leaf.status == COM_SOLD && !_isSold(outcome.session, answer.leaf.because, offer.leaf, ahead, sold);
        _decide(outcome.session, stage, fault, "FalselySold");
    }

    /// @dev Whether the entry that an answer names sells one of the offer's quarter-hours. Reverts if another one is shown.
    function _isSold(
        uint64 session,
        uint256 because,
        Leaves.OfferLeaf calldata x,
        IOutcomeBoard.Outcome calldata ahead,
        Entry calldata sold
    ) private view returns (bool) {
        (bytes32 standing, uint256 offset) = _aheadOf(session);
        if (standing == 0) return false;
        _requireBasis(standing, keccak256(abi.encode(ahead)));
        if (because == 0 || because > ahead.byRequestLength) return false;
        _requireIn(ahead, sold);
        _requirePosition(because - 1, sold.leaf.position);
        return _sells(sold.leaf, x.pod, x.product, offset + x.slot, offset + x.lastSlot + x.durationSlots);
    }

    /// @dev Hash of the day-ahead outcome that counts for a session, 0 if none does, and which slot of the day the session's
    /// first one is.
    function _aheadOf(uint64 session) private view returns (bytes32 standing, uint256 offset) {
        ICommitmentBook.ResultTerms memory terms = market.resultTerms(session, IParticipantRegistry.Role.OPERATOR);
        uint256 midnight = MarketTime.dayStart(terms.deliveryStart);
        offset = (terms.deliveryStart - midnight) / SLOT_S;
        // Narrowing is safe: not after deliveryStart.
        uint64 ahead = market.sessionAt(DAY_AHEAD, uint48(midnight));
        if (ahead == 0) return (0, offset);
        ICommitmentBook.ResultTerms memory known = market.resultTerms(ahead, IParticipantRegistry.Role.OPERATOR);
        // INVARIANT: no honest outcome becomes false later: only a result that can't change any more when the book is complete
        // counts. Both clocks stand still in a pause and stay as far apart as they are now. A session never rests on itself.
        if (uint256(known.validatedOutcomeDeadline) + terms.time <= uint256(terms.documentsDeadline) + known.time) {
            standing = board.outcomeHash(ahead, IOutcomeBoard.Stage.VALIDATED);
        }
    }

    /// @dev Whether a day-ahead entry is of a PoD and kind of power, in a slot of its day from `first` on and before `end`.
    function _sells(Leaves.OutcomeByRequestLeaf calldata e, bytes32 pod, uint8 product, uint256 first, uint256 end)
        private
        pure
        returns (bool)
    {
        return e.pod == pod && e.product >> 1 == product >> 1 && e.slot >= first && e.slot < end;
    }
}
