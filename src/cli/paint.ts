import { createColors } from "picocolors";

/** How the parts of a problem look; see formatProblem in config/. */
export interface ProblemPaint {
  readonly place: (text: string) => string;
  readonly path: (text: string) => string;
  readonly message: (text: string) => string;
  readonly quiet: (text: string) => string;
  readonly mark: (text: string) => string;
}

export interface ColourFacts {
  readonly interactive: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Colours are for a person at a terminal who did not say otherwise (no-color.org). */
function colours({ interactive, environment }: ColourFacts): ReturnType<typeof createColors> {
  const refused = (environment.NO_COLOR ?? "") !== "" || environment.TERM === "dumb";
  return createColors(interactive && !refused);
}

export function problemPaint(facts: ColourFacts): ProblemPaint {
  const { bold, cyan, dim, red } = colours(facts);
  return { place: bold, path: cyan, message: (text) => text, quiet: dim, mark: red };
}

export type PaintStyle = "bold" | "dim" | "green" | "red" | "yellow" | "cyan";

export function styledPaint(facts: ColourFacts): (style: PaintStyle, text: string) => string {
  const all = colours(facts);
  return (style, text) => all[style](text);
}
