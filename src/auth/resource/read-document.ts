import { CodedError } from '../../base/errors.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import { kindNamed } from '../../domain/resources/registry.ts';

/**
 * A document as its kind reads it.
 * @throws CodedError `bad_request` with the place of the first fault, `spec.allow.logins[0]: …`.
 */
export function readDocument(given: { readonly kind: string }): ResourceDocument {
  const kind = kindNamed(given.kind);
  const read = kind.schema.safeParse(given);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  const place = (issue?.path ?? [])
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  throw new CodedError(
    'bad_request',
    `${place.replace(/^\./, '')}${place === '' ? '' : ': '}${issue?.message ?? ''}`,
  );
}
