// Getting a service worker, keeping it awake while it is looked at, noticing that it was stopped.

import type { FromWorker, WorkerCall } from "../worker/protocol";
import { Link, type LinkEvents } from "./link";
import { listen } from "../ports";

const SCRIPT = "/sandglass-sw.js";
// The first time, the worker has the whole bundler to fetch before it is active.
const ACTIVE_MS = 30_000;
const HELLO_MS = 10_000;
const KEEP_MS = 10_000;

interface Greeting {
  port: MessagePort;
  instance: string;
  boot: string;
}

/** Connects to the service worker; rejects with a reason, in words, where there can't be one. */
export async function openService(events: LinkEvents, ownScript: string): Promise<Link> {
  const container = serviceWorkers();
  const registration = await container.register(SCRIPT).catch((error: unknown) => {
    throw new Error(whyRefused(error));
  });
  let worker = await active(registration);
  let greeting = await greet(worker);
  if (greeting.boot !== ownScript) {
    worker = await replaced(registration, worker);
    greeting = await greet(worker);
    if (greeting.boot !== ownScript) throw new Error("The service worker is of another version than this page.");
  }
  const link = new Link("worker", undefined, events);
  link.adopt(greeting.port);
  stayConnected(link, registration, greeting.instance);
  return link;
}

function serviceWorkers(): ServiceWorkerContainer {
  let container: ServiceWorkerContainer | undefined;
  try {
    container = navigator.serviceWorker;
  } catch {
    throw new Error("The browser blocks service workers in this frame.");
  }
  if (container) return container;
  throw new Error(isSecureContext ? "This browser has no service workers here." : "Service workers need HTTPS or localhost.");
}

function whyRefused(error: unknown): string {
  const { name, message } = error as { name?: string; message?: string };
  if (name === "SecurityError" || name === "NotAllowedError" || /denied permission|storage/i.test(message ?? "")) {
    return "The browser refuses a service worker in this frame, as it does where third-party storage is blocked.";
  }
  return `The service worker couldn't be registered: ${message ?? String(error)}`;
}

function active(registration: ServiceWorkerRegistration): Promise<ServiceWorker> {
  if (registration.active) return Promise.resolve(registration.active);
  const worker = registration.installing ?? registration.waiting;
  if (!worker) return Promise.reject(new Error("The service worker went away."));
  return reached(worker, "activated");
}

function reached(worker: ServiceWorker, state: ServiceWorkerState): Promise<ServiceWorker> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The service worker didn't start in time.")), ACTIVE_MS);
    const look = () => {
      if (worker.state !== state && worker.state !== "redundant") return;
      clearTimeout(timer);
      worker.removeEventListener("statechange", look);
      if (worker.state === state) resolve(worker);
      else reject(new Error("The service worker couldn't be installed."));
    };
    worker.addEventListener("statechange", look);
    look();
  });
}

/** A page of a new version, a worker of the old: the new worker takes over. */
async function replaced(registration: ServiceWorkerRegistration, old: ServiceWorker): Promise<ServiceWorker> {
  await registration.update();
  const next = registration.installing ?? registration.waiting;
  if (!next) return registration.active ?? old;
  if (next.state === "installing") await reached(next, "installed");
  next.postMessage({ type: "activate" } satisfies WorkerCall);
  return reached(next, "activated");
}

function greet(worker: ServiceWorker): Promise<Greeting> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("The service worker doesn't answer.")), HELLO_MS);
    listen(port1, (data) => {
      const message = data as FromWorker;
      if (message.type !== "hello") return;
      clearTimeout(timer);
      resolve({ port: port1, instance: message.instance, boot: message.boot });
    });
    worker.postMessage({ type: "connect" } satisfies WorkerCall, [port2]);
  });
}

function stayConnected(link: Link, registration: ServiceWorkerRegistration, first: string): void {
  let instance = first;
  let greeting: Promise<void> | undefined;
  const reconnect = () => {
    greeting ??= again().finally(() => (greeting = undefined));
    return greeting;
  };
  const again = async () => {
    const worker = registration.active;
    if (!worker) return;
    const next = await greet(worker).catch(() => undefined);
    // In the middle of a long build; it answers when that is done.
    if (!next) return;
    link.adopt(next.port);
    if (next.instance === instance) return;
    instance = next.instance;
    await link.resume();
  };
  link.onSilence(() => void reconnect());
  navigator.serviceWorker.onmessage = (event) => {
    if ((event.data as { type?: unknown } | null)?.type === "stranger") void reconnect();
  };
  const keep = () => {
    // Hidden, a preview costs nothing: the browser may stop its worker.
    if (document.visibilityState === "visible") registration.active?.postMessage({ type: "keep", instance } satisfies WorkerCall);
  };
  setInterval(keep, KEEP_MS);
  document.addEventListener("visibilitychange", keep);
}
