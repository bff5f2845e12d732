import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { CodedError, messageOf } from '../../base/errors.ts';
import { fileSchema, type ConfigFile } from './config-schema.ts';
import { faultIn, offsetOf } from './yaml-faults.ts';

/**
 * Reads teleport.yaml.
 * @param name how errors call the text: its path, or `--config-string`.
 * @throws CodedError `misconfigured` with file, line, column and field of the first fault. A known key in the
 *   wrong section is a fault too (4.4 ignored it).
 */
export const parseConfigFile = (text: string, name: string): ConfigFile => parseYaml(text, name, fileSchema);

/** The same for any text with the form of `schema`. */
export function parseYaml<T>(text: string, name: string, schema: z.ZodType<T>): T {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  const broken = document.errors[0];
  if (broken) throw new CodedError('misconfigured', `${at(broken.pos[0])}: ${broken.message}`);
  let content: unknown;
  try {
    content = document.toJS();
  } catch (e) {
    // An alias without its anchor, or aliases that expand without end.
    throw new CodedError('misconfigured', `${name}: ${messageOf(e)}`);
  }
  const parsed = schema.safeParse(content ?? {});
  if (parsed.success) return parsed.data;
  const { path, unknownKey, message } = faultIn(parsed.error.issues);
  const place = at(offsetOf(document, path));
  const inside = path.slice(0, -1).join('.');
  throw new CodedError(
    'misconfigured',
    unknownKey === undefined
      ? `${place}: ${path.length > 0 ? `${path.join('.')}: ` : ''}${message}`
      : `${place}: unrecognized configuration key: '${unknownKey}'${inside === '' ? '' : ` in ${inside}`}`,
  );
}
