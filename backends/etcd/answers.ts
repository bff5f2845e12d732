import { CodedError, messageOf } from '../../src/base/errors.ts';
import { codeOfRefusal, type StoreRefusal } from '../../src/log/store-refusals.ts';

/** How a call ended that got no reply. */
export type Fault =
  /** The request never left: another peer may be asked. */
  | 'not-sent'
  /** Whether it was carried out is not known. */
  | 'unknown'
  /** Refused for a reason that another peer would give too, before anything was written. */
  | 'refused'
  /** The same, but a write may have been carried out before the refusal. */
  | 'answered';

/** A step before the request itself failed: none of the request has been sent. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
  constructor(message: string, cause: unknown) {
    super(message, { cause });
  }
}

/** A write that was sent, and whose outcome is not proved. */
export class UnsettledWrite extends CodedError {
  /**
   * etcd's refusal, when it replied: then the write is carried out by now or never, and reading shows which.
   */
  readonly refusal: CodedError | undefined;
  constructor(message: string, refusal: CodedError | undefined, options: ErrorOptions) {
    super('ambiguous', message, options);
    this.refusal = refusal;
  }
}

interface Refusal {
  readonly says: string;
  readonly kind: StoreRefusal;
  /**
   * Reported before the request goes to the members' log: nothing is written. The others may come after a
   * write.
   */
  readonly before?: true;
  /** What is reported in its place, or before it. */
  readonly told?: string;
}

const noRights = 'etcd refuses us: the user needs to read and write all keys below the prefix';
const noName = '(set storage.username and storage.password_file)';
export const fullText =
  'etcd takes no writes: its database has reached its quota: compact, defragment and disarm the alarm ' +
  '(etcdctl defrag; etcdctl alarm disarm), or raise --quota-backend-bytes';
export const corruptText =
  'etcd takes no writes: its members do not hold the same (etcdctl alarm list shows CORRUPT): replace the member that differs';
const tooLarge = 'etcd takes no request of this size: raise its --max-request-bytes to 1.5 MiB';

/**
 * Refusals by etcd itself. Source: etcd v3.3 to v3.5: the texts in etcdserver/api/v3rpc/rpctypes/error.go;
 * `before`: what etcdserver/v3_server.go and api/v3rpc reply before they propose. The quota is checked before
 * and after applying, with the same text.
 */
const refusals: readonly Refusal[] = [
  { says: 'database space exceeded', kind: 'full', told: fullText },
  { says: 'corrupt cluster', kind: 'out of order', told: corruptText },
  // From our own side: the reply was larger than it accepts.
  { says: 'larger than max', kind: 'too large', told: "etcd's answer is too large" },
  { says: 'request is too large', kind: 'above a setting', before: true, told: tooLarge },
  { says: 'permission denied', kind: 'not allowed', told: noRights },
  { says: 'auth token is not provided', kind: 'not allowed', before: true, told: 'etcd refuses us' },
  { says: 'user name is empty', kind: 'not allowed', told: 'etcd refuses us' },
  { says: 'authentication failed', kind: 'not allowed', before: true, told: 'etcd refuses us' },
  { says: 'invalid auth token', kind: 'busy', before: true },
  { says: 'auth: revision in header is old', kind: 'busy' },
  { says: 'revision of auth store is old', kind: 'busy' },
  { says: 'too many requests', kind: 'busy', before: true },
  { says: 'required revision has been compacted', kind: 'busy' },
];

const refusalIn = (text: string): Refusal | undefined => refusals.find(({ says }) => text.includes(says));

/** The texts of grpc-js when there was no connection to write to. */
const notSent =
  /No connection established|Failed to connect|name resolution|Channel closed before call started|before any bytes/i;
/**
 * In a deadline's text, next to the time of each step: the step that was current then. No bytes of the
 * request had been sent.
 */
