// The page's language. English texts are their own names; the server delivers the others with the page.

export const LANGUAGE = document.documentElement.lang || "en";
const known = JSON.parse(document.body?.dataset.texts || "{}");

// The text in the page's language, each {name} filled in.
export function t(text, values = {}) {
  return (known[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
