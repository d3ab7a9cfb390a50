// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {AuthorProof} from "../../src/AuthorProof.sol";
import {WalletProof} from "../../src/WalletProof.sol";
import {JsonVectors} from "./JsonVectors.sol";

/// @dev Calls the library from outside, so that tests can hand it structs as calldata.
contract AuthorChecker {
    function verifyAuthor(
        bytes32 stream,
        address author,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed
    ) external view returns (bool) {
        return AuthorProof.verifyAuthor(stream, author, payloadHash, signed);
    }

    function verifySignature(
        bytes32 stream,
        address author,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed
    ) external view returns (bool) {
        return AuthorProof.verifySignature(stream, author, payloadHash, signed);
    }
}

/// @dev As `AuthorChecker`, for wallets.
contract WalletChecker {
    function verifyEncoded(bytes calldata claim) external view returns (bool) {
        (
            bytes32 stream,
            address author,
            uint64 time,
            bytes32 hash,
            AuthorProof.Signature memory signed,
            WalletProof.SignIn memory signIn
        ) = abi.decode(claim, (bytes32, address, uint64, bytes32, AuthorProof.Signature, WalletProof.SignIn));
        return this.verifyWallet(stream, author, time, hash, signed, signIn);
    }

    function verifyWallet(
        bytes32 stream,
        address author,
        uint64 time,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed,
        WalletProof.SignIn calldata signIn
    ) external view returns (bool) {
        return WalletProof.verifyWallet(stream, author, time, payloadHash, signed, signIn);
    }

    function isDelegated(
        address author,
        uint64 time,
        bytes32 x,
        bytes32 y,
        WalletProof.SignIn calldata signIn
    ) external view returns (bool) {
        return WalletProof.isDelegated(author, time, x, y, signIn);
    }
}

/// @dev Reads test/vectors/signed.json, author-claims.json and wallet-claims.json.
abstract contract SignedVectors is JsonVectors {
    function textAt(string memory path, string memory field) internal pure returns (string memory) {
        return string.concat(path, ".", field);
    }

    function bytesAt(string memory path) internal view returns (bytes memory) {
        return cheats.parseJsonBytes(json, path);
    }

    /// @dev A signature's halves.
    function halvesAt(string memory path) internal view returns (bytes32 r, bytes32 s) {
        (r, s) = abi.decode(bytesAt(path), (bytes32, bytes32));
    }
}
