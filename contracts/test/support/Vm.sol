// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// @dev The forge cheat codes these tests use.
interface Vm {
    /// @dev One emitted log.
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    /// @dev What a call frame used; `gasTotalUsed` is without the cost of the call instruction.
    struct Gas {
        uint64 gasLimit;
        uint64 gasTotalUsed;
        uint64 gasMemoryUsed;
        int64 gasRefunded;
        uint64 gasRemaining;
    }

    /// @dev The next call comes from this address.
    function prank(address sender) external;
    /// @dev Sets the time of the block.
    function warp(uint256 time) external;
    /// @dev Sets what an account has.
    function deal(address account, uint256 balance) external;
    /// @dev Skips a fuzz run whose inputs are of no use.
    function assume(bool condition) external pure;
    /// @dev The next call must revert with exactly this data.
    function expectRevert(bytes calldata revertData) external;
    /// @dev The next call must emit the event that follows, from this address, all topics and data equal.
    function expectEmit(address emitter) external;
    function recordLogs() external;
    function getRecordedLogs() external returns (Log[] memory logs);
    function load(address target, bytes32 slot) external view returns (bytes32 value);
    function store(address target, bytes32 slot, bytes32 value) external;
    /// @dev Makes an account and its slots cold again, as at the start of a transaction.
    function cool(address target) external;
    function lastCallGas() external view returns (Gas memory gas);
    /// @dev Writes a figure to snapshots/<group>.json, or compares it with what is there.
    function snapshotValue(string calldata group, string calldata name, uint256 value) external;
    function readFile(string calldata path) external view returns (string memory text);
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);
    function parseJsonAddress(string calldata json, string calldata key) external pure returns (address);
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function parseJsonBytes32(string calldata json, string calldata key) external pure returns (bytes32);
    function parseJsonBytes32Array(string calldata json, string calldata key)
        external
        pure
        returns (bytes32[] memory);
    function parseJsonBool(string calldata json, string calldata key) external pure returns (bool);
    /// @dev The point of a P-256 secret.
    function publicKeyP256(uint256 secret) external view returns (uint256 x, uint256 y);
    /// @dev Signs with a P-256 secret, always in the same way.
    function signP256(uint256 secret, bytes32 digest) external pure returns (bytes32 r, bytes32 s);
    /// @dev The account of a secp256k1 secret.
    function addr(uint256 secret) external pure returns (address account);
    /// @dev Signs with a secp256k1 secret.
    function sign(uint256 secret, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    /// @dev Gives an account this code.
    function etch(address target, bytes calldata code) external;
    /// @dev Calls of the account that begin with this data are answered with that.
    function mockCall(address callee, bytes calldata data, bytes calldata answer) external;
    function keyExistsJson(string calldata json, string calldata key) external view returns (bool);
    function toString(uint256 value) external pure returns (string memory);
    function assertTrue(bool condition, string calldata message) external pure;
    function assertFalse(bool condition, string calldata message) external pure;
    function assertEq(uint256 left, uint256 right, string calldata message) external pure;
    function assertEq(address left, address right, string calldata message) external pure;
    function assertEq(bytes32 left, bytes32 right, string calldata message) external pure;
    function assertEq(bytes calldata left, bytes calldata right, string calldata message) external pure;
    function assertLe(uint256 left, uint256 right, string calldata message) external pure;
}
