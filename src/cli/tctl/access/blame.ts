import { blameAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { CodedError } from '../../../base/errors.ts';
import { printableLine } from '../../../base/printable.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { readTarget } from './access-arguments.ts';
import { changeText, ranOutText } from './change-text.ts';

type Blamed = OutputOf<typeof blameAccess>['nodes'][number];

/** `tctl access blame <user> <login>@<node>`. The status is 0 for a no as well: it is an answer. */
export async function blame(invocation: Invocation, io: CliIo): Promise<number> {
  const user = invocation.arg('user') ?? '';
  const { login, node } = readTarget(invocation.arg('node') ?? '');
  if (login === undefined)
    throw new CodedError(
      'bad_request',
      `need login@node: by what ${JSON.stringify(node)} is entered as whom`,
    );
  const blamed = await withAuth(invocation, io, (auth) => auth.call(blameAccess, { user, login, node }));
  if (invocation.text('format') === 'json') io.stdout.write(`${JSON.stringify(blamed, undefined, 4)}\n`);
  else {
    const isOne = blamed.nodes.length === 1;
    io.stdout.write(blamed.nodes.map((one) => blameText(one, { user, login, isOne })).join('\n'));
    if (blamed.leftOut > 0)
      io.stdout.write(`\n${blamed.leftOut} more nodes have this name: give the UUID of one\n`);
  }
  return 0;
}

export function blameText(
  { hostId, nodename, status, reasons, grants, since }: Blamed,
  { user, login, isOne }: { readonly user: string; readonly login: string; readonly isOne: boolean },
): string {
  const place = isOne ? nodename : `${nodename} (${hostId})`;
  const isAllowed = status === 'allowed';
  const lines = [
    printableLine(`${user} as ${login} on ${place}: ${isAllowed ? 'yes' : 'no'}`),
    ...reasons.flatMap(({ text, role }) => {
      const by = isAllowed ? (grants.find((one) => one.role === role)?.by ?? []) : [];
      return [`  ${printableLine(text)}`, ...by.map((event) => `    ${changeText(event)}`)];
    }),
    `  ${sinceText(since, isAllowed)}`,
  ];
  return `${lines.join('\n')}\n`;
}

function sinceText(since: Blamed['since'], isAllowed: boolean): string {
  if (since === undefined)
    return isAllowed ? 'The log does not have the change that gave it' : 'It was never granted';
  const by = since.by === undefined ? ranOutText(since.at) : changeText(since.by);
  return `${isAllowed ? 'Given' : 'Taken away'} last: ${by}`;
}
