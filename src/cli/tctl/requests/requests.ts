import type { AuthClient } from '../../../api/client.ts';
import {
  createAccessRequest,
  deleteAccessRequest,
  listAccessRequests,
  readAccessRequest,
  resolveAccessRequest,
} from '../../../api/operations/access-request.ts';
import { CodedError } from '../../../base/errors.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { listOf } from '../../comma-list.ts';
import { withAuth } from '../connect.ts';
import { requestDetails, requestJson, requestTable } from './request-text.ts';

const idsOf = (invocation: Invocation): readonly string[] => {
  const ids = listOf(invocation.arg('request-id'));
  if (ids.length === 0) throw new CodedError('bad_request', 'Need an argument: request-id');
  return ids;
};

/** `tctl requests ls` */
export async function listRequests(invocation: Invocation, io: CliIo): Promise<number> {
  const { requests } = await withAuth(invocation, io, (auth) => auth.call(listAccessRequests, {}));
  io.stdout.write(invocation.text('format') === 'json' ? requestJson(requests) : requestTable(requests));
  return 0;
}

/** `tctl requests get` */
export async function getRequests(invocation: Invocation, io: CliIo): Promise<number> {
  const requests = await withAuth(invocation, io, (auth) =>
    Promise.all(
      idsOf(invocation).map(async (requestId) => (await auth.call(readAccessRequest, { requestId })).request),
    ),
  );
  io.stdout.write(
    invocation.text('format') === 'json' ? requestJson(requests) : requests.map(requestDetails).join('\n'),
  );
  return 0;
}

/** One after the other: what was done before one that is refused stays done, and the error names that one. */
async function each(
  invocation: Invocation,
  io: CliIo,
  act: (auth: AuthClient, requestId: string) => Promise<unknown>,
): Promise<number> {
  const ids = idsOf(invocation);
  await withAuth(invocation, io, async (auth) => {
    for (const id of ids) await act(auth, id);
  });
  return 0;
}

function resolutionIn(invocation: Invocation): {
  readonly reason: string;
  readonly delegator: string;
  readonly annotations: Record<string, string[]>;
} {
  const annotations = new Map<string, string[]>();
  for (const pair of listOf(invocation.text('annotations'))) {
    const at = pair.indexOf('=');
    if (at < 1)
      throw new CodedError('bad_request', `--annotations: expected key=value, got ${JSON.stringify(pair)}`);
    const key = pair.slice(0, at);
    annotations.set(key, [...(annotations.get(key) ?? []), pair.slice(at + 1)]);
  }
  return {
    reason: invocation.text('reason') ?? '',
    delegator: invocation.text('delegator') ?? '',
    annotations: Object.fromEntries(annotations),
  };
}

/** `tctl requests approve` */
export function approveRequests(invocation: Invocation, io: CliIo): Promise<number> {
  const resolution = resolutionIn(invocation);
  const roles = listOf(invocation.text('roles'));
  if (invocation.given('roles') && roles.length === 0)
    throw new CodedError('bad_request', '--roles: name at least one role, or leave it out');
  return each(invocation, io, (auth, requestId) =>
    auth.call(resolveAccessRequest, {
      ...resolution,
      ...(roles.length > 0 && { roles }),
      requestId,
      state: 'approved',
    }),
  );
}

/** `tctl requests deny` */
export function denyRequests(invocation: Invocation, io: CliIo): Promise<number> {
  const resolution = resolutionIn(invocation);
  return each(invocation, io, (auth, requestId) =>
    auth.call(resolveAccessRequest, { ...resolution, requestId, state: 'denied' }),
  );
}

/** `tctl requests create` */
export async function createRequest(invocation: Invocation, io: CliIo): Promise<number> {
  const dryRun = invocation.on('dry-run');
  const { request } = await withAuth(invocation, io, (auth) =>
    auth.call(createAccessRequest, {
      user: invocation.arg('username') ?? '',
      roles: listOf(invocation.text('roles')),
      reason: invocation.text('reason') ?? '',
      dryRun,
    }),
  );
  io.stdout.write(dryRun ? requestDetails({ ...request, requestId: '[dry run]' }) : `${request.requestId}\n`);
  return 0;
}

/** `tctl requests rm` */
export const removeRequests = (invocation: Invocation, io: CliIo): Promise<number> =>
  each(invocation, io, (auth, requestId) => auth.call(deleteAccessRequest, { requestId }));
