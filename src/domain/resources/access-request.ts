import { z } from 'zod';
import { documentSchema, expiringMetadata, moment } from './document.ts';
import { type KindOfResource, kindOfResource } from './kind.ts';

/** By the numbers of 4.4. */
const requestStates = ['NONE', 'PENDING', 'APPROVED', 'DENIED'] as const;
const annotations = z.record(z.string(), z.array(z.string()));

/** Source: reference 4.4, resources §1. It is shown, and not taken from a file. */
const accessRequestDocument = documentSchema({
  kind: 'access_request',
  version: 'v3',
  metadata: expiringMetadata,
  spec: z.strictObject({
    user: z.string(),
    roles: z.array(z.string()),
    state: z.number().int().nonnegative(),
    created: moment,
    expires: moment,
    request_reason: z.string().optional(),
    resolve_reason: z.string().optional(),
    resolve_annotations: annotations.optional(),
    system_annotations: annotations.optional(),
    /** Not of 4.4. */
    resolved_by: z.string().optional(),
    delegator: z.string().optional(),
  }),
});
export type AccessRequestDocument = z.infer<typeof accessRequestDocument>;

interface ShownRequest {
  readonly requestId: string;
  readonly user: string;
  readonly roles: string[];
  readonly status: string;
  readonly reason: string;
  readonly annotations: Record<string, string[]>;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly resolution?:
    | {
        readonly by: string;
        readonly reason: string;
        readonly delegator: string;
        readonly annotations: Record<string, string[]>;
      }
    | undefined;
}

export function documentOfRequest(request: ShownRequest): AccessRequestDocument {
  const { requestId, user, roles, status, reason, annotations, createdAt, expiresAt, resolution } = request;
  const told = {
    ...(reason !== '' && { request_reason: reason }),
    ...(resolution !== undefined && {
      resolve_reason: resolution.reason,
      resolved_by: resolution.by,
      resolve_annotations: resolution.annotations,
      ...(resolution.delegator !== '' && { delegator: resolution.delegator }),
    }),
  };
  return {
    kind: 'access_request',
    version: 'v3',
    metadata: { name: requestId, expires: expiresAt },
    spec: {
      ...{ user, roles, created: createdAt, expires: expiresAt },
      state: Math.max(
        0,
        requestStates.findIndex((state) => state.toLowerCase() === status),
      ),
      ...told,
      ...(Object.keys(annotations).length > 0 && { system_annotations: annotations }),
    },
  };
}

export const accessRequestKind: KindOfResource = kindOfResource<AccessRequestDocument>({
  kind: 'access_request',
  aliases: ['access_requests'],
  version: 'v3',
  rules: 'access_request',
  schema: accessRequestDocument,
  columns: [
    ['Token', ({ metadata }) => metadata.name],
    ['Requestor', ({ spec }) => spec.user],
    ['Roles', ({ spec }) => spec.roles.join(',')],
    ['Created At (UTC)', ({ spec }) => spec.created],
    ['Status', ({ spec }) => requestStates[spec.state] ?? ''],
  ],
  notWritten:
    'it is made by "tsh login --request-roles" or "tctl requests create", and resolved by "tctl requests"',
  notDeleted: 'use "tctl requests rm"',
  notBootstrapped: 'a person asks again',
});
