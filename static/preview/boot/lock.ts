// One tab a sandbox: two would overwrite each other's files in the one worker.

const NAME = "sandglass";
// After a reload the tab's own page before may hold it for a moment.
const PATIENCE_MS = 400;

/** Holds the sandbox for as long as this page lives; false when another tab does. */
export async function holdSandbox(): Promise<boolean> {
  try {
    // Patience begins once another tab is known to hold it: a busy machine takes
    // its time to grant a free one, too, and must not be taken for another tab.
    return (await hold({ ifAvailable: true })) || (await hold({ signal: AbortSignal.timeout(PATIENCE_MS) }));
  } catch (error) {
    // Where storage is blocked there are no locks, and no worker to share either.
    return !(error instanceof DOMException && (error.name === "TimeoutError" || error.name === "AbortError"));
  }
}

function hold(options: LockOptions): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(NAME, options, (lock) => {
        resolve(lock !== null);
        return lock === null ? undefined : new Promise(() => {});
      })
      .catch(reject);
  });
}
