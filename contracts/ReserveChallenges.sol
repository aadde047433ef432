// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IPodRegistry} from "../interfaces/IPodRegistry.sol";
import {IReserveChallenges} from "../interfaces/IReserveChallenges.sol";
import {OutcomeProofs} from "./OutcomeProofs.sol";
import {EntryRules} from "./libraries/EntryRules.sol";
import {Leaves} from "./libraries/Leaves.sol";

/// @title Challenges of the reserve
contract ReserveChallenges is OutcomeProofs, IReserveChallenges {
    uint8 private constant PARTLY_ACCEPTED = 1;
    uint8 private constant COM_DEARER = 2;
    uint8 private constant COM_MINIMUM = 4;
    uint8 private constant RESERVED = 9;
    uint8 private constant RESERVE_EXCLUDED = 10;

    constructor(IMarket market_, IOutcomeBoard board_, IPodRegistry pods_) OutcomeProofs(market_, board_, pods_) {}

    /// @inheritdoc IReserveChallenges
    function malformedReserve(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        uint256 slots = market.terms(outcome.session).slots;
        bool fault = EntryRules.isMalformed(reserved.leaf, outcome.reserveLength, slots, outcome.byRequestLength);
        _decide(outcome.session, stage, fault, "MalformedReserve");
    }

    /// @inheritdoc IReserveChallenges
    function reserveDoubled(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata first,
        Entry calldata second
    ) external {
        _begin(outcome, stage, first);
        _requireReserved(outcome, second);
        bool fault = first.leaf.position == second.leaf.position
            && Leaves.hashReserve(first.leaf) != Leaves.hashReserve(second.leaf);
        _decide(outcome.session, stage, fault, "Doubled");
    }

    /// @inheritdoc IReserveChallenges
    function reserveSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage, earlier);
        _requireReserved(outcome, later);
        _requirePosition(uint256(earlier.leaf.position) + 1, later.leaf.position);
        bool fault = EntryRules.isSumBroken(earlier.leaf, later.leaf)
            || (
                earlier.leaf.requestPosition == later.leaf.requestPosition
                    && EntryRules.isDearer(earlier.leaf, later.leaf)
            );
        _decide(outcome.session, stage, fault, "SumBroken");
    }

    /// @inheritdoc IReserveChallenges
    function reserveOfferSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage, earlier);
        _requireReserved(outcome, later);
        bool fault = EntryRules.isOfferChainBroken(earlier.leaf, later.leaf, outcome.byRequestLength);
        _decide(outcome.session, stage, fault, "OfferChainBroken");
    }

    /// @inheritdoc IReserveChallenges
    function reservePodSumBroken(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        _begin(outcome, stage, earlier);
        _requireReserved(outcome, later);
        bool fault = EntryRules.isPodChainBroken(earlier.leaf, later.leaf, outcome.byRequestLength);
        _decide(outcome.session, stage, fault, "PodChainBroken");
    }

    /// @inheritdoc IReserveChallenges
    function reserveNotContinued(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata taken,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        _requireIn(outcome, taken);
        Leaves.OutcomeByRequestLeaf calldata m = taken.leaf;
        Leaves.OutcomeByRequestLeaf calldata e = reserved.leaf;
        bool linked = e.previousForPod == uint256(m.position) + 1;
        bool fault = linked;
        if (EntryRules.isSamePlace(m, e)) {
            fault = e.podRunningW < uint256(m.podTotalW) + e.acceptedW
                || (linked && (m.nextForPod != 0 || e.podRunningW != uint256(m.podRunningW) + e.acceptedW));
        }
        _decide(outcome.session, stage, fault, "PodChainBroken");
    }

    /// @inheritdoc IReserveChallenges
    function reservedBothWays(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Entry calldata other,
        bool inReserve
    ) external {
        _begin(outcome, stage, reserved);
        _requireIn(outcome, other, inReserve);
        // Up and down of one kind of power differ in the last bit.
        bool fault = reserved.leaf.pod == other.leaf.pod && reserved.leaf.slot == other.leaf.slot
            && reserved.leaf.product >> 1 == other.leaf.product >> 1 && reserved.leaf.product != other.leaf.product;
        _decide(outcome.session, stage, fault, "TakenBothWays");
    }

    /// @inheritdoc IReserveChallenges
    function reserveNotInBook(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        bool fault = EntryRules.isOutsideBook(reserved.leaf, market.tally(outcome.session));
        _decide(outcome.session, stage, fault, "NotInBook");
    }

    /// @inheritdoc IReserveChallenges
    function reservePodExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        bool fault = reserved.leaf.podRunningW > _limitW(pods.pods(reserved.leaf.pod), reserved.leaf.product);
        _decide(outcome.session, stage, fault, "PodExceeded");
    }

    /// @inheritdoc IReserveChallenges
    function reserveNotAsOffered(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookOffer calldata offer
    ) external {
        _begin(outcome, stage, reserved);
        _requireOffer(outcome.session, offer, reserved.leaf.offerPosition);
        Leaves.OfferLeaf calldata x = offer.leaf;
        bool fault = EntryRules.isNotOffered(reserved.leaf, x) || reserved.leaf.priceUeurPerKw != x.priceUeurPerKw
            || !_isSingle(x) || pods.aggregatorOf(x.pod) != offer.opening.player;
        _decide(outcome.session, stage, fault, "NotAsOffered");
    }

    /// @inheritdoc IReserveChallenges
    function reserveNotAsRequested(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookRequest calldata request
    ) external {
        _begin(outcome, stage, reserved);
        _requireRequest(outcome.session, request, reserved.leaf.requestPosition);
        uint256 mostWPermille = uint256(request.leaf.reliefW) * request.leaf.reservePermille;
        bool fault = EntryRules.isNotRequested(reserved.leaf, request.leaf, mostWPermille);
        _decide(outcome.session, stage, fault, "NotAsRequested");
    }

    /// @inheritdoc IReserveChallenges
    function reserveWrongEffectiveness(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external {
        _begin(outcome, stage, reserved);
        bool fault = _isWrongEffectiveness(outcome.session, reserved.leaf, request, effectiveness);
        _decide(outcome.session, stage, fault, "WrongEffectiveness");
    }

    /// @inheritdoc IReserveChallenges
    function reserveBeyondOffer(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        _requireIn(outcome, answer);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        Leaves.OutcomeByRequestLeaf calldata e = reserved.leaf;
        _requirePosition(b.position, e.offerPosition);
        // A validated outcome's answer names an entry of the market outcome's reserve.
        bool later = stage != IOutcomeBoard.Stage.VALIDATED && b.because > uint256(e.position) + 1;
        bool fault = uint256(b.acceptedW) + e.offerRunningW > b.countedW
            || (b.status == RESERVED ? later : b.status != PARTLY_ACCEPTED);
        _decide(outcome.session, stage, fault, "ReserveBeyondOffer");
    }

    /// @inheritdoc IReserveChallenges
    function reserveBelowMinimum(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata reserved
    ) external {
        _begin(outcome, stage, reserved);
        _requireIn(outcome, answer);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        _requirePosition(answer.leaf.position, reserved.leaf.offerPosition);
        bool fault = answer.leaf.acceptedW == 0 && reserved.leaf.nextForOffer == 0
            && reserved.leaf.offerRunningW < offer.leaf.minPowerW;
        _decide(outcome.session, stage, fault, "BelowMinimum");
    }

    /// @inheritdoc IReserveChallenges
    function reserveEscrowExceeded(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Entry calldata taken,
        ICommitmentBook.Opening calldata document
    ) external {
        _begin(outcome, stage, reserved);
        uint256 moneyUeur =
            _requireDocumentOf(outcome.session, document, reserved.leaf.requestPosition).moneyUeur;
        uint256 costUeur = reserved.leaf.documentUeur;
        if (taken.leaf.length != 0) {
            _requireIn(outcome, taken);
            _requireDocumentOf(outcome.session, document, taken.leaf.requestPosition);
            costUeur += taken.leaf.documentUeur;
        }
        _decide(outcome.session, stage, costUeur > moneyUeur, "EscrowExceeded");
    }

    /// @inheritdoc IReserveChallenges
    function cheaperLeftOut(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Entry calldata reserved,
        Answer calldata answer,
        BookOffer calldata offer,
        BookRequest calldata request,
        Effectiveness calldata effectiveness
    ) external {
        _beginMarket(outcome, stage);
        _requireReserved(outcome, reserved);
        _requireIn(outcome, answer);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        _requireRequest(outcome.session, request, reserved.leaf.requestPosition);
        _requireEffectiveness(request.opening, effectiveness);
        Leaves.OutcomeByOfferLeaf calldata b = answer.leaf;
        bool fault = b.acceptedW == 0 && b.status >= COM_DEARER && b.status <= COM_MINIMUM
            && _isCheaper(reserved.leaf, offer.leaf, request.leaf, effectiveness.leaf);
        uint256 lostW = b.countedW < reserved.leaf.acceptedW ? b.countedW : reserved.leaf.acceptedW;
        _decide(
            outcome.session,
            stage,
            fault,
            "CheaperLeftOut",
            offer.opening.player,
            lostW * request.leaf.availabilityPriceUeurPerKw / 1000
        );
    }

    /// @inheritdoc IReserveChallenges
    function falselyReserved(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata reserved
    ) external {
        bool fault = answer.leaf.status == RESERVED;
        if (_beginNamed(outcome, stage, answer, reserved)) {
            fault = fault && reserved.leaf.offerPosition != answer.leaf.position;
        }
        _decide(outcome.session, stage, fault, "FalselyReserved");
    }

    /// @inheritdoc IReserveChallenges
    function falselyKeptOut(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        BookOffer calldata offer,
        Entry calldata reserved
    ) external {
        bool fault = answer.leaf.status == RESERVE_EXCLUDED;
        if (_beginNamed(outcome, stage, answer, reserved)) fault = fault && !_excludes(reserved.leaf, offer.leaf);
        _requireOffer(outcome.session, offer, answer.leaf.position);
        _decide(outcome.session, stage, fault, "FalselyKeptOut");
    }

    /// @inheritdoc IReserveChallenges
    function reserveChanged(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) external {
        _beginReserves(outcome, market_, technical, validated, before);
        Leaves.OutcomeByRequestLeaf calldata v = validated.leaf;
        Leaves.OutcomeByRequestLeaf calldata m = before.leaf;
        _requirePosition(v.offerPosition, m.offerPosition);
        _requirePosition(v.requestPosition, m.requestPosition);
        bool fault = v.acceptedW != m.acceptedW || v.effectivenessPosition != m.effectivenessPosition
            || !EntryRules.isSamePlace(v, m) || v.priceUeurPerKw != m.priceUeurPerKw
            || v.effectivenessPermille != m.effectivenessPermille || v.gridFeeUeurPerKw != m.gridFeeUeurPerKw;
        _decide(outcome.session, IOutcomeBoard.Stage.VALIDATED, fault, "ReserveChanged");
    }

    /// @inheritdoc IReserveChallenges
    function reserveInvented(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata earlier,
        Entry calldata later
    ) external {
        bool fault = market_.reserveLength == 0;
        if (fault) {
            _beginValidated(outcome, market_, technical);
            _requireReserved(outcome, validated);
        } else {
            _beginReserves(outcome, market_, technical, validated, earlier);
            _requireReserved(market_, later);
            fault = _isBetween(market_, validated.leaf, earlier.leaf, later.leaf)
                || _isBetweenItsOffers(market_, validated.leaf, earlier.leaf, later.leaf);
        }
        _decide(outcome.session, IOutcomeBoard.Stage.VALIDATED, fault, "ReserveInvented");
    }

    /// @inheritdoc IReserveChallenges
    function reserveOfRefused(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Refusal calldata refusal,
        Entry calldata taken,
        Entry calldata reserved
    ) external {
        _beginValidated(outcome, market_, technical);
        _requireReserved(outcome, reserved);
        _requireIn(technical, refusal);
        _requireIn(market_, taken);
        _requirePosition(refusal.leaf.byRequestPosition, taken.leaf.position);
        bool fault = taken.leaf.pod == reserved.leaf.pod && taken.leaf.slot == reserved.leaf.slot;
        _decide(outcome.session, IOutcomeBoard.Stage.VALIDATED, fault, "ReserveOfRefused");
    }

    function _begin(IOutcomeBoard.Outcome calldata outcome, IOutcomeBoard.Stage stage, Entry calldata reserved)
        private
        view
    {
        _begin(outcome, stage);
        _requireReserved(outcome, reserved);
    }

    function _beginReserves(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Outcome calldata market_,
        IOutcomeBoard.TechnicalOutcome calldata technical,
        Entry calldata validated,
        Entry calldata before
    ) private view {
        _beginValidated(outcome, market_, technical);
        _requireReserved(outcome, validated);
        _requireReserved(market_, before);
    }

    /// @dev Whether an answer of a market outcome names an entry of its reserve: then it is this one.
    function _beginNamed(
        IOutcomeBoard.Outcome calldata outcome,
        IOutcomeBoard.Stage stage,
        Answer calldata answer,
        Entry calldata reserved
    ) private view returns (bool names) {
        _beginMarket(outcome, stage);
        _requireIn(outcome, answer);
        uint256 because = answer.leaf.because;
        names = because != 0 && because <= outcome.reserveLength;
        if (names) {
            _requireReserved(outcome, reserved);
            _requirePosition(because - 1, reserved.leaf.position);
        }
    }

    /// @dev Whether an entry would stand between two neighbours of a reserve, before its first or after its last.
    function _isBetween(
        IOutcomeBoard.Outcome calldata outcome,
        Leaves.OutcomeByRequestLeaf calldata v,
        Leaves.OutcomeByRequestLeaf calldata a,
        Leaves.OutcomeByRequestLeaf calldata b
    ) private pure returns (bool) {
        if (b.position == uint256(a.position) + 1) return _precedes(a, v) && _precedes(v, b);
        if (a.position != b.position) return false;
        return (a.position == 0 && _precedes(v, a))
            || (uint256(a.position) + 1 == outcome.reserveLength && _precedes(a, v));
    }

    /// @dev The same among its offer's entries.
    function _isBetweenItsOffers(
        IOutcomeBoard.Outcome calldata outcome,
        Leaves.OutcomeByRequestLeaf calldata v,
        Leaves.OutcomeByRequestLeaf calldata a,
        Leaves.OutcomeByRequestLeaf calldata b
    ) private pure returns (bool) {
        if (v.offerPosition != a.offerPosition || v.offerPosition != b.offerPosition) return false;
        if (a.nextForOffer == uint256(outcome.byRequestLength) + b.position + 1) {
            return a.requestPosition < v.requestPosition && v.requestPosition < b.requestPosition;
        }
        return (a.offerRunningW == a.acceptedW && v.requestPosition < a.requestPosition)
            || (a.nextForOffer == 0 && v.requestPosition > a.requestPosition);
    }

    /// @dev Whether an entry stands before another one in any list of both: requests in order, then the cheaper first.
    function _precedes(Leaves.OutcomeByRequestLeaf calldata a, Leaves.OutcomeByRequestLeaf calldata b)
        private
        pure
        returns (bool)
    {
        if (a.requestPosition != b.requestPosition) return a.requestPosition < b.requestPosition;
        return EntryRules.isDearer(b, a);
    }
}
