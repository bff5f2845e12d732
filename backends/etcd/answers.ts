import { CodedError, messageOf } from '../../src/base/errors.ts';

/** How a call ended that brought no answer. */
export type Fault =
  /** The request never left: another peer may be asked. */
  | 'not-sent'
  /** Whether it was carried out is not known. */
  | 'unknown'
  /** Refused for a reason that another peer would give too. */
  | 'refused';

/** Refusals by etcd itself, after which nothing was written. Source: etcd v3.4, etcdserver/api/v3rpc/rpctypes/error.go. */
const refusals = [
  'mvcc: database space exceeded',
  'request is too large',
  'permission denied',
  'authentication failed',
  'invalid auth token',
  'auth token is not provided',
  'user name is empty',
  'auth: revision in header is old',
  'too many requests',
  'mvcc: required revision has been compacted',
  // By our own side: the answer was larger than it takes.
  'larger than max',
];

export function faultOf(e: unknown): Fault {
  const text = messageOf(e);
  if (refusals.some((one) => text.includes(one))) return 'refused';
  // grpc-js says so when no connection was there to write to.
  if (/No connection established|Failed to connect|name resolution|ECONNREFUSED|before any bytes/i.test(text))
    return 'not-sent';
  return 'unknown';
}

/** What a fault means to the log. `writing`: an unknown end may have written. */
export function asCoded(e: unknown, { writing, place }: { writing: boolean; place: string }): CodedError {
  if (e instanceof CodedError) return e;
  const text = messageOf(e).replace(/^\w+: \d+ [A-Z_]+: /, '');
  if (text.includes('database space exceeded'))
    return new CodedError(
      'no_space',
      `etcd takes no writes: its database has reached its quota (${place}): compact, defragment and disarm the alarm ` +
        '(etcdctl defrag; etcdctl alarm disarm), or raise --quota-backend-bytes',
      { cause: e },
    );
  if (text.includes('larger than max'))
    return new CodedError('limit_exceeded', `etcd's answer is too large (${place}): ${text}`, { cause: e });
  if (/authentication failed|permission denied|user name is empty|auth token is not provided/.test(text))
    return new CodedError('misconfigured', `etcd refuses us (${place}): ${text}`, { cause: e });
  if (writing && faultOf(e) === 'unknown')
    return new CodedError('ambiguous', `etcd gave no answer to a write (${place}): ${text}`, { cause: e });
  return new CodedError('unavailable', `etcd does not answer (${place}): ${text}`, { cause: e });
}
