import { describe, expect, it } from 'vitest';
import type { ServerSessionChannel, SshChannel } from './channel-types.ts';
import type { PtyOptions } from './client-types.ts';
import type { ForwardOpen, SessionRequest, SshConnection } from './cert-server.ts';
import { testConnect, testIdentity, testServer, text } from './testing.ts';

const size = { columns: 80, rows: 24, widthPixels: 640, heightPixels: 480 };
const pty: PtyOptions = { term: 'xterm', size, modes: new Map([[53, 1]]) };

const accept = (request: SessionRequest): void => {
  request.accept();
};
/** A session on a server that keeps what it is asked, and answers each request as `judge` does. */
async function session(judge: (request: SessionRequest) => void = accept) {
  const asked: SessionRequest[] = [];
  const channels: ServerSessionChannel[] = [];
  const made = testServer({}, () => ({
    session: (open) => {
      channels.push(
        open.accept((request) => {
          asked.push(request);
          judge(request);
        }),
      );
    },
  }));
  const notices: string[] = [];
  const agents: SshChannel[] = [];
  const client = await testConnect(made.server, {
    onNotice: (name, payload) => notices.push(`${name} ${payload.toString()}`),
    onAgentChannel: (channel) => agents.push(channel),
  }).client;
  const connection = (): SshConnection => {
    const [one] = made.seen.connections;
    if (one === undefined) throw new Error('nobody is connected');
    return one;
  };
  return { client, asked, channels, notices, agents, connection };
}
/** Requests as plain data, without the ways to answer. */
const plain = (requests: readonly SessionRequest[]): object[] =>
  requests.map((one) =>
    Object.fromEntries(Object.entries(one).filter(([, value]) => typeof value !== 'function')),
  );

describe('a session', () => {
  it('asks for its variables, the agent, a terminal and the command, in that order', async () => {
    const { client, asked } = await session();
    await client.exec('ls', { env: { LANG: 'C' }, agentForwarding: true, pty });
    expect(plain(asked)).toEqual([
      { type: 'env', name: 'LANG', value: 'C' },
      { type: 'agent-forwarding' },
      { type: 'pty', term: 'xterm', size, modes: new Map([[53, 1]]) },
      { type: 'exec', command: 'ls' },
    ]);
    client.close();
  });

  it('asks for neither agent nor terminal unless it is told to', async () => {
    const { client, asked } = await session();
    await client.shell();
    await client.subsystem('sftp');
    expect(plain(asked)).toEqual([{ type: 'shell' }, { type: 'subsystem', name: 'sftp' }]);
    client.close();
  });

  it('carries bytes both ways, and how the program ended', async () => {
    const { client, channels } = await session();
    const { channel, exit } = await client.exec('cat');
    channel.end('in');
    const [there] = channels;
    if (there === undefined) throw new Error('no channel');
    expect(await text(there)).toBe('in');
    there.write('out');
    there.stderr.write('trouble');
    await there.finish({ status: 'exited', code: 3 });
    expect([await text(channel), await text(channel.stderr)]).toEqual(['out', 'trouble']);
    expect(await exit).toEqual({ status: 'exited', code: 3 });
    client.close();
  });

  it('that ends without a word has an exit that is not known', async () => {
    const { client, channels } = await session();
    const { exit } = await client.exec('x');
    channels[0]?.destroy();
    expect(await exit).toEqual({ status: 'unknown' });
    client.close();
  });

  it('keeps what was said of its end when something else is asked after it', async () => {
    const { client, channels } = await session();
    const { exit } = await client.exec('x');
    channels[0]?.tellExit({ status: 'signalled', signal: 'TERM', coreDumped: false, message: '' });
    expect(await channels[0]?.request('what-is-this@example.com', Buffer.alloc(0))).toBe(false);
    channels[0]?.destroy();
    expect(await exit).toMatchObject({ status: 'signalled', signal: 'TERM' });
    client.close();
  });

  it('passes on a new size, a signal, and that nobody reads', async () => {
    const { client, asked } = await session((request) => {
      if (request.type === 'end-of-write') request.reject();
      else request.accept();
    });
    const running = await client.exec('x');
    running.windowChange({ ...size, rows: 50 });
    running.signal('INT');
    expect(await running.endOfWrite()).toBe(false);
    expect(plain(asked.slice(1))).toEqual([
      { type: 'window-change', size: { ...size, rows: 50 } },
      { type: 'signal', name: 'INT' },
      { type: 'end-of-write' },
    ]);
    client.close();
  });

  it.each([
    ['exec', 'no such command', 'no such command'],
    ['exec', undefined, 'the server refused: exec'],
    ['pty', undefined, 'the server refused a terminal'],
  ])('of which the %s is refused with %s fails with: %s', async (type, why, message) => {
    const { client, channels } = await session((request) => {
      if (request.type === type) request.reject(why);
      else request.accept();
    });
    await expect(client.exec('x', { pty })).rejects.toMatchObject({ code: 'access_denied', message });
    await channels[0]?.gone;
    client.close();
  });

  it('asks for nothing that would end the connection', async () => {
    const { client, asked } = await session();
    // The length of the text is four bytes more.
    const most = 256 * 1024 - 1024 - 4;
    const outcome = client.exec('x'.repeat(most + 1));
    await expect(outcome).rejects.toMatchObject({ code: 'bad_request' });
    await expect(outcome).rejects.toThrow(/^the exec asked for is \d+ bytes long, SSH takes \d+$/);
    await client.exec('x'.repeat(most));
    expect(asked).toHaveLength(1);
    client.close();
  });
});

