// The site of documents: what becomes a page, where its links lead, and what is refused.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { checkoutDocuments } from "../../scripts/lib/docs/index.mjs";
import { repositoryOf } from "../../scripts/lib/docs/links.mjs";
import { buildSite, MAX_INDEX_BYTES } from "../../scripts/lib/docs/site.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";

/** Every document that has a fixed place, with a title alone; `texts` goes over them. */
const site = (texts: Record<string, string>, repository: string | null = "https://github.com/o/r") => {
  const documents = Object.keys(texts).filter((path) => path.startsWith("docs/") && path.endsWith(".md"));
  return buildSite({
    documents,
    read: (path) => texts[path] ?? `# Title of ${path}\n`,
    kind: (path) => {
      if (path in texts) return "file";
      return Object.keys(texts).some((known) => known.startsWith(`${path}/`)) ? "folder" : null;
    },
    repository,
  }).files;
};

const pageOf = (markdown: string, more: Record<string, string> = {}, repository?: string | null): string =>
  site({ "docs/CLI.md": markdown, ...more }, repository).get("cli.html") ?? "";

const refuses = (markdown: string, problem: RegExp): void => {
  assert.throws(() => pageOf(markdown), problem);
};

describe("links of the documents", () => {
  test("to another document lead to its page and heading", () => {
    const text = "# A\n\n[x](DEPLOY.md#the-costs) [y](../README.md) [z](#a-part)\n\n## A part\n";
    const page = pageOf(text, { "docs/DEPLOY.md": "# D\n\n## The `costs`\n" });
    for (const href of ["/docs/deploy#the-costs", "/docs/", "#a-part"])
      assert.ok(page.includes(`href="${href}">`), href);
  });

  test("to a served file, the repository and outside", () => {
    const more = { "docs/a.mjs": "", "src/lib.rs": "", "src/http/x.rs": "" };
    const text = "[1](a.mjs) [2](../src/lib.rs) [3](../src/http/) [4](https://rustup.rs)";
    const page = pageOf(text, more);
    const repository = "https://github.com/o/r";
    for (const href of ["/docs/a.mjs", `${repository}/blob/main/src/lib.rs`, `${repository}/tree/main/src/http`]) {
      assert.ok(page.includes(`href="${href}"`), href);
    }
    assert.ok(page.includes('href="https://rustup.rs"'));
    assert.doesNotMatch(pageOf(text, more, null), /github\.com/);
  });

  test("that lead nowhere are refused", () => {
    refuses("[x](NOWHERE.md)", /docs\/CLI\.md: there is no docs\/NOWHERE\.md/);
    refuses("[x](DEPLOY.md#nowhere)", /has no heading #nowhere/);
    refuses("[x](#nowhere)", /has no heading #nowhere/);
    refuses("![x](picture.png)", /there is no docs\/picture\.png/);
    refuses("[x](../../etc/passwd)", /there is no/);
    refuses("[x](/nothing.js)", /nothing is served/);
    refuses("[x](javascript:alert(1))", /is no link for a page/);
    refuses('<img src="gone.svg">', /there is no docs\/gone\.svg/);
    refuses("![x](https://elsewhere.example/x.png)", /the picture https:\/\/elsewhere\.example\/x\.png is not served/);
    assert.throws(
      () => pageOf("![x](../web/x.png)", { "web/x.png": "" }),
      /the picture \.\.\/web\/x\.png is not served/,
    );
  });

  test("to headings of one name are told apart as on GitHub", () => {
    const page = pageOf("# A\n\n## Same\n\n## Same\n\n[x](#same) [y](#same-1)\n");
    assert.match(page, /id="same"/);
    assert.match(page, /id="same-1"/);
  });
});

describe("a page", () => {
  test("has the text's marks escaped, and no HTML that it may not", () => {
    assert.match(pageOf("a `<b>` < c\n\n```sh\necho '<i>' # <u>\n```\n"), /&lt;b&gt;[\s\S]*&lt;i&gt;[\s\S]*&lt;u&gt;/);
    refuses("<script>alert(1)</script>", /the tag <script>/);
    refuses('<img src="https://x.example/" onerror="x()">', /the attribute onerror/);
    refuses('<p style="color: red">x</p>', /the attribute style/);
    assert.doesNotMatch(pageOf("<!-- a comment -->\n\ntext"), /a comment/);
  });

  test("can be edited where the repository is known", () => {
    assert.match(pageOf("# A"), /href="https:\/\/github\.com\/o\/r\/edit\/main\/docs\/CLI\.md"/);
    assert.doesNotMatch(pageOf("# A", {}, null), /Edit this page/);
  });

  test("is named in the language of the page that names it", () => {
    const files = site({});
    assert.match(files.get("vi/index.html") ?? "", /<html lang="vi">[\s\S]*Triển khai/);
    assert.match(files.get("index.html") ?? "", /<html lang="en">[\s\S]*Deploying/);
  });

  test("of a document without a fixed place is there by itself", () => {
    const files = site({ "docs/NEW.md": "# Something new\n" });
    assert.match(files.get("new.html") ?? "", /<h1/);
    assert.match(files.get("index.html") ?? "", /href="\/docs\/new">Something new</);
  });

  test("leads to the one before and the one after", () => {
    const page = site({}).get("cli.html") ?? "";
    assert.match(page, /href="\/docs\/" rel="prev"/);
    assert.match(page, /href="\/docs\/client-library" rel="next"/);
  });
});

describe("the site of this checkout", () => {
  const source = { ...checkoutDocuments(), repository: null };
  const { files } = buildSite(source);

  test("has a page for each document, and no link that is broken", () => {
    assert.ok(files.size > source.documents.length);
  });

  test("is made in a container too, from what images are given", () => {
    const ignored = readFileSync(join(ROOT, ".dockerignore"), "utf8")
      .split("\n")
      .filter((line) => /^\/.*\/$/.test(line));
    assert.ok(ignored.length > 5);
    const isIgnored = (path: string): boolean => ignored.some((folder) => `/${path}/`.startsWith(folder));
    const given = { ...source, kind: (path: string) => (isIgnored(path) ? null : source.kind(path)) };
    assert.equal(buildSite(given).files.size, files.size);
  });

  test("asks nobody outside, and has no script or style inside", () => {
    for (const [name, text] of files) {
      if (!name.endsWith(".html")) continue;
      assert.deepEqual(
        text.match(/<(?:script|link|img|source)[^>]*(?:src|href|srcset)="(?:https?:)?\/\/[^"]*"/g),
        null,
        name,
      );
      assert.deepEqual(text.match(/<style|<script(?! src="\/docs\.js")| style="| on\w+="/g), null, name);
    }
  });

  test("has an index within its limit", () => {
    const bytes = Buffer.byteLength(files.get("search.json") ?? "");
    assert.ok(bytes > 10_000 && bytes <= MAX_INDEX_BYTES, `${bytes} bytes`);
  });

  test("an index above its limit is refused", () => {
    refuses(`# A\n\n${"word ".repeat(MAX_INDEX_BYTES / 5)}`, /The search index has \d+ bytes/);
  });
});

test("a remote gives the repository's address without credentials", () => {
  const address = "https://github.com/o/r.s";
  for (const remote of [
    "https://github.com/o/r.s.git",
    "https://name:secret@github.com/o/r.s",
    "git@github.com:o/r.s.git",
    "ssh://git@github.com/o/r.s.git",
  ]) {
    assert.equal(repositoryOf(remote), address, remote);
  }
  for (const remote of ["", "/home/somebody/r", "https://git.example/o/r", "https://github.com.evil.example/o/r"]) {
    assert.equal(repositoryOf(remote), null, remote);
  }
});
