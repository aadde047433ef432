// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IArbiterCases} from "../interfaces/IArbiterCases.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {IParticipantRegistry} from "../interfaces/IParticipantRegistry.sol";
import {Cids} from "./libraries/Cids.sol";

/// @title What leaves can't decide: cases for an arbiter
contract ArbiterCases is IArbiterCases {
    bytes32 private constant BONDS = keccak256("flexledger case bonds");
    bytes32 private constant FAULT = "Arbiter";
    uint256 private constant MOST_ITEMS = 50;

    IMarket public immutable market;
    IOutcomeBoard public immutable board;
    /// @inheritdoc IArbiterCases
    uint64 public immutable bondUeur;
    /// @inheritdoc IArbiterCases
    uint48 public immutable rulingWindowS;

    /// @inheritdoc IArbiterCases
    uint256 public count;
    mapping(uint256 id => Case) private _cases;
    /// @inheritdoc IArbiterCases
    mapping(bytes32 hash => mapping(uint48 postedAt => bool)) public isFrozen;
    /// @inheritdoc IArbiterCases
    mapping(bytes32 hash => mapping(uint48 postedAt => mapping(uint256 pair => uint256))) public namedUeur;

    constructor(IMarket market_, IOutcomeBoard board_, uint64 bondUeur_, uint48 rulingWindowS_) {
        market = market_;
        board = board_;
        bondUeur = bondUeur_;
        rulingWindowS = rulingWindowS_;
    }

    /// @inheritdoc IArbiterCases
    function open(
        uint64 session,
        IOutcomeBoard.Stage stage,
        bytes32 hash,
        bytes32 evidenceDigest,
        uint8 evidenceCodec,
        Item[] calldata items
    ) external returns (uint256 id) {
        market.requireParticipant(msg.sender);
        // INVARIANT: what is frozen is known before the settlement is final.
        board.requireChallengeable(session, stage, hash);
        Cids.requireKnown(evidenceCodec);
        uint48 deadline = SafeCast.toUint48(market.marketTime(session) + rulingWindowS);
        IOutcomeBoard.Posting memory posted = board.posting(session, stage);
        id = ++count;
        _cases[id] = Case({
            opener: msg.sender,
            deadline: deadline,
            postedAt: posted.postedAt,
            hash: hash,
            itemsHash: keccak256(abi.encode(items)),
            poster: posted.poster,
            session: session,
            stage: stage,
            state: State.OPEN
        });
        _freeze(session, stage, posted, items);
        emit CaseOpened(id, session, msg.sender, stage, hash, evidenceDigest, evidenceCodec, deadline, items);
        board.hold(session, stage, false);
        market.lock(BONDS, msg.sender, bondUeur);
    }

    /// @inheritdoc IArbiterCases
    function rule(
        uint256 id,
        bool upheld,
        bytes32 rulingDigest,
        uint8 rulingCodec,
        address wronged,
        uint64 lossUeur
    ) external {
        market.requireRole(msg.sender, IParticipantRegistry.Role.ARBITER);
        Case memory known = _openCase(id);
        uint256 time = market.marketTime(known.session);
        if (time >= known.deadline) revert ArbiterCasesTooLate(id, known.deadline, time);
        // INVARIANT: nobody rules in a matter of its own.
        if (msg.sender == known.opener || msg.sender == known.poster || msg.sender == wronged) {
            revert ArbiterCasesPartial(id, msg.sender);
        }
        Cids.requireKnown(rulingCodec);
        if (!upheld) {
            _reject(id, known, rulingDigest, rulingCodec);
            return;
        }
        _requireParticipant(id, wronged);
        bool struck = _stands(known);
        _cases[id].state = State.UPHELD;
        emit CaseUpheld(id, msg.sender, rulingDigest, rulingCodec, struck);
        board.unhold(known.session, known.stage, false);
        if (struck) board.strike(known.session, known.stage, FAULT, known.opener, wronged, lossUeur);
        market.release(BONDS, known.opener, bondUeur);
    }

    /// @inheritdoc IArbiterCases
    function lapse(uint256 id) external {
        Case memory known = _openCase(id);
        uint256 time = market.marketTime(known.session);
        if (time < known.deadline) revert ArbiterCasesTooEarly(id, known.deadline, time);
        _cases[id].state = State.LAPSED;
        emit CaseLapsed(id);
        board.unhold(known.session, known.stage, false);
        market.release(BONDS, known.opener, bondUeur);
    }

    /// @inheritdoc IArbiterCases
    function caseOf(uint256 id) external view returns (Case memory) {
        return _cases[id];
    }

    function _freeze(
        uint64 session,
        IOutcomeBoard.Stage stage,
        IOutcomeBoard.Posting memory posted,
        Item[] calldata items
    ) private {
        if (items.length == 0) return;
        if (items.length > MOST_ITEMS) revert ArbiterCasesTooManyItems(items.length, MOST_ITEMS);
        // INVARIANT: who followed an outcome is paid as it says; only what a settlement adds to it is in doubt.
        if (stage != IOutcomeBoard.Stage.SETTLEMENT) revert ArbiterCasesNothingToFreeze(session, stage);
        isFrozen[posted.hash][posted.postedAt] = true;
        for (uint256 i = 0; i < items.length; ++i) {
            namedUeur[posted.hash][posted.postedAt][items[i].pair] += items[i].paymentUeur;
        }
    }

    function _reject(uint256 id, Case memory known, bytes32 rulingDigest, uint8 rulingCodec) private {
        _cases[id].state = State.REJECTED;
        emit CaseRejected(id, msg.sender, rulingDigest, rulingCodec);
        board.unhold(known.session, known.stage, false);
        uint64 half = bondUeur / 2;
        market.move(BONDS, known.opener, known.poster, half);
        market.move(BONDS, known.opener, market.reserve(), bondUeur - half);
    }

    /// @dev Whether the posting that the case is about is still there, with a bond to lose.
    function _stands(Case memory known) private view returns (bool) {
        IOutcomeBoard.Posting memory posted = board.posting(known.session, known.stage);
        return posted.hash == known.hash && posted.postedAt == known.postedAt && posted.bondUeur != 0;
    }

    function _openCase(uint256 id) private view returns (Case memory known) {
        known = _cases[id];
        // INVARIANT: a case is decided once.
        if (known.state != State.OPEN) revert ArbiterCasesNotOpen(id, known.state);
    }

    function _requireParticipant(uint256 id, address wronged) private view {
        if (wronged == address(0)) return;
        (uint16 roles,) = market.participant(wronged);
        if (roles == 0) revert ArbiterCasesNotAParticipant(id, wronged);
    }
}
