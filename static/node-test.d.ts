// As much of Node's types as the tests use. All of them would make `setTimeout`
// and other globals of the browser ambiguous.

declare module "node:test" {
  export function test(name: string, body: () => void | Promise<void>): void;
}

declare module "node:assert/strict" {
  type Message = RegExp | Record<string, unknown> | ((error: unknown) => boolean);
  const assert: {
    ok(value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    throws(body: () => unknown, expected?: Message): void;
    rejects(promise: Promise<unknown> | (() => Promise<unknown>), expected?: Message): Promise<void>;
  };
  export default assert;
}
