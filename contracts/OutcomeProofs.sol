// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IBookLeaves} from "../interfaces/IOutcomeChallenges.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {Challenges} from "./Challenges.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Proofs} from "./libraries/Proofs.sol";
import {Stages} from "./libraries/Stages.sol";

/// @title What challenges of outcomes by the book have in common
abstract contract OutcomeProofs is Challenges, IBookLeaves {
    IPodRegistry public immutable pods;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) Challenges(market_, board_) {
        pods = pods_;
    }

    function _begin(IOutcomeBoard.Outcome calldata outcome, IOutcomeBoard.Stage stage) internal view {
        if (!Stages.isMarket(stage) && stage != IOutcomeBoard.Stage.VALIDATED) revert ChallengesWrongStage(stage);
        _requireOpen(outcome.session, stage, keccak256(abi.encode(outcome)));
    }

    function _beginMarket(IOutcomeBoard.Outcome calldata outcome, IOutcomeBoard.Stage stage) internal view {
        if (stage == IOutcomeBoard.Stage.VALIDATED) revert ChallengesWrongStage(stage);
        _begin(outcome, stage);
    }

    function _requireOffer(uint64 session, BookOffer calldata offer, uint256 position)
        internal
        view
        returns (ICommitmentBook.Entry memory document)
    {
        document = _requireDocument(session, offer.opening, true);
        _requireOfferIn(offer);
        _requirePosition(position, uint256(document.firstPosition) + offer.leaf.position);
    }

    function _requireOfferIn(BookOffer calldata offer) internal pure {
        Proofs.requireLeaf(offer.opening.root, Leaves.hash(offer.leaf), offer.proof);
        _requireWithin(offer.leaf.position, offer.leaf.length, offer.opening.leafCount);
    }

    function _requireRequest(uint64 session, BookRequest calldata request, uint256 position)
        internal
        view
        returns (ICommitmentBook.Entry memory document)
    {
        document = _requireDocument(session, request.opening, false);
        Proofs.requireLeaf(request.opening.root, Leaves.hash(request.leaf), request.proof);
        _requirePosition(position, uint256(document.firstPosition) + request.leaf.position);
        _requireWithin(request.leaf.position, request.leaf.length, request.opening.leafCount);
    }

    function _requireDocument(uint64 session, ICommitmentBook.Opening calldata opening, bool ofOffers)
        internal
        view
        returns (ICommitmentBook.Entry memory document)
    {
        document = market.document(opening);
        // INVARIANT: a proof of another session's or side's document shows nothing.
        if (opening.session != session || (document.side == ICommitmentBook.Side.OFFER) != ofOffers) {
            revert ChallengesNotTheLeaf(session, opening.session);
        }
    }

    function _requireEffectiveness(ICommitmentBook.Opening calldata opening, Effectiveness calldata effectiveness)
        internal
        pure
    {
        Proofs.requireLeaf(opening.root, Leaves.hash(effectiveness.leaf), effectiveness.proof);
        _requireWithin(effectiveness.leaf.position, effectiveness.leaf.length, opening.leafCount);
    }

    function _requireWithin(uint256 position, uint256 length, uint256 leafCount) internal pure {
        if (length != leafCount || position >= length) revert ChallengesNotTheLeaf(leafCount, position);
    }

    function _isBlock(Leaves.OfferLeaf calldata x) internal pure returns (bool) {
        return x.durationSlots > 1 || x.lastSlot > x.slot;
    }

    /// @dev Neither a block nor bound to other offers.
    function _isSingle(Leaves.OfferLeaf calldata x) internal pure returns (bool) {
        return !_isBlock(x) && x.exclusiveGroup == 0 && x.linkedTo == 0;
    }

    function _limitW(IPodRegistry.Pod memory pod, uint8 product) internal pure returns (uint256) {
        if (product == 0) return pod.maxUpW;
        if (product == 1) return pod.maxDownW;
        return product == 2 ? pod.maxUpVar : pod.maxDownVar;
    }
}
