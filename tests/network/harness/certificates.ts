// A certificate authority of the tests' own, and one server certificate for the names that they use.

import { execFileSync } from "node:child_process";
import { createHash, createPublicKey } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the files are, all PEM. */
export interface Certificates {
  /** The authority's certificate. */
  readonly authority: string;
  /** The server's, then the authority's. */
  readonly chain: string;
  /** The server's private key. */
  readonly key: string;
  /** SHA-256 of the authority's public key in base64, as Chromium's --ignore-certificate-errors-spki-list takes it. */
  readonly authorityPin: string;
}

/** Longer than any test runs; browsers refuse more than 397 days. */
const DAYS = "30";

/** Makes both in a folder, with openssl. */
export const makeCertificates = (folder: string, names: readonly string[]): Certificates => {
  const file = (name: string): string => join(folder, name);
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const authority = file("authority.pem");
  const authorityKey = file("authority-key.pem");
  const subject = (name: string): string[] => ["-subj", `/CN=${name}`];
  openssl("req", "-x509", ...key, "-keyout", authorityKey, "-out", authority, "-days", DAYS, ...subject("Tests"));
  const serverKey = file("server-key.pem");
  openssl("req", ...key, "-keyout", serverKey, "-out", file("request.pem"), ...subject(names[0] ?? ""));
  const extensions = `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}\nextendedKeyUsage=serverAuth\n`;
  writeFileSync(file("extensions"), extensions);
  const signing = ["-CA", authority, "-CAkey", authorityKey, "-CAcreateserial", "-days", DAYS];
  const files = ["-in", file("request.pem"), "-extfile", file("extensions"), "-out", file("server.pem")];
  openssl("x509", "-req", ...signing, ...files);
  const chain = file("chain.pem");
  writeFileSync(chain, readFileSync(file("server.pem"), "utf8") + readFileSync(authority, "utf8"));
  const publicKey = createPublicKey(readFileSync(authority)).export({ type: "spki", format: "der" });
  const authorityPin = createHash("sha256").update(publicKey).digest("base64");
  return { authority, chain, key: serverKey, authorityPin };
};
