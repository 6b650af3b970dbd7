/** Returns a function that counts up from zero. */
export function counter(): () => number {
  let value = -1;
  return () => ++value;
}
