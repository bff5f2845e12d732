import { deleteToken, listTokens as tokenList } from '../../api/operations/token.ts';
import type { OutputOf } from '../../api/operation.ts';
import { CodedError, isCoded } from '../../base/errors.ts';
import { msBetween } from '../../base/time.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatGoDuration } from '../duration.ts';
import { formatTable } from '../table.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';

type Token = OutputOf<typeof tokenList>['tokens'][number];

/**
 * `tctl tokens ls`. Shows ids, never secrets. Columns for joins and uses appear where they have something to
 * show.
 */
export async function listTokens(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const { tokens } = await ask(invocation, io, (auth) => auth.call(tokenList, {}));
  if (invocation.text('format') === 'json') {
    io.stdout.write(`${JSON.stringify(tokens.map(resourceOf), undefined, 4)}\n`);
    return 0;
  }
  if (tokens.length === 0) {
    io.stdout.write('No active tokens found.\n');
    return 0;
  }
  const now = io.world.now();
  const columns: { readonly title: string; readonly cell: (token: Token) => string }[] = [
    { title: 'Token', cell: ({ tokenId }) => tokenId },
    { title: 'Type', cell: ({ roles }) => roles.join(',') },
    { title: 'Expiry Time (UTC)', cell: ({ expiresAt }) => expiryText(expiresAt, now) },
  ];
  if (tokens.some(({ joined }) => joined > 0))
    columns.push({ title: 'Joined', cell: (one) => String(one.joined) });
  if (tokens.some(({ usesLeft }) => usesLeft !== null))
    columns.push({
      title: 'Uses left',
      cell: ({ usesLeft }) => (usesLeft === null ? 'any' : String(usesLeft)),
    });
  if (tokens.some(({ names }) => names.length > 0))
    columns.push({ title: 'Names', cell: ({ names }) => (names.length === 0 ? 'any' : names.join(',')) });
  io.stdout.write(
    formatTable(
      columns.map(({ title }) => title),
      tokens.map((token) => columns.map(({ cell }) => cell(token))),
    ),
  );
  return 0;
}

/** `tctl tokens rm` */
export async function removeToken(invocation: Invocation, io: CliIo, ask = withAuth): Promise<number> {
  const token = (invocation.arg('token') ?? '').trim();
  if (token === '') throw new CodedError('bad_request', 'Need an argument: token');
  const removed = ask(invocation, io, (auth) => heardOrDone(auth.call(deleteToken, { token }), io));
  await removed.catch((e: unknown) => {
    if (!isCoded(e, 'not_found')) throw e;
    throw new CodedError('not_found', `key /tokens/${token} is not found`, { cause: e });
  });
  io.stdout.write(`Token ${token} has been deleted\n`);
  return 0;
}

/** The form of 4.4, with the id in place of the secret. */
const resourceOf = ({ tokenId, roles, expiresAt, origin, joined, usesLeft, names }: Token): object => ({
  kind: 'token',
  version: 'v2',
  metadata: { name: tokenId, expires: expiresAt ?? '1970-01-01T00:00:00Z' },
  spec: { roles, ...(names.length === 0 ? {} : { names }) },
  status: { origin, joined, uses_left: usesLeft },
});

/** `02 Jan 06 15:04 UTC (59m0s)` */
function expiryText(expiresAt: string | null, now: string): string {
  if (expiresAt === null) return 'never';
  const [, day = '', month = '', year = '', time = ''] =
    /^\w+, (\d\d) (\w+) \d\d(\d\d) (\d\d:\d\d)/.exec(new Date(expiresAt).toUTCString()) ?? [];
  const left = formatGoDuration(msBetween(now, expiresAt));
  return `${day} ${month} ${year} ${time} UTC (${left})`;
}
