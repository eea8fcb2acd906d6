// One field for each argument of a task, and what they hold as the array that TheEye takes.
import { element } from "./answer.js";
import { say } from "./words.js";

// Return an object of the fields to show and of `read`, which returns the arguments as a promise of an array.
export function argumentFields(task) {
  if (!task) return freeArguments();
  const declared = [...(task.task_arguments ?? [])].sort((one, other) => one.order - other.order);
  const fields = declared.map((argument, index) => field(argument, index));
  const shown = fields.filter((each) => each.shown).map((each) => each.shown);
  if (!shown.length) shown.push(element("p", { class: "help" }, say("noArguments")));
  return { shown, read: () => Promise.all(fields.map((each) => each.read())) };
}

function freeArguments() {
  const input = element("textarea", { rows: "3", spellcheck: "false", "aria-describedby": "problem" });
  input.value = "[]";
  const read = async () => {
    let value;
    try {
      value = JSON.parse(input.value);
    } catch {
      value = undefined;
    }
    if (!Array.isArray(value)) throw new Error(say("badJson"));
    return value;
  };
  return { shown: [element("label", {}, element("span", {}, say("argumentsJson")), input)], read };
}

function field(argument, index) {
  // TheEye fills in what is fixed; it counts as a position all the same.
  if (argument.type === "fixed" || argument.readonly) return { shown: undefined, read: async () => null };
  const [input, read] = inputFor(argument);
  if (argument.required) input.required = true;
  const label = argument.label || `${index + 1}`;
  const shown = element("label", {}, element("span", {}, `${label} (${argument.type ?? "input"})`), input);
  return { shown, read };
}

function inputFor(argument) {
  if (argument.type === "file") {
    const input = element("input", { type: "file" });
    return [input, async () => (input.files.length ? dataUrl(input.files[0]) : null)];
  }
  const optional = (input) => async () => (input.value === "" && !argument.required ? null : input.value);
  if (argument.type === "select" && Array.isArray(argument.options)) {
    const options = argument.options.map((option) =>
      element("option", { value: String(option?.id ?? option?.value ?? option) }, String(option?.label ?? option?.value ?? option)));
    if (!argument.required) options.unshift(element("option", { value: "" }, ""));
    const input = element("select", {}, ...options);
    return [input, optional(input)];
  }
  const type = { date: "date", email: "email", number: "number" }[argument.type] ?? (isSecret(argument) ? "password" : "text");
  const input = element("input", { type, autocomplete: "off", spellcheck: "false" });
  if (argument.value !== undefined && argument.value !== null) input.value = String(argument.value);
  return [input, optional(input)];
}

function isSecret(argument) {
  return /pass|secret|token|clave|contraseña/i.test(`${argument.type} ${argument.label}`);
}

// Return a file as a `data:` URL with `;base64,`, as TheEye's agents write it to disk.
function dataUrl(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.replace(/^data:;/, "data:application/octet-stream;"));
    reader.onerror = () => reject(new Error(say("fileTooLarge", reader.error.message)));
    reader.readAsDataURL(file);
  });
}
