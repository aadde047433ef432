// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ICommitmentBook} from "./ICommitmentBook.sol";
import {IMarketSessions} from "./IMarketSessions.sol";
import {IParticipantRegistry} from "./IParticipantRegistry.sol";
import {IVault} from "./IVault.sol";

/// @title The market: participants, sessions, vault and sealed book at one address
interface IMarket is IParticipantRegistry, IMarketSessions, IVault, ICommitmentBook {}
