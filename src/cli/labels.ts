import { CodedError } from '../base/errors.ts';
import { emptyRecord } from '../base/foreign-record.ts';
import { isLabelKey } from '../domain/host-text.ts';

/**
 * Reads `key=value,key2="a, b"`. A comma ends a label unless it is in double quotes.
 * @throws CodedError `bad_request`.
 */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  const label = /\s*([^=,"\s]+)\s*=\s*(?:"([^"]*)"|([^",]*))\s*(,|$)/y;
  const labels = emptyRecord<string>();
  while (label.lastIndex < text.length) {
    const at = label.lastIndex;
    const match = label.exec(text);
    if (match === null)
      throw new CodedError('bad_request', `labels '${text}': expected key=value at '${text.slice(at)}'`);
    const key = match[1] ?? '';
    if (!isLabelKey(key))
      throw new CodedError(
        'bad_request',
        `labels '${text}': ${JSON.stringify(key)} is not the name of a label`,
      );
    labels[key] = match[2] ?? match[3]?.trim() ?? '';
  }
  return labels;
}
