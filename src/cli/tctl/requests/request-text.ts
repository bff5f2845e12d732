import type { readAccessRequest } from '../../../api/operations/access-request.ts';
import type { OutputOf } from '../../../api/operation.ts';
import { documentOfRequest } from '../../../domain/resources/access-request.ts';
import { formatPairs, formatTable } from '../../table.ts';

export type Request = OutputOf<typeof readAccessRequest>['request'];

/** Longer reasons are cut in a list. Source: reference 4.4, cli §2.6. */
const reasonLength = 75;
const footnote =
  '[*] Full reason was truncated, use the `tctl requests get` subcommand to view the full reason.\n';

const metadataOf = ({ roles }: Request): string => `roles=${roles.join(',')}`;
const quoted = (text: string): string => (text === '' ? '' : JSON.stringify(text));

/** What `tctl requests ls` prints. */
export function requestTable(requests: readonly Request[]): string {
  const isLong = (text: string): boolean => text.length > reasonLength;
  const reason = (text: string): string =>
    isLong(text) ? `${JSON.stringify(text.slice(0, reasonLength))}... [*]` : quoted(text);
  const table = formatTable(
    ['Token', 'Requestor', 'Metadata', 'Created At (UTC)', 'Status', 'Request Reason', 'Resolve Reason'],
    requests.map((one) => [
      ...[one.requestId, one.user, metadataOf(one), rfc822(one.createdAt), one.status.toUpperCase()],
      ...[reason(one.reason), reason(one.resolution?.reason ?? '')],
    ]),
  );
  const isCut = requests.some((one) => isLong(one.reason) || isLong(one.resolution?.reason ?? ''));
  return isCut ? `${table}\n${footnote}` : table;
}

/** What `tctl requests get` prints of one; what 4.4 does not print comes last. */
export function requestDetails(request: Request): string {
  const { resolution } = request;
  const annotations = { ...request.annotations, ...resolution?.annotations };
  return formatPairs([
    ['Token:', request.requestId],
    ['Requestor:', request.user],
    ['Metadata:', metadataOf(request)],
    ['Created At (UTC):', rfc822(request.createdAt)],
    ['Status:', request.status.toUpperCase()],
    ['Request Reason:', reasonOrNone(request.reason)],
    ['Resolve Reason:', reasonOrNone(resolution?.reason ?? '')],
    ['Expires (UTC):', rfc822(request.expiresAt)],
    ...resolverOf(resolution),
    ...Object.entries(annotations).map(
      ([key, values]) => ['Annotation:', `${key}=${values.join(',')}`] as const,
    ),
  ]);
}

const reasonOrNone = (text: string): string => (text === '' ? '[none]' : quoted(text));

const resolverOf = (resolution: Request['resolution']): (readonly [string, string])[] =>
  resolution === undefined
    ? []
    : [
        ['Resolved By:', resolution.by],
        ...(resolution.delegator === '' ? [] : [['Delegator:', resolution.delegator] as const]),
      ];

export const requestJson = (requests: readonly Request[]): string =>
  `${JSON.stringify(requests.map(documentOfRequest), undefined, 4)}\n`;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `02 Jan 06 15:04 UTC`. Source: RFC 822, as Go writes it. */
function rfc822(at: string): string {
  const date = new Date(at);
  const two = (n: number): string => String(n).padStart(2, '0');
  const day = `${two(date.getUTCDate())} ${months[date.getUTCMonth()] ?? ''} ${two(date.getUTCFullYear() % 100)}`;
  return `${day} ${two(date.getUTCHours())}:${two(date.getUTCMinutes())} UTC`;
}
