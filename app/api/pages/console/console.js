// The console: choose a task or a workflow and run it. The token is only in its field and in running calls.
import { argumentFields } from "./arguments.js";
import { address, call } from "./calls.js";
import { $, element } from "./element.js";
import { cancel, chosenQuery, fetchAnswer, follow, refresh } from "./runs.js";
import { advice, currentLanguage, say, speak } from "./words.js";

const OTHER = ""; // the choice of a task by its id

let listed = []; // tasks and workflows, each with its kind
let lists = 0; // so many were asked for
let refusal; // of the list: {status, code} of an answer, or {message} without one
let fields;

const token = () => $("token").value.trim();
const customer = () => $("customer").value.trim();
const chosen = () => listed.find(({ id }) => id === $("task").value);

function showArguments() {
  fields = argumentFields(chosen());
  $("arguments").replaceChildren($("arguments").firstElementChild, ...fields.shown);
  $("by-id").hidden = Boolean(chosen());
  $("task-id").required = !chosen();
}

// A header takes no other characters: fetch would fail as if there were no connection.
function checkToken() {
  $("token").setCustomValidity(/[^!-~]/.test(token()) ? say("badToken") : "");
  return $("token").checkValidity();
}

// Offer TheEye's lists by name; if the token may not read them, the user types an id.
async function list() {
  const number = ++lists;
  const possible = token() && customer() && checkToken();
  $("listed").textContent = possible ? say("listing") : "";
  const found = possible ? await Promise.all([ask("task"), ask("workflow")]) : [];
  if (number !== lists) return; // the token or the customer is another one by now
  const before = chosen();
  listed = found.flatMap((each) => each.found).sort((one, other) => String(one.name).localeCompare(String(other.name)));
  refusal = found.map((each) => each.refusal).find(Boolean);
  showList(before?.id);
  if (JSON.stringify(before) !== JSON.stringify(chosen())) showArguments(); // else what the user has typed stays
}

// Show the lists in the current language, with this task or workflow chosen if it is there.
function showList(wanted) {
  $("task").replaceChildren($("task").firstElementChild, ...["task", "workflow"].flatMap(group));
  $("task").value = listed.find(({ id }) => id === wanted)?.id ?? OTHER;
  $("listed").textContent = refusal ? refused(refusal) : counted();
}

function refused({ status, code, message }) {
  if (!status) return say("unreachable", message);
  return [advice(status, code), status === 401 ? "" : say("useId")].join(" ");
}

const listedOf = (kind) => listed.filter((each) => each.kind === kind);
const counted = () => ["task", "workflow"].filter((kind) => listedOf(kind).length).map((kind) => say(`listed_${kind}`, listedOf(kind).length)).join(", ");

function group(kind) {
  const options = listedOf(kind).map(({ id, name }) => element("option", { value: id }, name || id));
  return options.length ? [element("optgroup", { label: say(`group_${kind}`) }, ...options)] : [];
}

async function ask(kind) {
  try {
    const response = await call("GET", `${address(customer(), kind)}?limit=1000`, token());
    const found = await response.json();
    if (response.ok) return { found: found.map((each) => ({ ...each, kind })) };
    return { found: [], refusal: { status: response.status, code: found.code } };
  } catch ({ message }) {
    return { found: [], refusal: { message } };
  }
}

// Read the modes of this service, also those of plugins, from its document.
async function listModes() {
  const response = await call("GET", "openapi.json");
  const { components, paths } = await response.json();
  const parameters = paths["/{customer}/task/{task}/job"].post.parameters;
  const all = parameters.map((each) => (each.$ref ? components.parameters[each.$ref.split("/").at(-1)] : each));
  const names = all.filter((each) => each.in === "query" && each.allowEmptyValue && each.name !== "strict").map((each) => each.name);
  $("mode").replaceChildren(element("option", { value: "" }, "output"), ...names.map((name) => element("option", { value: name }, name)));
  if (names.includes("parse")) $("mode").value = "parse";
}

// Read an id: the id of a task, or workflow/ID.
function byId(text) {
  const [, kind, id] = /^(task|workflow)\/(.*)$/.exec(text) ?? ["", "task", text];
  return { kind, id };
}

async function run(event) {
  event.preventDefault();
  const { kind, id } = chosen() ?? byId($("task-id").value.trim());
  const path = address(customer(), kind, id, "job") + chosenQuery();
  const known = listed.find((each) => each.id === id);
  const workflow = known?.tasks?.length ? known : undefined;
  const wanted = { title: known?.name ?? id, customer: customer(), kind, id, workflow, method: "POST", path };
  $("problem").textContent = "";
  try {
    const body = `{"task_arguments":${await fields.read()}}`;
    await follow({ ...wanted, body }, token());
  } catch (error) {
    $("problem").textContent = error.message;
  }
}

$("language").value = currentLanguage();
$("language").addEventListener("change", () => {
  speak($("language").value);
  showList(chosen()?.id);
  refresh();
});
$("token").addEventListener("input", checkToken);
for (const id of ["token", "customer"]) $(id).addEventListener("change", list);
$("list").addEventListener("click", () => $("token").reportValidity() && $("customer").reportValidity() && list());
$("task").addEventListener("change", showArguments);
$("cancel").addEventListener("click", () => cancel(token()));
$("fetch").addEventListener("click", () => fetchAnswer(token()));
$("call").addEventListener("submit", run);
window.addEventListener("pagehide", () => $("call").reset()); // a page from the browser's cache must ask for the token again
speak(currentLanguage());
showArguments();
document.querySelector("main").hidden = false;
listModes().catch((error) => ($("listed").textContent = say("unreachable", error.message)));
