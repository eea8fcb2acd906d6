// The console: choose a task and run it. The token lives in its field and in calls under way, and nowhere else.
import { argumentFields } from "./arguments.js";
import { address, call } from "./calls.js";
import { $, element } from "./element.js";
import { cancel, follow, refresh } from "./runs.js";
import { advice, currentLanguage, say, speak } from "./words.js";

const OTHER = ""; // the choice of a task by its id

let tasks = [];
let fields;

const token = () => $("token").value.trim();
const customer = () => $("customer").value.trim();
const chosenTask = () => tasks.find((task) => task.id === $("task").value);

function showArguments() {
  fields = argumentFields(chosenTask());
  $("arguments").replaceChildren($("arguments").firstElementChild, ...fields.shown);
  $("by-id").hidden = Boolean(chosenTask());
  $("task-id").required = !chosenTask();
}

// Offer TheEye's own list of tasks by name; where the token may not read it, the id does.
async function listTasks() {
  const found = token() && customer() ? await askForTasks() : [];
  const before = chosenTask();
  tasks = found.sort((one, other) => String(one.name).localeCompare(String(other.name)));
  const options = tasks.map((task) => element("option", { value: task.id }, task.name || task.id));
  $("task").replaceChildren($("task").firstElementChild, ...options);
  $("task").value = tasks.find((task) => task.id === before?.id)?.id ?? OTHER;
  if (before) showArguments();
}

async function askForTasks() {
  $("listed").textContent = say("listing");
  try {
    const response = await call("GET", `${address(customer(), "task")}?limit=1000`, token());
    const found = await response.json();
    if (response.ok) {
      $("listed").textContent = say("listed", found.length);
      return found;
    }
    const words = [advice(response.status, found.code), response.status === 401 ? "" : say("useId")];
    $("listed").textContent = words.join(" ");
  } catch (error) {
    $("listed").textContent = say("unreachable", error.message);
  }
  return [];
}

// The modes of this service, those of plugins too, stand in its document.
async function listModes() {
  const response = await call("GET", "openapi.json");
  const { components, paths } = await response.json();
  const parameters = paths["/{customer}/task/{task}/job"].post.parameters;
  const all = parameters.map((each) => (each.$ref ? components.parameters[each.$ref.split("/").at(-1)] : each));
  const names = all.filter((each) => each.in === "query" && each.allowEmptyValue && each.name !== "strict").map((each) => each.name);
  $("mode").replaceChildren(element("option", { value: "" }, "output"), ...names.map((name) => element("option", { value: name }, name)));
  if (names.includes("parse")) $("mode").value = "parse";
}

function query() {
  const found = [];
  if ($("mode").value) found.push(encodeURIComponent($("mode").value));
  if ($("wait").value) found.push(`wait=${encodeURIComponent($("wait").value)}`);
  return found.length ? `?${found.join("&")}` : "";
}

async function run(event) {
  event.preventDefault();
  const task = chosenTask()?.id ?? $("task-id").value.trim();
  const path = address(customer(), "task", task, "job") + query();
  const title = tasks.find(({ id }) => id === task)?.name ?? task;
  const wanted = { title, customer: customer(), task, method: "POST", path };
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
  refresh();
});
for (const id of ["token", "customer"]) $(id).addEventListener("change", listTasks);
$("list").addEventListener("click", () => $("token").reportValidity() && $("customer").reportValidity() && listTasks());
$("task").addEventListener("change", showArguments);
$("cancel").addEventListener("click", () => cancel(token()));
$("call").addEventListener("submit", run);
window.addEventListener("pagehide", () => $("call").reset()); // a page that comes back from the browser's cache asks again
speak(currentLanguage());
showArguments();
document.querySelector("main").hidden = false;
listModes().catch((error) => ($("listed").textContent = say("unreachable", error.message)));
