// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

/// @dev The range of rounds as IStreamChain defines it, made of all its leaves at once: what the contract's peaks, which
/// it makes one round after the other, must equal.
library Range {
    function leafOf(bytes32 rounds, uint64 round, bytes32 root) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(rounds, round, root))));
    }

    /// @dev The leaves of the rounds 0, 1, 2 … with these roots.
    function leavesOf(bytes32 rounds, bytes32[] memory roots)
        internal
        pure
        returns (bytes32[] memory leaves)
    {
        leaves = new bytes32[](roots.length);
        for (uint64 round = 0; round < roots.length; ++round) {
            leaves[round] = leafOf(rounds, round, roots[round]);
        }
    }

    function has(uint256 rounds, uint256 height) internal pure returns (bool) {
        return (rounds >> height) & 1 == 1;
    }

    /// @dev How many rounds are to the left of the peak of this height.
    function beginOf(uint256 rounds, uint256 height) internal pure returns (uint256) {
        return (rounds >> (height + 1)) << (height + 1);
    }

    /// @dev The root of the perfect tree over 2^height leaves from `begin` on.
    function nodeAt(bytes32[] memory leaves, uint256 begin, uint256 height) internal pure returns (bytes32) {
        if (height == 0) return leaves[begin];
        bytes32 left = nodeAt(leaves, begin, height - 1);
        bytes32 right = nodeAt(leaves, begin + (1 << (height - 1)), height - 1);
        return left < right ? keccak256(abi.encode(left, right)) : keccak256(abi.encode(right, left));
    }

    /// @dev The peak of this height of a range that has one.
    function peakOf(bytes32[] memory leaves, uint256 height) internal pure returns (bytes32) {
        return nodeAt(leaves, beginOf(leaves.length, height), height);
    }

    /// @dev The siblings on the way from a leaf to the node of this height above it.
    function pathOf(bytes32[] memory leaves, uint256 round, uint256 height)
        internal
        pure
        returns (bytes32[] memory path)
    {
        path = new bytes32[](height);
        for (uint256 i = 0; i < height; ++i) {
            path[i] = nodeAt(leaves, ((round >> i) ^ 1) << i, i);
        }
    }

    /// @dev The height of the peak over a round in a range of so many rounds.
    function heightOver(uint256 round, uint256 rounds) internal pure returns (uint256 height) {
        while ((round ^ rounds) >> (height + 1) != 0) ++height;
    }
}
