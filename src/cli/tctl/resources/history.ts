import { readResourceHistory } from '../../../api/operations/resource.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { CodedError } from '../../../base/errors.ts';
import { printableLine } from '../../../base/printable.ts';
import type { ResourceReference } from '../../../domain/resources/registry.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { parseNumber } from '../../duration.ts';
import { withAuth } from '../connect.ts';
import { differenceOf } from './difference.ts';
import { yamlOf } from './print-documents.ts';

type Version = OutputOf<typeof readResourceHistory>['versions'][number];

/** `tctl get <kind>/<name> --history` */
export async function printHistory(
  invocation: Invocation,
  { kind, name }: ResourceReference,
  io: CliIo,
): Promise<number> {
  if (name === undefined)
    throw new CodedError('bad_request', `--history: need one resource: ${kind.kind}/<name>`);
  if (invocation.given('at'))
    throw new CodedError('bad_request', '--history and --at do not go together: a history has every time');
  const limit = parseNumber(invocation.text('limit') ?? '', { min: 1, max: 1_000 }, '--limit');
  const { versions, truncated } = await withAuth(invocation, io, (auth) =>
    auth.call(readResourceHistory, { kind: kind.kind, name, limit }),
  );
  if (invocation.text('format') === 'json') io.stdout.write(`${JSON.stringify(versions, undefined, 4)}\n`);
  else io.stdout.write(historyText(versions, truncated));
  if (truncated) io.stderr.write('Older versions are not shown.\n');
  return 0;
}

/** The newest first, each with its difference to the one before. */
export const historyText = (versions: readonly Version[], truncated: boolean): string =>
  versions
    .map((version, i) => `${headOf(version)}\n${changeOf(version, versions[i - 1], truncated && i === 0)}`)
    .reverse()
    .join('\n');

const headOf = ({ at, status, actor, requestId, position }: Version): string =>
  `${at} ${status} by ${printableLine(actor)}, request ${printableLine(requestId)}, event ${position}`;

/** What the first of a part of a history replaced is not known: then it is printed whole. */
function changeOf(version: Version, before: Version | undefined, isPart: boolean): string {
  if (version.status === 'unreadable')
    return '  a newer release wrote this, and the auth server cannot read it\n';
  const text = textOf(version);
  if (isPart || before?.status === 'unreadable') return whole(text, ' ');
  if (before?.document === undefined) return whole(text, '+');
  return text === '' ? whole(textOf(before), '-') : differenceOf(textOf(before), text);
}

const whole = (text: string, sign: ' ' | '+' | '-'): string =>
  text === '' ? '' : text.replace(/^/gm, `${sign} `) + '\n';

const textOf = ({ document }: Version): string => (document === undefined ? '' : yamlOf(document).trimEnd());
