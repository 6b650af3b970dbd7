// The client: drive a Sandglass preview from a page of your own.
//
//   const preview = await connect({ container, previewOrigin, id });
//   await preview.mount({ files: { "/index.html": "<h1>Hello</h1>" } });
//   await preview.write({ "/index.html": "<h1>Hello again</h1>" });

export { connect, Preview, type ConnectOptions, type PreviewEvents, type ProjectInput } from "./preview";
export { PreviewError, type FailureCode } from "./errors";
export { type Changes, type Files } from "./files";
export { sandboxId } from "./id";
export type * from "./protocol";
