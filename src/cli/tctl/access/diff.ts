import { diffAccess } from '../../../api/operations/access.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { printableLine } from '../../../base/printable.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { parseMoment } from '../../duration.ts';
import { written } from '../../written.ts';
import { withAuth } from '../connect.ts';
import { changeText, ranOutText } from './change-text.ts';
import { pagesOf } from './pages.ts';

type Row = OutputOf<typeof diffAccess>['rows'][number];

/**
 * `tctl access diff <time> [<time>]`: page by page, each printed when it is there. In JSON a line for each
 * row.
 */
export async function diff(invocation: Invocation, io: CliIo): Promise<number> {
  const now = io.world.now();
  const second = invocation.arg('to');
  const asked = {
    from: parseMoment(invocation.arg('from') ?? '', now, 'the first time'),
    to: second === undefined ? undefined : parseMoment(second, now, 'the second time'),
    user: invocation.text('user'),
    node: invocation.text('node'),
  };
  const isJson = invocation.text('format') === 'json';
  let count = 0;
  await withAuth(invocation, io, async (auth) => {
    const ask = (after: string | undefined) => auth.call(diffAccess, { ...asked, after });
    for await (const { rows } of pagesOf(ask)) {
      const texts = rows.map((row) => (isJson ? `${JSON.stringify(row)}\n` : diffText(row)));
      await written(io.stdout, texts.join(''));
      count += rows.length;
    }
  });
  if (count === 0 && !isJson) io.stdout.write('Nobody gained or lost a login\n');
  return 0;
}

/** Below each pair what gave or took the logins. */
export function diffText({ user, nodename, hostId, changes }: Row): string {
  const head = printableLine(`${user} on ${nodename} (${hostId})`);
  const lines = changes.flatMap(({ gained, lost, at, by }) => [
    ...(gained.length > 0 ? [`  gained ${printableLine(gained.join(', '))}`] : []),
    ...(lost.length > 0 ? [`  lost ${printableLine(lost.join(', '))}`] : []),
    `    ${by === undefined ? ranOutText(at) : changeText(by)}`,
  ]);
  return `${[head, ...lines].join('\n')}\n`;
}
