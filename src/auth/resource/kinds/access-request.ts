import { accessRequestKind, documentOfRequest } from '../../../domain/resources/access-request.ts';
import { listAccessRequests } from '../../access-request/list-access-requests.ts';
import type { ServedKind } from '../served-kind.ts';

/** Requests that have not expired. */
export const servedAccessRequests: ServedKind = {
  kind: accessRequestKind,
  list: async (deps, call) => (await listAccessRequests(deps, call, {})).requests.map(documentOfRequest),
};
