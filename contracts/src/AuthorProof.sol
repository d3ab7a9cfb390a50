// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title AuthorProof: what an author signed
/// @notice Checks that the author of a message signed it, so that a contract need not believe the stream's anchorer about
/// who wrote what. What is signed is a group of 1 to 256 messages of one producer; docs/PROTOCOL.md, "Signed messages", has
/// the format.
/// @dev Needs the precompile of EIP-7951 (P-256). On a chain without it every check is false.
///
/// A signature says that the author published the message in the stream, under its producer and number. It says nothing of
/// seq and time, and the same group may be anchored several times by a dishonest operator: a contract that acts once on each
/// message remembers the producer and the number, never the seq, the signature or its hash (both values of `s` verify).
library AuthorProof {
    /// @notice The author's part of a receipt.
    /// @param x The key: the point's first coordinate.
    /// @param y The key: the point's second coordinate.
    /// @param r The signature's first half.
    /// @param s The signature's second half.
    /// @param producer The author's producer that numbered the message.
    /// @param producerSeq The producer's number of the message.
    /// @param first The number of the group's first message.
    /// @param count How many messages the group has.
    /// @param previous The digest of the producer's group before it; zero for the one that begins with number 0.
    /// @param path The Merkle path from the message to the group's root.
    struct Signature {
        bytes32 x;
        bytes32 y;
        bytes32 r;
        bytes32 s;
        bytes16 producer;
        uint64 producerSeq;
        uint64 first;
        uint32 count;
        bytes32 previous;
        bytes32[] path;
    }

    /// @dev The precompile that verifies a P-256 signature (EIP-7951).
    address private constant P256_VERIFY = address(0x100);
    uint256 private constant MAX_GROUP_MESSAGES = 256;
    /// @dev 2^8 are 256 messages.
    uint256 private constant MAX_PATH = 8;

    /// @notice Whether the author of a message is the key that signed it.
    /// @dev Authors who are no key of their own (wallets, services) never are: see `verifySignature`.
    /// @param stream The stream's id.
    /// @param author Who is said to have written the message.
    /// @param payloadHash keccak256 of the message's bytes.
    /// @param signed The author's part of the message's receipt.
    /// @return proven Whether the author signed it.
    function verifyAuthor(bytes32 stream, address author, bytes32 payloadHash, Signature calldata signed)
        internal
        view
        returns (bool proven)
    {
        return authorOf(signed.x, signed.y) == author && verifySignature(stream, author, payloadHash, signed);
    }

    /// @notice Whether a key signed a message in an author's name. Whether the key is the author's, the caller must know: a
    /// contract may keep the keys of the authors whom it deals with.
    /// @param stream The stream's id.
    /// @param author In whose name the key signed.
    /// @param payloadHash keccak256 of the message's bytes.
    /// @param signed The author's part of the message's receipt.
    /// @return proven Whether the key signed it.
    function verifySignature(bytes32 stream, address author, bytes32 payloadHash, Signature calldata signed)
        internal
        view
        returns (bool proven)
    {
        uint256 count = signed.count;
        if (count == 0 || count > MAX_GROUP_MESSAGES || signed.path.length > MAX_PATH) return false;
        if (signed.producerSeq < signed.first || signed.producerSeq - signed.first >= count) return false;
        if ((signed.first == 0) != (signed.previous == 0)) return false;
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(signed.producerSeq, payloadHash))));
        bytes32 root = MerkleProof.processProofCalldata(signed.path, leaf);
        bytes32 digest = sha256(
            abi.encodePacked(
                "streamchain/group/v1",
                stream,
                author,
                signed.producer,
                signed.first,
                signed.count,
                signed.previous,
                root
            )
        );
        return verifyDigest(digest, signed.r, signed.s, signed.x, signed.y);
    }

    /// @notice The author that a key is.
    /// @param x The point's first coordinate.
    /// @param y The point's second coordinate.
    /// @return author The last 20 bytes of keccak256("streamchain/author/v1", x, y).
    function authorOf(bytes32 x, bytes32 y) internal pure returns (address author) {
        return address(uint160(uint256(keccak256(abi.encodePacked("streamchain/author/v1", x, y)))));
    }

    /// @notice Whether a P-256 signature over a digest is a key's.
    /// @param digest What was signed.
    /// @param r The signature's first half.
    /// @param s The signature's second half; both of its values are accepted.
    /// @param x The point's first coordinate.
    /// @param y The point's second coordinate.
    /// @return valid Whether it is; false on a chain without the precompile.
    function verifyDigest(bytes32 digest, bytes32 r, bytes32 s, bytes32 x, bytes32 y)
        internal
        view
        returns (bool valid)
    {
        (bool done, bytes memory answer) = P256_VERIFY.staticcall(abi.encodePacked(digest, r, s, x, y));
        return done && answer.length == 32 && abi.decode(answer, (uint256)) == 1;
    }
}
