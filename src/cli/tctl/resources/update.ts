import { readResource, updateResource } from '../../../api/operations/resource.ts';
import { CodedError } from '../../../base/errors.ts';
import type { KindOfResource } from '../../../domain/resources/kind.ts';
import { parseReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { parseLabels } from '../../labels.ts';
import { withAuth } from '../connect.ts';
import { heardOrDone } from '../lost-answer.ts';
import { printWritten } from './write.ts';

/**
 * `tctl update <kind>/<name> --set-labels=…`: other labels in place of those that it has. Source: reference
 * 4.4, cli §2.4, where only remote clusters take it.
 */
export async function updateLabels(invocation: Invocation, io: CliIo): Promise<number> {
  const { kind, name } = parseReference(invocation.arg('resource') ?? '');
  const labels = invocation.text('set-labels');
  if (invocation.text('set-ttl') !== undefined)
    throw new CodedError(
      'bad_request',
      `--set-ttl: ${kind.notProlonged ?? `a ${kind.kind} does not expire`}`,
    );
  if (labels === undefined)
    throw new CodedError('bad_request', 'use --set-labels or --set-ttl flags to update a resource');
  requireLabelled(kind);
  if (name === undefined)
    throw new CodedError('bad_request', `need which ${kind.kind} to update: ${kind.kind}/<name>`);
  const set = parseLabels(labels);
  return withAuth(invocation, io, async (auth) => {
    const { document: before } = await auth.call(readResource, { kind: kind.kind, name });
    const metadata = { ...before.metadata, labels: Object.keys(set).length > 0 ? set : undefined };
    const document = { ...before, metadata };
    const written = await heardOrDone(auth.call(updateResource, { document, dryRun: false }), io);
    printWritten(document, written, false, io);
    return 0;
  });
}

function requireLabelled({ kind, labelled, notWritten }: KindOfResource): void {
  if (labelled === true) return;
  throw new CodedError('bad_request', `--set-labels: ${notWritten ?? `a ${kind} has no labels`}`);
}
