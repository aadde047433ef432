// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IAvailability} from "../interfaces/IAvailability.sol";
import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IDataNotary} from "../interfaces/IDataNotary.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Cids} from "./libraries/Cids.sol";
import {NoticeKinds} from "./libraries/NoticeKinds.sol";
import {Stages} from "./libraries/Stages.sol";

/// @title The results of each session
contract OutcomeBoard is IOutcomeBoard, AccessManaged {
    /// @dev Open demands hold finality and bond, arbiter cases the bond only.
    /// @param shownUntil market time until which what the last answer showed can be challenged, whatever the window
    struct Holds {
        uint32 ofFinality;
        uint32 ofBond;
        uint48 shownUntil;
    }

    /// @dev So that the ledger's `finalise` stays below 16 million gas.
    uint256 private constant MOST_PAIRS = 200;
    uint256 private constant COMPENSATION_PERCENT = 80;

    IMarket public immutable market;
    IDataNotary public immutable notary;
    IAvailability public immutable availability;

    mapping(uint64 session => mapping(Stage stage => Posting)) private _postings;
    mapping(uint64 session => mapping(Stage stage => Holds)) private _holds;
    mapping(address account => bool) public isChallenger;
    bool private _challengersSet;

    modifier onlyChallenger() {
        if (!isChallenger[msg.sender]) revert OutcomeBoardNotAChallenger(msg.sender);
        _;
    }

    constructor(address manager, IMarket market_, IDataNotary notary_, IAvailability availability_)
        AccessManaged(manager)
    {
        market = market_;
        notary = notary_;
        availability = availability_;
    }

    /// @inheritdoc IOutcomeBoard
    function setChallengers(address[] calldata challengers) external restricted {
        // INVARIANT: who may strike is known before the first result and never changes.
        if (_challengersSet) revert OutcomeBoardChallengersAlreadySet();
        _challengersSet = true;
        for (uint256 i = 0; i < challengers.length; ++i) {
            isChallenger[challengers[i]] = true;
        }
        emit ChallengersSet(challengers);
    }

    /// @inheritdoc IOutcomeBoard
    function prepare(uint64 session) external {
        if (_postings[session][Stage.MARKET].postedAt != 0) revert OutcomeBoardAlreadyPrepared(session);
        for (uint8 stage = 0; stage <= uint8(Stage.SETTLEMENT); ++stage) {
            // Any time but zero does: it is written over by the posting's.
            _postings[session][Stage(stage)].postedAt = 1;
        }
        emit BoardPrepared(session);
    }

    /// @inheritdoc IOutcomeBoard
    function postMarketOutcome(Outcome calldata outcome, IAvailability.StoreReceipts calldata receipts) external {
        uint64 session = outcome.session;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.CLEARING_ORACLE);
        if (terms.time < terms.documentsDeadline) {
            revert OutcomeBoardTooEarly(session, terms.documentsDeadline, terms.time);
        }
        // INVARIANT: ties were broken by the seed of all reveals; another round rests on what was refused in the last.
        Stage stage = _roundOn(session, Stage.MARKET, market.seed(session), outcome.basis);
        _requireTurn(session, terms, terms.named, _marketDeadline(session, stage, terms));
        _requireHeld(outcome, terms, receipts);
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, stage, hash, terms, IParticipantRegistry.Role.CLEARING_ORACLE);
        emit MarketOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function postTechnicalOutcome(TechnicalOutcome calldata outcome, IAvailability.StoreReceipts calldata receipts)
        external
    {
        uint64 session = outcome.session;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.GRID_ORACLE);
        _requireTurn(session, terms, terms.named, terms.validatedOutcomeDeadline);
        bytes32 first = _standing(session, Stage.MARKET).hash;
        Stage stage = _roundOn(session, Stage.TECHNICAL, first, outcome.marketOutcomeHash);
        if (stage != Stage.TECHNICAL) _requireNotValidated(session);
        // INVARIANT: refusals rest on a grid model that its author fixed before anyone committed an offer.
        uint48 at = notary.notarisedAt(NoticeKinds.GRID_MODEL, session, msg.sender, outcome.gridModel);
        // The market's clock is never ahead of real time: only what looks late is looked up.
        bool late = at >= terms.gateOpening && market.marketTimeAt(session, at) >= terms.gateOpening;
        if (at == 0 || late) {
            revert OutcomeBoardGridModelNotNotarised(session, msg.sender, outcome.gridModel, at);
        }
        Cids.requireKnown(outcome.cidCodec);
        availability.requireReceipts(
            terms.receipts,
            _lastWindow(terms),
            keccak256(abi.encode(outcome.refusalRoot, outcome.refusalLength)),
            outcome.cidDigest,
            outcome.cidCodec,
            receipts
        );
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, stage, hash, terms, IParticipantRegistry.Role.GRID_ORACLE);
        emit TechnicalOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function postValidatedOutcome(Outcome calldata outcome, IAvailability.StoreReceipts calldata receipts) external {
        uint64 session = outcome.session;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.CLEARING_ORACLE);
        _requireTurn(session, terms, terms.named, terms.validatedOutcomeDeadline);
        // INVARIANT: set points leave 15 minutes before delivery in real time, however long the market was paused.
        if (block.timestamp + 900 > terms.deliveryStart) {
            revert OutcomeBoardTooLate(session, terms.deliveryStart - 900, block.timestamp);
        }
        _requireBasis(session, _lastAssessment(session, terms), outcome.basis);
        _requireHeld(outcome, terms, receipts);
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, Stage.VALIDATED, hash, terms, IParticipantRegistry.Role.CLEARING_ORACLE);
        emit ValidatedOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function postSettlement(
        Settlement calldata settlement,
        Pair[] calldata pairs,
        IAvailability.StoreReceipts calldata receipts
    ) external {
        uint64 session = settlement.session;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.SETTLEMENT_ORACLE);
        uint48 end = market.deliveryEnd(session);
        if (block.timestamp < end) revert OutcomeBoardTooEarly(session, end, block.timestamp);
        _requireTurn(session, terms, terms.named, _settlementDeadline(session, terms));
        // INVARIANT: a settlement follows a validated outcome, and this one.
        _requireBasis(session, _standing(session, Stage.VALIDATED).hash, settlement.validatedOutcomeHash);
        Cids.requireKnown(settlement.cidCodec);
        _requirePairs(session, pairs);
        availability.requireReceipts(
            terms.receipts,
            _lastWindow(terms),
            keccak256(
                abi.encode(
                    settlement.settlementRoot,
                    settlement.settlementLength,
                    settlement.claimRoot,
                    settlement.claimLength
                )
            ),
            settlement.cidDigest,
            settlement.cidCodec,
            receipts
        );
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        _post(session, Stage.SETTLEMENT, hash, terms, IParticipantRegistry.Role.SETTLEMENT_ORACLE);
        emit SettlementPosted(session, msg.sender, hash, settlement, pairs);
    }

    /// @inheritdoc IOutcomeBoard
    function releaseBond(uint64 session, Stage stage) external {
        Posting storage posted = _standing(session, stage);
        uint48 bond = posted.bondUeur;
        if (bond == 0) revert OutcomeBoardBondGone(session, stage);
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        // INVARIANT: a bond stays as long as its result can be challenged.
        uint256 end = _openUntil(session, stage, posted.postedAt, terms);
        if (terms.time < end) revert OutcomeBoardTooEarly(session, end, terms.time);
        Holds memory held = _holds[session][stage];
        if (held.ofBond != 0 || held.ofFinality != 0) revert OutcomeBoardHeld(session, stage);
        posted.bondUeur = 0;
        emit BondReleased(session, stage, posted.poster, bond);
        market.unbond(posted.poster, bond);
    }

    /// @inheritdoc IOutcomeBoard
    function strike(
        uint64 session,
        Stage stage,
        bytes32 fault,
        address challenger,
        address wronged,
        uint64 lossUeur
    ) external onlyChallenger {
        Posting memory posted = _standing(session, stage);
        // INVARIANT: a bond is lost once.
        if (posted.bondUeur == 0) revert OutcomeBoardBondGone(session, stage);
        _remove(session, stage, posted);
        uint64 most = uint64(posted.bondUeur * COMPENSATION_PERCENT / 100);
        uint64 compensation = wronged == address(0) ? 0 : (lossUeur < most ? lossUeur : most);
        uint64 prize = (posted.bondUeur - compensation) / 2;
        emit ResultStruck(
            session, stage, posted.hash, posted.poster, challenger, fault, wronged, compensation, prize
        );
        market.slash(posted.poster, posted.bondUeur, IVault.Shares(wronged, compensation, challenger, prize));
    }

    /// @inheritdoc IOutcomeBoard
    function hold(uint64 session, Stage stage, bool finality) external onlyChallenger {
        // INVARIANT: what is final once is final for ever.
        if (finality && isFinal(session, stage)) revert OutcomeBoardFinal(session, stage);
        Holds storage held = _holds[session][stage];
        if (finality) ++held.ofFinality;
        else ++held.ofBond;
        emit ResultHeld(session, stage, finality, true);
    }

    /// @inheritdoc IOutcomeBoard
    function unhold(uint64 session, Stage stage, bool finality) external onlyChallenger {
        Holds storage held = _holds[session][stage];
        if ((finality ? held.ofFinality : held.ofBond) == 0) revert OutcomeBoardNotHeld(session, stage);
        if (finality) {
            --held.ofFinality;
            // INVARIANT: a leaf that was shown at the last second can still be challenged.
            held.shownUntil = uint48(market.marketTime(session)) + market.terms(session).demandWindowS;
        } else {
            --held.ofBond;
        }
        emit ResultHeld(session, stage, finality, false);
    }

    /// @inheritdoc IOutcomeBoard
    function requireChallengeable(uint64 session, Stage stage, bytes32 hash) external view {
        uint48 postedAt = _requireBonded(session, stage, hash);
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        // Most challenges come in the window, and needn't read what holds the result.
        if (terms.time < uint256(postedAt) + terms.challengeWindowS) return;
        uint256 end = _openUntil(session, stage, postedAt, terms);
        if (terms.time >= end) revert OutcomeBoardTooLate(session, end, terms.time);
    }

    /// @inheritdoc IOutcomeBoard
    function requireDemandable(uint64 session, Stage stage, bytes32 hash) external view {
        uint48 postedAt = _requireBonded(session, stage, hash);
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        // INVARIANT: no answer opens the way to another demand: a session can always end.
        uint256 end = uint256(postedAt) + terms.challengeWindowS;
        if (terms.time >= end) revert OutcomeBoardTooLate(session, end, terms.time);
    }

    /// @inheritdoc IOutcomeBoard
    function posting(uint64 session, Stage stage) external view returns (Posting memory) {
        return _postings[session][stage];
    }

    /// @inheritdoc IOutcomeBoard
    function outcomeHash(uint64 session, Stage stage) external view returns (bytes32) {
        return _postings[session][stage].hash;
    }

    /// @inheritdoc IOutcomeBoard
    function isFinal(uint64 session, Stage stage) public view returns (bool) {
        Posting memory posted = _postings[session][stage];
        if (posted.hash == 0 || _holds[session][stage].ofFinality != 0) return false;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        return terms.time >= _openUntil(session, stage, posted.postedAt, terms);
    }

    /// @inheritdoc IOutcomeBoard
    function isEnded(uint64 session) external view returns (bool) {
        if (_postings[session][Stage.VALIDATED].hash != 0) return false;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        return terms.time >= terms.validatedOutcomeDeadline || block.timestamp + 900 > terms.deliveryStart;
    }

    /// @inheritdoc IOutcomeBoard
    function isUnsettled(uint64 session) external view returns (bool) {
        if (_postings[session][Stage.SETTLEMENT].hash != 0) return false;
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        return terms.time >= _settlementDeadline(session, terms);
    }

    function _post(
        uint64 session,
        Stage stage,
        bytes32 hash,
        ICommitmentBook.ResultTerms memory terms,
        IParticipantRegistry.Role role
    ) private {
        Posting storage posted = _postings[session][stage];
        // INVARIANT: what stands is never replaced.
        if (posted.hash != 0) revert OutcomeBoardAlreadyPosted(session, stage);
        // INVARIANT: who was proven false doesn't get a second try.
        if (posted.poster == msg.sender) revert OutcomeBoardStruckBefore(session, stage, msg.sender);
        uint256 share = (uint256(terms.escrowUeur) * terms.outcomeBondPermille + 999) / 1000;
        uint256 bond = share > terms.outcomeBondUeur ? share : terms.outcomeBondUeur;
        _postings[session][stage] = Posting({
            hash: hash,
            poster: msg.sender,
            postedAt: uint48(terms.time),
            bondUeur: SafeCast.toUint48(bond)
        });
        market.bond(msg.sender, role, bond);
    }

    /// @dev Removes a struck posting, and all that rests on it, unless the session is operative: then only its bond goes.
    function _remove(uint64 session, Stage stage, Posting memory posted) private {
        ICommitmentBook.ResultTerms memory terms = _termsFor(session, IParticipantRegistry.Role.OPERATOR);
        bool operative;
        if (stage == Stage.SETTLEMENT) {
            // Once it may be paid it stays: a case that held its bond takes the bond and what it froze, nothing else.
            operative = terms.time >= _openUntil(session, stage, posted.postedAt, terms)
                && _holds[session][stage].ofFinality == 0;
        } else {
            // No pause moves delivery: who follows an outcome there follows it, however long the market stood still.
            operative =
                terms.time >= terms.validatedOutcomeDeadline || block.timestamp + 900 > terms.deliveryStart;
        }
        _postings[session][stage] = Posting({
            hash: operative ? posted.hash : bytes32(0),
            poster: posted.poster,
            postedAt: operative ? posted.postedAt : uint48(terms.time),
            bondUeur: 0
        });
        if (operative || stage == Stage.SETTLEMENT) return;
        // Nothing rests on a market outcome that nobody has assessed.
        if (Stages.isMarket(stage) && _postings[session][Stages.plus(stage, 1)].hash == 0) return;
        for (uint8 later = uint8(stage) + 1; later <= uint8(Stage.VALIDATED); ++later) {
            if (_postings[session][Stage(later)].hash == 0) continue;
            Posting memory resting = _postings[session][Stage(later)];
            delete _postings[session][Stage(later)];
            emit ResultRemoved(session, Stage(later), resting.hash);
            if (resting.bondUeur != 0) market.unbond(resting.poster, resting.bondUeur);
        }
    }

    /// @dev When a result that isn't held can be challenged no more.
    function _openUntil(uint64 session, Stage stage, uint48 postedAt, ICommitmentBook.ResultTerms memory terms)
        private
        view
        returns (uint256 end)
    {
        end = uint256(postedAt) + terms.challengeWindowS;
        uint256 shownUntil = _holds[session][stage].shownUntil;
        if (shownUntil > end) end = shownUntil;
    }

    function _requireBonded(uint64 session, Stage stage, bytes32 hash) private view returns (uint48) {
        Posting memory posted = _postings[session][stage];
        if (posted.hash == 0 || posted.hash != hash || posted.bondUeur == 0) {
            revert OutcomeBoardNotChallengeable(session, stage, posted.hash, hash);
        }
        return posted.postedAt;
    }

    function _standing(uint64 session, Stage stage) private view returns (Posting storage posted) {
        posted = _postings[session][stage];
        if (posted.hash == 0) revert OutcomeBoardNotPosted(session, stage);
    }

    /// @dev The stage, of the given one or its like in a later round, that rests on a hash. `basis`: the first round's.
    function _roundOn(uint64 session, Stage stage, bytes32 basis, bytes32 given) private view returns (Stage) {
        while (given != basis) {
            bytes32 next =
                stage < Stage.MARKET_3 ? _postings[session][Stages.plus(stage, 1)].hash : bytes32(0);
            if (next == 0) revert OutcomeBoardWrongBasis(session, basis, given);
            (stage, basis) = (Stages.plus(stage, 2), next);
        }
        return stage;
    }

    /// @dev Where a first one was struck another may come as long as there is time. A later round leaves the last part of the
    /// window to its assessment and to the validated outcome.
    function _marketDeadline(uint64 session, Stage stage, ICommitmentBook.ResultTerms memory terms)
        private
        view
        returns (uint256)
    {
        if (stage != Stage.MARKET) {
            _requireNotValidated(session);
            return terms.validatedOutcomeDeadline - terms.takeoverS;
        }
        bool again = _postings[session][Stage.MARKET].poster != address(0);
        return again ? terms.validatedOutcomeDeadline : terms.marketOutcomeDeadline;
    }

    /// @dev Hash of the last technical outcome.
    function _lastAssessment(uint64 session, ICommitmentBook.ResultTerms memory terms)
        private
        view
        returns (bytes32 hash)
    {
        hash = _standing(session, Stage.TECHNICAL).hash;
        for (Stage later = Stage.MARKET_2; later < Stage.VALIDATED; later = Stages.plus(later, 2)) {
            if (_postings[session][later].hash == 0) return hash;
            bytes32 assessed = _postings[session][Stages.plus(later, 1)].hash;
            // INVARIANT: no other round and no silent grid oracle makes a session end empty.
            if (assessed != 0) hash = assessed;
            else if (terms.time + terms.takeoverS < terms.validatedOutcomeDeadline) {
                revert OutcomeBoardNotPosted(session, Stages.plus(later, 1));
            }
        }
    }

    function _requireNotValidated(uint64 session) private view {
        // INVARIANT: nothing is cleared or assessed after the validated outcome: it rests on the last that stands.
        if (_postings[session][Stage.VALIDATED].hash != 0) {
            revert OutcomeBoardAlreadyPosted(session, Stage.VALIDATED);
        }
    }

    /// @dev Where a settlement was struck another one has a challenge window from then on at least.
    function _settlementDeadline(uint64 session, ICommitmentBook.ResultTerms memory terms)
        private
        view
        returns (uint256 deadline)
    {
        Posting storage struck = _postings[session][Stage.SETTLEMENT];
        deadline = terms.settlementDeadline;
        if (struck.poster != address(0) && struck.hash == 0) {
            uint256 reopened = uint256(struck.postedAt) + terms.challengeWindowS;
            if (reopened > deadline) deadline = reopened;
        }
    }

    function _requireTurn(
        uint64 session,
        ICommitmentBook.ResultTerms memory terms,
        address named,
        uint256 deadline
    ) private view {
        if (terms.paused) revert OutcomeBoardPaused();
        if (terms.time >= deadline) revert OutcomeBoardTooLate(session, deadline, terms.time);
        // INVARIANT: a silent oracle holds nobody up: towards the end another one's turn comes.
        if (named != address(0) && named != msg.sender && terms.time + terms.takeoverS < deadline) {
            revert OutcomeBoardNotYourTurn(session, named, deadline - terms.takeoverS);
        }
    }

    function _requireHeld(
        Outcome calldata outcome,
        ICommitmentBook.ResultTerms memory terms,
        IAvailability.StoreReceipts calldata receipts
    ) private view {
        Cids.requireKnown(outcome.cidCodec);
        bytes32 content = keccak256(
            abi.encode(
                outcome.byOfferRoot,
                outcome.byOfferLength,
                outcome.byRequestRoot,
                outcome.byRequestLength,
                outcome.reserveRoot,
                outcome.reserveLength
            )
        );
        availability.requireReceipts(
            terms.receipts, _lastWindow(terms), content, outcome.cidDigest, outcome.cidCodec, receipts
        );
    }

    function _termsFor(uint64 session, IParticipantRegistry.Role role)
        private
        view
        returns (ICommitmentBook.ResultTerms memory)
    {
        return market.resultTerms(session, role);
    }

    function _lastWindow(ICommitmentBook.ResultTerms memory terms) private pure returns (uint256) {
        return uint256(terms.settlementDeadline) + terms.challengeWindowS;
    }

    /// @dev By role and not by activity: who was suspended meanwhile is still paid.
    function _requirePairs(uint64 session, Pair[] calldata pairs) private view {
        if (pairs.length > MOST_PAIRS) revert OutcomeBoardTooManyPairs(pairs.length, MOST_PAIRS);
        for (uint256 i = 0; i < pairs.length; ++i) {
            // INVARIANT: money goes between operators and aggregators only.
            address payer = pairs[i].payer;
            if (
                !market.hasRole(payer, IParticipantRegistry.Role.DSO)
                    && !market.hasRole(payer, IParticipantRegistry.Role.TSO)
            ) revert OutcomeBoardNotAPayer(session, payer);
            if (!market.hasRole(pairs[i].payee, IParticipantRegistry.Role.AGGREGATOR)) {
                revert OutcomeBoardNotAPayee(session, pairs[i].payee);
            }
        }
    }

    function _requireBasis(uint64 session, bytes32 expected, bytes32 given) private pure {
        if (expected != given) revert OutcomeBoardWrongBasis(session, expected, given);
    }
}
