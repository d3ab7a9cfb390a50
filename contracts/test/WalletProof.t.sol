// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.30;

import {Base64} from "@openzeppelin/contracts/utils/Base64.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {AuthorProof} from "../src/AuthorProof.sol";
import {WalletProof} from "../src/WalletProof.sol";
import {StreamChainTest} from "./support/StreamChainTest.sol";
import {SignedVectors, WalletChecker} from "./support/SignedVectors.sol";

/// @dev `WalletProof`: what the other verifiers say of a wallet's messages is proven, in the form that the contract writes, and
/// nothing else is. test/vectors/claims.mjs and forgeries.mjs explain the vectors.
contract WalletProofTest is StreamChainTest, SignedVectors {
    uint256 internal constant SECRET = 77;
    uint64 internal constant ISSUED = 1_767_225_600_000;
    string internal constant ISSUED_TEXT = "2026-01-01T00:00:00.000Z";
    bytes32 internal constant X = keccak256("x");
    bytes32 internal constant Y = keccak256("y");
    bytes4 internal constant MAGIC = 0x1626ba7e;

    WalletChecker internal checker;
    address internal wallet;

    function setUp() public override {
        super.setUp();
        checker = new WalletChecker();
        wallet = vm.addr(SECRET);
    }

    /// @dev Contract wallets accept what the vectors list, and nothing else.
    function deployWallets() internal {
        for (uint256 i = 0; has(item(".contractWallets", i)); ++i) {
            string memory one = item(".contractWallets", i);
            bytes memory text = bytes(cheats.parseJsonString(json, textAt(one, "message")));
            bytes32 hash = personal(text);
            address account = cheats.parseJsonAddress(json, textAt(one, "address"));
            vm.etch(account, hex"5f5ffd");
            bytes memory call = abi.encodeWithSelector(MAGIC, hash, bytesAt(textAt(one, "signature")));
            vm.mockCall(account, call, abi.encode(MAGIC));
        }
    }

    function personal(bytes memory text) internal pure returns (bytes32) {
        return
            keccak256(
                bytes.concat("\x19Ethereum Signed Message:\n", bytes(Strings.toString(text.length)), text)
            );
    }

    function test_EveryWalletsReceiptIsJudgedAsByTheOthers() public {
        readVectors("wallet-claims.json");
        deployWallets();
        uint256 proven = 0;
        uint256 found = 0;
        for (uint256 i = 0; has(item(".claims", i)); ++i) {
            string memory claim = item(".claims", i);
            bool holds = checker.verifyEncoded(bytesAt(textAt(claim, "encoded")));
            bool expected = cheats.parseJsonBool(json, textAt(claim, "proven"));
            vm.assertEq(holds ? 1 : 0, expected ? 1 : 0, claim);
            if (holds) ++proven;
            else ++found;
        }
        vm.assertEq(proven, 5, "receipts by wallets and by a contract wallet");
        vm.assertTrue(found > 12, "forgeries");
    }

    /// @dev A sign-in that the wallet signs as the text that its lines are.
    function signInOf(string memory chain, string memory times, WalletProof.SignIn memory fields)
        internal
        view
        returns (WalletProof.SignIn memory)
    {
        string memory head = string.concat(
            fields.domain,
            " wants you to sign in with your Ethereum account:\n",
            Strings.toChecksumHexString(wallet),
            "\n\n",
            fields.statement,
            "\n\nURI: ",
            fields.uri
        );
        string memory key = Base64.encodeURL(bytes.concat(bytes1(uint8(2 + uint256(Y) % 2)), X));
        string memory tail = string.concat(
            "\nVersion: 1\nChain ID: ",
            chain,
            "\nNonce: ",
            fields.nonce,
            "\nIssued At: ",
            times,
            "\nResources:\n- urn:streamchain:key:p256:",
            key
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SECRET, personal(bytes(string.concat(head, tail))));
        fields.signature = bytes.concat(r, s, bytes1(v));
        return fields;
    }

    function usual() internal pure returns (WalletProof.SignIn memory fields) {
        (fields.domain, fields.statement) = ("chat.example", "Write under your name.");
        (fields.uri, fields.nonce, fields.issued) = ("https://chat.example", "0123456789abcdef", ISSUED);
    }

    function isDelegated(uint64 time, WalletProof.SignIn memory signIn) internal view returns (bool) {
        return checker.isDelegated(wallet, time, X, Y, signIn);
    }

    function test_AKeySignsFromAMinuteBeforeForThirtyDays() public view {
        WalletProof.SignIn memory signIn = signInOf("31337", ISSUED_TEXT, usual());
        uint64 end = ISSUED - 60_000 + 30 days * 1_000;
        vm.assertTrue(isDelegated(ISSUED - 60_000, signIn), "the first second");
        vm.assertTrue(isDelegated(end + 999, signIn), "the last second");
        vm.assertFalse(isDelegated(ISSUED - 60_001, signIn), "before it");
        vm.assertFalse(isDelegated(end + 1_000, signIn), "behind it");
        signIn.expires = end + 1_000;
        vm.assertFalse(isDelegated(end, signIn), "an end that the wallet did not sign");
    }

    function test_TimesAreWrittenAsTheyAreSigned() public view {
        string[8] memory texts = [
            "1970-01-02T00:00:00.000Z",
            "2000-02-29T23:59:59.999Z",
            "2024-12-31T23:59:59.999Z",
            "2025-03-01T00:00:00.001Z",
            "2026-11-08T09:05:07.080Z",
            "2100-02-28T12:00:00.000Z",
            "2400-02-29T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z"
        ];
        uint64[8] memory times = [
            uint64(86_400_000),
            951_868_799_999,
            1_735_689_599_999,
            1_740_787_200_001,
            1_794_128_707_080,
            4_107_499_200_000,
            13_574_563_200_000,
            253_402_300_799_999
        ];
        for (uint256 i = 0; i < texts.length; ++i) {
            WalletProof.SignIn memory signIn = usual();
            signIn.issued = times[i];
            signIn = signInOf("31337", texts[i], signIn);
            vm.assertTrue(isDelegated(times[i], signIn), texts[i]);
            signIn.issued += 1;
            vm.assertFalse(isDelegated(times[i], signIn), "another time");
        }
    }

    /// @dev The year 12026 has the digits of 2026.
    function test_ATimeOfFiveDigitsIsNoTimeOfFour() public view {
        string memory times = string.concat(ISSUED_TEXT, "\nExpiration Time: 2026-01-02T00:00:00.000Z");
        WalletProof.SignIn memory signIn = usual();
        signIn.expires = 1_767_312_000_000;
        signIn = signInOf("31337", times, signIn);
        vm.assertTrue(isDelegated(ISSUED, signIn), "while it lasts");
        vm.assertFalse(isDelegated(ISSUED + 2 days * 1_000, signIn), "behind its end");
        signIn.expires = 317_336_832_000_000;
        vm.assertFalse(isDelegated(ISSUED + 2 days * 1_000, signIn), "another end with its digits");
        vm.assertFalse(isDelegated(ISSUED, signIn), "at any time");
    }

    /// @dev A sign-in for chain 1, whose statement has lines: with a nonce of several lines it would be one for this chain.
    function test_AFieldBringsNoLineOfItsOwn() public view {
        string memory stuffed =
            "Hello.\n\nURI: https://chat.example\nVersion: 1\nChain ID: 31337\nNonce: 01234567";
        WalletProof.SignIn memory signIn = usual();
        signIn.statement = stuffed;
        signIn = signInOf("1", ISSUED_TEXT, signIn);
        vm.assertFalse(isDelegated(ISSUED, signIn), "as the wallet signed it");
        signIn.statement = "Hello.";
        signIn.nonce =
        "01234567\n\nURI: https://chat.example\nVersion: 1\nChain ID: 1\nNonce: 0123456789abcdef";
        vm.assertFalse(isDelegated(ISSUED, signIn), "read another way");
        signIn = usual();
        signIn.uri = "https://chat.example and more";
        vm.assertFalse(isDelegated(ISSUED, signInOf("31337", ISSUED_TEXT, signIn)), "a space");
    }

    /// @dev Whatever is changed is not what the wallet signed.
    function testFuzz_NothingElseIsDelegated(uint256 dice) public view {
        WalletProof.SignIn memory signIn = signInOf("31337", ISSUED_TEXT, usual());
        vm.assertTrue(isDelegated(ISSUED, signIn), "as it is");
        (uint256 kind, uint256 bit) = (dice % 7, dice >> 8);
        (address author, bytes32 x, bytes32 y) = (wallet, X, Y);
        if (kind == 0) bytes(signIn.domain)[bit % 12] ^= 0x01;
        else if (kind == 1) bytes(signIn.statement)[bit % 22] ^= 0x01;
        else if (kind == 2) bytes(signIn.nonce)[bit % 16] ^= 0x01;
        else if (kind == 3) signIn.signature[bit % 65] ^= 0x01;
        else if (kind == 4) author = address(uint160(wallet) ^ uint160(1 << bit % 160));
        else if (kind == 5) x ^= bytes32(1 << bit % 256);
        else y ^= bytes32(uint256(1)); // the other bits of y are checked by the signature over the message
        vm.assertFalse(checker.isDelegated(author, ISSUED, x, y, signIn), "changed");
    }

    /// @dev What a contract pays beyond `verifyAuthor`: execution, and the calldata of the sign-in.
    function test_CheckingASignInCostsAtMost65000() public {
        WalletProof.SignIn memory signIn = signInOf("31337", ISSUED_TEXT, usual());
        bytes memory input = abi.encodeCall(checker.isDelegated, (wallet, ISSUED, X, Y, signIn));
        uint256 gas = 0;
        for (uint256 i = 0; i < input.length; ++i) {
            gas += input[i] == 0 ? 4 : 16;
        }
        vm.assertTrue(isDelegated(ISSUED, signIn), "proven");
        gas += vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("WalletProof", "isDelegated, with its calldata", gas);
        vm.assertLe(gas, 65_000, "gas of a check with its calldata");
    }
}
