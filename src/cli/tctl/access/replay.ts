import { replayAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { CodedError } from '../../../base/errors.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { formatPage } from '../../table.ts';
import { written } from '../../written.ts';
import { withAuth } from '../connect.ts';
import { momentOf } from './access-arguments.ts';
import { pagesOf } from './pages.ts';
import { rolesIn } from './read-roles.ts';

type Row = OutputOf<typeof replayAccess>['rows'][number];

const titles = ['Time (UTC)', 'Would be', 'User', 'Login', 'Node', 'Why'];

/**
 * `tctl access replay --roles=<file> --from=<time> [--to=<time>]`: page by page, each printed when it is
 * there. In JSON a line for each row.
 */
export async function replay(invocation: Invocation, io: CliIo): Promise<number> {
  const roles = await rolesIn(invocation.text('roles'), io);
  if (roles.length === 0) throw new CodedError('bad_request', '--roles: need a file of roles');
  const from = momentOf(invocation, io, 'from');
  if (from === undefined) throw new CodedError('bad_request', '--from: need a time');
  const to = momentOf(invocation, io, 'to') ?? io.world.now();
  const isJson = invocation.text('format') === 'json';
  const sums = { sessions: 0, refusals: 0, refused: 0, letIn: 0 };
  await withAuth(invocation, io, async (auth) => {
    const ask = (after: number | undefined) => auth.call(replayAccess, { roles, from, to, after });
    let isFirst = true;
    for await (const page of pagesOf(ask)) {
      if (isJson) await written(io.stdout, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      else if (page.rows.length > 0) {
        await written(io.stdout, formatPage(titles, page.rows.map(cellsOf), isFirst));
        isFirst = false;
      }
      sums.sessions += page.sessions;
      sums.refusals += page.refusals;
      for (const { status } of page.rows) sums[status === 'refused' ? 'refused' : 'letIn']++;
    }
  });
  const text = `${sums.refused} of ${sums.sessions} sessions would be refused, ${sums.letIn} of ${sums.refusals} refusals by roles let in\n`;
  (isJson ? io.stderr : io.stdout).write(text);
  return 0;
}

/** Where the roles of that time say the same, it is not these that make the difference. */
function cellsOf({ time, status, user, login, nodename, hostId, why, thenRoles }: Row): readonly string[] {
  const isSame = thenRoles === (status === 'refused' ? 'denied' : 'allowed');
  return [
    time.replace('T', ' ').replace('Z', ''),
    status === 'refused' ? 'refused' : 'let in',
    ...[user, login, nodename === '' ? (hostId ?? '') : nodename],
    `${why.join('; ')}${isSame ? ' (as by the roles of that time: the certificate had others)' : ''}`,
  ];
}
