// The last line that a script can read: `12 passed, 0 failed`.

import type { FullResult, Reporter, Suite, TestCase } from "@playwright/test/reporter";

/** Counts outcomes; a skipped test is neither passed nor failed, and is named. */
export default class Summary implements Reporter {
  #tests: TestCase[] = [];
  #errors = 0;

  onBegin(_config: unknown, suite: Suite): void {
    this.#tests = suite.allTests();
  }

  /** An error outside of any test, e.g. in a module. */
  onError(): void {
    this.#errors++;
  }

  onEnd(_result: FullResult): void {
    const passed = this.#tests.filter((test) => ["expected", "flaky"].includes(test.outcome())).length;
    const skipped = this.#tests.filter((test) => test.outcome() === "skipped");
    for (const test of skipped) process.stdout.write(`skipped: ${test.titlePath().filter(Boolean).join(" › ")}\n`);
    process.stdout.write(`${passed} passed, ${this.#tests.length - passed - skipped.length + this.#errors} failed\n`);
  }

  /** The list reporter prints; this one only adds a line. */
  printsToStdio(): boolean {
    return false;
  }
}
