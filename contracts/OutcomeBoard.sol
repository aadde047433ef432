// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../interfaces/ICommitmentBook.sol";
import {IDataNotary} from "../interfaces/IDataNotary.sol";
import {IMarketSessions} from "../interfaces/IMarketSessions.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {IVault} from "../interfaces/IVault.sol";
import {Cids} from "./libraries/Cids.sol";
import {NoticeKinds} from "./libraries/NoticeKinds.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title The outcomes of each session
contract OutcomeBoard is IOutcomeBoard {
    IParticipantRegistry public immutable participants;
    IMarketSessions public immutable sessions;
    IVault public immutable vault;
    ICommitmentBook public immutable book;
    IDataNotary public immutable notary;

    mapping(uint64 session => mapping(Stage stage => Posting)) private _postings;

    constructor(
        IParticipantRegistry participants_,
        IMarketSessions sessions_,
        IVault vault_,
        ICommitmentBook book_,
        IDataNotary notary_
    ) {
        participants = participants_;
        sessions = sessions_;
        vault = vault_;
        book = book_;
        notary = notary_;
    }

    /// @inheritdoc IOutcomeBoard
    function postMarketOutcome(Outcome calldata outcome) external {
        uint64 session = outcome.session;
        participants.requireRole(msg.sender, IParticipantRegistry.Role.CLEARING_ORACLE);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        if (block.timestamp < terms.documentsDeadline) {
            revert OutcomeBoardTooEarly(session, terms.documentsDeadline, block.timestamp);
        }
        _requireBefore(session, terms.marketOutcomeDeadline);
        // INVARIANT: ties were broken by the seed of all reveals.
        _requireBasis(session, book.seed(session), outcome.basis);
        Cids.requireKnown(outcome.cidCodec);
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, Stage.MARKET, hash, terms.outcomeBondUeur);
        emit MarketOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function postTechnicalOutcome(TechnicalOutcome calldata outcome) external {
        uint64 session = outcome.session;
        participants.requireRole(msg.sender, IParticipantRegistry.Role.GRID_ORACLE);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        _requireBefore(session, terms.validatedOutcomeDeadline);
        _requireBasis(session, _posted(session, Stage.MARKET).hash, outcome.marketOutcomeHash);
        // INVARIANT: refusals rest on a grid model that its author fixed before anyone committed an offer.
        uint48 at = notary.notarisedAt(NoticeKinds.GRID_MODEL, session, msg.sender, outcome.gridModel);
        if (at == 0 || at >= terms.gateOpening) {
            revert OutcomeBoardGridModelNotNotarised(session, msg.sender, outcome.gridModel, at);
        }
        Cids.requireKnown(outcome.cidCodec);
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, Stage.TECHNICAL, hash, terms.outcomeBondUeur);
        emit TechnicalOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function postValidatedOutcome(Outcome calldata outcome) external {
        uint64 session = outcome.session;
        participants.requireRole(msg.sender, IParticipantRegistry.Role.CLEARING_ORACLE);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        _requireBefore(session, terms.validatedOutcomeDeadline);
        _requireBasis(session, _posted(session, Stage.TECHNICAL).hash, outcome.basis);
        Cids.requireKnown(outcome.cidCodec);
        bytes32 hash = keccak256(abi.encode(outcome));
        _post(session, Stage.VALIDATED, hash, terms.outcomeBondUeur);
        emit ValidatedOutcomePosted(session, msg.sender, hash, outcome);
    }

    /// @inheritdoc IOutcomeBoard
    function releaseBond(uint64 session, Stage stage) external {
        Posting storage posted = _posted(session, stage);
        if (posted.bondReleased) revert OutcomeBoardBondAlreadyReleased(session, stage);
        IMarketSessions.SessionTerms memory terms = sessions.terms(session);
        // INVARIANT: a bond stays as long as its outcome can be challenged.
        uint48 end = posted.postedAt + terms.challengeWindowS;
        if (block.timestamp < end) revert OutcomeBoardTooEarly(session, end, block.timestamp);
        posted.bondReleased = true;
        vault.release(VaultKeys.outcome(session, uint8(stage)), posted.poster, terms.outcomeBondUeur);
        emit OutcomeBondReleased(session, stage, posted.poster, terms.outcomeBondUeur);
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
    function isFinal(uint64 session) external view returns (bool) {
        uint48 at = _postings[session][Stage.VALIDATED].postedAt;
        return at != 0 && block.timestamp >= uint256(at) + sessions.terms(session).challengeWindowS;
    }

    /// @inheritdoc IOutcomeBoard
    function isEnded(uint64 session) external view returns (bool) {
        return _postings[session][Stage.VALIDATED].postedAt == 0
            && block.timestamp >= sessions.terms(session).validatedOutcomeDeadline;
    }

    function _post(uint64 session, Stage stage, bytes32 hash, uint64 bond) private {
        // INVARIANT: what was posted is never replaced.
        if (_postings[session][stage].postedAt != 0) revert OutcomeBoardAlreadyPosted(session, stage);
        _postings[session][stage] =
            Posting({hash: hash, poster: msg.sender, postedAt: uint48(block.timestamp), bondReleased: false});
        vault.lock(VaultKeys.outcome(session, uint8(stage)), msg.sender, bond);
    }

    function _posted(uint64 session, Stage stage) private view returns (Posting storage posted) {
        posted = _postings[session][stage];
        if (posted.postedAt == 0) revert OutcomeBoardNotPosted(session, stage);
    }

    function _requireBefore(uint64 session, uint48 deadline) private view {
        if (block.timestamp >= deadline) revert OutcomeBoardTooLate(session, deadline, block.timestamp);
    }

    function _requireBasis(uint64 session, bytes32 expected, bytes32 given) private pure {
        if (expected != given) revert OutcomeBoardWrongBasis(session, expected, given);
    }
}
