// The JavaScript side of the `sw` crate, as its glue generator writes it.

declare module "sw-glue" {
  /** The bundler of one worker; see `sw/src/engine.rs`. */
  export class Engine {
    constructor(config: object, emit: (message: unknown) => void);
    /** Answers a message; rejects with an `Error` in words. */
    request(message: unknown): Promise<unknown>;
    /** Answers a GET; undefined while nothing is mounted. */
    respond(path: string, query: string): Promise<unknown>;
    /** What a worker that wakes without memory should keep; undefined before the first good build. */
    pack(): unknown;
    /** Mounts what `pack` gave. */
    restore(project: string): Promise<void>;
  }
  /** Instantiates the module. */
  export default function init(options: { module_or_path: Response | WebAssembly.Module | Promise<Response> }): Promise<unknown>;
}
