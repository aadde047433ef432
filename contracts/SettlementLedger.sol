// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IFlexToken} from "../interfaces/IFlexToken.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {ISettlementLedger} from "../interfaces/ISettlementLedger.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title Settlements: payments, penalties and customers' rewards
contract SettlementLedger is ISettlementLedger {
    using BitMaps for BitMaps.BitMap;

    /// @dev What claims need of a final settlement. Two slots.
    struct Rewards {
        bytes32 claimRoot;
        uint32 claimLength;
        uint64 rewardsUeur;
        uint64 claimed;
        bool finalised;
    }

    uint256 private constant MOST_CUSTOMERS = 100;

    IMarket public immutable market;
    IOutcomeBoard public immutable board;
    IFlexToken public immutable token;

    mapping(uint64 session => Rewards) private _rewards;
    mapping(uint64 session => BitMaps.BitMap) private _claimed;
    /// @inheritdoc ISettlementLedger
    mapping(address wallet => uint256) public debtUeur;

    constructor(IMarket market_, IOutcomeBoard board_, IFlexToken token_) {
        market = market_;
        board = board_;
        token = token_;
    }

    /// @inheritdoc ISettlementLedger
    function finalise(IOutcomeBoard.Settlement calldata settlement, IOutcomeBoard.Pair[] calldata pairs) external {
        uint64 session = settlement.session;
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        bytes32 posted = board.outcomeHash(session, IOutcomeBoard.Stage.SETTLEMENT);
        if (posted == 0) revert SettlementLedgerNotPosted(session);
        if (hash != posted) revert SettlementLedgerWrongSettlement(session, posted, hash);
        // INVARIANT: a session is paid once.
        if (_rewards[session].finalised) revert SettlementLedgerAlreadyFinal(session);
        // INVARIANT: no money moves while outcome or settlement can be challenged or a leaf of theirs is demanded.
        if (
            !board.isFinal(session, IOutcomeBoard.Stage.SETTLEMENT)
                || !board.isFinal(session, IOutcomeBoard.Stage.VALIDATED)
        ) revert SettlementLedgerStillOpen(session);
        // INVARIANT: nobody is paid out of half of what covers a session.
        uint32 ungathered = market.tally(session).ungathered;
        if (ungathered != 0) revert SettlementLedgerUngathered(session, ungathered);
        _rewards[session] = Rewards({
            claimRoot: settlement.claimRoot,
            claimLength: settlement.claimLength,
            rewardsUeur: settlement.rewardsUeur,
            claimed: 0,
            finalised: true
        });
        emit SettlementFinalised(session, hash);
        bytes32 key = VaultKeys.coverage(session);
        for (uint256 i = 0; i < pairs.length; ++i) {
            IOutcomeBoard.Pair calldata pair = pairs[i];
            uint64 paid = _move(key, session, pair.payer, pair.payee, pair.paymentUeur);
            emit Paid(session, pair.payer, pair.payee, paid);
            uint64 penalty = _move(key, session, pair.payee, pair.payer, pair.penaltyUeur);
            emit Penalised(session, pair.payee, pair.payer, penalty);
        }
    }

    /// @inheritdoc ISettlementLedger
    function releaseCoverage(uint64 session, address account) external {
        // INVARIANT: coverage stays until nothing can be owed from it any more.
        if (!_isOver(session)) revert SettlementLedgerCoverageStillNeeded(session, account);
        bytes32 key = VaultKeys.coverage(session);
        uint256 amount = market.locked(key, account);
        if (amount == 0) revert SettlementLedgerNothingToRelease(session, account);
        market.release(key, account, amount);
        emit CoverageReleased(session, account, amount);
    }

    /// @inheritdoc ISettlementLedger
    function claim(
        uint64 session,
        uint32 position,
        uint32 length,
        address[] calldata wallets,
        int64[] calldata amounts,
        bytes32[] calldata proof
    ) external {
        if (!_rewards[session].finalised) revert SettlementLedgerNotFinal(session);
        _requireClaimLeaf(session, position, length, proof, Leaves.hashClaim(position, length, wallets, amounts));
        if (wallets.length == 0 || wallets.length > MOST_CUSTOMERS || wallets.length != amounts.length) {
            revert SettlementLedgerWrongBatch(wallets.length, amounts.length);
        }
        // INVARIANT: a claim is paid once.
        if (_claimed[session].get(position)) revert SettlementLedgerAlreadyClaimed(session, position);
        _claimed[session].set(position);
        uint64[] memory due = _net(session, wallets, amounts);
        emit RewardsClaimed(session, position, uint32(wallets.length));
        token.mintBatch(wallets, due);
    }

    /// @inheritdoc ISettlementLedger
    function isFinal(uint64 session) external view returns (bool) {
        return _rewards[session].finalised;
    }

    /// @inheritdoc ISettlementLedger
    function isClaimed(uint64 session, uint32 position) external view returns (bool) {
        return _claimed[session].get(position);
    }

    /// @dev Moves what is owed as far as it is locked: a debtor short of money holds up nobody else's.
    function _move(bytes32 key, uint64 session, address from, address to, uint64 owed) private returns (uint64) {
        if (owed == 0) return 0;
        uint256 available = market.locked(key, from);
        // Narrowing is safe: only below what is owed.
        uint64 moved = available < owed ? uint64(available) : owed;
        market.move(key, from, to, moved);
        if (moved < owed) emit FellShort(session, from, to, owed - moved);
        return moved;
    }

    /// @dev What each wallet is minted: its reward less what it owed, which is carried over as far as it is larger.
    function _net(uint64 session, address[] calldata wallets, int64[] calldata amounts)
        private
        returns (uint64[] memory due)
    {
        due = new uint64[](amounts.length);
        uint256 earned = _rewards[session].claimed;
        for (uint256 i = 0; i < amounts.length; ++i) {
            int256 amount = amounts[i];
            uint256 debt = debtUeur[wallets[i]];
            // Casts and sums are safe: the sign is known, and a leaf has at most 100 int64.
            unchecked {
                if (amount < 0) {
                    debtUeur[wallets[i]] = debt + uint256(-amount);
                    continue;
                }
                earned += uint256(amount);
                if (debt == 0) {
                    due[i] = uint64(uint256(amount));
                    continue;
                }
                uint256 paidOff = debt < uint256(amount) ? debt : uint256(amount);
                debtUeur[wallets[i]] = debt - paidOff;
                due[i] = uint64(uint256(amount) - paidOff);
            }
        }
        // INVARIANT: no more tokens than the settlement said, whatever its leaves say.
        uint64 most = _rewards[session].rewardsUeur;
        if (earned > most) revert SettlementLedgerClaimsAboveRewards(session, earned, most);
        _rewards[session].claimed = uint64(earned);
    }

    function _isOver(uint64 session) private view returns (bool) {
        if (_rewards[session].finalised) return true;
        return board.isEnded(session) || board.isUnsettled(session);
    }

    function _requireClaimLeaf(
        uint64 session,
        uint32 position,
        uint32 length,
        bytes32[] calldata proof,
        bytes32 leaf
    ) private view {
        Rewards storage rewards = _rewards[session];
        if (length != rewards.claimLength) {
            revert SettlementLedgerWrongClaimLength(session, rewards.claimLength, length);
        }
        if (position >= length) revert SettlementLedgerNoSuchClaim(session, position, length);
        if (!MerkleProof.verifyCalldata(proof, rewards.claimRoot, leaf)) {
            revert SettlementLedgerBadProof(session, position);
        }
    }
}
