/** The one door for filter authors: `import { defineFilter, z } from "clearway/plugin"`. */
export { z } from "zod";
