// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IBookLeaves} from "../interfaces/IOutcomeChallenges.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {Challenges} from "./Challenges.sol";
import {EntryRules} from "./libraries/EntryRules.sol";
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

    /// @dev A validated outcome names the technical one that it rests on, and that one its market outcome.
    function _beginValidated(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical
    ) internal view {
        _requireOpen(outcome.session, IOutcomeBoard.Stage.VALIDATED, keccak256(abi.encode(outcome)));
        _requireBasis(outcome.basis, keccak256(abi.encode(technical)));
        _requireBasis(technical.marketOutcomeHash, keccak256(abi.encode(market_)));
    }

    function _requireReserved(IOutcomeBoard.Outcome calldata outcome, Entry calldata reserved) internal pure {
        Proofs.requireLeaf(outcome.reserveRoot, Leaves.hashReserve(reserved.leaf), reserved.proof);
    }

    /// @dev An entry of the list by request, or of the reserve.
    function _requireIn(IOutcomeBoard.Outcome calldata outcome, Entry calldata entry, bool inReserve) internal pure {
        if (inReserve) _requireReserved(outcome, entry);
        else _requireIn(outcome, entry);
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

    /// @dev The document of requests that holds a position.
    function _requireDocumentOf(uint64 session, ICommitmentBook.Opening calldata opening, uint256 position)
        internal
        view
        returns (ICommitmentBook.Entry memory document)
    {
        document = _requireDocument(session, opening, false);
        if (position < document.firstPosition || position >= uint256(document.firstPosition) + opening.leafCount) {
            revert ChallengesNotTheLeaf(document.firstPosition, position);
        }
    }

    /// @dev Whether what the document of an entry's request says of its PoD, at the place that the entry names, is something else.
    function _isWrongEffectiveness(
        uint64 session,
        Leaves.OutcomeByRequestLeaf calldata e,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) internal view returns (bool) {
        ICommitmentBook.Entry memory document = _requireRequest(session, request, e.requestPosition);
        _requireEffectiveness(request.opening, effectiveness);
        Leaves.EffectivenessLeaf calldata f = effectiveness.leaf;
        _requirePosition(e.effectivenessPosition, uint256(document.firstPosition) + f.position);
        return f.area != request.leaf.area || f.pod != e.pod || f.effectivenessPermille != e.effectivenessPermille
            || f.gridFeeUeurPerKw != e.gridFeeUeurPerKw;
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

    function _limitW(IPodRegistry.Pod memory pod, uint8 product) internal pure returns (uint256) {
        if (product == 0) return pod.maxUpW;
        if (product == 1) return pod.maxDownW;
        return product == 2 ? pod.maxUpVar : pod.maxDownVar;
    }

    /// @dev Of several slots, or of one to be chosen.
    function _isBlock(Leaves.OfferLeaf calldata x) internal pure returns (bool) {
        return x.durationSlots > 1 || x.lastSlot > x.slot;
    }

    /// @dev Neither a block nor bound to other offers.
    function _isSingle(Leaves.OfferLeaf calldata x) internal pure returns (bool) {
        return !_isBlock(x) && x.exclusiveGroup == 0 && x.linkedTo == 0;
    }

    /// @dev Whether an entry took the offer's PoD the opposite way, or to its limit, in the offer's slot.
    function _excludes(Leaves.OutcomeByRequestLeaf calldata e, Leaves.OfferLeaf calldata x) internal view returns (bool) {
        if (e.pod != x.pod || e.slot != x.slot) return false;
        if (e.product == x.product) return e.podTotalW == _limitW(pods.pods(x.pod), x.product);
        return e.product >> 1 == x.product >> 1;
    }

    /// @dev Whether a divisible single offer could have served an entry's request, and is cheaper: by delivered
    /// price over effectiveness.
    function _isCheaper(
        Leaves.OutcomeByRequestLeaf calldata e,
        Leaves.OfferLeaf calldata x,
        Leaves.RequestLeaf calldata r,
        Leaves.EffectivenessLeaf calldata f
    ) internal pure returns (bool) {
        bool divisible = x.minPowerW == 0 && _isSingle(x);
        // INVARIANT: an effectiveness above 1000 per mille says nothing, neither to who clears nor here.
        bool compatible = x.slot == e.slot && x.product == e.product && f.pod == x.pod && f.area == r.area
            && f.effectivenessPermille <= 1000;
        bool cheaper = (uint256(x.priceUeurPerKw) + f.gridFeeUeurPerKw) * e.effectivenessPermille
            < EntryRules.delivered(e) * f.effectivenessPermille;
        return divisible && compatible && cheaper;
    }
}
