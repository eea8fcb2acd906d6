// All words of the console, in both languages. A word with `{}` takes a value.

const WORDS = {
  en: {
    api: "API", language: "Language", call: "Run a task", token: "Token",
    tokenHelp: "A token of TheEye. It stays in this page's memory; a reload asks for it again.",
    customer: "Customer", list: "List the tasks", listing: "Asking TheEye…", listed: "{} tasks",
    task: "Task", taskId: "Task id", otherTask: "another task, by its id",
    arguments: "Arguments", argumentsJson: "Arguments as a JSON array", noArguments: "This task takes no arguments.",
    mode: "Mode", wait: "Wait at most (seconds)", run: "Run", cancel: "Cancel the job", curl: "The same call with curl",
    runs: "Runs of this page", noRuns: "None yet.",
    starting: "Starting…", running: "Job {} is running", runningFor: "{} s, usually {} s", elapsed: "{} s",
    canceling: "Cancelling…", canceled: "The job was cancelled.", cutOff: "The connection was cut. Fetch the answer later:",
    fetchLater: "Fetch the answer", status: "Status", headers: "Headers", timing: "Where the time went", answer: "Answer",
    download: "Download", empty: "The answer has no body.", page: "The page that the job answered (scripts are off)",
    picture: "The picture that the job answered", raw: "As text", more: "… {} more",
    badJson: "The arguments are not a JSON array.", unreachable: "The service cannot be reached: {}",
    needToken: "Enter a token.", fileTooLarge: "The file cannot be read: {}",
    hint400: "Something in the request is wrong: read the message above.",
    hint401: "TheEye does not know this token, or the session has ended. Log in again and use the new token.",
    hint403: "The token belongs to another customer, or may not run this task. Check the customer's name.",
    hint404: "There is no such customer, task or job for this token. Check the names.",
    hint429: "Too many calls with this token. Wait a moment.",
    hint500: "The job has ended as a failure. Choose the mode `result` to read its log.",
    hint502: "TheEye could not do it, or its answer could not be used. Look at /readyz.",
    hint503: "The service is busy; nothing was started. Try again in a moment.",
    hint504: "The job has not ended in time. Fetch its answer later, or wait longer.",
    ECLIENTGONE: "The connection was closed.", EFORMATTER: "The output does not fit this mode. Choose `output` or `full`.",
    EJOBGONE: "Newer jobs have pushed this one out. Raise the task's history limit.",
    EHISTORY: "Too many jobs of this task are unread. Try again in a moment.",
    EOUTCOMEUNKNOWN: "The job may have started. Look in TheEye before you run it again.",
  },
  es: {
    api: "API", language: "Idioma", call: "Ejecutar una tarea", token: "Token",
    tokenHelp: "Un token de TheEye. Queda en la memoria de esta página; si la recargás, te lo pide de nuevo.",
    customer: "Customer", list: "Listar las tareas", listing: "Consultando a TheEye…", listed: "{} tareas",
    task: "Tarea", taskId: "Id de la tarea", otherTask: "otra tarea, por su id",
    arguments: "Argumentos", argumentsJson: "Argumentos como array JSON", noArguments: "Esta tarea no recibe argumentos.",
    mode: "Modo", wait: "Esperar como máximo (segundos)", run: "Ejecutar", cancel: "Cancelar el job",
    curl: "La misma llamada con curl", runs: "Ejecuciones de esta página", noRuns: "Todavía ninguna.",
    starting: "Iniciando…", running: "El job {} está en curso", runningFor: "{} s, suele tardar {} s", elapsed: "{} s",
    canceling: "Cancelando…", canceled: "El job fue cancelado.",
    cutOff: "Se cortó la conexión. Podés pedir la respuesta más tarde:",
    fetchLater: "Pedir la respuesta", status: "Estado", headers: "Encabezados", timing: "En qué se fue el tiempo",
    answer: "Respuesta", download: "Descargar", empty: "La respuesta no tiene cuerpo.",
    page: "La página que respondió el job (sin scripts)", picture: "La imagen que respondió el job", raw: "Como texto",
    more: "… {} más", badJson: "Los argumentos no son un array JSON.", unreachable: "No se puede llegar al servicio: {}",
    needToken: "Ingresá un token.", fileTooLarge: "No se puede leer el archivo: {}",
    hint400: "Hay algo mal en el pedido: leé el mensaje de arriba.",
    hint401: "TheEye no conoce este token, o la sesión terminó. Iniciá sesión otra vez y usá el token nuevo.",
    hint403: "El token es de otro customer, o no puede ejecutar esta tarea. Revisá el nombre del customer.",
    hint404: "No existe ese customer, tarea o job para este token. Revisá los nombres.",
    hint429: "Demasiadas llamadas con este token. Esperá un momento.",
    hint500: "El job terminó con error. Elegí el modo `result` para leer su log.",
    hint502: "TheEye no pudo hacerlo, o su respuesta no sirve. Mirá /readyz.",
    hint503: "El servicio está ocupado; no se inició nada. Probá de nuevo en un momento.",
    hint504: "El job no terminó a tiempo. Pedí la respuesta más tarde, o esperá más.",
    ECLIENTGONE: "Se cerró la conexión.", EFORMATTER: "La salida no sirve para este modo. Elegí `output` o `full`.",
    EJOBGONE: "Otros jobs más nuevos desplazaron a este. Aumentá el límite de historial de la tarea.",
    EHISTORY: "Hay demasiados jobs de esta tarea sin leer. Probá de nuevo en un momento.",
    EOUTCOMEUNKNOWN: "Puede que el job se haya iniciado. Mirá en TheEye antes de ejecutarlo otra vez.",
  },
};

let language = navigator.languages.map((tag) => tag.slice(0, 2)).find((tag) => tag in WORDS) ?? "en";

export function currentLanguage() {
  return language;
}

// Return the word of this name; each value fills one `{}`.
export function say(name, ...values) {
  let word = WORDS[language][name] ?? name;
  for (const value of values) word = word.replace("{}", () => String(value));
  return word;
}

export function has(name) {
  return name in WORDS.en;
}

// Speak another language: everything in the page that names a word is written again.
export function speak(tag) {
  language = tag;
  document.documentElement.lang = tag;
  for (const element of document.querySelectorAll("[data-words]")) {
    element.textContent = say(element.dataset.words);
  }
}
