import { listAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { formatTable } from '../../table.ts';
import { written } from '../../written.ts';
import { withAuth } from '../connect.ts';
import { momentOf } from './access-arguments.ts';

type Page = OutputOf<typeof listAccess>;
type Row = Page['rows'][number];

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
    let after: string | undefined;
    let isFirst = true;
    do {
      const page: Page = await auth.call(listAccess, { ...asked, ...(after !== undefined && { after }) });
      // The next page is asked for when this one has been read: it may be piped into something slow.
      if (isJson) await written(io.stdout, page.rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
      else if (isFirst || page.rows.length > 0) await written(io.stdout, tableOf(page.rows, isFirst));
      for (const { text, user } of page.without) io.stderr.write(`${user}: ${text}\n`);
      after = page.next;
      isFirst = false;
    } while (after !== undefined);
  });
  return 0;
}

/** Each page is as wide as its own cells want; the titles stand above the first. */
function tableOf(rows: readonly Row[], withTitles: boolean): string {
  const table = formatTable(titles, rows.map(cellsOf));
  return withTitles ? table : table.split('\n').slice(2).join('\n');
}

const cellsOf = ({ user, nodename, hostId, logins, locks }: Row): readonly string[] => [
  user,
  nodename,
  hostId,
  logins.map(({ login }) => login).join(','),
  [...new Set(logins.flatMap(({ roles }) => roles))].join(','),
  locks.join('; '),
];
