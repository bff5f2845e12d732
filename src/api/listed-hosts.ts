import type { AuthClient } from './client.ts';
import type { InputOf, OutputOf } from './operation.ts';
import { listHosts, mostHostsOfPage } from './operations/host.ts';

export type HostStatus = OutputOf<typeof listHosts>['hosts'][number];

/**
 * All hosts in a role that the caller may see, in the order of `listHosts`. Asked page by page: one large
 * answer would hold up everybody else whom the auth server serves. Of hosts that come and go meanwhile some
 * may be missing; none is there twice.
 */
export async function everyHost(
  auth: Pick<AuthClient, 'call'>,
  wish: Pick<InputOf<typeof listHosts>, 'role' | 'labels'>,
): Promise<HostStatus[]> {
  const all: HostStatus[] = [];
  for (let after: string | undefined; ;) {
    const page = await auth.call(listHosts, { ...wish, limit: mostHostsOfPage, ...(after && { after }) });
    all.push(...page.hosts);
    after = page.next;
    if (after === undefined) return all;
  }
}
