import { describe, expect, it } from 'vitest';
import { CodedError } from '../../src/base/errors.ts';
import { asCoded, faultOf, NotSent, refusesLogin, saidBy, unsettled } from './answers.ts';

const opening = { opening: true, place: 'http://etcd1:2379' };
const running = { ...opening, opening: false };

/** As the client library hands them on: the status of gRPC, and what etcd 3.4 and 3.5 or grpc-js say. */
const refused = [
  '3 INVALID_ARGUMENT: etcdserver: request is too large',
  '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
  '16 UNAUTHENTICATED: etcdserver: invalid auth token',
  '3 INVALID_ARGUMENT: etcdserver: auth token is not provided',
  '8 RESOURCE_EXHAUSTED: etcdserver: too many requests',
];
/** Said after a write went to the members' log, or perhaps after it. */
const answered = [
  '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded',
  '7 PERMISSION_DENIED: etcdserver: permission denied',
  '3 INVALID_ARGUMENT: etcdserver: user name is empty',
  '2 UNKNOWN: auth: revision in header is old',
  '3 INVALID_ARGUMENT: etcdserver: revision of auth store is old',
  '11 OUT_OF_RANGE: etcdserver: mvcc: required revision has been compacted',
  '15 DATA_LOSS: etcdserver: corrupt cluster',
  '8 RESOURCE_EXHAUSTED: Received message larger than max (4194333 vs 4194304)',
];
const notSent = [
  '14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:2379',
  '14 UNAVAILABLE: Name resolution failed for target dns:etcd9:2379',
  '14 UNAVAILABLE: Channel closed before call started',
  '14 UNAVAILABLE: etcdserver: rpc not supported for learner',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,name resolution: 0.003s,Waiting for LB pick',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,waiting for name resolution',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,waiting for metadata filters',
];
/** Any of these may have written. */
const unknown = [
  '4 DEADLINE_EXCEEDED: Deadline exceeded',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,remote_addr=127.0.0.1:2379',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,name resolution: 0.003s,LB pick: 0.1s,remote_addr=10.0.0.1:2379',
  '4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,previous attempts: 1,Waiting for LB pick',
  '14 UNAVAILABLE: etcdserver: request timed out',
  '14 UNAVAILABLE: etcdserver: request timed out, possibly due to connection lost',
  '14 UNAVAILABLE: etcdserver: leader changed',
  '14 UNAVAILABLE: etcdserver: no leader',
  '14 UNAVAILABLE: etcdserver: server stopped',
  '14 UNAVAILABLE: Connection dropped',
  '14 UNAVAILABLE: read ECONNRESET',
  '13 INTERNAL: Received RST_STREAM with code 2 (Internal server error)',
  'something else',
];

describe('how a call ended', () => {
  it.each(refused)('is refused: %s', (text) => {
    expect(faultOf(new Error(text))).toBe('refused');
  });
  it.each(answered)('is answered, which proves nothing of a write: %s', (text) => {
    expect(faultOf(new Error(text))).toBe('answered');
  });
  it.each(notSent)('is not sent: %s', (text) => {
    expect(faultOf(new Error(text))).toBe('not-sent');
  });
  it.each(unknown)('is unknown: %s', (text) => {
    expect(faultOf(new Error(text))).toBe('unknown');
  });

  it('follows from the kind of the error before its text', () => {
    expect(faultOf(new NotSent('could not log in: 4 DEADLINE_EXCEEDED', undefined))).toBe('not-sent');
    expect(faultOf(new CodedError('misconfigured', 'Connection dropped'))).toBe('refused');
  });
});

