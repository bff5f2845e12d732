export interface TestFile {
  /** From the root. */
  readonly path: string;
  /** How long it takes with nothing changed, its share of the start of the runner and of imports included. */
  readonly seconds: number;
}

const leastTestMs = 30_000;
const leastRunMs = 120_000;
/** So many times slower than with nothing changed is not a slow machine any more. */
const slower = 10;

/** When a test, and the run of all these files, counts as never ending. */
export function limitsFor(files: readonly TestFile[]): { readonly testMs: number; readonly runMs: number } {
  const ms = files.map(({ seconds }) => seconds * 1000);
  return {
    testMs: Math.ceil(Math.max(leastTestMs, slower * Math.max(0, ...ms))),
    runMs: Math.ceil(Math.max(leastRunMs, slower * ms.reduce((sum, one) => sum + one, 0))),
  };
}

/**
 * How long one file takes in a run of its own: the report has the time of its tests, and what the run of all
 * took besides is shared among them.
 * @param total of all workers together
 */
export function fileSeconds(ofTests: ReadonlyMap<string, number>, total: number): (file: string) => number {
  const inTests = [...ofTests.values()].reduce((sum, one) => sum + one, 0);
  const besides = Math.max(0, total - inTests) / Math.max(1, ofTests.size);
  return (file) => besides + (ofTests.get(file) ?? 1);
}

export type Verdict =
  | { readonly status: 'passed'; readonly seconds: ReadonlyMap<string, number> }
  | { readonly status: 'failed'; readonly by: string }
  /** It ran no test to its end: neither passed nor failed. */
  | { readonly status: 'broken'; readonly why: string };

/** The part of vitest's JSON report that is read here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly startTime: number;
    readonly endTime: number;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/**
 * What a run that ended says.
 * @param exit code, or the signal that ended the runner
 * @param text of its report, where it left one
 */
export function verdictOf(exit: number | NodeJS.Signals | null, text: string | undefined): Verdict {
  const results = resultsIn(text);
  if (results === undefined || results.length === 0)
    return { status: 'broken', why: `the test runner ended with ${exit} and reported no test` };
  if (exit === 0) {
    const seconds = results.map((one) => [one.name, (one.endTime - one.startTime) / 1000] as const);
    return { status: 'passed', seconds: new Map(seconds) };
  }
  if (typeof exit !== 'number') return { status: 'broken', why: `the test runner was ended by ${exit}` };
  for (const { name, message, assertionResults } of results) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed) return { status: 'failed', by: failed.fullName };
    if (message !== '') return { status: 'failed', by: `${name}: ${message.split('\n')[0] ?? ''}` };
  }
  return { status: 'failed', by: 'an error outside of any test' };
}

function resultsIn(text: string | undefined): Report['testResults'] | undefined {
  if (text === undefined) return undefined;
  try {
    return (JSON.parse(text) as Report).testResults;
  } catch (e) {
    // Cut off in the middle.
    if (!(e instanceof SyntaxError)) throw e;
    return undefined;
  }
}
