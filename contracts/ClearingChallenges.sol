// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IClearingChallenges} from "../interfaces/IClearingChallenges.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {EntryRules} from "./libraries/EntryRules.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Challenges of how a market was cleared
contract ClearingChallenges is OutcomeProofs, IClearingChallenges {
    uint8 private constant PAY_AS_CLEAR = 1;
    uint8 private constant COM_DEARER = 2;
    uint8 private constant COM_MINIMUM = 4;
    uint8 private constant COM_EXCLUDED = 5;
    uint8 private constant RESERVED = 9;
    uint8 private constant RESERVE_EXCLUDED = 10;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) OutcomeProofs(market_, board_, pods_) {}

    /// @inheritdoc IClearingChallenges
    function belowMinimum(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        bool fault = answer.leaf.acceptedW != 0 && answer.leaf.acceptedW < offer.leaf.minPowerW;
        _decide(outcome.session, stage, fault, "BelowMinimum");
    }

    /// @inheritdoc IClearingChallenges
    function blockBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireIn(outcome, entry);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        _requirePosition(answer.leaf.position, entry.leaf.offerPosition);
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        uint256 lastSlot = uint256(b.startSlot) + offer.leaf.durationSlots - 1;
        bool fault = _isBlock(offer.leaf)
            && (
                e.slot < b.startSlot || e.slot > lastSlot || e.acceptedW != b.acceptedW
                    || (uint256(e.position) + 1 == b.firstByRequest) != (e.slot == b.startSlot)
                    || (e.nextForOffer == 0) != (e.slot == lastSlot)
            );
        _decide(outcome.session, stage, fault, "BlockBroken");
    }

    /// @inheritdoc IClearingChallenges
    function blockSplit(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        BookOffer calldata offer,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, earlier);
        _requireIn(outcome, later);
        _requireOffer(outcome.session, offer, earlier.leaf.offerPosition);
        _requirePosition(earlier.leaf.nextForOffer, uint256(later.leaf.position) + 1);
        bool fault = _isBlock(offer.leaf) && later.leaf.slot != uint256(earlier.leaf.slot) + 1;
        _decide(outcome.session, stage, fault, "BlockBroken");
    }

    /// @inheritdoc IClearingChallenges
    function groupBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answered calldata first,
        Answered calldata second
    ) external {
        _begin(outcome, stage);
        uint32 document = _requireAnswered(outcome, first);
        bool same = _requireAnswered(outcome, second) == document
            && first.offer.leaf.exclusiveGroup == second.offer.leaf.exclusiveGroup;
        bool fault = same && first.offer.leaf.exclusiveGroup != 0
            && first.answer.leaf.position != second.answer.leaf.position && first.answer.leaf.acceptedW != 0
            && second.answer.leaf.acceptedW != 0;
        _decide(outcome.session, stage, fault, "GroupBroken");
    }

    /// @inheritdoc IClearingChallenges
    function linkBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answered calldata linked,
        Answer calldata parent
    ) external {
        _begin(outcome, stage);
        _requireAnswered(outcome, linked);
        _requireIn(outcome, parent);
        Leaves.OfferLeaf calldata x = linked.offer.leaf;
        bool fault = x.linkedTo != 0;
        if (fault) {
            _requirePosition(uint256(linked.answer.leaf.position) - x.position + x.linkedTo - 1, parent.leaf.position);
            fault = linked.answer.leaf.acceptedW != 0 && parent.leaf.acceptedW == 0;
        }
        _decide(outcome.session, stage, fault, "LinkBroken");
    }

    /// @inheritdoc IClearingChallenges
    function falselyExcluded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata entry
    ) external {
        _beginMarket(outcome, stage);
        _requireIn(outcome, answer);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        uint256 because = answer.leaf.because;
        bool fault = answer.leaf.status == COM_EXCLUDED && _isSingle(offer.leaf);
        if (fault && because != 0 && because <= outcome.byRequestLength) {
            _requireIn(outcome, entry);
            _requirePosition(because - 1, entry.leaf.position);
            fault = !_excludes(entry.leaf, offer.leaf);
        }
        _decide(outcome.session, stage, fault, "FalselyExcluded");
    }

    /// @inheritdoc IClearingChallenges
    function cheaperRefused(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata taken,
        Answer calldata refused,
        BookOffer calldata offer,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external {
        _beginMarket(outcome, stage);
        uint8 method = market.terms(outcome.session).method;
        if (method > PAY_AS_CLEAR) revert ClearingChallengesNotForMethod(method);
        _requireIn(outcome, taken);
        _requireIn(outcome, refused);
        _requireOffer(outcome.session, offer, refused.leaf.position);
        _requireRequest(outcome.session, request, taken.leaf.requestPosition);
        _requireEffectiveness(request.opening, effectiveness);
        bool fault = _isRefusedByRequests(refused.leaf)
            && _isCheaper(taken.leaf, offer.leaf, request.leaf, effectiveness.leaf);
        uint256 lostW = offer.leaf.powerW < taken.leaf.acceptedW ? offer.leaf.powerW : taken.leaf.acceptedW;
        uint256 price = offer.leaf.priceUeurPerKw;
        // What is cheaper gets at least its bid beyond its own grid fee.
        if (fault && method == PAY_AS_CLEAR) {
            Leaves.EffectivenessLeaf calldata f = effectiveness.leaf;
            price = _clearingPrice(taken.leaf, f.effectivenessPermille) - f.gridFeeUeurPerKw;
        }
        uint256 lossUeur = lostW * price / 1000;
        _decide(outcome.session, stage, fault, "CheaperRefused", offer.opening.player, lossUeur);
    }

    /// @inheritdoc IClearingChallenges
    function wrongClearingPrice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        Entry calldata marginal,
        Entry calldata following
    ) external {
        _beginMarginal(outcome, stage, marginal, following);
        _requireIn(outcome, entry);
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        Leaves.OutcomeByRequestLeaf calldata m = marginal.leaf;
        bool fault = e.requestPosition == m.requestPosition
            && EntryRules.delivered(e) != _clearingPrice(m, e.effectivenessPermille);
        _decide(outcome.session, stage, fault, "WrongClearingPrice");
    }

    /// @inheritdoc IClearingChallenges
    function wrongMarginalPrice(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata marginal,
        Entry calldata following,
        BookOffer calldata offer
    ) external {
        _beginMarginal(outcome, stage, marginal, following);
        _requireOffer(outcome.session, offer, marginal.leaf.offerPosition);
        bool fault = marginal.leaf.priceUeurPerKw != offer.leaf.priceUeurPerKw;
        _decide(outcome.session, stage, fault, "WrongMarginalPrice");
    }

    /// @inheritdoc IClearingChallenges
    function notARequest(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        ICommitmentBook.Opening calldata opening,
        Effectiveness calldata effectiveness
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry, inReserve);
        uint256 first = _requireDocument(outcome.session, opening, false).firstPosition;
        _requireEffectiveness(opening, effectiveness);
        _requirePosition(entry.leaf.requestPosition, first + effectiveness.leaf.position);
        _decide(outcome.session, stage, true, "NotARequest");
    }

    /// @inheritdoc IClearingChallenges
    function notAnEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        BookRequest calldata request
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry, inReserve);
        _requireRequest(outcome.session, request, entry.leaf.effectivenessPosition);
        _decide(outcome.session, stage, true, "NotAnEffectiveness");
    }

    /// @inheritdoc IClearingChallenges
    function anothersEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata entry,
        bool inReserve,
        ICommitmentBook.Opening calldata opening
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, entry, inReserve);
        uint256 first = _requireDocumentOf(outcome.session, opening, entry.leaf.requestPosition).firstPosition;
        uint256 position = entry.leaf.effectivenessPosition;
        bool fault = position < first || position >= first + opening.leafCount;
        _decide(outcome.session, stage, fault, "NotAnEffectiveness");
    }

    /// @dev The marginal entry is its request's last: the one after it is another request's, or it is the list's last, which is
    /// then shown for both.
    function _beginMarginal(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata marginal,
        Entry calldata following
    ) private view {
        _beginMarket(outcome, stage);
        uint8 method = market.terms(outcome.session).method;
        if (method != PAY_AS_CLEAR) revert ClearingChallengesNotForMethod(method);
        _requireIn(outcome, marginal);
        uint256 last = uint256(outcome.byRequestLength) - 1;
        if (marginal.leaf.position == last) return;
        _requireIn(outcome, following);
        _requirePosition(uint256(marginal.leaf.position) + 1, following.leaf.position);
        if (following.leaf.requestPosition == marginal.leaf.requestPosition) {
            revert ChallengesNotTheLeaf(last, marginal.leaf.position);
        }
    }

    /// @dev What a kW of that effectiveness costs where it is needed, at an entry's price per relief.
    function _clearingPrice(Leaves.OutcomeByRequestLeaf calldata e, uint256 permille) private pure returns (uint256) {
        return EntryRules.delivered(e) * permille / e.effectivenessPermille;
    }

    function _requireAnswered(IOutcomeBoard.Outcome calldata outcome, Answered calldata given)
        private
        view
        returns (uint32 document)
    {
        _requireIn(outcome, given.answer);
        document = _requireOffer(outcome.session, given.offer, given.answer.leaf.position).number;
    }

    /// @dev Whether an offer isn't taken for its price: also if the reserve has it, or has used its PoD.
    function _isRefusedByRequests(Leaves.OutcomeByOfferLeaf calldata b) private pure returns (bool) {
        bool beyond = b.status == RESERVED || b.status == RESERVE_EXCLUDED;
        return b.acceptedW == 0 && ((b.status >= COM_DEARER && b.status <= COM_MINIMUM) || beyond);
    }
}
