// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {AuthorProof} from "./AuthorProof.sol";

/// @title WalletProof: what a wallet's key signed
/// @notice Checks that a message is by a wallet: that a key signed it, and that the wallet delegated to the key when it signed
/// in (EIP-4361). Both accounts with a key (EIP-191) and contracts (EIP-1271) are proven.
/// @dev Nothing is read out of a text: the text is made here from its fields, in the one form in which StreamChain's client
/// library writes it, and none of the fields can bring a line of its own. A sign-in in another form, or with other
/// resources beside the key, is not proven here; the verifiers outside the chain read those too.
///
/// That a key was revoked is the operator's word and is on no chain. A contract that must know it keeps its own list of keys.
library WalletProof {
    /// @notice A wallet's sign-in, field by field.
    /// @param domain The site that asked for it.
    /// @param statement What the site said that it is for.
    /// @param uri The site's address.
    /// @param nonce The edge's nonce.
    /// @param issued When it was issued, ms since the Unix epoch.
    /// @param expires When it ends, ms since the Unix epoch; 0 where it names no end, which is 30 days then.
    /// @param signature The wallet's signature over the text.
    struct SignIn {
        string domain;
        string statement;
        string uri;
        string nonce;
        uint64 issued;
        uint64 expires;
        bytes signature;
    }

    /// @dev The signer's clock may be ahead by as much.
    uint256 private constant CLOCK_SKEW = 60 seconds;
    uint256 private constant CERTIFICATE_LIFE = 30 days;
    uint256 private constant MS = 1_000;
    /// @dev The beginning of the year 10000, which has no text of four digits: a later time would pass for an earlier one.
    uint256 private constant END_OF_TIME = 253_402_300_800_000;
    /// @dev Years are counted from 1 March of the year 0, in eras of 400 years, so that a leap day is the last of its year.
    uint256 private constant DAYS_TO_EPOCH = 719_468;
    uint256 private constant DAYS_OF_ERA = 146_097;

    /// @notice Whether a wallet's key signed a message while it was the wallet's.
    /// @param stream The stream's id.
    /// @param author The wallet's account, which is said to have written the message.
    /// @param time The message's time, ms since the Unix epoch: that of its claim, which the caller has proven to be anchored.
    /// @param payloadHash keccak256 of the message's bytes.
    /// @param signed The author's part of the message's receipt.
    /// @param signIn The wallet's sign-in, which is in the receipt's certificate.
    /// @return proven Whether it did.
    function verifyWallet(
        bytes32 stream,
        address author,
        uint64 time,
        bytes32 payloadHash,
        AuthorProof.Signature calldata signed,
        SignIn calldata signIn
    ) internal view returns (bool proven) {
        return isDelegated(author, time, signed.x, signed.y, signIn)
            && AuthorProof.verifySignature(stream, author, payloadHash, signed);
    }

    /// @notice Whether a wallet's sign-in delegates to a key at a time.
    /// @param author The wallet's account.
    /// @param time The time, ms since the Unix epoch.
    /// @param x The key: the point's first coordinate.
    /// @param y The key: the point's second coordinate.
    /// @param signIn The wallet's sign-in.
    /// @return delegated Whether it does, for the chain that the contract is on.
    function isDelegated(address author, uint64 time, bytes32 x, bytes32 y, SignIn calldata signIn)
        internal
        view
        returns (bool delegated)
    {
        if (author == address(0) || signIn.issued >= END_OF_TIME || signIn.expires >= END_OF_TIME) {
            return false;
        }
        uint256 begin = signIn.issued / MS;
        if (begin < CLOCK_SKEW) return false;
        // Rounded down behind the subtraction, as the other verifiers do.
        begin = (signIn.issued - CLOCK_SKEW * MS) / MS;
        uint256 end = signIn.expires == 0 ? begin + CERTIFICATE_LIFE : signIn.expires / MS;
        if (time / MS < begin || time / MS > end || !isOneLineEach(signIn)) return false;
        bytes memory text = bytes.concat(headOf(author, signIn), tailOf(x, y, signIn));
        bytes32 hash = MessageHashUtils.toEthSignedMessageHash(text);
        (address recovered,,) = ECDSA.tryRecover(hash, signIn.signature);
        return
            recovered == author || SignatureChecker.isValidERC1271SignatureNow(author, hash, signIn.signature);
    }

    /// @dev Whether no field can be taken for a line of the text.
    function isOneLineEach(SignIn calldata signIn) private pure returns (bool isSo) {
        return isFree(bytes(signIn.domain), 0x20) && isFree(bytes(signIn.statement), 0x1f)
            && isFree(bytes(signIn.uri), 0x20) && isFree(bytes(signIn.nonce), 0x20);
    }

    /// @dev Whether no byte is at most `most`: control characters, or those and the space.
    function isFree(bytes calldata field, uint8 most) private pure returns (bool isSo) {
        for (uint256 i = 0; i < field.length; ++i) {
            if (uint8(field[i]) <= most) return false;
        }
        return true;
    }

    function headOf(address author, SignIn calldata signIn) private pure returns (bytes memory head) {
        return abi.encodePacked(
            signIn.domain,
            " wants you to sign in with your Ethereum account:\n",
            Strings.toChecksumHexString(author),
            "\n\n",
            signIn.statement,
            "\n\nURI: ",
            signIn.uri
        );
    }

    function tailOf(bytes32 x, bytes32 y, SignIn calldata signIn) private view returns (bytes memory tail) {
        bytes memory end =
            signIn.expires == 0 ? bytes("") : bytes.concat("\nExpiration Time: ", timeText(signIn.expires));
        bytes memory key = abi.encodePacked(uint8(2 + uint256(y) % 2), x);
        return abi.encodePacked(
            "\nVersion: 1\nChain ID: ",
            Strings.toString(block.chainid),
            "\nNonce: ",
            signIn.nonce,
            "\nIssued At: ",
            timeText(signIn.issued),
            end,
            "\nResources:\n- urn:streamchain:key:p256:",
            Base64.encodeURL(key)
        );
    }

    /// @dev A time below `END_OF_TIME` as `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    function timeText(uint256 ms) private pure returns (bytes memory text) {
        uint256 day = ms / 1 days / MS + DAYS_TO_EPOCH;
        uint256 era = day / DAYS_OF_ERA;
        day %= DAYS_OF_ERA;
        uint256 year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        day -= 365 * year + year / 4 - year / 100;
        uint256 month = (5 * day + 2) / 153;
        day -= (153 * month + 2) / 5;
        // Month 0 is March; January and February are the last two of the year before.
        (year, month) = month < 10 ? (400 * era + year, month + 3) : (400 * era + year + 1, month - 9);
        bytes memory date = bytes.concat(digits(year, 4), "-", digits(month, 2), "-", digits(day + 1, 2), "T");
        uint256 second = ms / MS % 1 days;
        bytes memory clock =
            bytes.concat(digits(second / 1 hours, 2), ":", digits(second / 1 minutes % 60, 2), ":");
        return bytes.concat(date, clock, digits(second % 60, 2), ".", digits(ms % MS, 3), "Z");
    }

    /// @dev The last `count` decimal digits of a number.
    function digits(uint256 value, uint256 count) private pure returns (bytes memory text) {
        text = new bytes(count);
        for (uint256 i = count; i > 0; --i) {
            text[i - 1] = bytes1(uint8(48 + value % 10));
            value /= 10;
        }
    }
}
