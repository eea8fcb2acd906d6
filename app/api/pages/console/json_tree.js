// Show JSON as a tree, with numbers unchanged: JavaScript would round those with many digits.
import { element } from "./element.js";
import { say } from "./words.js";

const MOST_NODES = 2000; // a larger tree can be read as text or downloaded
const MOST_OPEN = 20; // a node with more children is closed at first

class Digits {
  constructor(text) {
    this.text = text;
  }
}

// Return the tree of this text, or undefined if it is not JSON.
export function jsonTree(text) {
  try {
    const value = JSON.parse(text, (key, found, context) => (typeof found === "number" && context ? new Digits(context.source) : found));
    return element("div", { class: "tree", tabindex: "0", role: "group", "aria-label": say("answer") }, node(value, { left: MOST_NODES }));
  } catch {
    return undefined;
  }
}

function node(value, budget, open = true) {
  budget.left -= 1;
  if (value instanceof Digits) return element("span", { class: "number" }, value.text);
  if (value === null || typeof value !== "object") return element("span", { class: typeof value }, inLines(JSON.stringify(value)));
  const entries = Object.entries(value);
  const list = element("ul");
  for (const [index, [key, child]] of entries.entries()) {
    if (budget.left <= 0) {
      list.append(element("li", {}, say("more", entries.length - index)));
      break;
    }
    list.append(element("li", {}, element("b", {}, key), ": ", node(child, budget, entries.length < MOST_OPEN)));
  }
  const size = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  return element("details", open ? { open: "" } : {}, element("summary", {}, size), list);
}

// Begin a new line after each \n but the last character, so that a log can be read.
function inLines(text) {
  return text.replace(/\\.(?!"$)/g, (escape) => (escape === "\\n" ? "\\n\n" : escape));
}
