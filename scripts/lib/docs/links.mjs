// Where the links of documents lead: to another page of the site, to a file that the edge serves, to the repository, or out.

import { posix } from "node:path";

/**
 * @typedef {object} Places
 * @property {Map<string, { address: string, anchors: Set<string> }>} pages by the path of their document
 * @property {(path: string) => "file" | "folder" | null} kind what a path from the root of the repository is
 * @property {string | null} repository the address of the repository, if it is known
 */

/** @typedef {{ address: string | null } | { problem: string }} Found */

/** What is served as it is: the pages' own folder, and the app's static files. */
const SERVED = "docs/";
const STATIC = "web/static";

const OUTSIDE = /^(?:https?|mailto):/;

/**
 * @param {Places} places
 * @param {string} document the path of the document that the link stands in
 * @param {string} target as it is written there
 * @returns {Found}
 */
export const follow = (places, document, target) => {
  if (OUTSIDE.test(target)) return { address: target };
  const [path = "", anchor] = target.split("#");
  if (path.startsWith("/")) {
    const known = path === "/" || places.kind(STATIC + path) === "file";
    return known ? { address: target } : { problem: `nothing is served at ${path}` };
  }
  if (/^[a-z][a-z+.-]*:/i.test(path)) return { problem: `${target} is no link for a page` };
  const file = path === "" ? document : posix.join(posix.dirname(document), path).replace(/\/$/, "");
  const page = places.pages.get(file);
  if (page) {
    if (anchor !== undefined && !page.anchors.has(anchor)) return { problem: `${file} has no heading #${anchor}` };
    return { address: `${path === "" ? "" : page.address}${anchor === undefined ? "" : `#${anchor}`}` };
  }
  const kind = file.startsWith("..") ? null : places.kind(file);
  if (kind === null) return { problem: `there is no ${file}` };
  if (file.startsWith(SERVED) && kind === "file") return { address: `/${file}` };
  if (places.repository === null) return { address: null };
  return { address: `${places.repository}/${kind === "file" ? "blob" : "tree"}/main/${file}` };
};

/**
 * The address of a repository on GitHub, of what git or a package.json name it by. Credentials in it are left out; other
 * hosts, whose addresses of files are different, give null.
 * @param {string} remote
 */
export const repositoryOf = (remote) => {
  const match =
    /^(?:git\+)?(?:https:\/\/(?:[^@/]*@)?|ssh:\/\/git@|git@)github\.com[/:]([\w.-]+\/[\w.-]+?)(?:\.git)?\/?$/.exec(
      remote.trim(),
    );
  return match ? `https://github.com/${match[1]}` : null;
};

/** @param {string | null} repository @param {string} document */
export const editAddress = (repository, document) =>
  repository === null ? null : `${repository}/edit/main/${document}`;
