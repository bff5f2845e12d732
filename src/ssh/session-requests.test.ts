import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { str, u32 } from '../pki/wire.ts';
import { Channel } from './channel.ts';
import { encodeModes, windowSize } from './connection-messages.ts';
import { fixedWindow } from './receive-window.ts';
import type { SessionRequest } from './server-types.ts';
import { parseSessionRequest, serveSessionRequests } from './session-requests.ts';

const size = { columns: 80, rows: 25, widthPixels: 0, heightPixels: 0 };

describe('reading session requests', () => {
  it.each([
    ['env', Buffer.concat([str('LANG'), str('C')]), { type: 'env', name: 'LANG', value: 'C' }],
    ['shell', Buffer.alloc(0), { type: 'shell' }],
    ['exec', str('echo ünïcode'), { type: 'exec', command: 'echo ünïcode' }],
    ['subsystem', str('sftp'), { type: 'subsystem', name: 'sftp' }],
    ['signal', str('TERM'), { type: 'signal', name: 'TERM' }],
    ['window-change', windowSize(size), { type: 'window-change', size }],
    [
      'pty-req',
      Buffer.concat([str('xterm'), windowSize(size), str(encodeModes(new Map([[53, 1]])))]),
      { type: 'pty', term: 'xterm', size, modes: new Map([[53, 1]]) },
    ],
    ['auth-agent-req@openssh.com', Buffer.alloc(0), { type: 'agent-forwarding' }],
    ['eow@openssh.com', Buffer.alloc(0), { type: 'end-of-write' }],
    ['x@example.com', Buffer.of(1), { type: 'unknown', name: 'x@example.com' }],
    ['constructor', Buffer.alloc(0), { type: 'unknown', name: 'constructor' }],
  ])('%s', (name, data, expected) => {
    expect(parseSessionRequest(name, data)).toEqual(expected);
  });

  it.each([
    ['exec', Buffer.concat([u32(1), Buffer.of(0xff)])],
    ['exec', str('a\0b')],
    ['env', str('LANG')],
    ['shell', Buffer.of(0)],
  ])('nothing of a %s that is malformed: never another command than was asked for', (name, data) => {
    expect(parseSessionRequest(name, data)).toBeUndefined();
  });

  it('never throws', () => {
    const names = ['env', 'pty-req', 'window-change', 'exec', 'subsystem', 'signal', 'shell', 'x'];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.uint8Array({ maxLength: 60 }), (name, data) => {
        parseSessionRequest(name, Buffer.from(data));
      }),
    );
  });
});

/** A channel whose messages go nowhere, with its requests and their answers. */
function served(): {
  ask: (name: string, data?: Buffer) => boolean[];
  requests: SessionRequest[];
  channel: Channel;
  sent: readonly string[];
} {
  const sent: string[] = [];
  const link = {
    send: (...parts: Buffer[]) => void sent.push(Buffer.concat(parts).toString('latin1')),
    sendData: () => 0,
    writable: () => true,
    release: () => undefined,
  };
  const ids = { localId: 0, remoteId: 0, remoteWindow: 1000, remoteMaxPacket: 1000 };
  const channel = new Channel(link, {
    ...ids,
    window: fixedWindow(1 << 20),
    closesAtEof: false,
    readsStderr: false,
  });
  const requests: SessionRequest[] = [];
  serveSessionRequests(channel, (request) => requests.push(request));
  return {
    channel,
    requests,
    sent,
    ask: (name, data = Buffer.alloc(0)) => {
      const answers: boolean[] = [];
      channel.onRequest?.(name, data, (ok) => answers.push(ok));
      return answers;
    },
  };
}

describe('serving session requests', () => {
  it('lets one program start, and refuses a second', () => {
    const { ask, requests } = served();
    const first = ask('exec', str('one'));
    const early = ask('exec', str('two'));
    requests[0]?.accept();
    const late = ask('shell');
    expect([first, early, late]).toEqual([[true], [false], [false]]);
    expect(requests).toHaveLength(1);
  });

  it('lets another be tried after a refusal', () => {
    const { ask, requests } = served();
    const sftp = ask('subsystem', str('nothing'));
    requests[0]?.reject();
    const exec = ask('exec', str('x'));
    requests[1]?.accept();
    expect([sftp, exec]).toEqual([[false], [true]]);
  });

  it('takes the first answer only', () => {
    const { ask, requests } = served();
    const answers = ask('env', Buffer.concat([str('A'), str('B')]));
    requests[0]?.reject();
    requests[0]?.accept();
    expect(answers).toEqual([false]);
  });

  it('refuses without a word once standard error has ended', async () => {
    const { channel, ask, requests } = served();
    const faults: unknown[] = [];
    channel.stderr.on('error', (e: unknown) => faults.push(e));
    channel.stderr.end();
    const answers = ask(
      'pty-req',
      Buffer.concat([str('xterm'), windowSize(size), str(encodeModes(new Map()))]),
    );
    requests[0]?.reject('too late');
    await new Promise((resolve) => setImmediate(resolve));
    expect([answers, faults]).toEqual([[false], []]);
  });

  it('says why on standard error, one line of it', () => {
    for (const why of ['no terminals', 'no terminals\n']) {
      const { ask, requests, sent } = served();
      ask('shell');
      requests[0]?.reject(why);
      expect(/no terminals\n*/.exec(sent.join(''))?.[0]).toBe('no terminals\n');
    }
    const silent = served();
    silent.ask('shell');
    silent.requests[0]?.reject();
    expect(silent.sent).toEqual([]);
  });

  it('EOF is of both outputs for programs, of the stream for subsystems', () => {
    const program = served();
    program.ask('shell');
    program.requests[0]?.accept();
    const subsystem = served();
    subsystem.ask('subsystem', str('sftp'));
    subsystem.requests[0]?.accept();
    expect([program.channel.eofAwaitsStderr, subsystem.channel.eofAwaitsStderr]).toEqual([true, false]);
  });
});
