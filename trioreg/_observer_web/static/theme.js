// Light, dark, or as the system says. It is remembered. This script is small and not a module: it runs before the page
// is painted, so that a dark page is never white for a moment.
{
  const NAMES = ["auto", "light", "dark"];
  const WORDS = { auto: "Auto", light: "Light", dark: "Dark" };
  const KEY = "trioreg-observer-theme";
  const root = document.documentElement;

  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a browser may forbid to remember
    }
  };

  const show = (name) => {
    root.dataset.theme = NAMES.includes(name) ? name : "auto";
    const button = document.getElementById("theme");
    if (button) {
      button.hidden = false;
      document.getElementById("theme-name").textContent = WORDS[root.dataset.theme];
    }
  };

  show(remembered());
  document.addEventListener("DOMContentLoaded", () => {
    show(root.dataset.theme);
    document.getElementById("theme").addEventListener("click", () => {
      const next = NAMES[(NAMES.indexOf(root.dataset.theme) + 1) % NAMES.length];
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // it holds for this page only
      }
      show(next);
    });
  });
}
