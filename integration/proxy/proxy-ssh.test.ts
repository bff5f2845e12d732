import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deleteUser } from '../../src/api/operations/user.ts';
import type { SshClient } from '../../src/ssh/cert-client.ts';
import { run, until, type Ran } from '../harness/run-program.ts';
import { type EchoNode, type PlainServer, startPlainServer } from '../harness/echo-node.ts';
import { eventually, type Person, type ProxyBench, startProxy } from './proxy-bench.ts';
import { userIdentity } from '../ssh/ssh-workbench.ts';

let proxy: ProxyBench;
let node: EchoNode;
let plain: PlainServer;
let alice: Person;

beforeAll(async () => {
  plain = await startPlainServer();
  proxy = await startProxy({ plainSshHosts: [plain.address] });
  node = await proxy.echoNode('node1');
  alice = await proxy.person('alice');
  await eventually('the proxy to know the node', () => throughProxy('true'));
});
afterAll(async () => {
  await proxy.stop();
  await plain.close();
});

const ssh = (...args: string[]): Promise<Ran> => run('ssh', ['-F', alice.sshConfig, ...args]);
const to = (host: string, port: number): string => `ssh://root@${host}:${port}`;
const throughProxy = async (command: string): Promise<void> => {
  const ran = await ssh(
    '-J',
    to('localhost', proxy.ssh.port),
    '-p',
    String(node.address.port),
    'node1',
    command,
  );
  if (ran.code !== 3) throw new Error(ran.stderr);
};
/** A subsystem of the proxy with the stock client, which is how a ProxyCommand asks for it. */
const subsystem = (name: string): Promise<Ran> => ssh('-p', String(proxy.ssh.port), '-s', 'localhost', name);
async function withClient<T>(act: (client: SshClient) => Promise<T>): Promise<T> {
  const client = await proxy.connect(alice);
  try {
    return await act(client);
  } finally {
    client.close();
  }
}

describe('reaching a node with stock OpenSSH', () => {
  it('goes by ssh -J', async () => {
    const ran = await ssh(
      '-J',
      to('localhost', proxy.ssh.port),
      '-p',
      String(node.address.port),
      'node1',
      'hello',
    );
    expect(ran).toMatchObject({ code: 3, stdout: 'node1: hello\n' });
  });
  it.each(['node1', 'node1.example', '127.0.0.1'])(
    'goes by ProxyCommand and the subsystem, as %s',
    async (host) => {
      const command = `ssh -F ${alice.sshConfig} -p ${proxy.ssh.port} -s localhost proxy:%h:%p@default@example`;
      const ran = await ssh(
        ...[
          '-o',
          `ProxyCommand=${command}`,
          '-o',
          'HostKeyAlias=node1',
          '-p',
          String(node.address.port),
          host,
          'hi',
        ],
      );
      expect(ran).toMatchObject({ code: 3, stdout: 'node1: hi\n' });
    },
  );
  it('tells the node whose machine it is', async () => {
    await throughProxy('x');
    const peer = node.peers.at(-1);
    expect(peer?.claimedAddress).toMatchObject({ host: '127.0.0.1' });
    expect(peer?.claimedAddress?.port).not.toBe(peer?.socketAddress.port);
  });
  it('refuses a shell, a command and a terminal, and says what to do instead', async () => {
    for (const args of [['localhost', 'id'], ['localhost'], ['-tt', 'localhost']]) {
      const ran = await ssh('-p', String(proxy.ssh.port), ...args);
      expect(ran.code).toBe(255);
      expect(ran.stdout).toBe('');
      expect(ran.stderr).toContain('this is the proxy of cluster example: it gives no shell');
      expect(ran.stderr).toContain('ssh -J root@');
    }
  });
  it.each([
    ['proxy:elsewhere:22', 'no node of this cluster is called elsewhere ("tsh ls" shows them)'],
    ['proxy:169.254.169.254:80', 'no node of this cluster is called 169.254.169.254'],
    ['proxy:node1:22', 'node node1 does not listen on port 22'],
    ['proxy:node1:0@default@leaf', 'invalid format for proxy request: unknown cluster "leaf"'],
    ['proxy:', 'invalid format for proxy request: neither host nor cluster is given'],
    [
      'proxy:00000000-0000-4000-8000-000000000009:0',
      'unable to locate node matching uuid-like target 00000000-0000-4000-8000-000000000009',
    ],
    ['sftp', 'unrecognized subsystem: "sftp"'],
  ])('refuses %s on stderr', async (name, message) => {
    const ran = await subsystem(name);
    expect(ran.code).toBe(255);
    expect(ran.stderr).toContain(message);
  });
  it('says in a refused ssh -J what was wrong', async () => {
    const command = `ssh -F ${alice.sshConfig} -o LogLevel=INFO -p ${proxy.ssh.port} -W %h:%p localhost`;
    const ran = await ssh('-o', `ProxyCommand=${command}`, 'elsewhere', 'true');
    expect(ran.code).toBe(255);
    expect(ran.stderr).toContain('no node of this cluster is called elsewhere');
  });
  it('lists the clusters, and closes', async () => {
    const ran = await subsystem('proxysites');
    expect(JSON.parse(ran.stdout)).toEqual([
      { name: 'example', status: 'online', lastconnected: expect.stringMatching(/^\d{4}-/) as string },
    ]);
  });
  it('reaches a plain server that is allowed, telling it nothing, and keeps half-closed streams open', async () => {
    const asked = spawn('ssh', [
      ...[
        '-F',
        alice.sshConfig,
        '-p',
        String(proxy.ssh.port),
        '-s',
        'localhost',
        `proxy:127.0.0.1:${plain.address.port}`,
      ],
    ]);
    asked.stdin.end('SSH-2.0-mine\r\n');
    expect(await text(asked.stdout)).toBe('SSH-2.0-OpenSSH_9.2\r\nheard all\n');
    expect(plain.heard()).toBe('SSH-2.0-mine\r\n');
  });
});

