import { Reader, WireError } from '../pki/wire.ts';
import type { Channel } from './channel.ts';
import { parseModes, readWindowSize } from './connection-messages.ts';
import type { SessionRequest } from './server-types.ts';

/** A session request without its reply. */
type Asked = SessionRequest extends infer R
  ? R extends unknown
    ? Omit<R, 'accept' | 'reject'>
    : never
  : never;

const readers: Readonly<Record<string, (r: Reader) => Asked>> = {
  env: (r) => ({ type: 'env', name: r.text(), value: r.text() }),
  'pty-req': (r) => ({ type: 'pty', term: r.text(), size: readWindowSize(r), modes: parseModes(r.bytes()) }),
  'window-change': (r) => ({ type: 'window-change', size: readWindowSize(r) }),
  shell: () => ({ type: 'shell' }),
  exec: (r) => ({ type: 'exec', command: r.text() }),
  subsystem: (r) => ({ type: 'subsystem', name: r.text() }),
  signal: (r) => ({ type: 'signal', name: r.text() }),
  'auth-agent-req@openssh.com': () => ({ type: 'agent-forwarding' }),
  'eow@openssh.com': () => ({ type: 'end-of-write' }),
};

/** Reads a request; undefined when it is malformed or its text is not clean UTF-8. */
export function parseSessionRequest(name: string, data: Buffer): Asked | undefined {
  const read = Object.hasOwn(readers, name) ? readers[name] : undefined;
  if (read === undefined) return { type: 'unknown', name };
  try {
    const r = new Reader(data);
    const request = read(r);
    r.end();
    return request;
  } catch (e) {
    if (e instanceof WireError) return undefined;
    throw e;
  }
}

const starts = new Set(['shell', 'exec', 'subsystem']);

/**
 * Passes the requests on a session channel to `onRequest`, each with its reply. Of shell, exec and subsystem
 * only one may succeed; while one is being considered or runs, others are refused here (RFC 4254, 6.5).
 */
export function serveSessionRequests(channel: Channel, onRequest: (request: SessionRequest) => void): void {
  let taken = false;
  channel.onRequest = (name, data, answer) => {
    const asked = parseSessionRequest(name, data);
    const isStart = asked !== undefined && starts.has(asked.type);
    if (asked === undefined || (isStart && taken)) {
      answer(false);
      return;
    }
    taken ||= isStart;
    let answered = false;
    const once = (ok: boolean, message?: string): void => {
      if (answered) return;
      answered = true;
      // A client may send requests after its session has ended: then nobody reads the reason.
      if (message !== undefined && channel.stderr.writable)
        channel.stderr.write(message.endsWith('\n') ? message : `${message}\n`);
      if (isStart) taken = ok;
      // A program has two outputs, and EOF means the end of both; a subsystem is one byte stream.
      if (ok && (asked.type === 'shell' || asked.type === 'exec')) channel.eofAwaitsStderr = true;
      answer(ok);
    };
    onRequest({
      ...asked,
      accept: () => {
        once(true);
      },
      reject: (message?: string) => {
        once(false, message);
      },
    });
  };
}
