// Ports, used so that nobody can listen in.
//
// User code can reach its own window and, when a service worker runs it, that of
// the boot page too, and replace methods of `MessagePort` or getters of
// `MessageEvent` with ones that keep what they are called on. So the real ones
// are taken here, before any such code runs, and called directly.

const uncurried = <T>(method: unknown) => Function.prototype.call.bind(method as () => void) as T;
const accessor = (prototype: object, name: string) => Object.getOwnPropertyDescriptor(prototype, name)!;

const readData = uncurried<(event: MessageEvent) => unknown>(accessor(MessageEvent.prototype, "data").get);
const setListener = uncurried<(port: MessagePort, listener: (event: MessageEvent) => void) => void>(accessor(MessagePort.prototype, "onmessage").set);

/** `port.postMessage(message)` */
export const post = uncurried<(port: MessagePort, message: unknown) => void>(MessagePort.prototype.postMessage);

/** `port.close()` */
export const close = uncurried<(port: MessagePort) => void>(MessagePort.prototype.close);

/** Calls `take` with the data of each message. */
export function listen(port: MessagePort, take: (data: unknown) => void): void {
  setListener(port, (event) => take(readData(event)));
}
