// All texts of the console, in both languages. Each `{}` in a text is replaced by a value.

const WORDS = {
  en: {
    api: "API", language: "Language", call: "Run a task or a workflow", token: "Token",
    tokenHelp: "A token of TheEye. The page does not store it: after a reload it asks again.",
    customer: "Customer", list: "List the tasks", listing: "Asking TheEye…", listed_task: "{} tasks", listed_workflow: "{} workflows", group_task: "Tasks", group_workflow: "Workflows",
    useId: "Without the list, enter the id.",
    task: "Task or workflow", taskId: "Task id, or workflow/id", otherTask: "another one, by its id", graph: "The workflow's tasks",
    arguments: "Arguments", argumentsJson: "A JSON array", noArguments: "This task takes no arguments.",
    fixed: "filled in by TheEye", readOnly: "read-only: sent empty",
    mode: "Mode", wait: "Wait at most", waitUnit: "(s)", run: "Run", cancel: "Cancel the job", curl: "The same call with curl",
    runs: "Runs of this page", noRuns: "None yet. Choose a task or a workflow and run it: the page shows it here while it runs.",
    starting: "Starting…", running: "Running…", usually: "usually {} s", progress: "Time, compared with the last runs",
    canceling: "Cancelling…", canceled: "Cancelled", cutOff: "The connection was cut. The job goes on: fetch its answer later.",
    fetch: "Fetch the answer in the chosen mode", lifecycles: "Lifecycle", status: "Status", headers: "Headers", timing: "How long each part took", answer: "Answer",
    download: "Download {}", empty: "The answer has no body.", file: "A file: {}, {} bytes",
    page: "The page in the job's answer, without its scripts and styles", picture: "The picture in the job's answer",
    raw: "As text", more: "… {} more", badJson: "The arguments are not a JSON array.", badJsonText: "This is not JSON.", badFile: "The file cannot be read: {}",
    badToken: "The token contains a character that no token has, for example a space.",
    unreachable: "No answer from the service ({}). Check the connection. If the task may have started, look in TheEye before you run it again.",
    hint400: "Something in the request is wrong. Change it and run again.",
    hint401: "TheEye does not know this token, or the session has ended. Log in again and use the new token.",
    hint403: "The token belongs to another customer, or does not have the right to do this. Check the customer's name.",
    hint404: "There is no such customer, task or job for this token. Check the names.",
    hint408: "The request arrived too slowly. Try again.",
    hint413: "The arguments or the file are too large for this service.",
    hint429: "Too many calls with this token. Wait a moment.",
    hintFailed: "The job has failed.",
    hintCrash: "The script ended with exit code {}, which TheEye does not look at.",
    logElsewhere: "To read its log, choose the mode “result” and fetch the answer.", logBelow: "Its log is in the answer below.",
    hintEINTERNAL: "The service itself has failed. Report it with the X-Request-Id, and look in TheEye before you run it again.",
    hint502: "TheEye failed, or the service could not use its answer. If a job has started, fetch its answer later. /readyz shows what is down.",
    hintEGATEWAY: "The service could not check the token; nothing was started. Try again in a moment. /readyz shows what is down.",
    hint503: "The service is busy; nothing was started. Try again in a moment.",
    hint504: "The job has not ended in time. Fetch its answer later, or wait longer.",
    hintEFORMATTER: "The output does not fit this mode. Choose “output” or “full” and fetch the answer.",
    hintEJOBENDED: "The job had already ended.",
    hintEJOBGONE: "TheEye has deleted this job because of newer ones. Raise the task's history limit.",
    hintEJOBTOOLARGE: "The job's document is larger than this service reads. Let the task print less.",
    hintEHISTORY: "TheEye keeps too few jobs of this task for so many callers. Nothing was started. Try again in a moment.",
    hintEOUTCOMEUNKNOWN: "The job may have started. Look in TheEye before you run it again.",
  },
  es: {
    api: "API", language: "Idioma", call: "Ejecutar una tarea o un workflow", token: "Token",
    tokenHelp: "Un token de TheEye. La página no lo guarda: si la recargás, te lo pide de nuevo.",
    customer: "Customer", list: "Listar las tareas", listing: "Consultando a TheEye…", listed_task: "{} tareas", listed_workflow: "{} workflows", group_task: "Tareas", group_workflow: "Workflows",
    useId: "Sin la lista, ingresá el id.",
    task: "Tarea o workflow", taskId: "Id de la tarea, o workflow/id", otherTask: "otra, por su id", graph: "Las tareas del workflow",
    arguments: "Argumentos", argumentsJson: "Un array JSON", noArguments: "Esta tarea no recibe argumentos.",
    fixed: "lo completa TheEye", readOnly: "solo lectura: va vacío",
    mode: "Modo", wait: "Esperar hasta", waitUnit: "(s)", run: "Ejecutar", cancel: "Cancelar el job", curl: "La misma llamada con curl",
    runs: "Ejecuciones de esta página", noRuns: "Todavía ninguna. Elegí una tarea o un workflow y ejecutalo: la página lo muestra acá mientras corre.",
    starting: "Iniciando…", running: "En curso…", usually: "suele tardar {} s", progress: "Tiempo, comparado con las últimas ejecuciones",
    canceling: "Cancelando…", canceled: "Cancelado", cutOff: "Se cortó la conexión. El job sigue en ejecución: pedí su respuesta más tarde.",
    fetch: "Pedir la respuesta en el modo elegido", lifecycles: "Lifecycle", status: "Status", headers: "Headers", timing: "Cuánto tardó cada parte", answer: "Respuesta",
    download: "Descargar {}", empty: "La respuesta no tiene cuerpo.", file: "Un archivo: {}, {} bytes",
    page: "La página de la respuesta del job, sin sus scripts ni estilos", picture: "La imagen de la respuesta del job",
    raw: "Como texto", more: "… {} más", badJson: "Los argumentos no son un array JSON.", badJsonText: "Esto no es JSON.", badFile: "No se puede leer el archivo: {}",
    badToken: "El token contiene un carácter que ningún token tiene, por ejemplo un espacio.",
    unreachable: "El servicio no respondió ({}). Revisá la conexión. Si la tarea puede haberse iniciado, fijate en TheEye antes de ejecutarla otra vez.",
    hint400: "Hay algo mal en la solicitud. Corregila y ejecutá de nuevo.",
    hint401: "TheEye no conoce este token, o la sesión terminó. Iniciá sesión otra vez y usá el token nuevo.",
    hint403: "El token es de otro customer, o no tiene permiso para esto. Revisá el nombre del customer.",
    hint404: "No existe ese customer, tarea o job para este token. Revisá los nombres.",
    hint408: "La solicitud llegó demasiado despacio. Probá de nuevo.",
    hint413: "Los argumentos o el archivo son demasiado grandes para este servicio.",
    hint429: "Demasiadas llamadas con este token. Esperá un momento.",
    hintFailed: "El job falló.",
    hintCrash: "El script terminó con el código de salida {}, que TheEye no tiene en cuenta.",
    logElsewhere: "Para leer su log, elegí el modo “result” y pedí la respuesta.", logBelow: "Su log está abajo, en la respuesta.",
    hintEINTERNAL: "Falló el propio servicio. Avisá indicando el X-Request-Id, y fijate en TheEye antes de ejecutar la tarea otra vez.",
    hint502: "Falló TheEye, o el servicio no pudo usar su respuesta. Si un job se inició, pedí su respuesta más tarde. /readyz muestra qué está caído.",
    hintEGATEWAY: "El servicio no pudo verificar el token; no se inició nada. Probá de nuevo en un momento. /readyz muestra qué está caído.",
    hint503: "El servicio está ocupado; no se inició nada. Probá de nuevo en un momento.",
    hint504: "El job no terminó a tiempo. Pedí la respuesta más tarde, o esperá más.",
    hintEFORMATTER: "El output no sirve para este modo. Elegí “output” o “full” y pedí la respuesta.",
    hintEJOBENDED: "El job ya había terminado.",
    hintEJOBGONE: "TheEye borró este job porque hay otros más nuevos. Aumentá el límite del historial de la tarea.",
    hintEJOBTOOLARGE: "El documento del job es más grande de lo que lee este servicio. La tarea tiene que imprimir menos.",
    hintEHISTORY: "TheEye conserva muy pocos jobs de esta tarea para tantas llamadas. No se inició nada. Probá de nuevo en un momento.",
    hintEOUTCOMEUNKNOWN: "Puede que el job se haya iniciado. Fijate en TheEye antes de ejecutarlo otra vez.",
  },
};

let language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in WORDS) ?? "en";

export function currentLanguage() {
  return language;
}

// Return the text with this name; each value replaces one `{}`.
export function say(name, ...values) {
  let word = WORDS[language][name] ?? name;
  for (const value of values) word = word.replace("{}", () => String(value));
  return word;
}

// Return what to do about an error: by its code, else by its status.
export function advice(status, code) {
  const names = [`hint${code}`, `hint${status}`, status >= 500 ? "hint502" : "hint400"];
  return say(names.find((name) => name in WORDS.en));
}

// Return the number with so many decimals, after a point or after a comma.
export function decimal(number, digits = number < 1 ? 2 : 1) {
  return number.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// Change the language: write all texts of the page again.
export function speak(tag) {
  language = tag;
  document.documentElement.lang = tag;
  for (const element of document.querySelectorAll("[data-words]")) {
    element.textContent = say(element.dataset.words);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
  for (const element of document.querySelectorAll("[data-placeholder]")) {
    element.setAttribute("placeholder", say(element.dataset.placeholder));
  }
}
