// Show a field for each argument of a task, and make the array for TheEye from their values.
import { element } from "./element.js";
import { say } from "./words.js";

// Return the fields to show, and `read`, a function that returns a promise of the array as JSON.
export function argumentFields(task) {
  if (!task) return freeArguments();
  const declared = [...(task.task_arguments ?? [])].sort((one, other) => one.order - other.order);
  const fields = declared.map((argument, index) => field(argument, index));
  const shown = fields.map((each) => each.shown);
  if (!shown.length) shown.push(element("p", { class: "help", "data-words": "noArguments" }, say("noArguments")));
  return { shown, read: async () => JSON.stringify(await Promise.all(fields.map((each) => each.read()))) };
}

function freeArguments() {
  const input = jsonText("badJson", Array.isArray);
  input.value = "[]";
  // Unchanged: a number with many digits must not be rounded.
  const label = element("span", { "data-words": "argumentsJson" }, say("argumentsJson"));
  return { shown: [element("label", {}, label, input)], read: async () => input.value };
}

// Return a field for JSON of a kind; with another text the browser says `wrong`. An empty field is null.
function jsonText(wrong, isKind) {
  const input = element("textarea", { rows: "3", spellcheck: "false" });
  input.addEventListener("input", () => input.setCustomValidity(isJson(input.value || "null", isKind) ? "" : say(wrong)));
  return input;
}

function isJson(text, isKind) {
  try {
    return isKind(JSON.parse(text));
  } catch {
    return false;
  }
}

function field(argument, index) {
  const [input, read] = isClosed(argument) ? closed(argument) : inputFor(argument);
  input.required = Boolean(argument.required);
  const label = element("span", {}, argument.label || `${index + 1}`, " ", element("small", {}, argument.type ?? "input"));
  return { shown: element("label", {}, label, input), read };
}

// The service shows no value of these arguments. They still count as positions; TheEye fills in only the fixed ones.
const isClosed = ({ type, readonly }) => type === "fixed" || Boolean(readonly);

function closed({ type }) {
  const words = type === "fixed" ? "fixed" : "readOnly";
  const input = element("input", { disabled: "", placeholder: say(words), "data-placeholder": words });
  return [input, async () => null];
}

function inputFor(argument) {
  if (argument.type === "file") {
    const input = element("input", { type: "file" });
    return [input, async () => (input.files.length ? dataUrl(input.files[0]) : null)];
  }
  if (argument.type === "select" && Array.isArray(argument.options)) return choice(argument);
  const input = line(argument);
  input.value = textOf(argument.value);
  return [input, async () => (input.value === "" && !argument.required ? null : input.value)];
}

function choice({ options, required, multiple, value }) {
  const shown = options.map((option) => element("option", { value: option?.id ?? option }, String(option?.label ?? option)));
  if (!required && !multiple) shown.unshift(element("option", { value: "" }));
  const input = element("select", multiple ? { multiple: "" } : {}, ...shown);
  const chosen = () => [...input.selectedOptions].map((option) => option.value).filter((text) => text || required);
  for (const option of shown) option.selected = [value ?? []].flat().map(String).includes(option.value);
  return [input, async () => (multiple && chosen().length ? chosen() : chosen()[0] ?? null)];
}

function line(argument) {
  const text = textOf(argument.value);
  if (argument.type === "json") return jsonText("badJsonText", () => true);
  if (text.includes("\n")) return element("textarea", { rows: "3", spellcheck: "false" }); // an <input> would join the lines
  return element("input", { type: lineType(argument, text), autocomplete: "off", spellcheck: "false" });
}

// A default with a time of day stays: a field for dates would drop it.
function lineType(argument, text) {
  if (argument.type === "date" && /^([0-9]{4}-[0-9]{2}-[0-9]{2})?$/.test(text)) return "date";
  if (argument.type === "email") return "email";
  return isSecret(argument) ? "password" : "text";
}

const textOf = (value) => (value && typeof value === "object" ? JSON.stringify(value) : String(value ?? ""));

// By the same words as app/api/tasks.py, which shows no default of these arguments.
function isSecret({ id, type, label, masked }) {
  const words = /pass|pwd|secret|token|creden[tc]ial|(api|private|access).?key|(?<![a-z])pin(?![a-z])|clave|contrase/i;
  return masked || [id, type, label].some((name) => words.test(name));
}

// Return a file as a `data:` URL with `;base64,`, which TheEye's agents write to disk.
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.replace(/^data:;/, "data:application/octet-stream;"));
    reader.onerror = () => reject(new Error(say("badFile", reader.error.message)));
    reader.readAsDataURL(file);
  });
}
