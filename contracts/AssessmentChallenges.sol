// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAssessmentChallenges} from "../interfaces/IAssessmentChallenges.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {Stages} from "./libraries/Stages.sol";

/// @title Challenges of what the grid refused, and of what was made of it
contract AssessmentChallenges is OutcomeProofs, IAssessmentChallenges {
    uint8 private constant LAST_MARGIN_UNIT = 1;
    uint8 private constant PARTLY_ACCEPTED = 1;
    uint8 private constant TEC = 6;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) OutcomeProofs(market_, board_, pods_) {}

    /// @inheritdoc IAssessmentChallenges
    function modelNotAnchored(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal
    ) external {
        _begin(technical, stage);
        _requireIn(technical, refusal);
        // The board took the outcome only because its model was anchored in time.
        _decide(technical.session, stage, refusal.leaf.gridModel != technical.gridModel, "ModelNotAnchored");
    }

    /// @inheritdoc IAssessmentChallenges
    function malformedRefusal(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal
    ) external {
        _begin(technical, stage);
        _requireIn(technical, refusal);
        Leaves.RefusalLeaf calldata r = refusal.leaf;
        bool fault = r.length != technical.refusalLength || r.position >= r.length || r.refusedW == 0
            || r.element == 0 || r.margin <= 0 || r.marginUnit > LAST_MARGIN_UNIT
            || (r.position == 0 && r.runningW != r.refusedW)
            || (uint256(r.position) + 1 == r.length && r.runningW != technical.refusedWSlots);
        _decide(technical.session, stage, fault, "MalformedRefusal");
    }

    /// @inheritdoc IAssessmentChallenges
    function refusalDoubled(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata first,
        Refusal calldata second
    ) external {
        _begin(technical, stage);
        _requireIn(technical, first);
        _requireIn(technical, second);
        bool fault = first.leaf.position == second.leaf.position && Leaves.hash(first.leaf) != Leaves.hash(second.leaf);
        _decide(technical.session, stage, fault, "Doubled");
    }

    /// @inheritdoc IAssessmentChallenges
    function refusalSumBroken(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata earlier,
        Refusal calldata later
    ) external {
        _begin(technical, stage);
        _requireIn(technical, earlier);
        _requireIn(technical, later);
        _requirePosition(uint256(earlier.leaf.position) + 1, later.leaf.position);
        bool fault = later.leaf.runningW != uint256(earlier.leaf.runningW) + later.leaf.refusedW
            || later.leaf.byRequestPosition <= earlier.leaf.byRequestPosition;
        _decide(technical.session, stage, fault, "SumBroken");
    }

    /// @inheritdoc IAssessmentChallenges
    function notInOutcome(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_
    ) external {
        _begin(technical, stage);
        _requireIn(technical, refusal);
        _requireBasis(technical.marketOutcomeHash, keccak256(abi.encode(market_)));
        bool fault = refusal.leaf.byRequestPosition >= market_.byRequestLength;
        _decide(technical.session, stage, fault, "NotInOutcome");
    }

    /// @inheritdoc IAssessmentChallenges
    function notAsAccepted(
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage stage,
        Refusal calldata refusal,
        IOutcomeBoard.Outcome calldata market_,
        Entry calldata entry
    ) external {
        _begin(technical, stage);
        _requireIn(technical, refusal);
        _requireBasis(technical.marketOutcomeHash, keccak256(abi.encode(market_)));
        _requireIn(market_, entry);
        Leaves.RefusalLeaf calldata r = refusal.leaf;
        Leaves.OutcomeByRequestLeaf calldata e = entry.leaf;
        _requirePosition(r.byRequestPosition, e.position);
        bool fault = r.refusedW > e.acceptedW || r.offerPosition != e.offerPosition || r.slot != e.slot
            || r.product != e.product;
        _decide(technical.session, stage, fault, "NotAsAccepted");
    }

    /// @inheritdoc IAssessmentChallenges
    function acceptedMore(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before
    ) external {
        _beginAnswer(outcome, market_, technical, validated, before);
        _decideValidated(outcome, validated.leaf.acceptedW > before.leaf.acceptedW, "AcceptedMore");
    }

    /// @inheritdoc IAssessmentChallenges
    function answerChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before
    ) external {
        _beginAnswer(outcome, market_, technical, validated, before);
        Leaves.OutcomeByOfferLeaf calldata v = validated.leaf;
        Leaves.OutcomeByOfferLeaf calldata m = before.leaf;
        bool fault = v.commitment != m.commitment || v.offerPosition != m.offerPosition || v.countedW != m.countedW
            || v.startSlot != m.startSlot || v.coverUeur != m.coverUeur;
        if (v.acceptedW == m.acceptedW) fault = fault || v.status != m.status || v.because != m.because;
        else fault = fault || v.status != (v.acceptedW == 0 ? TEC : PARTLY_ACCEPTED);
        _decideValidated(outcome, fault, "AnswerChanged");
    }

    /// @inheritdoc IAssessmentChallenges
    function takenWithoutRefusal(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before,
        Entry calldata entry,
        Refusal calldata named
    ) external {
        _beginAnswer(outcome, market_, technical, validated, before);
        _requireIn(market_, entry);
        _requirePosition(before.leaf.position, entry.leaf.offerPosition);
        (IOutcomeBoard.Stage at, uint256 number) = Stages.refusal(validated.leaf.because);
        bool refused;
        if (
            number != 0 && number <= technical.refusalLength
                && board.outcomeHash(outcome.session, at) == outcome.basis
        ) {
            _requireIn(technical, named);
            _requirePosition(number - 1, named.leaf.position);
            // An offer that this one is linked to stands before it in the same document.
            refused = named.leaf.offerPosition <= before.leaf.position
                && named.leaf.offerPosition >= before.leaf.position - before.leaf.offerPosition;
        }
        bool less = validated.leaf.acceptedW < before.leaf.acceptedW;
        uint256 lostW = less ? before.leaf.acceptedW - validated.leaf.acceptedW : 0;
        _decide(
            outcome.session,
            IOutcomeBoard.Stage.VALIDATED,
            less && !refused,
            "TakenWithoutRefusal",
            pods.aggregatorOf(entry.leaf.pod),
            lostW * entry.leaf.priceUeurPerKw / 1000
        );
    }

    /// @inheritdoc IAssessmentChallenges
    function refusedForAnother(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata answer,
        BookOffer calldata offer,
        Refusal calldata named
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireNamed(outcome, technical, answer, named);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        uint256 position = uint256(b.position) - offer.leaf.position + offer.leaf.linkedTo;
        bool ofParent = offer.leaf.linkedTo != 0 && named.leaf.offerPosition + 1 == position && b.acceptedW == 0;
        bool fault = _blamesGrid(b) && named.leaf.offerPosition != b.position && !ofParent;
        _decide(outcome.session, stage, fault, "RefusedForAnother");
    }

    /// @inheritdoc IAssessmentChallenges
    function noSuchRefusal(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata answer
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        (IOutcomeBoard.Stage at, uint256 number) = Stages.refusal(answer.leaf.because);
        bool fault = at >= stage || board.outcomeHash(outcome.session, at) == 0;
        if (!fault) {
            _requireStands(outcome.session, at, technical);
            fault = number == 0 || number > technical.refusalLength;
        }
        _decide(outcome.session, stage, fault && _blamesGrid(answer.leaf), "NoSuchRefusal");
    }

    /// @inheritdoc IAssessmentChallenges
    function takenAway(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Outcome calldata market_,
        Answer calldata answer,
        BookOffer calldata offer,
        Refusal calldata named,
        Entry calldata entry
    ) external {
        _begin(outcome, stage);
        _requireIn(outcome, answer);
        _requireNamed(outcome, technical, answer, named);
        _requireBasis(technical.marketOutcomeHash, keccak256(abi.encode(market_)));
        _requireIn(market_, entry);
        _requirePosition(named.leaf.byRequestPosition, entry.leaf.position);
        _requirePosition(answer.leaf.position, entry.leaf.offerPosition);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        bool left = named.leaf.refusedW < entry.leaf.acceptedW;
        uint256 lostW = left ? entry.leaf.acceptedW - named.leaf.refusedW : 0;
        bool fault = answer.leaf.status == TEC && offer.leaf.minPowerW == 0 && _isSingle(offer.leaf) && left;
        uint256 lossUeur = lostW * entry.leaf.priceUeurPerKw / 1000;
        _decide(outcome.session, stage, fault, "TakenAway", offer.opening.player, lossUeur);
    }

    /// @inheritdoc IAssessmentChallenges
    function refusalIgnored(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        IOutcomeBoard.Stage at,
        IOutcomeBoard.Outcome calldata market_,
        Refusal calldata refusal,
        Answer calldata answer,
        Answer calldata before
    ) external {
        _begin(outcome, stage);
        if (!Stages.isTechnical(at) || at > stage) revert ChallengesWrongStage(at);
        _requireStands(outcome.session, at, technical);
        _requireBasis(technical.marketOutcomeHash, keccak256(abi.encode(market_)));
        _requireIn(technical, refusal);
        _requireIn(outcome, answer);
        _requireIn(market_, before);
        _requirePosition(refusal.leaf.offerPosition, answer.leaf.position);
        _requirePosition(answer.leaf.position, before.leaf.position);
        bool fault = uint256(answer.leaf.acceptedW) + refusal.leaf.refusedW > before.leaf.acceptedW;
        _decide(outcome.session, stage, fault, "RefusalIgnored");
    }

    /// @inheritdoc IAssessmentChallenges
    function refusalMisplaced(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        Entry calldata validated,
        Entry calldata before
    ) external {
        _beginEntry(outcome, market_, technical, validated, before);
        _requireIn(technical, refusal);
        _requirePosition(refusal.leaf.byRequestPosition, before.leaf.position);
        _requireSameEntry(validated.leaf, before.leaf);
        bool fault = uint256(validated.leaf.acceptedW) + refusal.leaf.refusedW != before.leaf.acceptedW;
        _decideValidated(outcome, fault, "RefusalIgnored");
    }

    /// @inheritdoc IAssessmentChallenges
    function entryChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) external {
        _beginEntry(outcome, market_, technical, validated, before);
        Leaves.OutcomeByRequestLeaf calldata v = validated.leaf;
        Leaves.OutcomeByRequestLeaf calldata m = before.leaf;
        _requireSameEntry(v, m);
        bool fault = v.acceptedW > m.acceptedW || v.effectivenessPosition != m.effectivenessPosition || v.pod != m.pod
            || v.slot != m.slot || v.product != m.product || v.priceUeurPerKw != m.priceUeurPerKw
            || v.effectivenessPermille != m.effectivenessPermille || v.gridFeeUeurPerKw != m.gridFeeUeurPerKw;
        _decideValidated(outcome, fault, "EntryChanged");
    }

    /// @inheritdoc IAssessmentChallenges
    function entryInvented(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _beginEntry(outcome, market_, technical, validated, earlier);
        _requireIn(market_, later);
        Leaves.OutcomeByRequestLeaf calldata v = validated.leaf;
        Leaves.OutcomeByRequestLeaf calldata a = earlier.leaf;
        Leaves.OutcomeByRequestLeaf calldata b = later.leaf;
        _requirePosition(v.offerPosition, a.offerPosition);
        _requirePosition(v.offerPosition, b.offerPosition);
        bool between = a.nextForOffer != 0 && a.nextForOffer == uint256(b.position) + 1
            && a.requestPosition < v.requestPosition && v.requestPosition < b.requestPosition;
        bool first = a.offerRunningW == a.acceptedW && v.requestPosition < a.requestPosition;
        bool last = a.nextForOffer == 0 && v.requestPosition > a.requestPosition;
        _decideValidated(outcome, between || first || last, "EntryInvented");
    }

    function _decideValidated(IOutcomeBoard.Outcome calldata outcome, bool fault, bytes32 name) private {
        _decide(outcome.session, IOutcomeBoard.Stage.VALIDATED, fault, name);
    }

    function _begin(IOutcomeBoard.TechnicalOutcome calldata technical, IOutcomeBoard.Stage stage) private view {
        if (!Stages.isTechnical(stage)) revert ChallengesWrongStage(stage);
        _requireOpen(technical.session, stage, keccak256(abi.encode(technical)));
    }

    function _beginAnswer(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata validated,
        Answer calldata before
    ) private view {
        _beginValidated(outcome, market_, technical);
        _requireIn(outcome, validated);
        _requireIn(market_, before);
        _requirePosition(validated.leaf.position, before.leaf.position);
    }

    function _beginEntry(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) private view {
        _beginValidated(outcome, market_, technical);
        _requireIn(outcome, validated);
        _requireIn(market_, before);
    }

    /// @dev The technical outcome is that of the round whose refusal an answer of a later result names, and has the refusal.
    function _requireNamed(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Answer calldata answer,
        Refusal calldata named
    ) private view {
        (IOutcomeBoard.Stage at, uint256 number) = Stages.refusal(answer.leaf.because);
        _requireStands(outcome.session, at, technical);
        _requireIn(technical, named);
        _requirePosition(number, uint256(named.leaf.position) + 1);
    }

    function _requireStands(
        uint64 session,
        IOutcomeBoard.Stage at,
        IOutcomeBoard.TechnicalOutcome calldata technical
    ) private view {
        _requireBasis(board.outcomeHash(session, at), keccak256(abi.encode(technical)));
    }

    /// @dev Whether an answer says that the grid refused the offer, or a part of it.
    function _blamesGrid(Leaves.OutcomeByOfferLeaf calldata b) private pure returns (bool) {
        return b.status == TEC || (b.status == PARTLY_ACCEPTED && b.because != 0);
    }

    function _requireSameEntry(
        Leaves.OutcomeByRequestLeaf calldata validated,
        Leaves.OutcomeByRequestLeaf calldata before
    ) private pure {
        _requirePosition(validated.offerPosition, before.offerPosition);
        _requirePosition(validated.requestPosition, before.requestPosition);
    }
}
