// The documents of the site, in the order in which a newcomer reads them. A document of docs/ that is not in the table comes
// last, by itself, so that a new one is served from its first day.

/**
 * @typedef {"en" | "vi"} Language
 *
 * @typedef {object} Page
 * @property {string} document its path from the root of the repository
 * @property {string} slug what follows `/docs/` in its address; that of a language's first page is empty or ends with a slash
 * @property {Language} language
 * @property {string} group the key of its group's title (texts.mjs)
 * @property {Record<Language, string> | null} name how lists name it; null stands for its own title
 * @property {boolean} searched
 */

/** @typedef {[document: string, slug: string, english: string, vietnamese: string]} Row */

/** @type {[group: string, rows: Row[]][]} */
const GROUPS = [
  [
    "begin",
    [
      ["README.md", "", "Overview", "Tổng quan (tiếng Anh)"],
      ["README.vi.md", "vi/", "Overview in Vietnamese", "Tổng quan"],
      ["docs/CLI.md", "cli", "The command", "Lệnh streamchain"],
      ["web/README.md", "client-library", "The client library", "Thư viện máy khách"],
    ],
  ],
  [
    "operate",
    [
      ["docs/INSTALL.md", "install", "Installing", "Cài đặt"],
      ["docs/DEPLOY.md", "deploy", "Deploying", "Triển khai"],
      ["docs/OPERATIONS.md", "operations", "Running", "Vận hành"],
      ["docs/CONNECTIVITY.md", "connectivity", "Networks", "Kết nối mạng"],
    ],
  ],
  [
    "understand",
    [
      ["SECURITY.md", "security", "Promises", "Các cam kết"],
      ["docs/SECURITY.md", "security-model", "The security model", "Mô hình an ninh"],
      ["ARCHITECTURE.md", "architecture", "Architecture", "Kiến trúc"],
      ["docs/PROTOCOL.md", "protocol", "The protocol", "Giao thức"],
    ],
  ],
  [
    "develop",
    [
      ["CONTRIBUTING.md", "contributing", "Contributing", "Đóng góp"],
      ["CHANGELOG.md", "changelog", "Changes", "Các thay đổi"],
      ["web/CHANGELOG.md", "client-library-changelog", "Changes of the library", "Các thay đổi của thư viện"],
    ],
  ],
];

/** Where documents without a row go. */
const LAST_GROUP = "develop";

/** What changed says little about how it is: these would come first for many words. */
const NOT_SEARCHED = ["CHANGELOG.md", "web/CHANGELOG.md"];

const VIETNAMESE = /\.vi\.md$/;

/** @param {string} document @param {string} slug @param {string} group @param {Page["name"]} name @returns {Page} */
const page = (document, slug, group, name) => ({
  document,
  slug,
  language: VIETNAMESE.test(document) ? "vi" : "en",
  group,
  name,
  searched: !NOT_SEARCHED.includes(document),
});

/**
 * The pages of a site.
 * @param {string[]} documents the Markdown files of docs/, as paths from the root
 */
export const pagesOf = (documents) => {
  const listed = GROUPS.flatMap(([group, rows]) =>
    rows.map(([document, slug, en, vi]) => page(document, slug, group, { en, vi })),
  );
  const others = documents.filter((document) => !listed.some((known) => known.document === document));
  return [
    ...listed,
    ...others.map((document) => {
      const slug = document.slice(document.lastIndexOf("/") + 1, -".md".length).toLowerCase();
      return page(document, slug, LAST_GROUP, null);
    }),
  ];
};

/** The address of a page. @param {Page} page */
export const addressOf = ({ slug }) => `/docs/${slug}`;

/** The file that is served under a page's address, without the folder `docs`. @param {Page} page */
export const fileOf = ({ slug }) => (slug === "" || slug.endsWith("/") ? `${slug}index.html` : `${slug}.html`);
