// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BitMaps} from "@openzeppelin/contracts/utils/structs/BitMaps.sol";
import {IArbiterCases} from "../interfaces/IArbiterCases.sol";
import {IFlexToken} from "../interfaces/IFlexToken.sol";
import {IMarket} from "../interfaces/IMarket.sol";
import {IOutcomeBoard} from "../interfaces/IOutcomeBoard.sol";
import {ISettlementLedger} from "../interfaces/ISettlementLedger.sol";
import {Leaves} from "./libraries/Leaves.sol";
import {VaultKeys} from "./libraries/VaultKeys.sol";

/// @title Settlements: payments, penalties and customers' rewards
contract SettlementLedger is ISettlementLedger {
    using BitMaps for BitMaps.BitMap;

    /// @dev What claims need of a final settlement. Two slots. `claimed`: net rewards above 0 claimed so far.
    struct Rewards {
        bytes32 claimRoot;
        uint32 claimLength;
        uint64 rewardsUeur;
        uint64 claimed;
        uint48 postedAt;
        bool finalised;
    }

    /// @dev How much of what cases named of a pair's payment was decided for the payee and for the payer. One slot.
    struct Decided {
        uint128 rejectedUeur;
        uint128 upheldUeur;
    }

    uint256 private constant MOST_CUSTOMERS = 100;

    IMarket public immutable market;
    IOutcomeBoard public immutable board;
    IFlexToken public immutable token;
    IArbiterCases public immutable cases;

    mapping(uint64 session => Rewards) private _rewards;
    mapping(uint64 session => BitMaps.BitMap) private _claimed;
    mapping(uint64 session => bytes32) private _settled;
    mapping(uint64 session => mapping(uint256 pair => Decided)) private _decided;
    BitMaps.BitMap private _settledCases;
    /// @inheritdoc ISettlementLedger
    mapping(uint64 session => mapping(address payer => uint256)) public withheldUeur;
    /// @inheritdoc ISettlementLedger
    mapping(address wallet => uint256) public debtUeur;

    constructor(IMarket market_, IOutcomeBoard board_, IFlexToken token_, IArbiterCases cases_) {
        market = market_;
        board = board_;
        token = token_;
        cases = cases_;
    }

    /// @inheritdoc ISettlementLedger
    function finalise(IOutcomeBoard.Settlement calldata settlement, IOutcomeBoard.Pair[] calldata pairs) external {
        uint64 session = settlement.session;
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        IOutcomeBoard.Posting memory posted = board.posting(session, IOutcomeBoard.Stage.SETTLEMENT);
        if (posted.hash == 0) revert SettlementLedgerNotPosted(session);
        if (hash != posted.hash) revert SettlementLedgerWrongSettlement(session, posted.hash, hash);
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
            postedAt: posted.postedAt,
            finalised: true
        });
        _settled[session] = hash;
        emit SettlementFinalised(session, hash);
        bool frozen = cases.isFrozen(hash, posted.postedAt);
        for (uint256 i = 0; i < pairs.length; ++i) {
            IOutcomeBoard.Pair calldata pair = pairs[i];
            uint64 withheld = frozen ? _least(cases.namedUeur(hash, posted.postedAt, i), pair.paymentUeur) : 0;
            uint64 paid = _move(session, pair.payer, pair.payee, pair.paymentUeur - withheld);
            emit Paid(session, pair.payer, pair.payee, paid);
            if (withheld != 0) _withhold(session, pair.payer, pair.payee, withheld);
            uint64 penalty = _move(session, pair.payee, pair.payer, pair.penaltyUeur);
            emit Penalised(session, pair.payee, pair.payer, penalty);
        }
    }

    /// @inheritdoc ISettlementLedger
    function settleFrozen(
        uint256 id,
        IArbiterCases.Item[] calldata items,
        IOutcomeBoard.Settlement calldata settlement,
        IOutcomeBoard.Pair[] calldata pairs
    ) external {
        IArbiterCases.Case memory known = cases.caseOf(id);
        bool upheld = known.state == IArbiterCases.State.UPHELD;
        if (!upheld && known.state != IArbiterCases.State.REJECTED && known.state != IArbiterCases.State.LAPSED) {
            revert SettlementLedgerCaseUndecided(id);
        }
        uint64 session = settlement.session;
        bytes32 hash = keccak256(abi.encode(settlement, pairs));
        // INVARIANT: a case releases what was withheld of the very settlement that it was about.
        bytes32 settled = _settled[session];
        if (settled == 0) revert SettlementLedgerNotFinal(session);
        if (settled != hash) revert SettlementLedgerWrongSettlement(session, settled, hash);
        if (known.hash != hash) revert SettlementLedgerWrongSettlement(session, known.hash, hash);
        uint48 postedAt = _rewards[session].postedAt;
        if (known.postedAt != postedAt) revert SettlementLedgerWrongPosting(id, known.postedAt, postedAt);
        bytes32 itemsHash = keccak256(abi.encode(items));
        if (itemsHash != known.itemsHash) revert SettlementLedgerWrongItems(id, known.itemsHash, itemsHash);
        // INVARIANT: what a case froze is released once.
        if (_settledCases.get(id)) revert SettlementLedgerCaseSettled(id);
        _settledCases.set(id);
        emit FrozenSettled(session, id, upheld);
        for (uint256 i = 0; i < items.length; ++i) {
            // A case may have named what isn't there: that froze nothing.
            if (items[i].pair >= pairs.length) continue;
            _thaw(known, items[i], pairs[items[i].pair], upheld);
        }
    }

    /// @inheritdoc ISettlementLedger
    function releaseCoverage(uint64 session, address account) external {
        // INVARIANT: coverage stays until nothing can be owed from it any more.
        if (!_isOver(session)) revert SettlementLedgerCoverageStillNeeded(session, account);
        uint256 amount = _available(session, account);
        if (amount == 0) revert SettlementLedgerNothingToRelease(session, account);
        market.release(VaultKeys.coverage(session), account, amount);
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
        // Narrowing is safe: at most 100.
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
    function _move(uint64 session, address from, address to, uint64 owed) private returns (uint64 moved) {
        if (owed == 0) return 0;
        moved = _least(_available(session, from), owed);
        market.move(VaultKeys.coverage(session), from, to, moved);
        if (moved < owed) emit FellShort(session, from, to, owed - moved);
    }

    /// @dev Sets aside what cases froze of a payment, as far as it is locked.
    function _withhold(uint64 session, address payer, address payee, uint64 frozen) private {
        uint64 kept = _least(_available(session, payer), frozen);
        withheldUeur[session][payer] += kept;
        emit Withheld(session, payer, payee, kept);
        if (kept < frozen) emit FellShort(session, payer, payee, frozen - kept);
    }

    /// @dev Several cases may have named the same money, which is withheld once. So a rejected item sets free by how
    /// much less is named without it, and an upheld one what it adds to the payer's part: in whatever order, together
    /// what was withheld.
    function _thaw(
        IArbiterCases.Case memory known,
        IArbiterCases.Item calldata item,
        IOutcomeBoard.Pair calldata pair,
        bool upheld
    ) private {
        uint64 session = known.session;
        Decided memory decided = _decided[session][item.pair];
        uint64 less;
        uint64 more;
        if (upheld) {
            less = _least(decided.upheldUeur, pair.paymentUeur);
            decided.upheldUeur += item.paymentUeur;
            more = _least(decided.upheldUeur, pair.paymentUeur);
        } else {
            uint256 named = cases.namedUeur(known.hash, known.postedAt, item.pair);
            more = _least(named - decided.rejectedUeur, pair.paymentUeur);
            decided.rejectedUeur += item.paymentUeur;
            less = _least(named - decided.rejectedUeur, pair.paymentUeur);
        }
        _decided[session][item.pair] = decided;
        // INVARIANT: no money but what was withheld of this payer. Where that fell short: first decided, first paid.
        uint64 freed = _least(withheldUeur[session][pair.payer], more - less);
        withheldUeur[session][pair.payer] -= freed;
        if (upheld) {
            emit Spared(session, pair.payer, pair.payee, freed);
        } else {
            emit Paid(session, pair.payer, pair.payee, freed);
            if (freed != 0) market.move(VaultKeys.coverage(session), pair.payer, pair.payee, freed);
        }
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
            // Sums are safe: a leaf has at most 100 int64.
            unchecked {
                if (amount > 0) earned += uint256(amount);
            }
            if (wallets[i] == address(0)) {
                // One wallet that can't be paid holds up none of the others.
                emit RewardUnpayable(session, i, amounts[i]);
            } else {
                due[i] = _afterDebt(session, wallets[i], amount);
            }
        }
        // INVARIANT: no more tokens than the settlement said, whatever its leaves say.
        uint64 most = _rewards[session].rewardsUeur;
        if (earned > most) revert SettlementLedgerClaimsAboveRewards(session, earned, most);
        // Narrowing is safe: not above rewardsUeur.
        _rewards[session].claimed = uint64(earned);
    }

    function _afterDebt(uint64 session, address wallet, int256 amount) private returns (uint64) {
        uint256 debt = debtUeur[wallet];
        // Narrowing is safe: an int64 that isn't below 0.
        if (debt == 0 && amount >= 0) return uint64(uint256(amount));
        int256 rest = amount - int256(debt);
        debt = rest < 0 ? uint256(-rest) : 0;
        debtUeur[wallet] = debt;
        emit DebtChanged(session, wallet, debt);
        // Narrowing is safe: not above the reward.
        return rest > 0 ? uint64(uint256(rest)) : 0;
    }

    /// @dev What an account has locked for a session and isn't withheld.
    function _available(uint64 session, address account) private view returns (uint256) {
        return market.locked(VaultKeys.coverage(session), account) - withheldUeur[session][account];
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

    function _least(uint256 amount, uint64 most) private pure returns (uint64) {
        // Narrowing is safe: only below what fits.
        return amount < most ? uint64(amount) : most;
    }
}
