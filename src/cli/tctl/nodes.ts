import { listHosts, removeHost } from '../../api/operations/host.ts';
import { CodedError } from '../../base/errors.ts';
import { hostId } from '../../domain/host-text.ts';
import { addressColumn } from '../address-column.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { sharedNames } from '../shared-names.ts';
import { formatTable } from '../table.ts';
import { withAuth } from './connect.ts';
import { heardOrDone } from './lost-answer.ts';

/** `tctl nodes ls` */
export async function listNodes(invocation: Invocation, io: CliIo): Promise<number> {
  const { hosts } = await withAuth(invocation, io, (auth) => auth.call(listHosts, { role: 'Node' }));
  if (invocation.text('format') === 'json') {
    io.stdout.write(`${JSON.stringify(hosts, undefined, 4)}\n`);
    return 0;
  }
  const rows = hosts.map((host) => [
    host.nodename,
    host.hostId,
    addressColumn(host),
    formatLabels(host.labels),
  ]);
  io.stdout.write(formatTable(['Nodename', 'UUID', 'Address', 'Labels'], rows));
  for (const line of sharedNames(hosts)) io.stderr.write(`${line}\n`);
  return 0;
}

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
