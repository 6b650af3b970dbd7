// Style sheets of modules, and those that the document links.

const OWNER = "data-sg-id";
const HREF = "data-sandglass-href";

/** Style elements by module id. */
export class Styles {
  readonly #elements = new Map<string, HTMLStyleElement>();

  /** Installs a module's sheet, or swaps the text of the one there is. */
  set(id: string, text: string): void {
    let element = this.#elements.get(id);
    if (element) {
      element.textContent = text;
      if (element.isConnected) return;
    } else {
      element = document.createElement("style");
      element.setAttribute(OWNER, id);
      element.textContent = text;
      this.#elements.set(id, element);
    }
    document.head.append(element);
  }

  /** Removes a module's sheet. */
  remove(id: string): void {
    this.#elements.get(id)?.remove();
    this.#elements.delete(id);
  }
}

/** Shows a new version of a sheet that the document links. `text`: where nobody answers requests. */
export function swapLinked(path: string, text: string | undefined, revision: number): void {
  if (text !== undefined) {
    for (const style of document.querySelectorAll(`style[${HREF}]`)) if (style.getAttribute(HREF) === path) style.textContent = text;
    return;
  }
  // A file of `/public` is linked without that.
  const shown = path.replace(/^\/public\//, "/");
  for (const link of document.querySelectorAll<HTMLLinkElement>('link[rel~="stylesheet"]')) {
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || (url.pathname !== path && url.pathname !== shown)) continue;
    url.searchParams.set("t", String(revision));
    const next = link.cloneNode() as HTMLLinkElement;
    next.href = url.href;
    // The old sheet stays until the new one is there: no moment without style.
    next.onload = next.onerror = () => link.remove();
    link.after(next);
  }
}
