// One tab a sandbox: two would overwrite each other's files in the one worker.

const NAME = "sandglass";
// After a reload the tab's own page before may hold it for a moment.
const PATIENCE_MS = 400;

/** Holds the sandbox for as long as this page lives; false when another tab does. */
export async function holdSandbox(): Promise<boolean> {
  try {
    return await new Promise<boolean>((resolve, reject) => {
      navigator.locks
        .request(NAME, { signal: AbortSignal.timeout(PATIENCE_MS) }, () => {
          resolve(true);
          return new Promise(() => {});
        })
        .catch(reject);
    });
  } catch (error) {
    // Where storage is blocked there are no locks, and no worker to share either.
    return !(error instanceof DOMException && (error.name === "TimeoutError" || error.name === "AbortError"));
  }
}
