import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { CodedError, messageOf } from '../../../base/errors.ts';
import { anyKey, foreignRecord } from '../../../base/foreign-record.ts';
import { nearest } from '../../../base/nearest.ts';
import { faultIn, offsetOf } from '../../../process/configuration/yaml-faults.ts';

const expectation = z
  .strictObject({
    user: z.string().min(1).max(128),
    login: z.string().min(1).max(128),
    node: z.string().min(1).max(255).optional(),
    labels: foreignRecord(anyKey, z.string().max(4_096)).optional(),
    expect: z.enum(['allow', 'deny'], { error: 'either allow or deny' }),
  })
  .refine(({ node, labels }) => (node === undefined) !== (labels === undefined), {
    message: 'either node (its name or UUID) or labels, one of them',
  });
export type Expectation = z.infer<typeof expectation>;

export interface PlacedExpectation {
  readonly expectation: Expectation;
  /** `file:line:column` of its beginning. */
  readonly place: string;
}

/** The longest file that is read. */
const longest = 16_000_000;

/**
 * A list of expectations, YAML or JSON.
 * @param name how errors call the file.
 * @throws CodedError `bad_request` with file, line and column of the first fault.
 */
export function readExpectations(text: string, name: string): readonly PlacedExpectation[] {
  const bad = (at: string, why: string, e?: unknown): CodedError =>
    new CodedError('bad_request', `${at}: ${why}`, { cause: e });
  if (text.length > longest) throw bad(name, `a file of expectations has at most ${longest} characters`);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const [broken] = document.errors;
  if (broken) throw bad(at(broken.pos[0]), broken.message);
  const place = (path: readonly string[]): string => at(offsetOf(document, path));
  const read = z
    .array(expectation, { error: 'a list of expectations: "- {user: …, login: …, node: …, expect: allow}"' })
    .safeParse(contentOf());
  if (read.success) return read.data.map((one, i) => ({ expectation: one, place: place([String(i)]) }));
  const { path, unknownKey, message } = faultIn(read.error.issues);
  if (unknownKey === undefined) throw bad(place(path), message);
  const near = nearest(unknownKey, Object.keys(expectation.shape));
  throw bad(
    place(path),
    `unknown key ${JSON.stringify(unknownKey)}${near === undefined ? '' : `; did you mean ${near}?`}`,
  );

  function contentOf(): unknown {
    try {
      return document.toJS();
    } catch (e) {
      // An alias without its anchor, or aliases that expand without end.
      throw bad(at(0), messageOf(e), e);
    }
  }
}
