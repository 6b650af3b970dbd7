// What can go wrong between a page and a preview, with what to do about it.

/** Which step failed. */
export type FailureCode = "blocked" | "offline" | "unreachable" | "busy" | "closed" | "refused";

/** An error that a reader can act on: `message` says what happened, `remedy` what to do. */
export class PreviewError extends Error {
  override readonly name = "PreviewError";

  constructor(
    readonly code: FailureCode,
    message: string,
    readonly remedy = "",
  ) {
    super(message);
  }
}

/** The page's content security policy refused the frame. */
export function blocked(origin: string): PreviewError {
  return new PreviewError(
    "blocked",
    "This page doesn't allow the preview's frame.",
    `Add ${origin} to frame-src in the page's Content-Security-Policy.`,
  );
}

/** No hello came in time. */
export function silent(origin: string): PreviewError {
  if (!navigator.onLine) {
    return new PreviewError("offline", "You are offline, and this preview hasn't been loaded here before.", "Connect to the network and try again.");
  }
  return new PreviewError(
    "unreachable",
    `The preview at ${origin} doesn't answer.`,
    "Check that its server runs and that no extension blocks it, then try again.",
  );
}