describe('what the end of a call means to the log', () => {
  it.each([...unknown, ...answered])('is ambiguous to a write: %s', (text) => {
    expect(unsettled(new Error(text), running).code).toBe('ambiguous');
  });
  it('is kept where etcd refused a write, for when it is seen that it did not write', () => {
    for (const text of answered)
      expect(unsettled(new Error(text), running).refusal?.code).not.toBe('ambiguous');
    for (const text of unknown) expect(unsettled(new Error(text), running).refusal).toBeUndefined();
  });
  it.each([...unknown, ...notSent])('is unavailable to a read: %s', (text) => {
    expect(asCoded(new Error(text), running).code).toBe('unavailable');
  });

  it.each([
    '7 PERMISSION_DENIED: etcdserver: permission denied',
    '3 INVALID_ARGUMENT: etcdserver: user name is empty',
    '3 INVALID_ARGUMENT: etcdserver: auth token is not provided',
    '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
  ])('is for the operator only while the store is opened: %s', (text) => {
    expect(asCoded(new Error(text), opening).code).toBe('misconfigured');
    expect(asCoded(new Error(text), running).code).toBe('unavailable');
  });

  it.each([
    ['no_space', '8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded', /etcdctl defrag/],
    ['unavailable', '15 DATA_LOSS: etcdserver: corrupt cluster', /CORRUPT.*replace the member/],
    ['too_large', '8 RESOURCE_EXHAUSTED: Received message larger than max (5 vs 4)', /answer is too large/],
    ['limit_exceeded', '3 INVALID_ARGUMENT: etcdserver: request is too large', /--max-request-bytes/],
    ['misconfigured', '7 PERMISSION_DENIED: etcdserver: permission denied', /read and write.*prefix/],
    ['misconfigured', '3 INVALID_ARGUMENT: etcdserver: user name is empty', /refuses us.*user name is empty/],
    [
      'misconfigured',
      '3 INVALID_ARGUMENT: etcdserver: authentication failed, invalid user ID or password',
      /refuses us/,
    ],
    ['unavailable', '14 UNAVAILABLE: etcdserver: no leader', /does not answer.*: no leader$/],
  ])('is %s: %s', (code, text, said) => {
    const coded = asCoded(new Error(text), opening);
    expect(coded.code).toBe(code);
    expect(coded.message).toMatch(said);
    expect(coded.message).toContain('http://etcd1:2379');
  });

  it('stays what it was when it is coded already, but for what may pass', () => {
    const coded = new CodedError('not_found', 'said before');
    expect(asCoded(coded, running)).toBe(coded);
    const password = new CodedError('misconfigured', 'no password');
    expect(asCoded(password, opening)).toMatchObject({ code: 'misconfigured', message: 'no password' });
    expect(asCoded(password, running)).toMatchObject({ code: 'unavailable', message: 'no password' });
  });
});

describe('what etcd said', () => {
  it.each([
    ['14 UNAVAILABLE: etcdserver: no leader', 'no leader'],
    ['GRPCUnavailableError: 14 UNAVAILABLE: Connection dropped', 'Connection dropped'],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s,remote_addr=127.0.0.1:2379', 'Deadline exceeded'],
    [
      '14 UNAVAILABLE: No connection established. Last error: Failed to connect (2026-11-23T08:58:06.901Z). Resolution note: ',
      'Failed to connect',
    ],
    [
      '14 UNAVAILABLE: No connection established. Last error: null. Resolution note: ',
      'no connection could be made in time',
    ],
    ['14 UNAVAILABLE: No connection established. Last error: null', 'no connection could be made in time'],
    ['14 UNAVAILABLE: No connection established', 'no connection could be made in time'],
    ['null', 'no connection could be made in time'],
    [
      '14 UNAVAILABLE: Channel closed before call started',
      'the connection was closed before the request was sent',
    ],
    ['could not log in: 14 UNAVAILABLE: x', 'could not log in: 14 UNAVAILABLE: x'],
    ['16 bits: too few', '16 bits: too few'],
  ])('is %s without what it was wrapped in', (text, said) => {
    expect(saidBy(new Error(text))).toBe(said);
  });

  it('is told without the words of the libraries, and a reason once', () => {
    const refused =
      '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1';
    expect(saidBy(new Error(refused))).toBe('connect ECONNREFUSED 127.0.0.1:1');
    const once = saidBy(
      new Error(
        '14 UNAVAILABLE: No connection established. Last error: Error: ssl/tls alert bad certificate',
      ),
    );
    expect(once).toMatch(/^ssl\/tls alert bad certificate \(.*is valid today.*\)$/);
    expect(saidBy(new Error(`could not log in: ${once}`))).toBe(`could not log in: ${once}`);
  });

  it('is one line that names the file when a certificate is why', () => {
    const last = '14 UNAVAILABLE: No connection established. Last error: ';
    expect(
      saidBy(
        new Error(
          `${last}Error: unable to verify the first certificate; if the root CA is installed locally, try running Node.js with --use-system-ca. Resolution note: `,
        ),
      ),
    ).toMatch(/^unable to verify the first certificate \(.*tls_ca_file.*\)$/);
    const alert =
      'error:0A000412:SSL routines:ssl3_read_bytes:ssl/tls alert bad certificate:../a.c:918:SSL alert';
    expect(
      saidBy(
        new Error(
          `${last}40FDA1B8227F0000:${alert} number 42\n (2026-11-23T08:58:02.034Z). Resolution note: `,
        ),
      ),
    ).toMatch(/^ssl\/tls alert bad certificate \(.*tls_cert_file, tls_key_file\)$/);
  });

  it.each([
    ['authentication failed, invalid user ID or password', true],
    ['user name is empty', true],
    ['user name not found', true],
    ['password is empty', true],
    ['authentication is not enabled', false],
    ['invalid auth token', false],
    ['permission denied', false],
  ])('refuses a login: %s', (text, is) => {
    expect(refusesLogin(`3 INVALID_ARGUMENT: etcdserver: ${text}`)).toBe(is);
  });
});