describe('the agent of the client', () => {
  it('is opened by the server only after a session offered it', async () => {
    const { client, agents, connection } = await session();
    await expect(connection().openAgent()).rejects.toMatchObject({ code: 'access_denied' });
    await client.shell();
    await expect(connection().openAgent()).rejects.toMatchObject({ code: 'access_denied' });
    await client.shell({ agentForwarding: true });
    const channel = await connection().openAgent();
    agents[0]?.end('signed');
    expect(await text(channel)).toBe('signed');
    client.close();
  });

  it('is not opened where the server refused it', async () => {
    const { client, connection } = await session((request) => {
      if (request.type === 'agent-forwarding') request.reject();
      else request.accept();
    });
    await client.shell({ agentForwarding: true });
    await expect(connection().openAgent()).rejects.toMatchObject({ code: 'access_denied' });
    client.close();
  });

  it('is refused where nobody serves it', async () => {
    const made = testServer({}, () => ({
      session: (open) => open.accept(accept),
    }));
    const client = await testConnect(made.server).client;
    await client.shell({ agentForwarding: true });
    await expect(made.seen.connections[0]?.openAgent()).rejects.toThrow(/not asked for/);
    client.close();
  });
});

it('a notice of the server reaches the client', async () => {
  const { client, notices, connection } = await session();
  connection().notify('x-teleport-event', Buffer.from('hello'));
  await client.request('keepalive@openssh.com');
  expect(notices).toEqual(['x-teleport-event hello']);
  client.close();
});

it.each([
  ['keepalive@openssh.com', ''],
  ['x-teleport-version', '4.4'],
  ['recording-proxy@teleport.com', 'false'],
  ['anything-else', undefined],
])('the server answers %s with %s', async (name, answer) => {
  const { client } = await session();
  expect((await client.request(name))?.toString()).toBe(answer);
  client.close();
});

it('a server that records at the proxy says so', async () => {
  const { server } = testServer({ recordsAtProxy: () => true });
  const client = await testConnect(server).client;
  expect((await client.request('recording-proxy@teleport.com'))?.toString()).toBe('true');
  client.close();
});

it('no session is opened once the client wanted no more', async () => {
  const { client } = await session();
  await client.shell();
  expect(await client.request('no-more-sessions@openssh.com')).toEqual(Buffer.alloc(0));
  await expect(client.shell()).rejects.toThrow(/no sessions here/);
  client.close();
});

describe('a forwarded port', () => {
  const connected = async (forward?: (open: ForwardOpen) => void) => {
    const made = testServer({}, () => (forward === undefined ? {} : { forward }));
    return testConnect(made.server).client;
  };
  const target = { host: 'db', port: 5432 };

  it('names where it goes and where it comes from, and carries bytes', async () => {
    const opens: ForwardOpen[] = [];
    const client = await connected((open) => {
      opens.push(open);
      open.accept().end('hello');
    });
    const channel = await client.forwardOut(target, { host: '10.0.0.1', port: 7 });
    expect(await text(channel)).toBe('hello');
    expect(opens[0]).toMatchObject({ target, originator: { host: '10.0.0.1', port: 7 } });
    client.close();
  });

  it('is refused with the words of the server', async () => {
    const client = await connected((open) => {
      open.reject('connect_failed', 'nobody listens');
    });
    await expect(client.forwardOut(target)).rejects.toThrow(/nobody listens/);
    client.close();
  });

  it('is refused where there is none, as are sessions and channels of other kinds', async () => {
    const client = await connected();
    await expect(client.forwardOut(target)).rejects.toThrow(/no forwarding here/);
    await expect(client.shell()).rejects.toThrow(/no sessions here/);
    client.close();
  });

  it('whose address is malformed is refused, and the connection goes on', async () => {
    const client = await connected((open) => open.accept());
    await expect(client.forwardOut({ host: 'db', port: 2 ** 31 })).rejects.toThrow(/malformed address/);
    expect((await client.request('x-teleport-version'))?.toString()).toBe('4.4');
    client.close();
  });
});

it('a connection says who came, from where, with what, and what that allows', async () => {
  const made = testServer();
  const extensions = { 'permit-pty': '', 'permit-agent-forwarding': '' };
  const criticalOptions = { 'force-command': 'true' };
  const remoteAddress = { host: '192.0.2.7', port: 9 };
  const client = await testConnect(
    made.server,
    { identities: [testIdentity({ extensions, criticalOptions })] },
    { remoteAddress },
  ).client;
  const unknown = { host: 'unknown', port: 0 };
  expect(made.seen.connections).toEqual(made.server.connections());
  expect(made.seen.connections[0]).toMatchObject({
    id: 1,
    username: 'root',
    permits: { pty: true, agentForwarding: true, portForwarding: false, forceCommand: 'true' },
    peer: { remoteAddress, socketAddress: unknown, localAddress: unknown, claimedAddress: undefined },
    clientVersion: expect.stringMatching(/^SSH-2\.0-Teleport/) as string,
  });
  expect(made.seen.connections[0]?.certificate.keyId).toBe('alice');
  expect(client.hostCertificate?.principals).toEqual(['node1']);
  client.close();
  await made.seen.connections[0]?.closed;
  expect(made.server.connections()).toEqual([]);
});
