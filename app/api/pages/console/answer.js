// Show an answer. A job's output is inserted as text; pages and pictures are shown so that no script can run.
import { blobAddress, element } from "./element.js";
import { jsonTree } from "./json_tree.js";
import { advice, decimal, say } from "./words.js";

const MOST_TEXT = 500_000; // characters shown

// Return the parts of the page that show an answer, below its status; `hasLog` tells whether its mode shows the job's log.
export function shownAnswer({ status, headers, body }, hasLog) {
  const type = headers.get("Content-Type") ?? "";
  const text = isText(type) ? decoded(body, type) : undefined;
  const parts = [...whatToDo(status, headers, text, hasLog), element("h3", {}, say("answer")), ...shownBody(body, type, text)];
  if (body.length) parts.push(download(body, fileName(headers, type)));
  const timing = headers.get("Server-Timing");
  if (timing) parts.push(element("h3", {}, say("timing")), bars(timing));
  parts.push(element("details", {}, element("summary", {}, say("headers")), headerTable(headers)));
  return parts;
}

// Explain an error of the service, or how to find out why a job failed. A cancel, or a status chosen by the job, needs no words.
function whatToDo(status, headers, text, hasLog) {
  const state = headers.get("X-Job-State");
  if (state !== null && status !== 502) {
    const how = howJobFailed(status, state, headers.get("X-Job-Exit-Code") ?? "0");
    return how ? [element("p", { class: "advice" }, `${how} ${say(hasLog ? "logBelow" : "logElsewhere")}`)] : [];
  }
  if (status < 400) return [];
  const words = errorWords(status, text);
  const facts = words.slice(0, -1).flatMap((word) => [element("strong", {}, word), element("br")]);
  return [element("p", { class: "advice" }, ...facts, words.at(-1))];
}

function howJobFailed(status, state, exit) {
  if (state === "success" && exit !== "0") return say("hintCrash", exit);
  return status === 500 && state !== "canceled" ? say("hintFailed") : "";
}

// Return what an error says, what TheEye says in it, and last what to do.
export function errorWords(status, text) {
  const { code, message, value } = errorObject(text);
  const told = [message, value?.message ?? value].filter((word) => typeof word === "string" && word);
  return [...told, advice(status, code)];
}

function errorObject(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

function shownBody(body, type, text) {
  if (!body.length) return [element("p", { class: "help" }, say("empty"))];
  if (/^image\//i.test(type)) return [element("img", { src: blobAddress(body, type), alt: say("picture") })];
  if (/^text\/html\b/i.test(type)) return page(text);
  if (text === undefined) return [element("p", { class: "help" }, say("file", type, body.length))];
  const tree = /[/+]json\b/i.test(type) ? jsonTree(text) : undefined;
  return tree ? [tree, element("details", {}, element("summary", {}, say("raw")), textBlock(text))] : [textBlock(text)];
}

function page(text) {
  const frame = element("iframe", { sandbox: "", referrerpolicy: "no-referrer", title: say("page"), srcdoc: text });
  return [element("p", { class: "help" }, say("page")), frame];
}

function textBlock(text) {
  const rest = text.length - MOST_TEXT;
  return element("pre", { tabindex: "0", role: "group", "aria-label": say("answer") }, text.slice(0, MOST_TEXT), rest > 0 ? `\n${say("more", rest)}` : "");
}

export function download(body, name) {
  return element("p", {}, element("a", { href: blobAddress(body, "application/octet-stream"), download: name }, say("download", name)));
}

function headerTable(headers) {
  const rows = [...headers].map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name), element("td", {}, value)));
  return element("table", { "aria-label": say("headers") }, element("tbody", {}, ...rows));
}

// Show each time of Server-Timing (W3C), in milliseconds, as a bar.
function bars(timing) {
  const times = [...timing.matchAll(/([\w-]+)[^,]*?;dur=([\d.]+)/g)].map(([, name, time]) => [name, Number(time)]);
  const most = Math.max(...times.map(([, time]) => time), 1);
  const rows = times.map(([name, time]) => {
    const bar = element("meter", { max: most, value: time, "aria-label": name }, `${decimal(time, 1)} ms`);
    const cells = [element("td", {}, bar), element("td", {}, `${decimal(time, 1)} ms`)];
    return element("tr", {}, element("th", { scope: "row" }, name), ...cells);
  });
  return element("table", { class: "timing", "aria-label": say("timing") }, element("tbody", {}, ...rows));
}

// Decode a text in the charset of its media type, in UTF-8 if that has none or an unknown one.
function decoded(body, type) {
  const [, charset] = /;\s*charset="?([\w:.-]+)/i.exec(type) ?? [];
  try {
    return new TextDecoder(charset).decode(body);
  } catch {
    return new TextDecoder().decode(body);
  }
}

function isText(type) {
  return /^text\/|[/+](json|xml|javascript|csv|yaml)\b/i.test(type) && !/^image\//i.test(type);
}

function fileName(headers, type) {
  const named = /\bfilename="?([^";]+)/i.exec(headers.get("Content-Disposition") ?? "");
  if (named) return named[1];
  const kind = /^[a-z]+\/(?:[a-z.-]+\+)?([a-z0-9]{1,10})\b/i.exec(type)?.[1];
  return `answer.${{ plain: "txt", jpeg: "jpg", javascript: "js" }[kind] ?? kind ?? "bin"}`;
}
