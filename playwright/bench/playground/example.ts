// The example that every contestant runs: a counter in React and TypeScript with a little CSS.

/** What the heading says after that many edits. */
export function heading(edit: number): string {
  return `Edit ${edit}`;
}

/** The component. React is imported by name because playground-elements compiles JSX the classic way. */
export function app(edit: number): string {
  return `import React, { useState } from "react";

interface Props {
  step: number;
}

export function App({ step }: Props) {
  const [count, setCount] = useState<number>(0);
  return (
    <main>
      <h1>${heading(edit)}</h1>
      <p>Press the button to count.</p>
      <button type="button" onClick={() => setCount(count + step)}>
        Count is {count}
      </button>
    </main>
  );
}
`;
}

/** The entry. The component's import is written as TypeScript emits it: playground-elements needs the ending. */
export const MAIN = `import React from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.js";

createRoot(document.getElementById("root")!).render(<App step={1} />);
`;

export const STYLE = `main {
  max-width: 32rem;
  margin: 3rem auto;
  font: 16px/1.5 system-ui, sans-serif;
}

button {
  padding: 0.5rem 0.9rem;
  border: 1px solid #8884;
  border-radius: 0.5rem;
}
`;

/** The document; `script` is what the contestant calls the entry. */
export function html(script: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Counter</title>
    <link rel="stylesheet" href="./src/style.css">
  </head>
  <body>
    <div id="root"></div>
    <script type="module" src="${script}"></script>
  </body>
</html>
`;
}