const notBegun = /,waiting for (?:name resolution|metadata filters|LB pick)$/i;
/** A learner of 3.4 serves nobody, but the other members do. */
const askAnother = 'rpc not supported for learner';

export function faultOf(e: unknown): Fault {
  if (e instanceof CodedError) return 'refused';
  if (e instanceof NotSent) return 'not-sent';
  const text = messageOf(e);
  const refusal = refusalIn(text);
  if (refusal) return refusal.before ? 'refused' : 'answered';
  if (text.includes('Deadline exceeded after'))
    return notBegun.test(text) && !text.includes('previous attempts') ? 'not-sent' : 'unknown';
  return notSent.test(text) || text.includes(askAnother) ? 'not-sent' : 'unknown';
}

/** True for the reply to a login with a wrong name or password. */
export const refusesLogin = (text: string): boolean =>
  /authentication failed|user name (?:is empty|not found)|password is empty/.test(text);

/**
 * True for a call whose token is not valid any more although etcd knows it: signed before users or roles were
 * changed, or missing, from before authentication was enabled. A new one helps, and nothing was done.
 */
export const needsNewToken = (e: unknown): boolean =>
  !(e instanceof CodedError) &&
  /revision in header is old|revision of auth store is old|user name is empty|auth token is not provided/.test(
    messageOf(e),
  );

/** True when etcd knows the caller, and does not permit the call. */
export const lacksPermission = (e: unknown): boolean => messageOf(e).includes('permission denied');

/**
 * etcd's own text, without the libraries' additions: the same for the same reason, whatever the time and how
 * long it took. Where a certificate is the reason, it names the file.
 */
export const saidBy = (e: unknown): string =>
  explained(
    messageOf(e)
      .replace(/^(?:\w+: )?\d+ [A-Z_]+: (?:etcdserver: )?/, '')
      .replace(/No connection established\. Last error: (?:\w+: |\w+ (?=\[))?/, '')
      .replace(/(Deadline exceeded) after .*/, '$1')
      .replace('Channel closed before call started', 'the connection was closed before the request was sent')
      .replace(/; if the root CA is installed locally, try running Node\.js.*$/s, '')
      .replace(/\. Resolution note: .*$/s, '')
      // The texts of grpc-js when it knows no reason yet, and when it was closed in the meantime.
      .replace(/^(?:null|No connection established)$/, 'no connection could be made in time')
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
    return `${text} (the server wants a client's certificate that it knows and that is valid today: tls_cert_file, tls_key_file)`;
  return text;
}

/**
 * The meaning of a fault for the log; `place`: the peer. While opening, a missing permission is for the
 * operator; later it may pass, as passwords and roles are changed.
 */
export function asCoded(e: unknown, { place, opening }: { place: string; opening: boolean }): CodedError {
  if (e instanceof CodedError)
    return e.code === 'misconfigured'
      ? new CodedError(codeOfRefusal('not allowed', { opening }), e.message, { cause: e })
      : e;
  const text = saidBy(e);
  const refusal = refusalIn(text);
  if (refusal === undefined)
    return new CodedError('unavailable', `etcd does not answer (${place}): ${text}`, { cause: e });
  const { kind, told = 'etcd does not answer' } = refusal;
  const said = kind === 'full' || kind === 'out of order' ? '' : `: ${text}`;
  const hint = /auth token is not provided|user name is empty/.test(text) ? ` ${noName}` : '';
  return new CodedError(codeOfRefusal(kind, { opening }), `${told} (${place})${said}${hint}`, { cause: e });
}

/** A write that `faultOf` calls unknown or answered. */
export function unsettled(e: unknown, circumstances: { place: string; opening: boolean }): UnsettledWrite {
  const refusal = faultOf(e) === 'answered' ? asCoded(e, circumstances) : undefined;
  const what = `etcd gave no answer to a write (${circumstances.place}): ${saidBy(e)}`;
  return new UnsettledWrite(refusal?.message ?? what, refusal, { cause: e });
}
