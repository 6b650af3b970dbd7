// The one script that a page includes:
//
//   <script type="module" src="https://app.example.net/sandglass-playground.js"></script>
//   <sandglass-playground template="react-ts"></sandglass-playground>
//
// The address of the previews is set before the element can ask for it, hence the order.

import "./origin";
import "./element";

export { SandglassPlayground } from "./element";
