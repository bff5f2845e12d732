import { everyHost, type HostStatus } from '../../api/listed-hosts.ts';
import { removeHost } from '../../api/operations/host.ts';
import { CodedError } from '../../base/errors.ts';
import { hostId } from '../../domain/host-text.ts';
import { kindOf, reachabilityOf } from '../../domain/reachability.ts';
import { addressColumn } from '../address-column.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { sharedNames } from '../shared-names.ts';
import { formatTable } from '../table.ts';
import { wholeSeconds } from '../whole-seconds.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';
import { plainYaml } from './resources/print-documents.ts';

export type ListedNode = HostStatus;

/** `tctl nodes ls` */
export async function listNodes(invocation: Invocation, io: CliIo): Promise<number> {
  const hosts = await withAuth(invocation, io, (auth) => everyHost(auth, { role: 'Node' }));
  const format = invocation.text('format');
  if (format === 'json') io.stdout.write(`${JSON.stringify(hosts, undefined, 4)}\n`);
  else if (format === 'yaml') io.stdout.write(plainYaml(hosts));
  else {
    io.stdout.write(nodesText(hosts));
    for (const line of sharedNames(hosts)) io.stderr.write(`${line}\n`);
  }
  return 0;
}

/** The columns of 4.4 first. */
export const nodesText = (hosts: readonly ListedNode[]): string =>
  formatTable(
    ['Nodename', 'UUID', 'Address', 'Labels', 'Version', 'Last seen', 'Reached'],
    hosts.map((host) => [
      host.nodename,
      host.hostId,
      addressColumn(host),
      formatLabels(host.labels),
      host.version,
      wholeSeconds(host.lastSeenAt),
      kindOf(reachabilityOf(host)),
    ]),
  );

/** `tctl nodes rm` */
export async function removeNode(invocation: Invocation, io: CliIo): Promise<number> {
  const id = (invocation.arg('id') ?? '').trim().toLowerCase();
  if (!hostId.safeParse(id).success)
    throw new CodedError('bad_request', 'Need the UUID of a host: "tctl nodes ls" prints it');
  await withAuth(invocation, io, (auth) => heardOrDone(auth.call(removeHost, { hostId: id }), io));
  io.stdout.write(`Host ${id} has been removed\n`);
  return 0;
}

const formatLabels = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
