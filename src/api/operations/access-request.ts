import { z } from 'zod';
import { anyKey, foreignRecord } from '../../base/foreign-record.ts';
import { instant } from '../../base/time.ts';
import { requestLimits } from '../../domain/access-request.ts';
import { maxRequests } from '../../pki/user-certificate.ts';
import { operation } from '../operation.ts';
import { cleanText, done, position, publicKeyLine, username } from './fields.ts';
import { certificates } from './user.ts';

const requestId = z.string().min(1).max(64);
const role = z.string().min(1).max(256);
const text = cleanText(requestLimits.textLength);
const annotations = foreignRecord(anyKey, z.array(z.string()));

/** How long a call may wait for somebody to resolve a request; the next call waits on. */
export const longestRequestWaitSeconds = 6;

export const accessRequest = z.object({
  requestId,
  user: username,
  roles: z.array(z.string()),
  /** `expired`: nobody resolved it in time, or what it granted is over. */
  status: z.enum(['pending', 'approved', 'denied', 'expired']),
  reason: z.string(),
  /** From the roles of the user. */
  annotations,
  createdAt: instant,
  expiresAt: instant,
  resolution: z
    .object({
      at: instant,
      /** The actor. */
      by: z.string(),
      reason: z.string(),
      delegator: z.string(),
      annotations,
    })
    .optional(),
});

/**
 * A person asks for roles, for themselves; for somebody else where rules allow it. `*` alone stands for every
 * role that they may request.
 * @throws CodedError `access_denied` for a role that may not be requested; `limit_exceeded` for somebody with
 *   many that wait.
 */
export const createAccessRequest = operation({
  name: 'access-request.create',
  who: ['Admin', 'operator', 'user'],
  resource: 'access_request',
  verb: 'create',
  input: z.object({
    /** Left out: whoever calls. */
    user: username.optional(),
    roles: z.array(role).min(1).max(requestLimits.roles),
    reason: text.default(''),
    /** Only report what it would be. */
    dryRun: z.boolean().default(false),
  }),
  /** `position` is left out of a dry run. */
  output: z.object({ request: accessRequest, position: position.optional() }),
});

/** Those that have not expired, the oldest first: the caller's own, and all that rules let them list. */
export const listAccessRequests = operation({
  name: 'access-request.list',
  repeatable: true,
  who: ['Admin', 'operator', 'user'],
  resource: 'access_request',
  verb: 'list',
  input: z.object({}),
  output: z.object({ requests: z.array(accessRequest) }),
});

/**
 * One request, also one that has expired. With `waitSeconds` the answer comes when it is not pending any
 * more, or when that time is over.
 * @throws CodedError `not_found`, also for what the caller may not read.
 */
export const readAccessRequest = operation({
  name: 'access-request.read',
  repeatable: true,
  who: ['Admin', 'operator', 'user'],
  resource: 'access_request',
  verb: 'read',
  input: z.object({
    requestId,
    waitSeconds: z.number().int().nonnegative().max(longestRequestWaitSeconds).default(0),
  }),
  output: z.object({ request: accessRequest }),
});

/** @throws CodedError `access_denied` for one's own request; `bad_request` for one that is resolved. */
export const resolveAccessRequest = operation({
  name: 'access-request.resolve',
  who: ['Admin', 'operator'],
  resource: 'access_request',
  verb: 'update',
  input: z.object({
    requestId,
    state: z.enum(['approved', 'denied']),
    /** Fewer than were requested. */
    roles: z.array(role).min(1).max(requestLimits.roles).optional(),
    reason: text.default(''),
    /** On whose behalf. */
    delegator: text.default(''),
    annotations: foreignRecord(anyKey, z.array(text)).default({}),
  }),
  about: ({ requestId: name }) => ({ kind: 'access_request', name }),
  output: z.object({ request: accessRequest, position }),
});

/** Whatever it granted ends. */
export const deleteAccessRequest = operation({
  name: 'access-request.delete',
  who: ['Admin', 'operator'],
  resource: 'access_request',
  verb: 'delete',
  input: z.object({ requestId }),
  about: ({ requestId: name }) => ({ kind: 'access_request', name }),
  output: done,
});

/**
 * A valid certificate is exchanged for one that also names approved requests of its holder. It ends with the
 * first of them, and never later than the one that it replaces.
 * @throws CodedError `access_denied` with the reason why not.
 */
export const certifyAccessRequest = operation({
  name: 'access-request.certify',
  who: ['user'],
  resource: 'web_session',
  verb: 'update',
  input: z.object({
    requestIds: z.array(requestId).min(1).max(maxRequests),
    publicKey: publicKeyLine,
    ttlSeconds: z.number().int().positive(),
    format: z.enum(['standard', 'oldssh']).default('standard'),
  }),
  output: certificates,
});
