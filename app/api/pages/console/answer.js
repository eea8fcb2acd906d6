// Show an answer. Whatever a job printed is put in as text; pages and pictures are shown where no script can run.
import { has, say } from "./words.js";

const MOST_NODES = 2000; // of a JSON tree; a larger one can be read as text or downloaded
const MOST_TEXT = 500_000; // characters shown

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Return the parts of the page that show an answer.
export function shownAnswer({ status, headers, body }) {
  const header = new Headers(headers);
  const type = header.get("Content-Type") ?? "";
  const state = header.get("X-Job-State");
  const good = status < 400;
  const parts = [element("p", { class: good ? "good" : "bad", role: "status" }, `${say("status")} ${status}`, state ? ` · ${state}` : "")];
  const text = isText(type) ? new TextDecoder().decode(body) : undefined;
  parts.push(...errorWords(status, header, text));
  parts.push(element("h3", {}, say("answer")), ...bodyOf(body, type, text));
  const timing = header.get("Server-Timing");
  if (timing) parts.push(element("h3", {}, say("timing")), bars(timing));
  parts.push(element("details", {}, element("summary", {}, say("headers")), headerTable(headers)));
  return parts;
}

// Tell in words what to do about an error of the service or a failed job.
function errorWords(status, header, text) {
  if (status < 400) return [];
  let code = "";
  let message = "";
  if (!header.has("X-Job-State") || status === 502) {
    try {
      ({ code = "", message = "" } = JSON.parse(text));
    } catch {
      message = "";
    }
  } else if (status !== 500) return []; // the job chose it
  const hint = [code, `hint${status}`, status >= 500 ? "hint502" : "hint400"].find((name) => has(name));
  const words = [];
  if (message) words.push(element("strong", {}, message), " ");
  return [element("p", { class: "advice" }, ...words, say(hint))];
}

function bodyOf(body, type, text) {
  if (!body.length) return [element("p", { class: "help" }, say("empty"))];
  const shown = [];
  if (/^image\//i.test(type)) shown.push(element("img", { src: blobAddress(body, type), alt: say("picture") }));
  else if (/^text\/html\b/i.test(type)) {
    shown.push(element("iframe", { sandbox: "", referrerpolicy: "no-referrer", title: say("page"), srcdoc: text }));
  } else if (/[/+]json\b/i.test(type)) shown.push(...jsonTree(text));
  else if (text !== undefined) shown.push(textBlock(text));
  const name = `answer.${extension(type)}`;
  shown.push(element("p", {}, element("a", { href: blobAddress(body, "application/octet-stream"), download: name }, say("download"))));
  return shown;
}

function jsonTree(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return [textBlock(text)];
  }
  const asText = element("details", {}, element("summary", {}, say("raw")), textBlock(text));
  const budget = { left: MOST_NODES };
  return [element("div", { class: "tree" }, node(value, budget)), asText];
}

function node(value, budget, open = true) {
  budget.left -= 1;
  if (value === null || typeof value !== "object") return element("span", { class: typeof value }, JSON.stringify(value));
  const entries = Object.entries(value);
  const summary = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  const list = element("ul");
  for (const [index, [key, child]] of entries.entries()) {
    if (budget.left <= 0) {
      list.append(element("li", {}, say("more", entries.length - index)));
      break;
    }
    list.append(element("li", {}, element("b", {}, key), ": ", node(child, budget, entries.length < 20)));
  }
  return element("details", open ? { open: "" } : {}, element("summary", {}, summary), list);
}

function textBlock(text) {
  const rest = text.length - MOST_TEXT;
  return element("pre", { tabindex: "0" }, text.slice(0, MOST_TEXT), rest > 0 ? `\n${say("more", rest)}` : "");
}

function headerTable(headers) {
  const rows = headers.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, String(value))));
  return element("table", {}, element("tbody", {}, ...rows));
}

// Show each time of Server-Timing (W3C), in milliseconds, as a bar.
function bars(timing) {
  const times = [...timing.matchAll(/([\w-]+)[^,]*?;dur=([\d.]+)/g)].map(([, name, time]) => [name, Number(time)]);
  const most = Math.max(...times.map(([, time]) => time), 1);
  const rows = times.map(([name, time]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, element("meter", { max: most, value: time }, `${time} ms`)),
      element("td", {}, `${time} ms`)));
  return element("table", { class: "timing" }, element("tbody", {}, ...rows));
}

function isText(type) {
  return /^text\/|[/+](json|xml|javascript|csv|yaml)\b/i.test(type) && !/^image\//i.test(type);
}

function extension(type) {
  const found = /^[a-z]+\/(?:[a-z.-]+\+)?([a-z0-9]{1,8})\b/i.exec(type);
  return { plain: "txt", jpeg: "jpg", javascript: "js" }[found?.[1]] ?? found?.[1] ?? "bin";
}

let blobs = [];

function blobAddress(body, type) {
  const made = URL.createObjectURL(new Blob([body], { type }));
  blobs.push(made);
  return made;
}

// Give back the memory of the pictures and downloads shown before.
export function forgetBlobs() {
  blobs.forEach((made) => URL.revokeObjectURL(made));
  blobs = [];
}
