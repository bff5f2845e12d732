import { deleteResource } from '../../../api/operations/resource.ts';
import { CodedError } from '../../../base/errors.ts';
import { parseReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { heardOrDone } from '../lost-answer.ts';
import { yamlOf } from './print-documents.ts';

/** `tctl rm [--dry-run] <kind>/<name>` */
export async function removeResource(invocation: Invocation, io: CliIo): Promise<number> {
  const text = invocation.arg('resource') ?? '';
  const { kind, name } = parseReference(text);
  if (kind.notDeleted !== undefined)
    throw new CodedError('bad_request', `${kind.kind} is not deleted: ${kind.notDeleted}`);
  if (name === undefined)
    throw new CodedError('bad_request', `need which ${kind.kind} to delete: ${kind.kind}/<name>`);
  const dryRun = invocation.on('dry-run');
  const answer = await withAuth(invocation, io, (auth) =>
    heardOrDone(auth.call(deleteResource, { kind: kind.kind, name, dryRun }), io),
  );
  // 4.4 prints hosts without quotes.
  const called = kind.kind === 'node' ? name : JSON.stringify(name);
  io.stdout.write(`${kind.kind} ${called} ${dryRun ? 'would be' : 'has been'} deleted\n`);
  if (dryRun && answer) io.stdout.write(yamlOf(answer.before));
  return 0;
}
