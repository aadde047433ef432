// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ICommitmentBook} from "../../interfaces/ICommitmentBook.sol";
import {IMarket} from "../../interfaces/IMarket.sol";
import {IMarketSessions} from "../../interfaces/IMarketSessions.sol";
import {IParticipantRegistry} from "../../interfaces/IParticipantRegistry.sol";
import {IVault} from "../../interfaces/IVault.sol";
import {RelayStakes} from "../../contracts/RelayStakes.sol";
import {vm} from "./Cheats.sol";
import {Deployment} from "./Deployment.sol";

/// @title Players, a controller and the clock, at random
/// @notice Every call that moves money, by four players over sessions that come and go. Keeps what came in and went out, and
/// which entries the book has.
contract Handler is Deployment {
    uint256 private constant PLAYERS = 4;
    uint256 private constant MOST_UEUR = 1_000_000_000;

    ICommitmentBook.Opening[] private _openings;
    uint64[] private _sessions;
    RelayStakes public immutable relays = new RelayStakes(IMarket(address(market)), 20_000_000);
    uint256 public cameIn;
    uint256 public wentOut;
    uint256 public strangersMoved;

    constructor() {
        address[] memory controllers = new address[](2);
        (controllers[0], controllers[1]) = (address(this), address(relays));
        market.setControllers(controllers);
        for (uint256 i = 0; i < PLAYERS; ++i) {
            _register(
                player(i), i == 0 ? IParticipantRegistry.Role.DSO : IParticipantRegistry.Role.AGGREGATOR
            );
            _fund(player(i), MOST_UEUR);
            cameIn += MOST_UEUR;
        }
        _fund(address(this), MOST_UEUR);
        cameIn += MOST_UEUR;
        newSession();
    }

    function player(uint256 seed) public pure returns (address) {
        return address(uint160(0x1000 + seed % PLAYERS));
    }

    function key(uint256 seed) public pure returns (bytes32) {
        return bytes32(1 + seed % 3);
    }

    function pass(uint16 seconds_) external {
        vm.warp(block.timestamp + seconds_ % 400);
    }

    /// @notice The next session, once the one before is gathered, with its gate open.
    function newSession() public {
        if (_sessions.length != 0) {
            uint64 last = _sessions[_sessions.length - 1];
            if (block.timestamp < market.terms(last).documentsDeadline + STEP_S) return;
        }
        IMarketSessions.SessionTerms memory made = _terms();
        _sessions.push(market.create(made));
        vm.warp(made.gateOpening);
    }

    function deposit(uint256 who, uint64 amount) external {
        _fund(player(who), amount % MOST_UEUR + 1);
        cameIn += amount % MOST_UEUR + 1;
    }

    function withdraw(uint256 who, uint64 amount) external {
        uint256 part = _part(market.free(player(who)), amount);
        vm.prank(player(who));
        market.withdraw(part);
        wentOut += part;
    }

    function withdrawTooMuch(uint256 who, uint64 more) external {
        uint256 free = market.free(player(who));
        vm.prank(player(who));
        try market.withdraw(free + 1 + more) {
            ++strangersMoved;
        } catch {}
    }

    function strangerMoves(uint256 which, uint256 who, uint64 amount) external {
        vm.prank(player(who + 1));
        address own = player(who + 1);
        if (which % 3 == 0) {
            try market.move(key(which), player(who), own, amount) {
                ++strangersMoved;
            } catch {}
        } else if (which % 3 == 1) {
            try market.release(key(which), own, amount) {
                ++strangersMoved;
            } catch {}
        } else {
            try market.slash(player(who), amount, IVault.Shares(own, amount, own, 0)) {
                ++strangersMoved;
            } catch {}
        }
    }

    function lock(uint256 k, uint256 who, uint64 amount) external {
        market.lock(key(k), player(who), _part(market.free(player(who)), amount));
    }

    function release(uint256 k, uint256 who, uint64 amount) external {
        market.release(key(k), player(who), _part(market.locked(key(k), player(who)), amount));
    }

    function move(uint256 k, uint256 who, uint256 to, uint64 amount) external {
        market.move(key(k), player(who), player(to), _part(market.locked(key(k), player(who)), amount));
    }

    function bond(uint256 who, uint64 amount) external {
        IParticipantRegistry.Role role =
            who % PLAYERS == 0 ? IParticipantRegistry.Role.DSO : IParticipantRegistry.Role.AGGREGATOR;
        market.bond(player(who), role, _part(market.free(player(who)), amount));
    }

    function unbond(uint256 who, uint64 amount) external {
        market.unbond(player(who), _part(market.bonded(player(who)), amount));
    }

    function slash(uint256 who, uint256 wronged, uint256 winner, uint64 amount, uint8 cut) external {
        uint256 lost = _part(market.bonded(player(who)), amount);
        uint96 first = uint96(lost * (cut % 101) / 100);
        uint96 second = uint96((lost - first) / 2);
        market.slash(player(who), lost, IVault.Shares(player(wronged), first, player(winner), second));
    }

    function stakeRelay(uint64 amount) external {
        relays.stake(uint128(_part(market.free(address(this)), amount)));
    }

    function commit(uint256 who, uint64 cap, uint256 salt, uint256 old) external {
        uint64 session = _sessions[_sessions.length - 1];
        ICommitmentBook.Opening memory made;
        made.session = session;
        made.player = player(who);
        made.root = bytes32(uint256(1));
        made.salt = bytes32(salt);
        made.cidCodec = 0x55;
        made.leafCount = 1 + uint32(salt % 100);
        ICommitmentBook.Commitment memory given;
        given.session = session;
        given.player = made.player;
        given.side = who % PLAYERS == 0 ? ICommitmentBook.Side.DSO_REQUEST : ICommitmentBook.Side.OFFER;
        given.sealedHash = market.sealedHashOf(made);
        given.capUeur = cap % uint64(MOST_UEUR);
        given.nonce = market.nonces(made.player);
        given.deadline = type(uint48).max;
        if (old % 4 == 0 && _openings.length != 0) {
            given.replaces = market.sealedHashOf(_openings[old % _openings.length]);
        }
        vm.prank(made.player);
        market.commit(given);
        _openings.push(made);
    }

    function retract(uint256 which) external {
        if (which % 5 != 0) return;
        ICommitmentBook.Opening memory opening = _opening(which);
        bytes32 sealedHash = market.sealedHashOf(opening);
        vm.prank(opening.player);
        market.retract(opening.session, sealedHash);
    }

    function reveal(uint256 which) external {
        market.reveal(_opening(which));
    }

    function makeAvailable(uint256 which) external {
        market.makeAvailable(_opening(which));
    }

    function forfeit(uint256 which) external {
        ICommitmentBook.Opening memory opening = _opening(which);
        market.forfeit(opening.session, opening.player, market.sealedHashOf(opening));
    }

    function gather(uint256 which) external {
        ICommitmentBook.Opening memory opening = _opening(which);
        address[] memory players = new address[](1);
        bytes32[] memory hashes = new bytes32[](1);
        (players[0], hashes[0]) = (opening.player, market.sealedHashOf(opening));
        market.gather(opening.session, players, hashes);
    }

    /// @notice All that the market owes, account by account, key by key, entry by entry.
    function owed() external view returns (uint256 sum) {
        sum = market.free(RESERVE) + market.free(address(this)) + market.bonded(address(this));
        for (uint256 i = 0; i < PLAYERS; ++i) {
            address account = player(i);
            sum += market.free(account) + market.bonded(account);
            for (uint256 k = 0; k < 3; ++k) {
                sum += market.locked(key(k), account);
            }
            for (uint256 s = 0; s < _sessions.length; ++s) {
                sum += market.locked(keccak256(abi.encode(_sessions[s], "cover")), account);
            }
        }
        for (uint256 i = 0; i < _openings.length; ++i) {
            ICommitmentBook.Opening memory opening = _openings[i];
            ICommitmentBook.Entry memory entry =
                market.entry(opening.session, opening.player, market.sealedHashOf(opening));
            if (!entry.gathered) sum += entry.moneyUeur;
        }
    }

    function held() external view returns (uint256) {
        return euro.balanceOf(address(market));
    }

    function _opening(uint256 which) private view returns (ICommitmentBook.Opening memory) {
        // The newest ones are those with which something can still be done.
        uint256 count = _openings.length;
        uint256 back = which % (count < 12 ? count : 12);
        return _openings[count - 1 - back];
    }

    function _part(uint256 whole, uint64 seed) private pure returns (uint256) {
        return whole * (seed % 1001) / 1000;
    }
}

/// @title Money is conserved to the 10^-6 euro, whoever calls what in which order
contract MoneyInvariants {
    Handler private _handler;

    function setUp() external {
        _handler = new Handler();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    function invariant_money_is_conserved() external view {
        uint256 held = _handler.held();
        assert(held == _handler.cameIn() - _handler.wentOut());
        assert(held == _handler.owed());
        assert(_handler.strangersMoved() == 0);
    }
}
