// Small projects that several journeys use.

import type { Example } from "./docs";

/** A component with state, an input and a style sheet, on top of the React template. */
export const COUNTER: Example = {
  attributes: { extends: "react-ts" },
  files: {
    "/src/App.tsx": `import { useState } from "react";

export function App() {
  const [count, setCount] = useState(0);
  return (
    <main>
      <h1>Hello</h1>
      <label>Note <input /></label>
      <button onClick={() => setCount(count + 1)}>Count is {count}</button>
    </main>
  );
}
`,
    "/src/style.css": `h1 {
  color: rgb(200, 0, 0);
}
`,
  },
};

/** A page without packages: `main` is its module. */
export function plain(main: string, files: Record<string, string> = {}): Example {
  return {
    files: {
      "/src/main.ts": main,
      "/index.html": `<!doctype html>
<html lang="en">
<body><div id="root"></div><script type="module" src="/src/main.ts"></script></body>
</html>
`,
      ...files,
    },
  };
}
