import { explainAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { withAuth } from '../connect.ts';
import { momentOf, readTarget } from './access-arguments.ts';

type Explained = OutputOf<typeof explainAccess>;
type Login = Explained['nodes'][number]['logins'][number];

/**
 * `tctl access explain [--at=<time>] <user> [<login>@]<node>`. The status is 0 for a no as well: it is an
 * answer.
 */
export async function explain(invocation: Invocation, io: CliIo): Promise<number> {
  const user = invocation.arg('user') ?? '';
  const asked = readTarget(invocation.arg('node') ?? '');
  const at = momentOf(invocation, io, 'at');
  const explained = await withAuth(invocation, io, (auth) =>
    auth.call(explainAccess, { user, ...asked, ...(at !== undefined && { at }) }),
  );
  if (invocation.text('format') === 'json') io.stdout.write(`${JSON.stringify(explained, undefined, 4)}\n`);
  else io.stdout.write(textOf(user, explained));
  return 0;
}

function textOf(user: string, { user: { requests }, nodes, leftOut }: Explained): string {
  const paragraphs = nodes.flatMap(({ hostId, nodename, logins }) => {
    const called = nodes.length > 1 ? `${nodename} (${hostId})` : nodename;
    return logins.map((login) => paragraphOf(user, called, login));
  });
  const more = [
    ...(leftOut.nodes > 0 ? [`${leftOut.nodes} more nodes have this name: give the UUID of one\n`] : []),
    ...(leftOut.logins > 0 ? [`${leftOut.logins} more logins: give one, login@node\n`] : []),
  ];
  const byRequest = requests.map(
    ({ requestId, roles, expiresAt }) =>
      `${user} has ${roles.join(', ')} by access request ${requestId} until ${expiresAt}, with a certificate that names it\n`,
  );
  return [...paragraphs, ...byRequest, ...more].join('\n');
}

function paragraphOf(user: string, node: string, { login, status, reasons, near, changes }: Login): string {
  const lines = [
    `${user} as ${login} on ${node}: ${status === 'allowed' ? 'yes' : 'no'}`,
    ...[...reasons, ...near].map(({ text }) => `  ${text}`),
  ];
  if (changes.length > 0)
    lines.push('  What would have to change:', ...changes.map((change) => `    ${change}`));
  return `${lines.join('\n')}\n`;
}
