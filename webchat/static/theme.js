// The host page's colors, checked: only a #rrggbb color and one of three schemes get through.

const COLOR = /^#[0-9a-f]{6}$/i;
const SCHEMES = ["light", "dark", "auto"];
const WHITE = "#ffffff";
const BLACK = "#000000";
const SURFACES = { light: "#ffffff", dark: "#161d19" };
const READABLE = 4.5; // contrast that WCAG AA asks of text

function luminance(color) {
  const parts = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255);
  const [red, green, blue] = parts.map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

export function contrast(one, other) {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

export const readableOn = (color) => (contrast(color, WHITE) >= contrast(color, BLACK) ? WHITE : BLACK);

// Moves a color towards white or black until it can be read on a surface.
export function readable(color, surface) {
  const target = readableOn(surface) === WHITE ? 255 : 0;
  for (let share = 0; share < 1; share += 0.05) {
    const mixed = [1, 3, 5].map((at) => {
      const part = parseInt(color.slice(at, at + 2), 16);
      return Math.round(part + (target - part) * share).toString(16).padStart(2, "0");
    });
    const candidate = `#${mixed.join("")}`;
    if (contrast(candidate, surface) >= READABLE) return candidate;
  }
  return target ? WHITE : BLACK;
}

export function checkedTheme({ scheme, accent }) {
  return {
    scheme: SCHEMES.includes(scheme) ? scheme : "auto",
    accent: typeof accent === "string" && COLOR.test(accent) ? accent.toLowerCase() : null,
  };
}

export function applyTheme(given) {
  const { scheme, accent } = checkedTheme(given);
  const root = document.documentElement;
  root.dataset.scheme = scheme;
  if (!accent) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const now = scheme === "auto" ? (dark.matches ? "dark" : "light") : scheme;
    const shown = readable(accent, SURFACES[now]);
    root.style.setProperty("--accent", shown);
    root.style.setProperty("--on-accent", readableOn(shown));
  };
  dark.addEventListener("change", paint);
  paint();
}
