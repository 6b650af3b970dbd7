import assert from "node:assert/strict";
import { test } from "node:test";
import { Watchdog } from "./watchdog";

/**
 * Plays a script, one letter a step, and returns what the watchdog did.
 * `.` a second goes by · `b` a beat · `m` another message · `h`/`v` hidden or
 * visible from here on · `z` the page itself slept for a minute.
 */
function play(script: string): string {
  let now = 0;
  let visible = true;
  const told: string[] = [];
  const dog = new Watchdog({
    now: () => now,
    visible: () => visible,
    ask: () => told.push("ask"),
    hung: () => told.push("hung"),
    recovered: () => told.push("recovered"),
  });
  dog.start();
  for (const step of script) {
    if (step === "b" || step === "m") dog.sign(step === "b");
    else if (step === "h" || step === "v") visible = step === "v";
    else {
      now += step === "z" ? 60_000 : 1_000;
      dog.tick();
    }
  }
  dog.stop();
  return told.join(" ");
}

function check(script: string, expected: string): void {
  assert.equal(play(script), expected, script);
}

test("a preview with a heartbeat has hung after four silent seconds", () => {
  check("b.b.b.b.b.b.b.", "");
  check("b...", "");
  check("b....", "hung");
  check("b........", "hung");
});

test("one that never beat is asked first", () => {
  check("....", "ask");
  check("....m...", "ask");
  check("........", "ask hung");
});

test("any message is a recovery, and a second silence is told again", () => {
  check("b....m", "hung recovered");
  check("b....b....", "hung recovered hung");
});

test("a hidden or sleeping page blames nobody", () => {
  check("bh..........", "");
  check("bh..........v...", "");
  check("bh..........v....", "hung");
  check("bz", "");
  check("bz...", "");
});
