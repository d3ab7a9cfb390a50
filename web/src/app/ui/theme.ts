// Light or dark: the system's choice, unless the person made one of their own, which the browser's storage keeps.

import { el } from "./dom.ts";
import { icon } from "./icons.ts";

/** What the button says it does, for each theme that it switches to. */
interface ThemeLabels {
  readonly light: string;
  readonly dark: string;
}

/** The switch between the two themes. */
export function themeButton(labels: ThemeLabels, onTheme: () => void): HTMLElement {
  const button = el("button", { type: "button", class: "bare", testid: "theme-toggle" });
  const show = (): void => {
    const dark = isDark();
    const label = dark ? labels.light : labels.dark;
    button.replaceChildren(icon(dark ? "sun" : "moon"));
    button.title = label;
    button.setAttribute("aria-label", label);
  };
  button.addEventListener("click", () => {
    setTheme(isDark() ? "light" : "dark");
    show();
    onTheme();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    show();
    onTheme();
  });
  show();
  return button;
}

const THEME_KEY = "streamchain:theme";

function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}

function setTheme(theme: "dark" | "light"): void {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // storage is forbidden: the choice lasts as long as the page
  }
}

/** Restores the theme that was chosen before; without one the page follows the system. */
export function restoreTheme(): void {
  try {
    const theme = localStorage.getItem(THEME_KEY);
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // storage is forbidden: the page follows the system
  }
}
