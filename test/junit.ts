/** What one run of tests did, read from the JUnit report that Bun, Node and Deno write. */
export interface TestReport {
  readonly passed: number;
  readonly failed: number;
  /** Names of the tests that did not run; a name says what is missing. */
  readonly skipped: readonly string[];
}

const testCase = /<testcase name="([^"]*)"([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs;

export function readReport(xml: string): TestReport {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const [, name = "", attributes = "", content = ""] of xml.matchAll(testCase)) {
    // Bun names the `describe` there, the others say nothing of use.
    const group = /^ classname="([^"]*)"/.exec(attributes)?.[1] ?? "";
    if (/<(failure|error)\b/.test(content)) failed += 1;
    else if (content.includes("<skipped")) skipped.push([group, name].filter(Boolean).map(plain).join(" > "));
    else passed += 1;
  }
  return { passed, failed, skipped };
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function plain(text: string): string {
  return text.replace(/&(lt|gt|quot|apos|amp);/g, (whole, name: string) => entities[name] ?? whole);
}
