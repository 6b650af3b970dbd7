// The part of react-refresh's runtime that is called by name.

declare module "react-refresh/runtime" {
  export function injectIntoGlobalHook(window: Window): void;
}
