// An example that tries to get at what it must not have.
//
// Each attempt is JavaScript that runs in the user's document and gives what it
// got; nothing, or an exception, is a refusal. The example lists the outcomes.

import type { Example } from "./docs";
import { plain } from "./projects";

/** Name of the attempt → body of an async function; `APP` and `HOST` are origins. */
const ATTEMPTS: Record<string, string> = {
  "the host page's document": "return parent.parent.document.title",
  "the top page's document": "return top.document.body.innerHTML",
  "the host page's storage": "return parent.parent.localStorage.secret",
  "the top page's cookies": "return top.document.cookie",
  "the secret in its own storage": "return localStorage.secret ?? sessionStorage.secret ?? (/secret/.test(document.cookie) && document.cookie)",
  "the app's databases": "return (await indexedDB.databases()).find(({ name }) => name === 'app-secret')",
  "the app's caches": "return (await caches.keys()).find((name) => name === 'app-secret')",
  "the app's page by fetch": "return (await fetch(APP + '/', { credentials: 'include' })).text()",
  "the docs page by fetch": "return (await fetch(HOST, { credentials: 'include' })).text()",
  "the app's page in a frame": `
    const frame = document.body.appendChild(document.createElement("iframe"));
    await new Promise((done) => { frame.onload = done; frame.src = APP + "/"; });
    return frame.contentDocument?.body.textContent || frame.contentWindow.localStorage.secret`,
  "a worker of the app's origin": "return new Worker(APP + '/sandglass-playground.js')",
  "a shared worker of the app's origin": "return new SharedWorker(APP + '/sandglass-playground.js')",
  "a service worker over the runtime": "return navigator.serviceWorker.register('/src/main.ts', { scope: '/' })",
  "the top page's address": "const before = top.location; top.location = 'about:blank#taken'; return before.href",
  "the host frame's element": "return parent.frameElement",
  "the port, from the boot page's globals": `
    const seen = new Set();
    for (const name of Object.getOwnPropertyNames(parent)) {
      let value;
      try { value = parent[name]; } catch { continue; }
      for (const candidate of [value, ...(value && typeof value === "object" ? Object.values(value) : [])]) {
        if (candidate instanceof parent.MessagePort) seen.add(name);
      }
    }
    return [...seen].join()`,
};

/** The port as it passes through the boot page's own methods: asked again after more traffic. */
const LISTEN_IN = `
const stolen: unknown[] = [];
let realms = 0;
for (const realm of [window, parent] as any[]) {
  try {
    for (const name of ["postMessage", "start", "close"]) {
      const own = realm.MessagePort.prototype[name];
      realm.MessagePort.prototype[name] = function (...args: unknown[]) { stolen.push(this); return own.apply(this, args); };
    }
    const add = realm.EventTarget.prototype.addEventListener;
    realm.EventTarget.prototype.addEventListener = function (...args: unknown[]) {
      if (this instanceof realm.MessagePort) stolen.push(this);
      return add.apply(this, args);
    };
    realm.addEventListener("message", (event: MessageEvent) => stolen.push(...event.ports));
    // What listens in has to hear: a port that is used in the open is seen.
    const own = new realm.MessageChannel().port1;
    own.postMessage("seen");
    if (!stolen.includes(own)) throw document.body.append("Deaf");
    stolen.length = 0;
    realms++;
  } catch {}
}
`;

/** How many attempts there are. */
export const ATTEMPT_COUNT = Object.keys(ATTEMPTS).length;

/** The example, for an app and a docs page at these addresses. */
export function hostile(app: string, host: string): Example {
  const attempts = Object.entries(ATTEMPTS).map(([name, body]) => `  [${JSON.stringify(name)}, async () => {${body}\n  }],`);
  return plain(`const APP = ${JSON.stringify(app)};
const HOST = ${JSON.stringify(host)};
${LISTEN_IN}
const attempts: [string, () => Promise<unknown>][] = [
${attempts.join("\n")}
];
const list = document.getElementById("root")!.appendChild(document.createElement("ul"));
const say = (text: string) => (list.appendChild(document.createElement("li")).textContent = text);
for (const [name, attempt] of attempts) {
  let outcome;
  try {
    const got = await attempt();
    outcome = got ? "REACHED " + String(got).slice(0, 80) : "refused";
  } catch (error) {
    outcome = "refused";
  }
  say(name + ": " + outcome);
}
const button = document.body.appendChild(document.createElement("button"));
button.textContent = "Report";
button.onclick = () => say("the port, overheard in " + realms + " realms: " + (stolen.length ? "REACHED" : "refused"));
const pop = document.body.appendChild(document.createElement("button"));
pop.textContent = "Open the app";
pop.onclick = () => {
  const opened = window.open(APP + "/");
  setInterval(() => {
    let outcome = "refused";
    try { outcome = opened?.document.title || opened?.localStorage.secret ? "REACHED" : "refused"; } catch {}
    pop.textContent = "Opened: " + outcome;
  }, 100);
};
`);
}
