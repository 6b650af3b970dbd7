// React Refresh, loaded by documents that have React components.
//
// It has to be there before React: it hooks into what React looks for when it
// starts.

import * as refresh from "react-refresh/runtime";
import type { Refresh } from "./registry/registry";
import type { Sandglass } from "./runtime";

declare const __sg: Sandglass;

refresh.injectIntoGlobalHook(window);
__sg.refresh(refresh as unknown as Refresh);
