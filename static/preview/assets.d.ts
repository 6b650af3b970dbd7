// What the build writes into our scripts.

/** URLs on the preview origin; those that aren't known yet when a script is built are "". */
declare const ASSETS: {
  readonly runtime: string;
  readonly refresh: string;
  readonly wasm: string;
  readonly worker: string;
  readonly boot: string;
  readonly version: string;
};
