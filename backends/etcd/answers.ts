import { CodedError, messageOf } from '../../src/base/errors.ts';

/** How a call ended that brought no answer. */
export type Fault =
  /** The request never left: another peer may be asked. */
  | 'not-sent'
  /** Whether it was carried out is not known. */
  | 'unknown'
  /** Refused for a reason that another peer would give too. */
  | 'refused';

/** What had to be done before the request failed: nothing of the request itself has left. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
  constructor(message: string, cause: unknown) {
    super(message, { cause });
  }
}

/** Refusals by etcd itself, after which nothing was written. Source: etcd v3.4 and v3.5, etcdserver/api/v3rpc/rpctypes/error.go. */
const refusals = [
  'mvcc: database space exceeded',
  'request is too large',
  'permission denied',
  'authentication failed',
  'invalid auth token',
  'auth token is not provided',
  'user name is empty',
  'auth: revision in header is old',
  'revision of auth store is old',
  'too many requests',
  'mvcc: required revision has been compacted',
  'corrupt cluster',
  // By our own side: the answer was larger than it takes.
  'larger than max',
];

/** grpc-js says so when there was no connection to write to. */
const notSent =
  /No connection established|Failed to connect|name resolution|Channel closed before call started|before any bytes/i;
/** In a deadline's text, where the time of each step stands: the step that it had come to then. No bytes of it had left. */
const notBegun = /,waiting for (?:name resolution|metadata filters|LB pick)$/i;
/** A learner of 3.4 serves nobody, but the other members do. */
const askAnother = 'rpc not supported for learner';

export function faultOf(e: unknown): Fault {
  if (e instanceof CodedError) return 'refused';
  if (e instanceof NotSent) return 'not-sent';
  const text = messageOf(e);
  if (refusals.some((one) => text.includes(one))) return 'refused';
  if (text.includes('Deadline exceeded after'))
    return notBegun.test(text) && !text.includes('previous attempts') ? 'not-sent' : 'unknown';
  return notSent.test(text) || text.includes(askAnother) ? 'not-sent' : 'unknown';
}

/** True for what a login with a wrong name or password is answered. */
export const refusesLogin = (text: string): boolean =>
  /authentication failed|user name (?:is empty|not found)|password is empty/.test(text);

/**
 * True for a call whose token is no longer good although etcd knows it: signed before users or roles were changed, or
 * none, from the time when nobody was asked for one. A new one helps, and nothing was done.
 */
export const needsNewToken = (e: unknown): boolean =>
  !(e instanceof CodedError) &&
  /revision in header is old|revision of auth store is old|user name is empty|auth token is not provided/.test(
    messageOf(e),
  );

/** True when etcd knows who asks, and does not let him. */
export const lacksPermission = (e: unknown): boolean => messageOf(e).includes('permission denied');

/**
 * What etcd said, without what the libraries wrap it in: the same for the same reason, whatever the time and how long it
 * took. Where a certificate is why, it names the file.
 */
export const saidBy = (e: unknown): string =>
  explained(
    messageOf(e)
      .replace(/^(?:\w+: )?\d+ [A-Z_]+: (?:etcdserver: )?/, '')
      .replace(/No connection established\. Last error: (?:\w+: |\w+ (?=\[))?/, '')
      .replace(/(Deadline exceeded) after .*/, '$1')
      .replace(/; if the root CA is installed locally, try running Node\.js.*$/s, '')
      .replace(/\. Resolution note: .*$/s, '')
      .replace(/ \(\d{4}-[\d-]+T[\d:.]+Z\)$/, '')
      .replace(/(?:\w+:)?error:[0-9A-F]+:SSL routines:\w*:([^:]+):.*$/s, '$1'),
  );

function explained(text: string): string {
  if (text.includes('tls_ca_file') || text.includes('tls_cert_file')) return text;
  if (/unable to (?:verify|get (?:local )?issuer)|self[- ]signed/i.test(text))
    return `${text} (no authority in tls_ca_file, or of the system without one, signed the server's certificate)`;
  if (
    /alert (?:bad certificate|unknown ca|certificate|unsupported certificate|handshake failure)/i.test(text)
  )
    return `${text} (the server wants a client's certificate that it knows and that holds today: tls_cert_file, tls_key_file)`;
  return text;
}

/** What a fault means to the log. `writing`: an unknown end may have written. */
export function asCoded(e: unknown, { writing, place }: { writing: boolean; place: string }): CodedError {
  if (e instanceof CodedError) return e;
  const text = saidBy(e);
  const coded = (code: ConstructorParameters<typeof CodedError>[0], what: string): CodedError =>
    new CodedError(code, `${what} (${place}): ${text}`, { cause: e });
  if (text.includes('database space exceeded'))
    return new CodedError('no_space', `${fullText} (${place})`, { cause: e });
  if (text.includes('corrupt cluster'))
    return new CodedError('unavailable', `${corruptText} (${place})`, { cause: e });
  if (text.includes('larger than max')) return coded('too_large', "etcd's answer is too large");
  if (text.includes('request is too large'))
    // Not for ever: an operator can raise it; and appends that were sent together may fit one by one.
    return coded(
      'limit_exceeded',
      'etcd takes no request of this size: raise its --max-request-bytes to 1.5 MiB',
    );
  if (text.includes('permission denied'))
    return coded(
      'misconfigured',
      'etcd refuses us: the user needs to read and write all keys below the prefix',
    );
  if (/auth token is not provided|user name is empty/.test(text))
    return new CodedError(
      'misconfigured',
      `etcd refuses us (${place}): ${text} (set storage.username and storage.password_file)`,
      { cause: e },
    );
  if (refusesLogin(text)) return coded('misconfigured', 'etcd refuses us');
  if (writing && faultOf(e) === 'unknown') return coded('ambiguous', 'etcd gave no answer to a write');
  return coded('unavailable', 'etcd does not answer');
}

export const fullText =
  'etcd takes no writes: its database has reached its quota: compact, defragment and disarm the alarm ' +
  '(etcdctl defrag; etcdctl alarm disarm), or raise --quota-backend-bytes';
export const corruptText =
  'etcd takes no writes: its members do not hold the same (etcdctl alarm list says CORRUPT): replace the member that differs';
