// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Administration} from "../../contracts/Administration.sol";
import {Market} from "../../contracts/Market.sol";
import {SessionRules} from "../../contracts/SessionRules.sol";
import {TestEuro} from "../../contracts/test/TestEuro.sol";
import {IMarketSessions} from "../../interfaces/IMarketSessions.sol";
import {IParticipantRegistry} from "../../interfaces/IParticipantRegistry.sol";
import {vm} from "./Cheats.sol";

/// @title A market that this contract administers, with sessions a few hours ahead
abstract contract Deployment {
    uint48 internal constant STEP_S = 1000;
    uint48 internal constant SLOT_S = 900;
    address internal constant RESERVE = address(0xfee);

    TestEuro internal immutable euro = new TestEuro();
    Market internal immutable market;

    constructor() {
        vm.warp(1_790_000_000);
        market = new Market(address(new Administration(address(this))), new SessionRules(), euro, RESERVE);
        _register(address(this), IParticipantRegistry.Role.OPERATOR);
    }

    function _register(address account, IParticipantRegistry.Role role) internal {
        market.register(account, uint16(1 << uint8(role)), "");
    }

    function _fund(address account, uint256 amountUeur) internal {
        euro.mint(account, amountUeur);
        vm.prank(account);
        euro.approve(address(market), amountUeur);
        vm.prank(account);
        market.deposit(amountUeur);
    }

    /// @dev A session whose deadlines follow each other by `STEP_S`, the first one from now on.
    function _terms() internal view returns (IMarketSessions.SessionTerms memory made) {
        uint48 first = uint48(block.timestamp) + STEP_S;
        made.baselineGate = first;
        made.gateOpening = first + STEP_S;
        made.gateClosure = first + 2 * STEP_S;
        made.revealDeadline = first + 3 * STEP_S;
        made.documentsDeadline = first + 4 * STEP_S;
        made.marketOutcomeDeadline = first + 5 * STEP_S;
        made.validatedOutcomeDeadline = first + 6 * STEP_S;
        made.deliveryStart = (made.validatedOutcomeDeadline + 2 * SLOT_S) / SLOT_S * SLOT_S;
        made.slots = 96;
        made.settlementDeadline = made.deliveryStart + 97 * SLOT_S;
        made.challengeWindowS = 500;
        made.demandWindowS = 200;
        made.bondPermille = 20;
        made.bondFloorUeur = 1_000_000;
        made.outcomeBondUeur = 5_000_000;
        made.outcomeBondPermille = 100;
        made.receipts = 1;
    }
}