describe('several nodes of one name', () => {
  it('are ambiguous, and each is reached by its UUID', async () => {
    const first = await proxy.echoNode('twin');
    await expect(proxy.echoNode('twin')).rejects.toMatchObject({
      code: 'access_denied',
      message: expect.stringContaining(`the name "twin" is that of "twin" [${first.hostId}]`) as string,
    });
    const twins = [first, await proxy.echoNode('twin', { asBefore: true })];
    await eventually('the proxy to know both', async () => {
      const { stderr } = await subsystem('proxy:twin:0');
      const [, one, other] =
        /^err-node-is-ambiguous: 2 nodes answer to twin: (\S+) \(.*\); (\S+) \(/.exec(stderr) ?? [];
      expect([one, other]).toEqual(twins.map(({ hostId }) => hostId));
    });
    await withClient(async (client) => {
      const { channel } = await client.subsystem(`proxy:${first.hostId}:0`);
      expect(String((await once(channel, 'data'))[0])).toMatch(/^SSH-2\.0-OpenSSH_Teleport/);
      channel.destroy();
    });
    for (const twin of twins) await twin.stop();
    const ran = await subsystem(`proxy:${first.hostId}:0`);
    expect(ran.stderr).toMatch(/^cannot reach node twin.*: the log and the audit of this proxy say why/);
    await eventually('the audit to say why', async () => {
      const events = await proxy.told('port');
      expect(events.at(-1)).toMatchObject({
        code: 'T3003E',
        user: 'alice',
        addr: `${first.hostId}:0`,
        error: expect.stringMatching(/127\.0\.0\.1:\d+/) as string,
      });
    });
  });
});

describe('who is not let in', () => {
  it('is told nothing; the audit is told all', async () => {
    const stranger = userIdentity('ed25519'); // of another authority
    await expect(proxy.connect(alice, { identity: stranger })).rejects.toThrow(/handshake failed/);
    await expect(proxy.connect(alice, { username: 'nobody' })).rejects.toThrow(/handshake failed/);
    const events = await until('both to be in the audit', async () => {
      const all = await proxy.told('auth');
      return all.length >= 2 ? all : undefined;
    });
    for (const event of events)
      expect(event).toMatchObject({
        code: 'T3007W',
        success: false,
        'addr.remote': expect.stringContaining('127.0.0.1:') as string,
      });
    expect(events.find((e) => e.login === 'nobody')).toMatchObject({ user: 'alice' });
  });
  it('is cut off when the user is deleted, though a stream is open', async () => {
    const bob = await proxy.person('bob');
    const client = await eventually('the proxy to know bob', () => proxy.connect(bob));
    const { channel } = await client.value.subsystem(`proxy:127.0.0.1:${plain.address.port}`);
    channel.on('error', () => undefined).resume();
    await proxy.admin.call(deleteUser, { username: 'bob' });
    expect((await client.value.closed)?.message).toContain('user "bob" has been deleted');
    await expect(proxy.connect(bob)).rejects.toThrow(/handshake failed/);
    const [event] = await until('the end to be in the audit', async () => {
      const all = await proxy.told('client.disconnect');
      return all.length > 0 ? all : undefined;
    });
    expect(event).toMatchObject({
      code: 'T3006I',
      user: 'bob',
      reason: 'user bob does not exist',
    });
  });
});
