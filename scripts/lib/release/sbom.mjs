// The software bill of materials of a release, as CycloneDX 1.6 JSON: the crates that the programs and the Worker are compiled
// from, and the npm packages whose code is in the page and the client library. Pure: what it lists comes as arguments, so that
// the same sources always give the same text.

import { createHash } from "node:crypto";

/**
 * @typedef {object} Crate a package of `cargo metadata`
 * @property {string} id
 * @property {string} name
 * @property {string} version
 * @property {string | null} license
 * @property {string | null} source null for the crates of this workspace
 *
 * @typedef {object} Resolved a node of its graph
 * @property {string} id
 * @property {{ pkg: string, dep_kinds: { kind: string | null }[] }[]} deps
 *
 * @typedef {{ packages: Crate[], resolve: { nodes: Resolved[] } }} Metadata
 *
 * @typedef {{ name: string, version: string, license?: string | undefined, integrity?: string | undefined }} NpmPackage
 *
 * @typedef {{ type: string, "bom-ref": string, name: string, version: string, purl?: string,
 *   licenses?: { expression: string }[], hashes?: { alg: string, content: string }[] }} Component
 */

/**
 * The ids of the crates that these are compiled from, themselves included: what only their tests need is left out.
 * @param {Metadata} metadata
 * @param {readonly string[]} roots names of crates of this workspace
 */
const compiledFrom = ({ packages, resolve }, roots) => {
  const nodes = new Map(resolve.nodes.map((node) => [node.id, node]));
  const found = new Set();
  const left = packages.filter(({ name, source }) => source === null && roots.includes(name)).map(({ id }) => id);
  if (left.length !== roots.length) throw new Error(`cargo metadata does not know all of ${roots.join(", ")}.`);
  for (let id = left.pop(); id !== undefined; id = left.pop()) {
    if (found.has(id)) continue;
    found.add(id);
    left.push(...depended(nodes.get(id)));
  }
  return found;
};

/** @param {Resolved | undefined} node */
const depended = (node) =>
  (node?.deps ?? []).filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind !== "dev")).map(({ pkg }) => pkg);

/** The SHA-256 of each crate that comes from a registry, by `name version`, as Cargo.lock has it. @param {string} lock */
const checksums = (lock) =>
  new Map(
    lock.split("\n\n").flatMap((entry) => {
      /** @param {string} key */
      const value = (key) => new RegExp(`^${key} = "([^"]+)"$`, "m").exec(entry)?.[1];
      const checksum = value("checksum");
      return checksum ? [[`${value("name")} ${value("version")}`, checksum]] : [];
    }),
  );

/** @param {Crate} crate */
const crateRef = ({ name, version }) => `pkg:cargo/${name}@${version}`;

/** @param {NpmPackage} npm */
const npmRef = ({ name, version }) => `pkg:npm/${name.replace("@", "%40")}@${version}`;

/** A licence expression; cargo's old form with a slash means OR. @param {string} text */
const licence = (text) => [{ expression: text.replace(/\s*\/\s*/g, " OR ") }];

/** @param {Crate} crate @param {Map<string, string>} sums @returns {Component} */
const crateComponent = (crate, sums) => {
  const sum = sums.get(`${crate.name} ${crate.version}`);
  return {
    type: "library",
    "bom-ref": crateRef(crate),
    name: crate.name,
    version: crate.version,
    ...(sum ? { hashes: [{ alg: "SHA-256", content: sum }] } : {}),
    ...(crate.license ? { licenses: licence(crate.license) } : {}),
    purl: crateRef(crate),
  };
};

/** @param {NpmPackage} npm @returns {Component} */
const npmComponent = (npm) => {
  const [, digest] = /^sha512-(.+)$/.exec(npm.integrity ?? "") ?? [];
  return {
    type: "library",
    "bom-ref": npmRef(npm),
    name: npm.name,
    version: npm.version,
    ...(digest ? { hashes: [{ alg: "SHA-512", content: Buffer.from(digest, "base64").toString("hex") }] } : {}),
    ...(npm.license ? { licenses: licence(npm.license) } : {}),
    purl: npmRef(npm),
  };
};

/** A UUID (version 8) that follows from the content. @param {string} text */
const uuidOf = (text) => {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    "-",
  );
};

/** @param {string} a @param {string} b */
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/**
 * The document as text.
 * @param {object} what
 * @param {string} what.version of the release
 * @param {string} what.timestamp ISO 8601, of the commit
 * @param {Metadata} what.metadata
 * @param {readonly string[]} what.roots the crates that are released
 * @param {ReadonlySet<string>} what.compiled `name version` of all crates that their features ask for; the graph of `cargo metadata`
 *   knows the features of the whole workspace only
 * @param {string} what.lock Cargo.lock
 * @param {readonly NpmPackage[]} what.npm
 */
export const sbom = ({ version, timestamp, metadata, roots, compiled, lock, npm }) => {
  const reached = compiledFrom(metadata, roots);
  const crates = metadata.packages.filter(
    ({ id, name, version }) => reached.has(id) && compiled.has(`${name} ${version}`),
  );
  const ids = new Set(crates.map(({ id }) => id));
  const refs = new Map(crates.map((crate) => [crate.id, crateRef(crate)]));
  const sums = checksums(lock);
  const components = [...crates.map((crate) => crateComponent(crate, sums)), ...npm.map(npmComponent)];
  components.sort((a, b) => byText(a["bom-ref"], b["bom-ref"]));
  const nodes = metadata.resolve.nodes.filter(({ id }) => ids.has(id));
  const product = `pkg:generic/streamchain@${version}`;
  const rootRefs = crates.filter(({ name, source }) => source === null && roots.includes(name)).map(crateRef);
  const dependencies = [
    { ref: product, dependsOn: [...rootRefs, ...npm.map(npmRef)].sort(byText) },
    ...nodes.map((node) => ({
      ref: refs.get(node.id) ?? "",
      dependsOn: [...new Set(depended(node).flatMap((id) => refs.get(id) ?? []))].sort(byText),
    })),
  ].sort((a, b) => byText(a.ref, b.ref));
  const component = { type: "application", "bom-ref": product, name: "streamchain", version };
  const content = { metadata: { timestamp, component }, components, dependencies };
  const serialNumber = `urn:uuid:${uuidOf(JSON.stringify(content))}`;
  return `${JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.6", serialNumber, version: 1, ...content }, null, 2)}\n`;
};
