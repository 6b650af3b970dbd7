// The document's port to the boot page.
//
// The runtime is the document's first script, so nothing of the user's has run
// when it opens the port; it stays in a closure. Opened by itself, in a tab,
// a document has no boot page and runs without updates.

import type { FromDocument, ToDocument } from "../messages";
import { listen, post } from "../ports";

/** Document → window of the boot page, once, with a port. */
export const DOCUMENT_HELLO = "sandglass-document";

/** Opens the port. `send` does nothing where there is no boot page. */
export function openChannel(receive: (message: ToDocument) => void): (message: FromDocument) => void {
  if (window.parent === window) return () => {};
  const { port1, port2 } = new MessageChannel();
  listen(port1, (data) => receive(data as ToDocument));
  // The boot page checks who sends this; whoever else frames a document learns nothing from it.
  window.parent.postMessage(DOCUMENT_HELLO, "*", [port2]);
  return (message) => post(port1, message);
}
