import { listAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { formatPage } from '../../table.ts';
import { written } from '../../written.ts';
import { withAuth } from '../connect.ts';
import { momentOf } from './access-arguments.ts';
import { pagesOf } from './pages.ts';

type Row = OutputOf<typeof listAccess>['rows'][number];

const titles = ['User', 'Node', 'UUID', 'Logins', 'Roles', 'Locks'];

/**
 * `tctl access ls`: page by page, each printed when it is there. In JSON a line for each row: it has no end
 * that anybody has to wait for.
 */
export async function list(invocation: Invocation, io: CliIo): Promise<number> {
  const isJson = invocation.text('format') === 'json';
  const asked = {
    user: invocation.text('user'),
    node: invocation.text('node'),
    role: invocation.text('role'),
    at: momentOf(invocation, io, 'at'),
  };
  await withAuth(invocation, io, async (auth) => {
    const ask = (after: string | undefined) => auth.call(listAccess, { ...asked, after });
    let isFirst = true;
    for await (const page of pagesOf(ask)) {
      // The next page is asked for when this one has been read: it may be piped into something slow.
      if (isJson) await written(io.stdout, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      else if (isFirst || page.rows.length > 0)
        await written(io.stdout, formatPage(titles, page.rows.map(cellsOf), isFirst));
      for (const { text, user } of page.without) io.stderr.write(`${user}: ${text}\n`);
      isFirst = false;
    }
  });
  return 0;
}

const cellsOf = ({ user, nodename, hostId, logins, locks }: Row): readonly string[] => [
  user,
  nodename,
  hostId,
  logins.map(({ login }) => login).join(','),
  [...new Set(logins.flatMap(({ roles }) => roles))].join(','),
  locks.join('; '),
];
