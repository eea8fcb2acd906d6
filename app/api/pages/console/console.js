// The console: choose a task, run it, watch it, see its answer. The token lives in the password field and nowhere else.
import { argumentFields } from "./arguments.js";
import { element, forgetBlobs, shownAnswer } from "./answer.js";
import { address, call, curlLine, eventAnswer, events, plainAnswer } from "./calls.js";
import { currentLanguage, say, speak } from "./words.js";

const MOST_RUNS = 20; // kept by this page, with their answers
const OTHER = ""; // the choice of a task by its id

const $ = (id) => document.getElementById(id);
let tasks = [];
let fields = argumentFields();
let runs = [];
let shown; // the run on the screen

const token = () => $("token").value.trim();
const customer = () => $("customer").value.trim();
const chosenTask = () => tasks.find((task) => task.id === $("task").value);
const taskId = () => chosenTask()?.id ?? $("task-id").value.trim();

function showArguments() {
  fields = argumentFields(chosenTask());
  $("arguments").replaceChildren($("arguments").firstElementChild, ...fields.shown);
  $("by-id").hidden = Boolean(chosenTask());
  $("task-id").required = !chosenTask();
}

async function listTasks() {
  if (!token()) {
    $("listed").textContent = say("needToken");
    return $("token").focus();
  }
  $("listed").textContent = say("listing");
  try {
    const response = await call("GET", `${address(customer(), "task")}?limit=1000`, token());
    const found = await response.json();
    if (!response.ok) throw new Error(found.message);
    tasks = found;
    $("listed").textContent = say("listed", tasks.length);
  } catch (error) {
    tasks = [];
    $("listed").textContent = say("unreachable", error.message);
  }
  const options = tasks.map((task) => element("option", { value: task.id }, task.name || task.id));
  $("task").replaceChildren(...options, element("option", { value: OTHER, "data-words": "otherTask" }, say("otherTask")));
  $("choice").hidden = !tasks.length;
  showArguments();
}

// The modes of this service, those of plugins too, stand in its document.
async function listModes() {
  const response = await call("GET", "openapi.json", "");
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
  let values;
  try {
    values = await fields.read();
  } catch (error) {
    return showRun({ title: say("arguments"), problem: error.message });
  }
  const body = JSON.stringify({ task_arguments: values });
  const path = address(customer(), "task", taskId(), "job") + query();
  const name = chosenTask()?.name ?? taskId();
  await follow({ title: name, method: "POST", path, body, job: "", lifecycles: [], began: performance.now() });
}

// Make the call of a run, show what comes, and keep it among the runs of this page.
async function follow(made) {
  runs = [made, ...runs].slice(0, MOST_RUNS);
  made.token = token();
  showRun(made);
  const clock = setInterval(() => showProgress(made), 500);
  try {
    await receive(made, await call(made.method, made.path, made.token, { accept: "text/event-stream", body: made.body }));
  } catch (error) {
    made.problem = made.job ? say("cutOff") : say("unreachable", error.message);
  } finally {
    clearInterval(clock);
    made.seconds = (performance.now() - made.began) / 1000;
    made.token = "";
    showRun(made);
  }
}

async function receive(made, response) {
  made.job = response.headers.get("X-Job-Id") ?? made.job;
  if (!/^text\/event-stream\b/.test(response.headers.get("Content-Type") ?? "")) {
    made.answer = await plainAnswer(response);
    return;
  }
  for await (const { event, data } of events(response)) {
    if (event === "job") made.job = data.id;
    if (event === "lifecycle") made.lifecycles.push([data.lifecycle, performance.now() - made.began]);
    if (event === "answer") made.answer = eventAnswer(data);
    if (event === "error") made.answer = eventAnswer({ status: data.statusCode, headers: [["Content-Type", "application/json"]], body: JSON.stringify(data) });
    made.expected = data.expected_seconds ?? made.expected;
    showRun(made);
  }
  if (!made.answer) made.problem = say("cutOff");
}

async function cancel() {
  const made = shown;
  $("cancel").disabled = true;
  $("progress-text").textContent = say("canceling");
  try {
    const path = address(customer(), "task", taskOf(made), "job", made.job);
    const response = await call("DELETE", path, token());
    made.note = response.ok ? say("canceled") : (await response.json()).message;
  } catch (error) {
    made.note = say("unreachable", error.message);
  }
  $("cancel").disabled = false;
  if (made === shown) showRun(made);
}

const taskOf = (made) => decodeURIComponent(made.path.split("/")[2]);

function showRun(made) {
  shown = made;
  const isOver = Boolean(made.answer ?? made.problem);
  $("shown").hidden = false;
  $("shown-title").textContent = made.title;
  $("curl").textContent = made.path ? curlLine(made.method, made.path, made.body) : "";
  $("cancel").hidden = isOver || !made.job;
  $("lifecycles").replaceChildren(...(made.lifecycles ?? []).map(([lifecycle, time]) =>
    element("li", {}, `${lifecycle} `, element("small", {}, say("elapsed", (time / 1000).toFixed(1))))));
  showProgress(made);
  forgetBlobs();
  const parts = made.answer ? shownAnswer(made.answer) : [];
  if (made.problem) parts.unshift(element("p", { class: "bad", role: "alert" }, made.problem));
  if (made.job && (made.problem || made.answer?.status === 504 || made.answer?.status === 202)) parts.push(fetchButton(made));
  $("answer").replaceChildren(...parts);
  showRuns();
}

function showProgress(made) {
  if (made !== shown) return;
  const isOver = Boolean(made.answer ?? made.problem);
  const seconds = made.seconds ?? (performance.now() - made.began) / 1000;
  const bar = $("progress");
  bar.hidden = isOver;
  if (made.expected) {
    bar.max = Math.max(made.expected, seconds);
    bar.value = seconds;
  } else bar.removeAttribute("value");
  const time = made.expected ? say("runningFor", seconds.toFixed(1), made.expected.toFixed(1)) : say("elapsed", seconds.toFixed(1));
  const words = made.job ? say("running", made.job) : say("starting");
  $("progress-text").textContent = isOver ? [made.job, made.note].filter(Boolean).join(" · ") : `${words} (${time}) ${made.note ?? ""}`;
}

function fetchButton(made) {
  const button = element("button", { type: "button" }, say("fetchLater"));
  button.addEventListener("click", () => {
    const path = address(customer(), "task", taskOf(made), "job", made.job) + query();
    follow({ title: made.title, method: "GET", path, job: made.job, lifecycles: [], began: performance.now() });
  });
  return element("p", {}, button);
}

function showRuns() {
  $("no-runs").hidden = runs.length > 0;
  $("runs").replaceChildren(...runs.map((made) => {
    const outcome = made.answer?.status ?? (made.problem ? "✕" : "…");
    const button = element("button", { type: "button", class: "link" }, `${made.title} · ${outcome} · ${made.job}`);
    button.addEventListener("click", () => showRun(made));
    return element("li", {}, button);
  }));
}

$("language").value = currentLanguage();
$("language").addEventListener("change", () => {
  speak($("language").value);
  showArguments();
  if (shown) showRun(shown);
});
$("list").addEventListener("click", listTasks);
$("task").addEventListener("change", showArguments);
$("cancel").addEventListener("click", cancel);
$("call").addEventListener("submit", run);
window.addEventListener("pagehide", () => $("call").reset()); // a page that comes back from the browser's cache asks again
speak(currentLanguage());
showArguments();
document.querySelector("main").hidden = false;
listModes().catch((error) => ($("listed").textContent = say("unreachable", error.message)));
