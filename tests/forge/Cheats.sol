// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title What these tests need of forge's cheat codes
interface Vm {
    function warp(uint256 instant) external;
    function prank(address sender) external;
    function addr(uint256 privateKey) external pure returns (address);
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function assume(bool condition) external pure;
}

Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
